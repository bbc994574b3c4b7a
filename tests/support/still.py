"""The machine's time, standing still until a test moves it: nothing is tried again and nothing polls by itself."""

from __future__ import annotations

from roomkit_core.builtin.clock import SystemClock
from roomkit_testkit.stores.clock import ManualClock


class StillClock(ManualClock):
    """A :class:`ManualClock` that begins at the present moment, for kits over stores that go by the machine's clock."""

    def __init__(self) -> None:
        super().__init__()
        real = SystemClock()
        self._now, self._monotonic = real.now(), real.monotonic()
