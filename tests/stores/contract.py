"""The fixtures of a store's tests: a store's module overrides ``store``, the rest follows."""

from __future__ import annotations

import pytest

from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.work import WorkRow, WorkState
from tests.stores.clock import ManualClock
from tests.stores.makers import Writer, delivery


class StoreContract:
    """Base of all suites."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The time by which ``store`` goes."""
        return ManualClock()

    @pytest.fixture
    def store(self, clock: ManualClock) -> ConversationStore:
        """An empty, opened store that goes by ``clock``; may be an asynchronous fixture."""
        raise NotImplementedError("the test class of a store brings a store")

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
