"""Token buckets: never more than the limit in any span of time, never less than it allows, and in turn."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable
from datetime import datetime
from fractions import Fraction

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from roomkit_core import RateLimit, RateLimiter, TokenBucketRateLimiter
from tests.support.clock import VirtualClock, settle

PERIODS = {"max_per_second": 1, "max_per_minute": 60, "max_per_hour": 3600}
EARLY = Fraction(1, 500_000)  # seconds by which sums of floats may be off; see the limiter

windows = st.floats(0.01, 5000, allow_subnormal=False) | st.sampled_from([0.5, 1.0, 2.0, 10.0, 30.0, 60.0, 3600.0])
limits = st.builds(
    RateLimit,
    max_per_second=st.none() | windows,
    max_per_minute=st.none() | windows,
    max_per_hour=st.none() | windows,
).filter(lambda limit: limit != RateLimit())
pauses = st.sampled_from([0.0, 1e-4, 0.01, 0.1, 0.25, 1.0, 2.0, 60.0, 5000.0]) | st.floats(0, 30)
bursts = st.sampled_from([0.25, 1.0, 2.5, 60.0])


def rates(limit: RateLimit) -> list[Fraction]:
    """Tokens per second of every window that is set."""
    numbers = limit.model_dump(exclude_none=True)
    return [Fraction(number) / PERIODS[name] for name, number in numbers.items()]


def capacity(rate: Fraction, burst: float) -> Fraction:
    return max(Fraction(1), rate * Fraction(burst))


class ExactBuckets:
    """The definition, in exact numbers: one bucket per window, and a message needs a token from each."""

    def __init__(self, limit: RateLimit, burst: float, now: float) -> None:
        self.rates = rates(limit)
        self.capacities = [capacity(rate, burst) for rate in self.rates]
        self.levels = list(self.capacities)
        self.at = Fraction(now)

    def fill(self, now: float) -> None:
        passed = Fraction(now) - self.at
        self.at = Fraction(now)
        filled = zip(self.levels, self.rates, self.capacities, strict=True)
        self.levels = [min(size, level + rate * passed) for level, rate, size in filled]

    def take(self) -> None:
        self.levels = [level - 1 for level in self.levels]

    @property
    def surely(self) -> bool:
        return all(level >= 1 for level in self.levels)

    @property
    def perhaps(self) -> bool:
        """With what a float may be off: only then may the limiter say something else."""
        return all(level + rate * EARLY >= 1 for level, rate in zip(self.levels, self.rates, strict=True))


def assert_within(limit: RateLimit, burst: float, moments: Iterable[float]) -> None:
    """In no span of time are there more messages than a full bucket and what flows in meanwhile."""
    at = [Fraction(moment) for moment in moments]
    for rate in rates(limit):
        most = capacity(rate, burst)
        for first in range(len(at)):
            for last in range(first, len(at)):
                assert last - first + 1 <= most + rate * (at[last] - at[first] + EARLY)


def grants(limiter: RateLimiter, key: Hashable, limit: RateLimit, tries: int) -> int:
    return sum(limiter.acquire(key, limit) for _ in range(tries))


# --- T18: the limit, exactly ---


@settings(max_examples=300, deadline=None)
@given(limits, bursts, st.lists(st.tuples(pauses, st.integers(1, 6)), max_size=40), st.sampled_from([0.0, 1e6, 1e8]))
def test_t18_all_windows_apply_as_an_exact_model_says(
    limit: RateLimit, burst: float, visits: list[tuple[float, int]], uptime: float
) -> None:
    clock = VirtualClock(uptime)
    limiter = TokenBucketRateLimiter(burst, clock=clock)
    model = ExactBuckets(limit, burst, uptime)
    for pause, tries in visits:
        clock.jump(pause)
        model.fill(clock.monotonic())
        for _ in range(tries):
            granted = limiter.acquire("sms", limit)
            assert granted or not model.surely
            assert not granted or model.perhaps
            if granted:
                model.take()


@settings(max_examples=200, deadline=None)
@given(limits, bursts, st.lists(pauses, min_size=1, max_size=60))
def test_t18_no_span_of_time_has_more_than_capacity_and_rate(
    limit: RateLimit, burst: float, visits: list[float]
) -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(burst, clock=clock)
    granted = []
    for pause in visits:
        clock.jump(pause)
        granted += [clock.monotonic()] * grants(limiter, "sms", limit, 3)
    assert_within(limit, burst, granted)


@pytest.mark.parametrize(
    ("limit", "every"),
    [
        (RateLimit(max_per_minute=30), 2),
        (RateLimit(max_per_minute=0.5), 120),
        (RateLimit(max_per_hour=100), 36),
        (RateLimit(max_per_hour=0.25), 14400),
        (RateLimit(max_per_second=0.125), 8),
    ],
)
def test_t18_less_than_one_a_second_lets_one_through_at_a_time(limit: RateLimit, every: float) -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    for _ in range(50):
        assert limiter.acquire("sms", limit)
        clock.jump(every * 0.999)
        assert not limiter.acquire("sms", limit)
        clock.jump(every * 0.001)


def test_capacity_is_rate_times_burst_and_a_bucket_starts_full() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(2.5, clock=clock)
    limit = RateLimit(max_per_second=10)
    assert grants(limiter, "sms", limit, 100) == 25
    clock.jump(1.0)
    assert grants(limiter, "sms", limit, 100) == 10
    clock.jump(3600)
    assert grants(limiter, "sms", limit, 100) == 25


@pytest.mark.parametrize(
    ("limit", "slowest"),
    [
        (RateLimit(max_per_second=10, max_per_minute=60, max_per_hour=36000), RateLimit(max_per_second=1)),
        (RateLimit(max_per_second=1, max_per_minute=600), RateLimit(max_per_second=1)),
        (RateLimit(max_per_minute=600, max_per_hour=1800), RateLimit(max_per_second=0.5)),
    ],
)
def test_t18_a_window_that_is_set_is_never_overlooked(limit: RateLimit, slowest: RateLimit) -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    for _ in range(200):
        clock.jump(0.25)
        assert limiter.acquire("a", limit) == limiter.acquire("b", slowest)


def test_a_limit_without_a_window_lets_everything_through_and_remembers_nothing() -> None:
    limiter = TokenBucketRateLimiter(clock=VirtualClock())
    assert grants(limiter, "sms", RateLimit(), 1000) == 1000
    assert limiter.delay("sms", RateLimit()) == 0.0
    assert limiter.size == 0


def test_wall_time_is_not_asked_for() -> None:
    class NoWallClock(VirtualClock):
        def now(self) -> datetime:
            raise AssertionError("wall time may step")

    clock = NoWallClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_second=1)
    assert limiter.acquire("sms", limit)
    assert limiter.delay("sms", limit) == pytest.approx(1)
    limiter.give_back("sms", clock.monotonic())


def test_a_machine_that_was_suspended_finds_full_buckets_and_not_more() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_second=5)
    grants(limiter, "sms", limit, 5)
    clock.jump(86400)
    assert grants(limiter, "sms", limit, 100) == 5


def test_a_limit_that_changes_keeps_what_is_missing_and_not_for_how_long() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    assert limiter.acquire("sms", RateLimit(max_per_hour=1))
    fast = RateLimit(max_per_second=10)
    assert grants(limiter, "sms", fast, 100) == 9
    assert limiter.delay("sms", fast) == pytest.approx(0.1)


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan")])
def test_numbers_out_of_range_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="burst_seconds"):
        TokenBucketRateLimiter(wrong)
    with pytest.raises(ValueError, match="max_buckets"):
        TokenBucketRateLimiter(max_buckets=0)
    for window in PERIODS:
        with pytest.raises(ValidationError):
            RateLimit(**{window: wrong})


# --- delay ---


@settings(max_examples=200, deadline=None)
@given(limits, bursts, st.lists(pauses, max_size=20))
def test_delay_is_when_the_next_token_is_there_and_takes_none(
    limit: RateLimit, burst: float, visits: list[float]
) -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(burst, clock=clock)
    for pause in visits:
        clock.jump(pause)
        grants(limiter, "sms", limit, 2)
        delay = limiter.delay("sms", limit)
        assert limiter.delay("sms", limit) == delay
        if delay > 0.001:
            assert not limiter.acquire("sms", limit)
            clock.jump(delay - 0.001)
            assert not limiter.acquire("sms", limit)
            clock.jump(0.001)
        else:
            clock.jump(delay)
        assert limiter.delay("sms", limit) == 0.0
        assert limiter.acquire("sms", limit)


# --- tokens that come back ---


def test_l9_a_token_given_back_at_once_is_there_again() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_minute=1)
    for _ in range(100):
        assert limiter.acquire("sms", limit)
        assert not limiter.acquire("sms", limit)
        limiter.give_back("sms", clock.monotonic())


@settings(max_examples=500, deadline=None)
@given(limits, bursts, st.lists(st.tuples(pauses, st.sampled_from(["take", "take", "back"])), max_size=40), st.data())
def test_giving_back_never_lets_more_through_than_the_limit(
    limit: RateLimit, burst: float, steps: list[tuple[float, str]], data: st.DataObject
) -> None:
    """However late a token comes back: what was sent stays within the limit in every span of time."""
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(burst, clock=clock)
    out: list[float] = []
    for pause, step in steps:
        clock.jump(pause)
        if step == "take" and limiter.acquire("sms", limit):
            out.append(clock.monotonic())
        elif step == "back" and out:
            limiter.give_back("sms", out.pop(data.draw(st.integers(0, len(out) - 1))))
    assert_within(limit, burst, out)


def test_what_the_bucket_could_not_have_held_does_not_come_back() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_second=1)
    assert limiter.acquire("sms", limit)
    unused = clock.monotonic()
    clock.jump(10)
    assert limiter.acquire("sms", limit)
    limiter.give_back("sms", unused)
    assert not limiter.acquire("sms", limit)


def test_giving_back_to_a_bucket_that_is_forgotten_is_nothing() -> None:
    TokenBucketRateLimiter(clock=VirtualClock()).give_back("sms", 0.0)


# --- many keys in bounded memory ---


def test_t18_full_buckets_are_evicted_and_a_burst_of_senders_is_forgotten() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_minute=30)
    for sender in range(10_000):
        assert limiter.acquire(("sms", sender), limit)
    assert limiter.size == 10_000
    clock.jump(2)
    for sender in range(10_000):
        assert limiter.acquire(("web", sender), limit)
        clock.jump(0.01)
    assert limiter.size < 300


def test_t18_a_bucket_that_is_used_again_and_again_is_not_evicted() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_second=2)
    for stranger in range(100):
        assert limiter.acquire("busy", limit)
        assert limiter.acquire(stranger, limit)  # which makes room, if there is any to make
        clock.jump(0.5)
    assert grants(limiter, "busy", limit, 10) == 2
    clock.jump(0.5)
    assert limiter.acquire("stranger", limit)
    assert grants(limiter, "busy", limit, 10) == 1


def test_t18_a_full_table_refuses_new_keys_until_a_bucket_is_full() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock, max_buckets=3)
    slow, fast = RateLimit(max_per_hour=1), RateLimit(max_per_minute=6)
    for sender, limit in [("a", slow), ("b", fast), ("c", slow)]:
        assert limiter.acquire(sender, limit)
    assert not limiter.acquire("d", fast)
    assert limiter.delay("d", fast) == pytest.approx(10)
    assert not limiter.acquire("a", slow), "nobody was forgotten for it"
    clock.jump(10)
    assert limiter.delay("d", fast) == 0.0
    assert limiter.acquire("d", fast)
    assert limiter.size == 3
    assert not limiter.acquire("a", slow)
    assert not limiter.acquire("b", fast), "its place is taken"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(pauses, st.integers(0, 9), st.booleans()), max_size=120),
    st.integers(1, 6),
    st.lists(limits, min_size=10, max_size=10),
)
def test_t18_memory_is_bounded_and_no_key_ever_gets_more_than_its_limit(
    visits: list[tuple[float, int, bool]], max_buckets: int, limit_of: list[RateLimit]
) -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock, max_buckets=max_buckets)
    granted: dict[int, list[float]] = {}
    for pause, key, is_given_back in visits:
        clock.jump(pause)
        if limiter.acquire(key, limit_of[key]):
            if is_given_back:
                limiter.give_back(key, clock.monotonic())
            else:
                granted.setdefault(key, []).append(clock.monotonic())
        assert limiter.size <= max_buckets
    for key, moments in granted.items():
        assert_within(limit_of[key], 1.0, moments)


def test_a_thousand_keys_do_not_take_from_each_other() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_second=2)
    chance = random.Random(5)
    granted: dict[int, list[float]] = {key: [] for key in range(1000)}
    for _ in range(20_000):
        clock.jump(0.001)
        key = chance.randrange(1000)
        if limiter.acquire(key, limit):
            granted[key].append(clock.monotonic())
    for moments in granted.values():
        assert_within(limit, 1.0, moments)
    assert sum(map(len, granted.values())) > 15_000  # of one visit a second and key, most find a token


# --- waiting ---


@pytest.mark.anyio
async def test_waiting_suspends_only_where_no_token_is_there() -> None:
    limiter = TokenBucketRateLimiter(clock=VirtualClock())
    limit = RateLimit(max_per_second=2)
    for _ in range(2):
        with pytest.raises(StopIteration):
            limiter.wait("sms", limit).send(None)
    with pytest.raises(StopIteration):
        limiter.wait("sms", RateLimit()).send(None)
    assert not limiter.acquire("sms", limit)


@pytest.mark.anyio
async def test_a_thousand_rooms_share_ten_messages_a_second_in_turn_and_none_starves() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_second=10)
    served: list[tuple[int, float]] = []

    async def room(number: int) -> None:
        await limiter.wait("sms", limit)
        served.append((number, clock.monotonic() - 1000))

    async with anyio.create_task_group() as group:
        for number in range(1000):
            group.start_soon(room, number)
        await settle()
        waiting = [number for number in range(1000) if (number, 0.0) not in served]
        assert len(waiting) == 990
        greedy = 0
        for _ in range(200):
            await clock.advance(0.5)
            greedy += limiter.acquire("sms", limit)
        group.cancel_scope.cancel()
    # On trio tasks start in no fixed order; whoever began to wait first is served first.
    assert sorted(number for number, _ in served) == list(range(1000))
    for place, (_, moment) in enumerate(served):
        assert moment == pytest.approx(max(0.0, (place - 9) / 10), abs=1e-5)
    assert greedy <= 2, "nobody gets past those who wait"


@pytest.mark.anyio
async def test_those_who_wait_are_served_in_the_order_in_which_they_came() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_second=1)
    assert limiter.acquire("sms", limit)
    served: list[int] = []

    async def room(number: int) -> None:
        await limiter.wait("sms", limit)
        served.append(number)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(room, number)
            await settle()
            assert limiter.delay("sms", limit) == pytest.approx(2 + number)
        await clock.advance(20)
        group.cancel_scope.cancel()
    assert served == list(range(20))


@pytest.mark.anyio
async def test_whoever_is_cancelled_while_waiting_takes_nothing_and_holds_up_nobody() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_second=1)
    assert limiter.acquire("sms", limit)
    served: list[tuple[str, float]] = []
    scopes: dict[str, anyio.CancelScope] = {}

    async def room(name: str) -> None:
        with anyio.CancelScope() as scopes[name]:
            await limiter.wait("sms", limit)
            served.append((name, clock.monotonic() - 1000))

    async with anyio.create_task_group() as group:
        for name in "abcd":
            group.start_soon(room, name)
            await settle()
        scopes["a"].cancel()  # the one who is next
        scopes["c"].cancel()  # one in the middle
        await clock.advance(5)
        group.cancel_scope.cancel()
    assert [name for name, _ in served] == ["b", "d"]
    assert [moment for _, moment in served] == pytest.approx([1, 2])
    await clock.advance(5)
    assert limiter.acquire("sms", limit), "the queue is gone with the last who waited"


@pytest.mark.anyio
async def test_a_thousand_who_gave_up_leave_no_debt() -> None:
    clock = VirtualClock()
    limiter = TokenBucketRateLimiter(clock=clock)
    limit = RateLimit(max_per_second=1)
    assert limiter.acquire("sms", limit)
    async with anyio.create_task_group() as group:
        for _ in range(1000):
            group.start_soon(limiter.wait, "sms", limit)
        await settle()
        group.cancel_scope.cancel()
    assert limiter.delay("sms", limit) == pytest.approx(1)
    clock.jump(1)
    assert limiter.acquire("sms", limit)
