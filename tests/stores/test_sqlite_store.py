"""The SQLite store: what every store does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roomkit_core.builtin.sqlite_store import SQLiteStore
from roomkit_core.interfaces.store import ConversationStore
from tests.stores.clock import ManualClock
from tests.stores.suite import StoreSuite


class TestSQLiteStore(StoreSuite):
    @pytest.fixture
    async def store(self, clock: ManualClock, tmp_path: Path) -> AsyncIterator[ConversationStore]:
        # Nothing here is about the disk, and a run of the suite commits some 20,000 times.
        store = SQLiteStore(tmp_path / "rooms.db", clock=clock, synchronous="off")
        await store.open()
        yield store
        await store.close()
