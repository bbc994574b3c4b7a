"""Time, so that tests can replace it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime


class Clock(ABC):
    """Where the kit and the stores take the time from. Wall time is written into rows and decides nothing else."""

    @abstractmethod
    def now(self) -> datetime:
        """The wall time, aware and in UTC."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds on a clock that never goes back and that counts while the machine sleeps, where there is one."""

    @abstractmethod
    async def sleep_until(self, moment: float) -> None:
        """Return when :meth:`monotonic` has reached ``moment``."""
