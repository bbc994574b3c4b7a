"""The gate in front of a channel: what is waited for before a claim, and that it always opens again."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from roomkit_core import Channel, CircuitBreaker, RateLimit, TokenBucketRateLimiter
from roomkit_core.engine.flow.gate import Gate
from roomkit_core.engine.flow.gates import Gates
from roomkit_core.engine.flow.permit import Permit
from tests.support.clock import VirtualClock, settle

THRESHOLD, RECOVERY = 3, 60.0


class Sms(Channel):
    """A channel like any other; what it takes is set by the test."""

    failure_threshold = THRESHOLD
    recovery_timeout = RECOVERY

    def __init__(self, channel_id: str = "sms", *, limit: RateLimit | None = None, runners: int = 32) -> None:
        super().__init__(channel_id)
        self.rate_limit = limit
        self.max_in_flight = runners


class Dialling(Sms):
    """A channel whose connection comes and goes."""

    is_up = False

    async def ready(self) -> bool:
        return self.is_up


class Kit:
    """The gates of a kit with the built-in limiter and breaker, and what they told."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.woken: list[str] = []
        self.events: list[tuple[str, str]] = []
        self.limiter = TokenBucketRateLimiter(clock=self.clock)
        self.gates = Gates(
            self.limiter,
            partial(CircuitBreaker, clock=self.clock),
            self.clock,
            emit=self.emit,
            wake=lambda gate: self.woken.append(gate.channel.channel_id),
        )

    def emit(self, event: str, *, channel_id: str, data: dict[str, Any]) -> None:
        self.events.append((event, channel_id))

    def gate(self, **options: Any) -> Gate:
        return self.gates.register(Sms(**options))


@pytest.fixture
def kit() -> Kit:
    return Kit()


def taken(gate: Gate) -> Permit:
    permit = gate.take()
    assert permit is not None
    return permit


def born(gate: Gate, room_id: str = "", limit: RateLimit | None = None) -> Permit | None:
    """What the engine does for a row that is just being committed: it asks first, and takes when the row is claimed."""
    if not gate.is_open:
        gate.stand_behind()
        return None
    permit = gate.take()
    if permit is not None and permit.admit(room_id, limit):
        permit.give_back()
        return None
    return permit


def trip(gate: Gate) -> None:
    """Open its breaker."""
    for _ in range(THRESHOLD):
        taken(gate).failed(retryable=True)


# --- an undisturbed channel ---


def test_an_undisturbed_channel_reads_no_clock_and_asks_neither_limiter_nor_breaker(kit: Kit) -> None:
    gate = kit.gate()
    kit.gates.limiter = kit.gates.clock = None  # type: ignore[assignment]
    gate.breaker.allow_request = None  # type: ignore[assignment, method-assign]
    taken(gate).succeeded()
    permit = born(gate, "room")
    assert permit is not None
    permit.give_back()


def test_no_more_permits_are_out_than_the_channel_takes_and_each_end_frees_one(kit: Kit) -> None:
    gate = kit.gate(runners=3)
    permits = [taken(gate) for _ in range(3)]
    assert gate.take() is None
    assert gate.opens_at() is None, "only the end of a permit opens it"
    ends = [Permit.succeeded, partial(Permit.failed, retryable=True), Permit.abandon]
    for permit, end in zip(permits, ends, strict=True):
        end(permit)
        taken(gate).give_back()
    assert gate.running == 0


def test_a_permit_ends_once(kit: Kit) -> None:
    gate = kit.gate()
    permit = taken(gate)
    permit.succeeded()
    for _ in range(THRESHOLD):
        permit.failed(retryable=True)
        permit.give_back()
        permit.abandon()
    assert gate.running == 0
    assert gate.breaker.is_closed


def test_channels_do_not_stand_in_each_others_way(kit: Kit) -> None:
    sms, mail = kit.gate(), kit.gate(channel_id="mail")
    trip(sms)
    sms.pause()
    assert sms.take() is None
    assert mail.take() is not None


# --- the operator's pause ---


def test_a_paused_channel_lets_nothing_through_until_it_is_resumed(kit: Kit) -> None:
    gate = kit.gate()
    gate.pause()
    assert gate.take() is None
    assert gate.opens_at() is None
    assert kit.woken == ["sms"], "the pump has to know that something waits"
    gate.resume()
    assert kit.woken == ["sms", "sms"]
    assert gate.take() is not None


def test_a_resume_wakes_nobody_where_nothing_waits(kit: Kit) -> None:
    gate = kit.gate()
    gate.pause()
    gate.resume()
    assert kit.woken == []


# --- readiness (T13) ---


@pytest.mark.anyio
async def test_t13_a_channel_that_has_to_be_asked_is_not_ready_before_it_said_so(kit: Kit) -> None:
    channel = Dialling()
    gate = kit.gates.register(channel)
    assert gate.take() is None
    await kit.gates.ask_ready()
    assert gate.take() is None
    assert gate.opens_at() is None
    channel.is_up = True
    await kit.gates.ask_ready()
    assert kit.woken == ["sms", "sms"]
    permit = taken(gate)
    channel.is_up = False
    await kit.gates.ask_ready()
    assert gate.take() is None
    permit.succeeded()
    channel.is_up = True
    await kit.gates.ask_ready()
    gate.set_ready(False)  # whoever knows better, until the next answer
    assert gate.take() is None
    await kit.gates.ask_ready()
    assert gate.take() is not None


@pytest.mark.anyio
async def test_a_raise_and_a_silence_are_a_no_and_hold_up_no_other_channel(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Sms):
        async def ready(self) -> bool:
            raise OSError("no route")

    class Silent(Sms):
        async def ready(self) -> bool:
            await anyio.sleep_forever()
            return True

    broken, silent = kit.gates.register(Broken("broken")), kit.gates.register(Silent("silent"))
    dialling = Dialling("dialling")
    dialling.is_up = True
    up = kit.gates.register(dialling)
    for _ in range(3):
        await kit.gates.ask_ready(patience=0.05)
    assert (broken.is_ready, silent.is_ready, up.is_ready) == (False, False, True)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sorted(said) == [
        "channel 'broken' is not ready: OSError: no route",
        "channel 'silent' is not ready: no answer within 0.05 s",
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("successor", [None, Dialling])
async def test_a_late_answer_of_a_channel_that_is_gone_is_about_nobody(kit: Kit, successor: type[Sms] | None) -> None:
    class Slow(Sms):
        answered = None

        async def ready(self) -> bool:
            self.answered = anyio.Event()
            await self.answered.wait()
            return True

    slow = Slow()
    gate = kit.gates.register(slow)
    gate.pause()  # there is something to remember, so the gate stays
    async with anyio.create_task_group() as group:
        group.start_soon(kit.gates.ask_ready)
        await settle()
        kit.gates.unregister("sms")
        if successor is not None:
            assert kit.gates.register(successor()) is gate
        assert slow.answered is not None
        slow.answered.set()
    gate.resume()
    assert gate.take() is None


# --- the breaker (T17) ---


def test_t17_failures_of_the_provider_close_the_gate_and_a_probe_opens_it(kit: Kit) -> None:
    gate = kit.gate()
    trip(gate)
    assert gate.take() is None
    opens_at = gate.opens_at()
    assert opens_at == kit.clock.monotonic() + RECOVERY
    assert kit.gates.next_opening() == opens_at
    kit.clock.jump(RECOVERY)
    probe = taken(gate)
    assert gate.take() is None, "one probe at a time"
    assert gate.opens_at() is None
    woken = len(kit.woken)
    probe.succeeded()
    assert len(kit.woken) == woken + 1, "the rows that wait go on, on as many runners as there are"
    assert all(gate.take() for _ in range(10))


def test_t17_one_bad_recipient_does_not_stop_the_others(kit: Kit) -> None:
    gate = kit.gate()
    for _ in range(100):
        taken(gate).failed(retryable=False)
    assert gate.take() is not None
    assert kit.events == []


@pytest.mark.parametrize(
    "end", [Permit.give_back, Permit.abandon, partial(Permit.failed, retryable=False)], ids=["back", "cut", "refused"]
)
def test_t17_a_probe_that_tells_nothing_makes_room_for_another_and_wakes_the_pump(kit: Kit, end: Any) -> None:
    gate = kit.gate()
    trip(gate)
    kit.clock.jump(RECOVERY)
    for _ in range(3):
        probe = taken(gate)
        assert gate.take() is None
        kit.woken.clear()
        end(probe)
        assert kit.woken == ["sms"]
        opens_at = gate.opens_at()
        assert opens_at is not None
        assert opens_at <= kit.clock.monotonic()
    taken(gate).succeeded()
    assert gate.breaker.is_closed


def test_t17_a_failed_probe_moves_the_opening_and_tells_the_pump(kit: Kit) -> None:
    gate = kit.gate()
    trip(gate)
    kit.clock.jump(RECOVERY)
    probe = taken(gate)
    assert gate.take() is None
    kit.woken.clear()
    probe.failed(retryable=True)
    assert kit.woken == ["sms"]
    assert kit.gates.next_opening() == kit.clock.monotonic() + RECOVERY


def test_t17_late_calls_neither_close_nor_open_a_breaker(kit: Kit) -> None:
    gate = kit.gate()
    late = [taken(gate) for _ in range(10)]
    trip(gate)
    late.pop().succeeded()
    assert gate.take() is None
    kit.clock.jump(RECOVERY)
    taken(gate).succeeded()
    for permit in late:
        permit.failed(retryable=True)
    assert gate.take() is not None


def test_opening_and_closing_are_told_once_each_and_not_for_every_probe(kit: Kit) -> None:
    gate = kit.gate()
    trip(gate)
    for _ in range(3):
        kit.clock.jump(RECOVERY)
        taken(gate).failed(retryable=True)
    kit.clock.jump(RECOVERY)
    taken(gate).succeeded()
    assert kit.events == [("circuit_breaker_opened", "sms"), ("circuit_breaker_closed", "sms")]


def test_t17_registering_a_channel_anew_keeps_its_breaker_and_those_of_others(kit: Kit) -> None:
    gate = kit.gate()
    trip(gate)
    kit.gate(channel_id="mail")
    assert gate.take() is None
    kit.gates.unregister("sms")
    assert kit.gates.get("sms") is None
    gate = kit.gate()
    assert gate.take() is None
    kit.clock.jump(RECOVERY)
    assert gate.take() is not None


def test_a_pause_outlives_the_registration_too(kit: Kit) -> None:
    kit.gate().pause()
    kit.gates.unregister("sms")
    assert kit.gate().take() is None


def test_what_waited_for_a_former_channel_is_looked_at_when_its_successor_comes(kit: Kit) -> None:
    gate = kit.gate()
    permit = taken(gate)
    kit.gates.unregister("sms")
    assert gate.take() is None
    kit.woken.clear()
    assert kit.gate() is gate
    assert kit.woken == ["sms"]
    permit.succeeded()


def test_gates_of_channels_that_are_gone_are_forgotten_when_there_is_nothing_to_remember(kit: Kit) -> None:
    for number in range(100):
        gate = kit.gate(channel_id=f"sms{number}")
        permit = taken(gate)
        taken(gate).succeeded()
        kit.gates.unregister(f"sms{number}")
        assert gate.take() is None
        permit.succeeded()
    assert len(kit.gates._gates) == 0


def test_what_runs_for_a_former_channel_counts_for_its_successor(kit: Kit) -> None:
    permit = taken(kit.gate(runners=1))
    kit.gates.unregister("sms")
    gate = kit.gate(runners=1)
    assert gate.take() is None
    permit.succeeded()
    assert gate.take() is not None


# --- the rate (T18) ---


def test_t18_the_channels_rate_is_counted_over_all_rooms(kit: Kit) -> None:
    gate = kit.gate(limit=RateLimit(max_per_second=2))
    assert born(gate, "room a") is not None
    assert born(gate, "room b") is not None
    assert born(gate, "room c") is None
    opens_at = gate.opens_at()
    assert opens_at == pytest.approx(kit.clock.monotonic() + 0.5)
    kit.clock.jump(0.5)
    assert gate.take() is not None


def test_l9_a_permit_given_back_gives_its_token_back_and_one_that_was_cut_off_does_not(kit: Kit) -> None:
    gate = kit.gate(limit=RateLimit(max_per_minute=1))
    for _ in range(10):
        taken(gate).give_back()
    taken(gate).abandon()
    assert gate.take() is None


def test_l9_a_breaker_that_is_not_closed_costs_no_token(kit: Kit) -> None:
    gate = kit.gate(limit=RateLimit(max_per_second=10))
    trip(gate)
    assert not any(gate.take() for _ in range(100))
    assert sum(kit.limiter.acquire("sms", RateLimit(max_per_second=10)) for _ in range(100)) == 10 - THRESHOLD
    kit.clock.jump(RECOVERY)
    probe = taken(gate)
    assert not any(gate.take() for _ in range(100))
    probe.succeeded()
    assert sum(gate.take() is not None for _ in range(100)) == 9


def test_a_binding_has_a_limit_of_its_own_beside_the_channels(kit: Kit) -> None:
    gate = kit.gate(limit=RateLimit(max_per_second=100))
    own = RateLimit(max_per_minute=6)
    first = born(gate, "busy", own)
    assert first is not None
    assert born(gate, "busy", own) is None
    assert not gate.behind, "the other rooms go on"
    assert gate.running == 1
    assert born(gate, "calm", own) is not None
    assert born(gate, "calm") is not None

    permit = taken(gate)
    assert permit.admit("busy", own) == pytest.approx(10)
    permit.give_back()
    first.give_back()
    again = taken(gate)
    assert again.admit("busy", own) == 0.0
    assert again.admit("busy", None) == 0.0


def test_t18_what_is_born_does_not_overtake_what_waits_at_the_gate(kit: Kit) -> None:
    gate = kit.gate(limit=RateLimit(max_per_second=1))
    assert born(gate, "a") is not None
    assert born(gate, "b") is None
    kit.clock.jump(1)
    assert born(gate, "c") is None, "b has been waiting"
    assert gate.take() is not None
    kit.clock.jump(1)
    assert born(gate, "d") is not None


def test_t18_a_thousand_rooms_share_ten_messages_a_second_and_none_starves(kit: Kit) -> None:
    """Every room owes one row; one room keeps talking, and the pump wakes only when the gates tell it to."""
    gate = kit.gate(limit=RateLimit(max_per_second=10))
    rooms = [f"room {number}" for number in range(1000)]
    due = deque(rooms)
    sent: list[tuple[str, float]] = []

    def send(row: str, permit: Permit) -> None:
        sent.append((row, kit.clock.monotonic() - 1000))
        permit.succeeded()

    while "room 999" in due:
        for _ in range(3):
            permit = born(gate, "chatterbox")
            if permit is None:
                due.append("chatter")
            else:
                send("chatter", permit)
        while due and (permit := gate.take()) is not None:
            send(due.popleft(), permit)
        opening = kit.gates.next_opening()
        assert opening is not None
        kit.clock.jump(opening - kit.clock.monotonic())
    assert [row for row, _ in sent if row != "chatter"] == rooms
    # The bucket held ten, of which the chatterbox had three before anybody waited.
    assert sent[-1] == ("room 999", pytest.approx((1000 + 3 - 10) / 10))


# --- what the pump asks ---


def test_the_next_opening_is_the_earliest_of_those_at_which_something_waits(kit: Kit) -> None:
    assert kit.gates.next_opening() is None
    slow = kit.gate(channel_id="slow", limit=RateLimit(max_per_minute=1))
    broken = kit.gate(channel_id="broken")
    idle = kit.gate(channel_id="idle", limit=RateLimit(max_per_second=1))
    paused = kit.gate(channel_id="paused")
    trip(broken)
    paused.pause()
    for gate in (slow, idle):
        taken(gate).succeeded()
    for gate in (slow, broken, paused):
        assert gate.take() is None
    assert {gate.channel.channel_id for gate in kit.gates.waiting()} == {"slow", "broken", "paused"}
    assert kit.gates.next_opening() == pytest.approx(kit.clock.monotonic() + 60)
    kit.clock.jump(30)
    assert kit.gates.next_opening() == pytest.approx(kit.clock.monotonic() + 30)
    kit.gates.unregister("slow")
    kit.gates.unregister("broken")
    assert list(kit.gates.waiting()) == [paused]
    assert kit.gates.next_opening() is None


def test_the_pump_is_told_once_that_something_waits_and_not_at_each_refusal(kit: Kit) -> None:
    gate = kit.gate(limit=RateLimit(max_per_second=1))
    taken(gate).succeeded()
    for _ in range(100):
        assert gate.take() is None
    assert kit.woken == ["sms"]
    kit.clock.jump(1)
    taken(gate).succeeded()
    assert gate.take() is None
    assert kit.woken == ["sms", "sms"], "it has come since, so it has to be told anew"


def test_busy_runners_find_what_waits_themselves_until_something_else_stops_them(kit: Kit) -> None:
    gate = kit.gate(runners=1, limit=RateLimit(max_per_second=1))
    permit = taken(gate)
    assert born(gate, "room") is None
    assert gate.behind, "the runner looks again"
    assert kit.woken == []
    permit.succeeded()
    assert gate.take() is None
    assert kit.woken == ["sms"], "the runner leaves, so the pump has to come back"


# --- everything at once, at random ---


class Storm(RuleBasedStateMachine):
    """Pauses, outages, rates, cancellations in any order: no permit too many, no lock-up, and no wake-up is missed.

    The pump of this machine looks at the gate only when it is told to, and then remembers when to come back.
    """

    limit: RateLimit | None = None

    def __init__(self) -> None:
        super().__init__()
        self.kit = Kit()
        self.gate = self.kit.gate(limit=self.limit, runners=4)
        self.out: list[Permit] = []
        self.comes_back: float | None = None
        self.calls: list[float] = []

    def look(self) -> None:
        """What the pump does when it was told, and a runner at its end."""
        self.comes_back = self.gate.opens_at()
        self.kit.woken.clear()

    @rule(at_birth=st.booleans())
    def somebody_wants_through(self, at_birth: bool) -> None:
        opens_at = self.gate.opens_at()
        is_open = opens_at is not None and opens_at <= self.kit.clock.monotonic() + 1e-6
        is_behind = self.gate.behind
        permit = born(self.gate) if at_birth else self.gate.take()
        assert (permit is not None) == (is_open and not (at_birth and is_behind))
        if permit is not None:
            self.out.append(permit)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), end=st.sampled_from(["succeeded", "failed", "refused", "abandoned", "given back"]))
    def a_permit_ends(self, data: st.DataObject, end: str) -> None:
        was_full = self.gate.running == 4
        permit = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        match end:
            case "succeeded":
                permit.succeeded()
            case "failed":
                permit.failed(retryable=True)
            case "refused":
                permit.failed(retryable=False)
            case "abandoned":
                permit.abandon()
            case _:
                permit.give_back()
        if was_full:
            self.look()

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, RECOVERY, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.kit.clock.jump(seconds)
        if self.comes_back is not None and self.comes_back <= self.kit.clock.monotonic():
            self.comes_back = None  # it comes once
            permit = self.gate.take()
            if permit is None:
                self.look()
            else:
                self.out.append(permit)

    @rule(is_paused=st.booleans())
    def an_operator_acts(self, is_paused: bool) -> None:
        if is_paused:
            self.gate.pause()
        else:
            self.gate.resume()

    @rule(is_ready=st.booleans())
    def the_channel_comes_and_goes(self, is_ready: bool) -> None:
        self.gate.set_ready(is_ready)

    @rule()
    def the_breaker_is_reset(self) -> None:
        self.gate.breaker.reset()

    @rule(is_gone=st.booleans())
    def the_channel_is_registered_anew(self, is_gone: bool) -> None:
        self.kit.gates.unregister("sms")
        gate = self.kit.gates.register(Sms(limit=self.limit, runners=4))
        if gate is not self.gate:
            assert not self.out
            self.gate = gate
            self.comes_back = None

    @invariant()
    def no_permit_too_many(self) -> None:
        assert self.gate.running == len(self.out) <= 4

    @invariant()
    def no_wake_up_is_missed(self) -> None:
        if self.kit.woken:
            self.look()
        opens_at = self.gate.opens_at()
        if self.gate.behind and opens_at is not None:
            assert self.comes_back is not None
            assert self.comes_back <= max(opens_at, self.kit.clock.monotonic()) + 1e-6

    def teardown(self) -> None:
        """However it went: when the trouble is over, rows go through."""
        for permit in self.out:
            permit.abandon()
        self.gate.resume()
        self.gate.set_ready(True)
        self.kit.clock.jump(10_000)
        taken(self.gate).succeeded()
        assert self.gate.breaker.is_closed
        taken(self.gate).succeeded()


class LimitedStorm(Storm):
    """The same, with a rate."""

    limit = RateLimit(max_per_second=2)


TestT17NothingLocksTheGate = Storm.TestCase
TestT17NothingLocksALimitedGate = LimitedStorm.TestCase
for case in (TestT17NothingLocksTheGate, TestT17NothingLocksALimitedGate):
    case.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
del case
