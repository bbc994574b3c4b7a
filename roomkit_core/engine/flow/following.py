"""What a caller waits for: counts of what is under way, without owning any of it.

Rows and asks run in tasks of the kit. A caller that waits holds a :class:`Following`, which those tasks count down;
when the caller is cancelled, the work goes on and nobody listens.
"""

from __future__ import annotations

import anyio

from roomkit_core.models.work import Outcome


class Following:
    """All that follows from one call.

    Attributes:
        outcomes: Row id to what became of it, for the rows that had their first try.
    """

    __slots__ = ("_attempts", "_event", "_others", "_queued", "outcomes")

    def __init__(self) -> None:
        self._attempts = 0
        self._others = 0
        self._queued = 0
        self._event: anyio.Event | None = None
        self.outcomes: dict[str, Outcome] = {}

    def add_attempt(self) -> None:
        """A row of the call's own event is on its way."""
        self._attempts += 1

    def attempt_done(self) -> None:
        """It had its first try."""
        self._attempts -= 1
        self._tell()

    def add(self) -> None:
        """Something that follows is under way: an ask, an observer, a delivery of an answer."""
        self._others += 1

    def done(self) -> None:
        """It has ended."""
        self._others -= 1
        self._tell()

    def add_queued(self) -> None:
        """An ask waits behind another one of its lane."""
        self._queued += 1

    def queued_done(self) -> None:
        """It has ended."""
        self._queued -= 1
        self._tell()

    def _tell(self) -> None:
        if self._event is not None:
            self._event.set()

    async def attempted(self) -> None:
        """Return when every row of the call's own event had its first try."""
        while self._attempts:
            await self._next()

    async def settled(self, patience: float) -> None:
        """Return when all that follows has ended; queued asks are waited for ``patience`` seconds at most."""
        if not (self._attempts or self._others or self._queued):
            return
        with anyio.move_on_after(patience) as scope:
            while self._attempts or self._others or self._queued:
                scope.deadline = anyio.current_time() + patience if self._attempts or self._others else scope.deadline
                await self._next()
        while self._attempts or self._others:
            await self._next()

    async def _next(self) -> None:
        self._event = anyio.Event()
        await self._event.wait()
