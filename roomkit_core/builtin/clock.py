"""The clock of the machine."""

from __future__ import annotations

import time
from datetime import datetime

import anyio

from roomkit_core.interfaces.clock import Clock
from roomkit_core.models.time import utc_now

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock(Clock):
    """Real time; the monotonic clock counts while the machine is suspended where the system can do so."""

    def now(self) -> datetime:
        return utc_now()

    def monotonic(self) -> float:
        return time.clock_gettime(_CLOCK)

    async def sleep_until(self, moment: float) -> None:
        while (left := moment - self.monotonic()) > 0:  # noqa: ASYNC110 (the two clocks may run differently)
            await anyio.sleep(left)
