"""Stores for tests: the in-memory store with commits that take their time, fail, or lose their answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from roomkit_core import ChangeSet, InMemoryStore, Ticket
from roomkit_core.interfaces.store import Answer


class SlowTicket(Ticket):
    """A commit that is written when somebody has waited for it; a second wait gets the same answer."""

    __slots__ = ("_changes", "_pause", "_store")

    def __init__(self, store: SlowStore, changes: ChangeSet, pause: Callable[[], Awaitable[None]]) -> None:
        self.answer = None
        self._store = store
        self._changes = changes
        self._pause = pause

    async def wait(self) -> Answer:
        await self._pause()
        if self.answer is None:
            self.answer = self._store.write(self._changes)
        return self.answer


class SlowStore(InMemoryStore):
    """Commits suspend before they are written, as those of a disk or a database do.

    ``pause`` is awaited before each write; it may raise what a store raises.
    """

    def __init__(self, pause: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.pause = pause
        self.refusals: list[str] = []
        self.commits = 0

    def submit(self, changes: ChangeSet) -> Ticket:
        return SlowTicket(self, changes, self.pause)

    def write(self, changes: ChangeSet) -> Answer:
        """The commit itself."""
        answer = super().submit(changes).answer
        assert answer is not None
        self.commits += 1
        reason = getattr(answer, "reason", None)
        if reason is not None:
            self.refusals.append(reason)
        return answer
