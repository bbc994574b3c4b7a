"""The in-memory store does what every store does; what that costs is in ``test_memory_cost``."""

from __future__ import annotations

import pytest

from roomkit_core.builtin.memory.store import InMemoryStore
from roomkit_core.errors import UnsupportedError
from roomkit_core.interfaces.store import ConversationStore
from roomkit_testkit.stores import ManualClock, StoreSuite

pytestmark = pytest.mark.timeout(300)


class TestInMemoryStore(StoreSuite):
    async def fresh_store(self, clock: ManualClock) -> ConversationStore:
        return InMemoryStore(clock=clock)


async def test_what_does_not_outlive_the_process_is_neither_durable_nor_backed_up() -> None:
    store = InMemoryStore()

    assert (store.is_process_local, store.is_durable) == (True, False)
    with pytest.raises(UnsupportedError) as refused:
        await store.backup("copy")
    assert refused.value.code == "store.no_backup"
