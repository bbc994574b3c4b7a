"""Token buckets, in the memory of one process.

A bucket is one number: the moment at which it will be full again. Taking a token moves that moment by the time in which
one token flows in, and a token is there if the bucket would not be emptier than empty afterwards. So nothing has to be
filled up as time goes by, and a bucket whose moment has passed is the same as none: that is when it is forgotten.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush, heapreplace
from math import inf

import anyio

from roomkit_core.builtin.clock import SystemClock
from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.resilience import RateLimiter
from roomkit_core.models.channel import RateLimit

EARLY = 1e-6  # seconds; sums of floats are not exact, and whoever waited for a token must find it
FORGET = 4  # full buckets that one new bucket sweeps out, so that a burst is forgotten without a pause


class TokenBucketRateLimiter(RateLimiter):
    """A bucket per key that starts full, holds ``rate * burst_seconds`` tokens but at least 1, and gives one a message.

    All windows of a limit that are set apply. A slower window also has the smaller bucket, so the slowest one that is
    set decides, and one bucket per key is enough.

    Counts for this process only: a fleet shares a provider's limit by giving each worker its part.

    Args:
        burst_seconds: For how many seconds' worth of messages that were not sent a burst may make up, above 0.
        clock: Where the time comes from; the machine's when omitted.
        max_buckets: How many keys whose bucket is not full are remembered, at least 1. Beyond that, new keys get no
            token until one of them is full: to forget it would let through more than its limit.

    Raises:
        ValueError: A number is out of its range.
    """

    def __init__(self, burst_seconds: float = 1.0, *, clock: Clock | None = None, max_buckets: int = 100_000) -> None:
        if not 0 < burst_seconds < inf:
            raise ValueError(f"burst_seconds must be above 0, not {burst_seconds}")
        if max_buckets < 1:
            raise ValueError(f"max_buckets must be at least 1, not {max_buckets}")
        self._burst = burst_seconds
        self._clock = clock or SystemClock()
        self._max_buckets = max_buckets
        self._buckets: dict[Hashable, _Bucket] = {}
        # One entry per bucket: a moment before which it was not full when somebody last looked, and a tie-break.
        self._by_fullness: list[tuple[float, int, Hashable]] = []
        self._made = 0
        # Keys for which somebody waits; whoever holds the lock is next.
        self._queues: dict[Hashable, anyio.Lock] = {}

    @property
    def size(self) -> int:
        """Number of buckets remembered."""
        return len(self._buckets)

    def acquire(self, key: Hashable, limit: RateLimit) -> bool:
        interval = _interval(limit)
        return not interval or (key not in self._queues and self._take(key, interval) == 0.0)

    def delay(self, key: Hashable, limit: RateLimit) -> float:
        interval = _interval(limit)
        if not interval:
            return 0.0
        now = self._clock.monotonic()
        bucket = self._buckets.get(key)
        if bucket is None:
            first = self._delay_of_new(now)
        else:
            bucket.pass_at(interval, now)
            first = self._delay_of(bucket, now)
        queue = self._queues.get(key)
        return first if queue is None else first + interval * (1 + queue.statistics().tasks_waiting)

    async def wait(self, key: Hashable, limit: RateLimit) -> None:
        interval = _interval(limit)
        if not interval:
            return
        queue = self._queues.get(key)
        if queue is None:
            if self._take(key, interval) == 0.0:
                return
            queue = self._queues[key] = anyio.Lock()
        try:
            async with queue:
                while delay := self._take(key, interval):
                    await self._clock.sleep_until(self._clock.monotonic() + delay)
        finally:
            if not queue.locked() and self._queues.get(key) is queue:  # it is handed on directly, so nobody waits
                del self._queues[key]

    def give_back(self, key: Hashable, taken_at: float) -> None:
        bucket = self._buckets.get(key)
        if bucket is not None:
            # What flowed in since then might have found the bucket full, had the token not been taken.
            bucket.full_at -= max(0.0, bucket.interval - max(0.0, self._clock.monotonic() - taken_at))

    def _take(self, key: Hashable, interval: float) -> float:
        """Take a token and return 0.0, or else the seconds until it is there."""
        now = self._clock.monotonic()
        bucket = self._buckets.get(key)
        if bucket is None:
            delay = self._delay_of_new(now)
            if delay:
                return delay
            bucket = self._buckets[key] = _Bucket(now, interval)
            self._made += 1
            heappush(self._by_fullness, (now + interval, self._made, key))
        else:
            bucket.pass_at(interval, now)
            delay = self._delay_of(bucket, now)
            if delay:
                return delay
        bucket.full_at = max(bucket.full_at, now) + interval
        return 0.0

    def _delay_of(self, bucket: _Bucket, now: float) -> float:
        depth = max(self._burst, bucket.interval)  # the time in which an empty bucket fills
        delay = max(bucket.full_at, now) + bucket.interval - depth - now
        return delay if delay > EARLY else 0.0

    def _delay_of_new(self, now: float) -> float:
        """Seconds until there is room for one more bucket."""
        heap, buckets = self._by_fullness, self._buckets
        sweep = FORGET
        while heap and heap[0][0] <= now and (sweep > 0 or len(buckets) >= self._max_buckets):
            sweep -= 1
            _, number, key = heap[0]
            full_at = buckets[key].full_at
            if full_at <= now:
                heappop(heap)
                del buckets[key]
            else:
                heapreplace(heap, (full_at, number, key))
        return heap[0][0] - now if len(buckets) >= self._max_buckets else 0.0


class _Bucket:
    """What is missing in a bucket, as the moment at which it is full again at its rate of one token an interval."""

    __slots__ = ("full_at", "interval")

    def __init__(self, full_at: float, interval: float) -> None:
        self.full_at = full_at
        self.interval = interval

    def pass_at(self, interval: float, now: float) -> None:
        """Tokens flow in at this rate from now on; as many are missing as before."""
        if interval != self.interval:
            self.full_at = now + max(0.0, self.full_at - now) / self.interval * interval
            self.interval = interval


def _interval(limit: RateLimit) -> float:
    """Seconds in which one token flows in at the slowest of the windows, 0.0 if there is none."""
    return max(
        0.0 if limit.max_per_second is None else 1.0 / limit.max_per_second,
        0.0 if limit.max_per_minute is None else 60.0 / limit.max_per_minute,
        0.0 if limit.max_per_hour is None else 3600.0 / limit.max_per_hour,
    )
