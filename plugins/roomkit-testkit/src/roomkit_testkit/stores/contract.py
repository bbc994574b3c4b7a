"""The fixtures of a store's tests: a store's test class brings ``fresh_store``, the rest follows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.work import WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.makers import Writer, delivery


class StoreContract:
    """Base of all suites.

    Raises:
        TypeError: A class replaces a test of the suite that it inherits: then it would say nothing about the store.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in vars(cls):
            if name.startswith("test_") and any(name in vars(base) for base in cls.__mro__[1:]):
                raise TypeError(f"{cls.__name__} replaces {name}, which every store has to pass; add tests beside it")

    async def fresh_store(self, clock: ManualClock) -> ConversationStore:
        """A new store, empty and open, that goes by ``clock``; every call makes one of its own."""
        raise NotImplementedError("the test class of a store makes stores")

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The time by which ``store`` goes."""
        return ManualClock()

    @pytest.fixture
    async def store(self, clock: ManualClock) -> AsyncIterator[ConversationStore]:
        """The store of a test."""
        store = await self.fresh_store(clock)
        yield store
        await store.close()

    @pytest.fixture
    def writer(self, store: ConversationStore) -> Writer:
        """A kit that writes to the room ``room``, which it has still to create."""
        return Writer(store)

    @pytest.fixture
    def other(self, store: ConversationStore) -> Writer:
        """Another kit on the same store and room."""
        return Writer(store, "kit-2")

    @pytest.fixture
    async def held(self, writer: Writer) -> WorkRow:
        """A row in flight, token 1, with another one queued behind it; the room is there then."""
        await writer.create()
        row = delivery(row_id="held", state=WorkState.IN_FLIGHT)
        committed = await writer.owe(row, delivery(row_id="queued"))
        return committed.claims[0]
