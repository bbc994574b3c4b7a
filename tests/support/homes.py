"""Homes: a store that outlives the kits over it, and the time that passes for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from roomkit_core import Channel, ConversationStore, InMemoryStore, RoomKit
from roomkit_core.builtin.sqlite.store import SQLiteStore
from tests.support.clock import VirtualClock
from tests.support.rooms import kit_with


class Home:
    """Where what a kit stores stays when the kit is closed.

    Args:
        path: A directory for the file of a SQLite store; None for a store in memory, which lives as long as the home.

    Attributes:
        clock: The time of all kits and stores of the home.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.clock = VirtualClock()
        self._path = path
        self._memory = InMemoryStore(clock=self.clock)

    def store(self) -> ConversationStore:
        """The store, as another process would open it."""
        if self._path is None:
            return self._memory
        return SQLiteStore(self._path / "rooms.db", clock=self.clock, synchronous="normal")

    @asynccontextmanager
    async def kit(self, *channels: Channel, rooms: Sequence[str] = ("room",), **options: Any) -> AsyncIterator[RoomKit]:
        """A started kit; its rooms have every channel. A second one is what starts after the first has ended."""
        async with kit_with(*channels, store=self.store(), rooms=rooms, clock=self.clock, **options) as kit:
            yield kit

    async def later(self, kit: RoomKit, seconds: float) -> None:
        """Let time pass at one go, and all be done that is due then."""
        self.clock.jump(seconds)
        await kit.idle()
