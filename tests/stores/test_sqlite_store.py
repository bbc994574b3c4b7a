"""The SQLite store: what every store does."""

from __future__ import annotations

from pathlib import Path

import pytest

from roomkit_core.builtin.sqlite.check import check
from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.interfaces.store import ConversationStore, Cutoffs
from roomkit_core.models.ids import new_id
from roomkit_core.models.work import WorkState
from roomkit_testkit.stores import ManualClock, StoreSuite
from roomkit_testkit.stores.makers import SENT, Writer, delivery, get_row

pytestmark = pytest.mark.timeout(300)


class TestSQLiteStore(StoreSuite):
    """Nothing here is about the disk, and a run of the suite commits many thousand times: nothing is synchronised."""

    ends_leases_on_open = True
    machine_examples = 25

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        """Where the stores of a test stand."""
        self.path = tmp_path

    async def fresh_store(self, clock: ManualClock) -> ConversationStore:
        return await self.opened(self.path / f"{new_id()}.db", clock)

    async def reopen(self, store: ConversationStore, clock: ManualClock) -> ConversationStore:
        assert isinstance(store, SQLiteStore)
        await store.close()
        assert check(store.path) == []
        return await self.opened(Path(store.path), clock)

    async def opened(self, path: Path, clock: ManualClock) -> SQLiteStore:
        store = SQLiteStore(path, clock=clock, synchronous="off")
        await store.open()
        return store

    async def test_a_place_in_a_lane_is_never_given_again(self, store: ConversationStore, clock: ManualClock) -> None:
        writer = Writer(store)
        await writer.create()
        await writer.owe(delivery(row_id="first", state=WorkState.IN_FLIGHT))
        before = await get_row(store, "first")
        await store.settle("first", 1, SENT)
        clock.advance(1)
        assert await store.purge(Cutoffs(settled=clock.microseconds)) == 1

        store = await self.reopen(store, clock)
        await Writer(store, room_id="other").create(work=(delivery(row_id="second", room_id="other"),))

        after = await get_row(store, "second")
        await store.close()
        assert before is not None
        assert after is not None
        assert after.seq > before.seq
