"""The suite for stores, as its users see it."""

from __future__ import annotations

import pytest

from roomkit_core import ConversationStore, InMemoryStore
from roomkit_testkit.stores import ManualClock, StoreSuite


def test_a_store_may_add_tests_and_may_not_replace_one() -> None:
    class Fine(StoreSuite):
        async def fresh_store(self, clock: ManualClock) -> ConversationStore:
            return InMemoryStore(clock=clock)

        def test_something_of_its_own(self) -> None: ...

    inherited = next(name for name in dir(StoreSuite) if name.startswith("test_"))
    with pytest.raises(TypeError, match=f"Cheating replaces {inherited}"):
        type("Cheating", (Fine,), {inherited: lambda self: None})
