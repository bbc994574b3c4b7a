"""Time that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio

from roomkit_core.interfaces.clock import Clock
from roomkit_core.models.time import to_microseconds


class ManualClock(Clock):
    """A clock that a test moves by :meth:`advance`."""

    def __init__(self) -> None:
        self._now = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
        self._monotonic = 1000.25
        self._moved = anyio.Event()

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
        self._moved.set()
        self._moved = anyio.Event()

    @property
    def microseconds(self) -> int:
        """The wall time as rows have it."""
        return to_microseconds(self._now)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep_until(self, moment: float) -> None:
        while self._monotonic < moment:
            await self._moved.wait()
