"""The pump: what makes time pass for owed work.

One task per kit. It looks at every pool when something is due, and about once a second in any case, so that what other
kits, tools or a crash have left behind is found; it sends the heartbeats, ends what has expired, forgets what is old,
and asks channels whether they are ready. It never works on a row itself (PROTOCOL L14).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from heapq import heappop, heappush
from typing import NamedTuple

from anyio import CancelScope

from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.state.pools import Pool
from roomkit_core.engine.state.ports import Ports

log = logging.getLogger("roomkit.pump")

POLL = 1.0
"""Seconds between two looks, if nothing calls for one earlier."""

MAX_WAKES = 10_000
"""So many moments are remembered at which to look; what is due at others is found within :data:`POLL`."""

ROUNDING = 2e-6
"""Seconds: rows are due at whole microseconds, and whoever looks at the very moment may be a fraction too early."""


class Chore(NamedTuple):
    """Something that is done again and again.

    Attributes:
        name: For logs.
        every: Seconds between two runs.
        run: Does it. A raise is logged, and it comes again.
        is_first: It is also done before anything is claimed, and the kit does not start if it raises then.
    """

    name: str
    every: float
    run: Callable[[], Awaitable[None]]
    is_first: bool = False


class Pump:
    """The pump of one kit.

    Args:
        ports: The surroundings.

    Attributes:
        last_look: Monotonic time of the last complete look, or of the start; None before it. A pump that lives looks
            every second.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._next = 0.0
        self._wakes: list[float] = []  # a heap
        self._sleep: CancelScope | None = None
        self._ran: dict[str, float] = {}
        self.last_look: float | None = None
        self.chores: tuple[Chore, ...] = ()
        self.pools: Callable[[], Iterable[Pool]] = tuple
        self.runners: Runners | None = None

    def silence(self) -> float:
        """Seconds since the last complete look, or since the start; 0.0 before it."""
        return 0.0 if self.last_look is None else self._ports.clock.monotonic() - self.last_look

    async def begin(self) -> None:
        """Do what has to be done before the first row is claimed."""
        for chore in self.chores:
            if chore.is_first:
                await chore.run()

    def wake_at(self, moment: float) -> None:
        """Look at this monotonic time; never waits. Others who are to be woken earlier or later still are."""
        moment += ROUNDING
        if len(self._wakes) < MAX_WAKES:
            heappush(self._wakes, moment)
        if moment < self._next:
            self._next = moment
            if self._sleep is not None:
                self._sleep.cancel()

    async def run(self) -> None:
        """Look again and again until the kit is closed."""
        clock = self._ports.clock
        self.last_look = clock.monotonic()
        while not self._ports.background.closed:
            self._plan_next(clock.monotonic())
            await self.look()
            while clock.monotonic() < self._next:
                with CancelScope() as self._sleep:
                    await clock.sleep_until(self._next)
                self._sleep = None

    def _plan_next(self, now: float) -> None:
        """When to look after the look that begins now, which is for all whose moment has come."""
        wakes = self._wakes
        while wakes and wakes[0] <= now:
            heappop(wakes)
        self._next = min(now + POLL, wakes[0]) if wakes else now + POLL

    async def look(self) -> None:
        """Do the chores that are due, then let every pool find what is due."""
        now = self._ports.clock.monotonic()
        for chore in self.chores:
            if now - self._ran.get(chore.name, float("-inf")) >= chore.every:
                self._ran[chore.name] = now
                await self._do(chore)
        if not self._ports.background.closed:  # as it may be after a chore
            self.look_at_pools()
        self.last_look = now

    def look_at_pools(self) -> None:
        """Call for a runner where a place is free, and as soon as there is one elsewhere."""
        assert self.runners is not None
        for pool in self.pools():
            if pool.free > 0:
                self.runners.look(pool)
            else:
                pool.stand_behind()  # whatever is due there; a place that is given back unused is told

    async def _do(self, chore: Chore) -> None:
        try:
            await chore.run()
        except Exception:
            log.exception("chore %s failed; it comes again in %g s", chore.name, chore.every)
