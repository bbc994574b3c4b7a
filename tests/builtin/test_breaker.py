"""The circuit breaker over its whole state chart, against a model that knows nothing but the chart."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roomkit_core import Breaker, BreakerState, CircuitBreaker
from tests.support.clock import VirtualClock

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def opened(clock: VirtualClock, failures: int = 5, **options: object) -> CircuitBreaker:
    breaker = CircuitBreaker(failures, clock=clock, **options)
    for _ in range(failures):
        breaker.record_failure()
    return breaker


def half_open(clock: VirtualClock, **options: object) -> CircuitBreaker:
    breaker = opened(clock, **options)
    clock.jump(60)
    return breaker


# --- the chart, step by step ---


def test_a_new_breaker_is_closed_and_lets_every_call_through() -> None:
    breaker = CircuitBreaker()
    assert isinstance(breaker, Breaker)
    assert (breaker.is_closed, breaker.is_open, breaker.is_half_open) == (True, False, False)
    assert all(breaker.allow_request() for _ in range(100))


def test_it_opens_at_the_threshold_and_lets_nothing_through(clock: VirtualClock) -> None:
    breaker = CircuitBreaker(3, clock=clock)
    for _ in range(2):
        breaker.record_failure()
    assert breaker.is_closed
    breaker.record_failure()
    assert breaker.is_open
    assert not breaker.allow_request()
    assert breaker.opens_at == clock.monotonic() + 60


def test_a_success_starts_the_count_anew(clock: VirtualClock) -> None:
    breaker = CircuitBreaker(2, clock=clock)
    for _ in range(10):
        breaker.record_failure()
        breaker.record_success()
    assert breaker.is_closed
    assert breaker.failures == 0


def test_t17_half_open_admits_exactly_one_probe(clock: VirtualClock) -> None:
    breaker = opened(clock)
    clock.jump(59.999)
    assert breaker.is_open
    assert not breaker.allow_request()
    clock.jump(0.001)
    assert breaker.is_half_open
    assert breaker.allow_request()
    assert not any(breaker.allow_request() for _ in range(100))
    assert breaker.opens_at is None
    clock.jump(1_000_000)
    assert not breaker.allow_request()


def test_the_probe_closes_it_or_opens_it_for_another_recovery_time(clock: VirtualClock) -> None:
    breaker = half_open(clock)
    breaker.record_failure(breaker.allow_request())
    assert breaker.is_open
    clock.jump(59)
    assert not breaker.allow_request()
    clock.jump(1)
    breaker.record_success(breaker.allow_request())
    assert breaker.is_closed
    for _ in range(4):
        breaker.record_failure()
    assert breaker.is_closed, "the failures from before the recovery are forgotten"


def test_t17_a_probe_that_is_cancelled_or_handed_back_makes_room_for_the_next(clock: VirtualClock) -> None:
    breaker = half_open(clock)
    for _ in range(3):
        probe = breaker.allow_request()
        assert probe
        assert not breaker.allow_request()
        breaker.release(probe)
        assert breaker.is_half_open
        breaker.release(probe)  # once more says nothing
    breaker.record_success(breaker.allow_request())
    assert breaker.is_closed


def test_a_released_probe_has_nothing_to_say_any_more(clock: VirtualClock) -> None:
    breaker = half_open(clock)
    first = breaker.allow_request()
    breaker.release(first)
    second = breaker.allow_request()
    breaker.record_failure(first)
    assert breaker.is_half_open
    breaker.record_success(first)
    assert breaker.is_half_open
    breaker.release(first)
    assert not breaker.allow_request(), "the second probe is out"
    breaker.record_success(second)
    assert breaker.is_closed


def test_t17_what_says_nothing_about_the_provider_does_not_count(clock: VirtualClock) -> None:
    breaker = CircuitBreaker(2, clock=clock)
    breaker.record_failure(breaker.allow_request())
    for _ in range(100):
        breaker.release(breaker.allow_request())
    assert breaker.failures == 1
    breaker.record_failure(breaker.allow_request())
    assert breaker.is_open


def test_t17_a_late_success_of_an_old_call_closes_nothing(clock: VirtualClock) -> None:
    breaker = CircuitBreaker(2, clock=clock)
    old = breaker.allow_request()
    breaker.record_failure()
    breaker.record_failure()
    breaker.record_success(old)
    assert breaker.is_open
    clock.jump(60)
    breaker.record_success(old)
    assert breaker.is_half_open
    probe = breaker.allow_request()
    breaker.record_success(old)
    assert breaker.is_half_open
    breaker.record_failure(probe)
    assert breaker.is_open
    breaker.record_success(probe)
    assert breaker.is_open


def test_late_failures_do_not_put_the_probe_off_or_open_a_breaker_that_closed(clock: VirtualClock) -> None:
    breaker = CircuitBreaker(2, clock=clock)
    late = [breaker.allow_request() for _ in range(32)]
    for ticket in late[:2]:
        breaker.record_failure(ticket)
    opens_at = breaker.opens_at
    clock.jump(30)
    for ticket in late[2:10]:
        breaker.record_failure(ticket)
    assert breaker.opens_at == opens_at
    clock.jump(30)
    breaker.record_success(breaker.allow_request())
    for ticket in late[10:]:
        breaker.record_failure(ticket)
    assert breaker.is_closed
    assert breaker.failures == 0


@pytest.mark.parametrize("state", [CLOSED, OPEN, HALF_OPEN])
def test_a_reset_closes_it_from_every_state(clock: VirtualClock, state: BreakerState) -> None:
    told: list[BreakerState] = []
    breaker = CircuitBreaker(2, clock=clock, on_state_change=told.append)
    for _ in range(1 if state is CLOSED else 2):
        breaker.record_failure()
    if state is HALF_OPEN:
        clock.jump(60)
        breaker.allow_request()
    assert breaker.state is state
    breaker.reset()
    assert breaker.is_closed
    assert breaker.failures == 0
    assert breaker.allow_request()
    assert told.count(CLOSED) == (0 if state is CLOSED else 1)


def test_every_change_is_told_once_and_after_it_happened(clock: VirtualClock) -> None:
    told: list[tuple[BreakerState, BreakerState]] = []
    breaker = CircuitBreaker(1, clock=clock, on_state_change=lambda state: told.append((state, breaker.state)))
    breaker.record_failure()
    clock.jump(60)
    breaker.release(breaker.allow_request())
    breaker.record_failure(breaker.allow_request())
    clock.jump(60)
    breaker.record_success(breaker.allow_request())
    changes = [OPEN, HALF_OPEN, HALF_OPEN, OPEN, HALF_OPEN, CLOSED]
    assert told == [(state, state) for state in changes]


def test_without_a_recovery_time_the_next_call_is_the_probe(clock: VirtualClock) -> None:
    breaker = CircuitBreaker(1, 0, clock=clock)
    breaker.record_failure()
    assert breaker.is_half_open
    assert breaker.allow_request()
    assert not breaker.allow_request()


@pytest.mark.parametrize(
    "numbers",
    [(0, 60.0), (-1, 60.0), (5, -1.0), (5, float("inf")), (5, float("nan"))],
)
def test_numbers_out_of_range_are_refused(numbers: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        CircuitBreaker(*numbers)


# --- the whole chart, at random ---

THRESHOLD, RECOVERY = 3, 8.0


@dataclass
class Call:
    """An allowed call, as the model sees it: whether what it reports still matters is a question of its period."""

    ticket: int
    period: int


class Chart(RuleBasedStateMachine):
    """Compares the breaker with the chart: a period ends with each arrow, and calls speak for their own period only."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.told: list[BreakerState] = []
        self.breaker = CircuitBreaker(THRESHOLD, RECOVERY, clock=self.clock, on_state_change=self.told.append)
        self.expected: list[BreakerState] = []
        self.calls: list[Call] = []
        self.at = "closed"  # closed, open, ready for a probe (by time alone), probing
        self.period = 0
        self.failures = 0
        self.opened_at = 0.0

    def go(self, at: str, tell: BreakerState | None) -> None:
        self.at = at
        self.period += 1
        if tell is not None:
            self.expected.append(tell)

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 7.5, 8.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.jump(seconds)
        if self.at == "open" and self.clock.monotonic() - self.opened_at >= RECOVERY:
            self.at = "ready"

    @rule()
    def a_call_is_asked_for(self) -> None:
        ticket = self.breaker.allow_request()
        assert bool(ticket) == (self.at in ("closed", "ready"))
        if self.at == "ready":
            self.go("probing", HALF_OPEN)
        if ticket:
            self.calls.append(Call(ticket, self.period))

    @rule(data=st.data())
    def a_call_succeeds(self, data: st.DataObject) -> None:
        call = self.some_call(data)
        if call is None:
            return
        self.breaker.record_success(call.ticket)
        if call.period == self.period:
            self.failures = 0
            if self.at == "probing":
                self.go("closed", CLOSED)

    @rule(data=st.data())
    def a_call_fails(self, data: st.DataObject) -> None:
        call = self.some_call(data)
        if call is None:
            return
        self.breaker.record_failure(call.ticket)
        if call.period == self.period:
            self.failures += 1
            if self.at == "probing" or self.failures == THRESHOLD:
                self.opened_at = self.clock.monotonic()
                self.go("open", OPEN)

    @rule(data=st.data())
    def a_call_says_nothing(self, data: st.DataObject) -> None:
        call = self.some_call(data)
        if call is None:
            return
        self.breaker.release(call.ticket)
        if call.period == self.period and self.at == "probing":
            self.go("ready", None)

    @rule()
    def an_operator_resets_it(self) -> None:
        self.breaker.reset()
        self.failures = 0
        if self.at != "closed":
            self.go("closed", CLOSED)

    def some_call(self, data: st.DataObject) -> Call | None:
        """A call that is under way; each reports once, in whatever order and however late."""
        return self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1))) if self.calls else None

    @invariant()
    def they_agree(self) -> None:
        states = {"closed": CLOSED, "open": OPEN, "ready": HALF_OPEN, "probing": HALF_OPEN}
        assert self.breaker.state is states[self.at]
        assert self.breaker.failures == self.failures
        assert self.told == self.expected
        opens_at, now = self.breaker.opens_at, self.clock.monotonic()
        assert (opens_at is None) == (self.at == "probing")
        if opens_at is not None:
            assert (opens_at <= now) == (self.at != "open")


TestT17TheWholeStateChart = Chart.TestCase
TestT17TheWholeStateChart.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
