"""Virtual time: nothing passes until a test says so, and whoever sleeps is woken at its own moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

import anyio
import anyio.lowlevel

from roomkit_core.interfaces.clock import Clock


class VirtualClock(Clock):
    """A clock on which tasks really sleep, on asyncio and trio.

    Attributes:
        sleepers: How many tasks sleep now.
    """

    def __init__(self, monotonic: float = 1000.0) -> None:
        self._start = datetime(2024, 2, 29, 12, tzinfo=UTC)
        self._began = self._monotonic = monotonic
        self._alarms: list[tuple[float, int, anyio.Event]] = []
        self._set = 0
        self.sleepers = 0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._monotonic - self._began)

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep_until(self, moment: float) -> None:
        if moment <= self._monotonic:
            return
        self._set += 1
        alarm = anyio.Event()
        heappush(self._alarms, (moment, self._set, alarm))
        self.sleepers += 1
        try:
            await alarm.wait()
        finally:
            self.sleepers -= 1

    def jump(self, seconds: float) -> None:
        """Let time pass at one go; those whose moment has come wake up when the caller next waits."""
        self._monotonic += seconds
        self._ring()

    def slip(self, seconds: float) -> None:
        """Let time pass at one go while everybody sleeps on, until time next passes."""
        self._monotonic += seconds

    async def advance(self, seconds: float) -> None:
        """Let time pass from moment to moment at which somebody wakes up, and let everybody do what it does then."""
        await settle()
        end = self._monotonic + seconds
        while self._alarms and self._alarms[0][0] <= end:
            self._monotonic = max(self._monotonic, self._alarms[0][0])
            self._ring()
            await settle()
        self._monotonic = end
        await settle()

    def _ring(self) -> None:
        while self._alarms and self._alarms[0][0] <= self._monotonic:
            heappop(self._alarms)[2].set()


async def settle() -> None:
    """Return when every other task waits for something.

    As ``anyio.wait_all_tasks_blocked``, which on asyncio sleeps a tenth of a second whenever a task is not there yet.
    """
    if asyncio._get_running_loop() is None:
        await anyio.wait_all_tasks_blocked()
        return
    this = asyncio.current_task()
    while any(task is not this and _may_run(task) for task in asyncio.all_tasks()):
        await anyio.lowlevel.checkpoint()


def _may_run(task: asyncio.Task[object]) -> bool:
    waiter = task._fut_waiter  # type: ignore[attr-defined]  # asyncio has no public way to ask what it waits for
    return waiter is None or waiter.done()
