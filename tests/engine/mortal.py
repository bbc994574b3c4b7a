"""Processes that die: what is left of one in its store, and the one that comes after it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from anyio.from_thread import BlockingPortal

from roomkit_core import ConversationStore, InMemoryStore, RoomKit
from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_testkit.stores.clock import ManualClock
from tests.protocol.places import KitStore, Places

LATER = 100.0
"""Seconds after which a lease of a process that is dead is over, and its quiet time too."""


class Remains:
    """Stores of one kind, and what is left of one when its process dies."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock

    def first(self) -> ConversationStore:
        """An empty one."""
        raise NotImplementedError

    def of(self, store: ConversationStore) -> ConversationStore:
        """What the next process finds."""
        raise NotImplementedError

    def clean(self) -> None:
        """The end of the test."""


class InMemory(Remains):
    """Tables that everybody has to walk to: without a step before and after each write there is nowhere to die."""

    def first(self) -> ConversationStore:
        self._tables = InMemoryStore(clock=self.clock)
        return self._way_to_it()

    def of(self, store: ConversationStore) -> ConversationStore:
        self._tables = deepcopy(self._tables, {id(self.clock): self.clock})
        return self._way_to_it()

    def _way_to_it(self) -> ConversationStore:
        places = Places()
        for place in ("accept", "accepted", "commit", "committed", "claim", "claimed", "settle", "settled"):
            places.at(place, anyio.lowlevel.checkpoint)
        return KitStore(self._tables, places)


class InFiles(Remains):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._folder = Path(tempfile.mkdtemp(prefix="roomkit-crash-"))
        self._number = 0

    def _path(self) -> Path:
        return self._folder / f"{self._number}.db"

    def _open(self) -> ConversationStore:
        return SQLiteStore(self._path(), clock=self.clock, synchronous="off")  # nobody pulls the plug

    def first(self) -> ConversationStore:
        return self._open()

    def of(self, store: ConversationStore) -> ConversationStore:
        before = self._path()
        self._number += 1
        for end in ("", "-wal"):  # the shared memory beside them dies with the process
            if (of := before.with_name(before.name + end)).exists():
                shutil.copy(of, self._path().with_name(self._path().name + end))
        return self._open()

    def clean(self) -> None:
        shutil.rmtree(self._folder)


class Mortal:
    """A state machine over a kit in a process that can die.

    Attributes:
        stores: Stores, and what is left of them.
        store, kit, running: Those of the process that lives.
    """

    portal: BlockingPortal
    stores: Remains
    store: ConversationStore
    kit: RoomKit
    running: Any

    def start_on(self, store: ConversationStore) -> None:
        """A process begins on the store: :attr:`store`, :attr:`kit` and :attr:`running` are its own from now on."""
        raise NotImplementedError

    async def fall_silent(self) -> None:
        """Nobody hears from the process any more, whatever it still does."""
        raise NotImplementedError

    async def catch_up(self) -> None:
        """Let the process that lives do what is due."""
        raise NotImplementedError

    async def leave(self) -> ConversationStore:
        """The process dies here; what is left of it."""
        await self.fall_silent()
        return self.stores.of(self.store)

    def inherit(self, store: ConversationStore) -> None:
        """The next process."""
        dead, running = self.kit, self.running
        self.start_on(store)
        self.portal.call(dead.close, 0.0)
        running.cancel()
        self.portal.call(self.catch_up)

    def die(self) -> None:
        """The process dies, and another one begins, which does what it is owed."""
        self.inherit(self.portal.call(self.leave))

    async def die_within(self, verb: Callable[[], Awaitable[Any]], steps: int) -> tuple[bool, ConversationStore]:
        """Let the verb do so many steps, and the process die; whether the verb had returned, and what is left."""
        has_returned = False

        async def run() -> None:
            nonlocal has_returned
            await verb()
            has_returned = True

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            said, heir = has_returned, await self.leave()
            group.cancel_scope.cancel()
        return said, heir
