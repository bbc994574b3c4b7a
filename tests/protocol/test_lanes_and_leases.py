"""The rules of lanes and leases, PROTOCOL 3, L1 to L14: each test says what breaks without the rule."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import anyio
import pytest

from roomkit_core import (
    Access,
    Channel,
    ChannelCategory,
    DeliveryStatus,
    HookExecution,
    HookResult,
    HookTrigger,
    RateLimit,
    RoomEvent,
    Route,
    WorkKind,
    WorkRow,
    WorkState,
)
from roomkit_core.builtin.clock import SystemClock
from roomkit_core.engine.pure.verdicts import MAX_TAKEOVERS
from tests.protocol.fleet import LEASE, Fleet, Member, fleet, lose_holders
from tests.protocol.providers import Phone, Provider, phone_of, phones
from tests.support.channels import Answering, LiveProbe, text_of
from tests.support.kits import make_room

pytestmark = pytest.mark.anyio

PENDING, IN_FLIGHT, UNKNOWN, SENT = WorkState.PENDING, WorkState.IN_FLIGHT, WorkState.UNKNOWN, WorkState.SENT
FAILED, SUPPRESSED, DONE, QUARANTINED = WorkState.FAILED, WorkState.SUPPRESSED, WorkState.DONE, WorkState.QUARANTINED
ANSWERED, DEAD = WorkState.ANSWERED, WorkState.DEAD


async def only_row(all_of_them: Fleet, kind: WorkKind = WorkKind.DELIVERY) -> WorkRow:
    [row] = await all_of_them.rows(kind)
    return row


# -------------------------------------------------------------------------------------------------------------- L1


@pytest.mark.parametrize("how", ["birth", "behind", "again"])
async def test_l1_tr6_what_is_called_is_durable_before_the_call(how: str) -> None:
    """Without: send, kill, restart: the row says that nothing was tried, and is sent again as a first attempt."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        phone = phone_of(a)
        if how != "birth":
            phone.behave = "later" if how == "again" else "refuse"
            await a.say("one")
            await all_of_them.rest()
            phone.behave = "send"
        stop = a.places.stop("calling")
        if how != "again":
            await a.say("two")
        await all_of_them.pass_time(60.0)
        assert stop.arrivals == 1

        row = (await all_of_them.rows(WorkKind.DELIVERY))[-1]

        assert (row.state, row.token, row.attempts) == (IN_FLIGHT, *((2, 2) if how == "again" else (1, 1)))
        assert row.lease_until is not None
        assert row.provider_key == row.id
        assert "one" in str(row.payload) if how == "again" else "two" in str(row.payload)
        assert provider.requests == []


async def test_l1_the_next_row_of_a_lane_starts_when_the_receipt_of_the_first_one_is_durable() -> None:
    """Without: kill between the call of e2 and the record of e1: e1 is sent again behind e2."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("settle")
        await a.say("one")
        await a.say("two")
        await stop.reached.wait()

        await all_of_them.pass_time(10.0)
        assert provider.effects == ["one"]
        stop.open()
        await all_of_them.rest()

        assert provider.effects == ["one", "two"]


async def test_l1_after_a_kill_in_the_call_the_resend_is_marked() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("taken")
        await a.say("one")
        await stop.reached.wait()
        a.freeze()  # and never comes back

        await all_of_them.pass_time(2 * LEASE)

        assert [(r.kit, r.is_marked) for r in provider.requests] == [("a", False), ("b", True)]
        assert [(r.state, r.maybe_sent) for r in await all_of_them.rows()] == [(SENT, True)]


# -------------------------------------------------------------------------------------------------------------- L2


@pytest.mark.parametrize("state", ["in flight", "in back-off", "unknown"])
async def test_l2_a_row_is_claimed_at_birth_only_into_an_empty_lane(state: str) -> None:
    """Without: "try later" for e1; e2 committed and sent; e1 sent: order gone."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        phone_of(a).behave = phone_of(b).behave = {"in back-off": "later", "unknown": "vanish"}.get(state, "send")
        stop = a.places.stop("calling") if state == "in flight" else None
        await a.say("one")
        await all_of_them.rest()
        phone_of(a).behave = phone_of(b).behave = "send"

        await b.say("two")
        await all_of_them.rest()

        two = (await all_of_them.rows())[1]
        assert (two.state, two.due, two.attempts) == (PENDING, None, 0)
        assert provider.effects == []
        if stop is not None:
            stop.open()
        await all_of_them.until_over()
        assert provider.firsts() == ["one", "two"]


async def test_l2_it_is_decided_row_by_row() -> None:
    """Without: one busy lane keeps the rows of all others from starting, or is overtaken by them."""
    phone, fax = Provider(), Provider()

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Phone(member, phone), Phone(member, fax, "fax"))

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        phone_of(a).behave = "later"
        await a.say("one")
        await all_of_them.rest()

        phone_of(a).behave = "send"
        commit = b.places.stop("committed")
        all_of_them.start(b.say, "two")
        await commit.reached.wait()
        rows = {row.channel_id: row.state for row in await all_of_them.rows() if "two" in str(row.payload)}
        commit.open()
        await all_of_them.rest()

        assert rows == {"phone": PENDING, "fax": IN_FLIGHT}
        await all_of_them.until_over()
        assert (phone.effects, fax.effects) == (["one", "two"], ["one", "two"])


async def test_l2_two_commits_at_once_are_claimed_in_the_order_of_their_indexes() -> None:
    """Without: both find the lane empty when they plan, and e2 is sent before e1."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit")
        all_of_them.start(a.say, "planned first")
        await stop.reached.wait()
        hold = b.places.stop("calling")
        await b.say("committed first")
        stop.open()
        await all_of_them.rest()

        assert provider.effects == []
        hold.open()
        await all_of_them.rest()

        assert provider.effects == await all_of_them.texts() == ["committed first", "planned first"]


# -------------------------------------------------------------------------------------------------------------- L3


async def test_l3_of_a_lane_only_the_head_is_claimed_by_whomever() -> None:
    """Without: two claimers of one lane; e1 and e2 are under way at once, and e2 is there first."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        first = a.places.stop("calling")
        for number in range(6):
            await (a, b)[number % 2].say(str(number))
        await all_of_them.pass_time(5.0)
        assert [row.state for row in await all_of_them.rows()] == [IN_FLIGHT] + 5 * [PENDING]
        assert phone_of(a).running + phone_of(b).running == 1

        first.open()
        await all_of_them.until_over()

        assert provider.effects == list("012345")


@pytest.mark.parametrize("late", ["refuse", "later", "lose"])
async def test_l3_the_verdict_of_a_worker_that_lost_its_row_is_not_accepted(late: str) -> None:
    """Without: a frozen worker's receipt is accepted after the takeover, and says something else."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = late
        stop = a.places.stop("settle")
        await a.say("one")
        await stop.reached.wait()
        a.freeze()
        await all_of_them.pass_time(2 * LEASE)
        before = await only_row(all_of_them)
        assert (before.state, before.token) == (SENT, 2)

        stop.open()
        await all_of_them.rest()
        a.thaw()
        await all_of_them.pass_time(600.0)

        assert await only_row(all_of_them) == before


async def test_l3_a_tenure_is_named_by_its_token_and_not_by_its_owner() -> None:
    """Without: what an earlier tenure of the same kit reports late ends the present one, whose call is under way."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = "later"
        late = a.places.stop("settle", only=lambda outcome: outcome.state is PENDING)
        await a.say("one")
        await late.reached.wait()
        [row] = await all_of_them.rows()
        a.kit._engine.runners.holdings._live.clear()  # as if the task had died; its report is still on its way
        phone_of(a).behave = "send"
        calling = a.places.stop("calling")
        await all_of_them.pass_time(LEASE + 2)
        assert (await only_row(all_of_them)).token == row.token + 1

        late.open()
        await all_of_them.rest()

        assert (await only_row(all_of_them)).state is IN_FLIGHT
        calling.open()
        await all_of_them.rest()
        assert [(r.state, r.token) for r in await all_of_them.rows()] == [(SENT, row.token + 1)]


# -------------------------------------------------------------------------------------------------------------- L4


@pytest.mark.parametrize("window", ["committed", "claimed"])
async def test_l4_a_worker_that_wakes_up_after_its_lease_makes_no_call(window: str) -> None:
    """Without: it sends although it lost the row: the claim's answer was on its way for longer than the lease."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        if window == "claimed":
            b.freeze()
            phone_of(a).behave = "later"
            await a.say("one")
            await all_of_them.rest()
            phone_of(a).behave = "send"
        stop = a.places.stop(window, only=lambda what: getattr(what, "work", what))
        if window == "committed":
            all_of_them.start(a.say, "one")
        await all_of_them.pass_time(5.0)
        assert stop.arrivals == 1
        a.freeze()
        b.thaw()
        await all_of_them.pass_time(2 * LEASE)

        stop.open()
        await all_of_them.rest()

        assert [r.kit for r in provider.requests] == ["b"]
        assert phone_of(a).calls == (1 if window == "claimed" else 0)


async def test_l4_a_worker_that_is_late_and_still_has_the_row_renews_and_goes_on() -> None:
    """Without: whoever slept through its lease gives up what nobody else has taken."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("committed", only=lambda changes: changes.work)
        all_of_them.start(a.say, "one")
        await stop.reached.wait()
        a.freeze()
        await all_of_them.pass_time(2 * LEASE)

        stop.open()
        await all_of_them.rest()

        assert provider.effects == ["one"]
        row = await only_row(all_of_them)
        assert (row.state, row.token, row.takeovers, row.maybe_sent) == (SENT, 1, 0, False)


async def test_l4_a_call_fits_inside_its_lease() -> None:
    """Without: a call of two minutes under a lease of one: the takeover sends while the first call is under way."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        for member in all_of_them.members:
            phone = member.kit.unregister_channel("phone")
            assert phone is not None
            phone.send_timeout = 3 * LEASE
            member.kit.register_channel(phone)
        await all_of_them.rest()
        stop = a.places.stop("calling")
        await a.say("one")
        await stop.reached.wait()
        began = all_of_them.clock.monotonic()

        row = await only_row(all_of_them)

        assert row.lease_until is not None
        left = (row.lease_until - a.kit._engine.ports.time()) / 1e6
        assert left >= 3 * LEASE
        a.freeze()
        await all_of_them.pass_time(3 * LEASE)
        assert provider.requests == []
        await all_of_them.pass_time(LEASE)
        assert [r.kit for r in provider.requests] == ["b"]
        assert all_of_them.clock.monotonic() - began >= 3 * LEASE


def test_l4_the_machines_clock_counts_suspend() -> None:
    """Without: a laptop that slept through the lease finds that no time has passed, and sends."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = SystemClock().monotonic()
    after = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= now <= after


# -------------------------------------------------------------------------------------------------------------- L5


async def test_l5_the_mark_is_never_taken_back() -> None:
    """Without: a lost reply, then "failed for good": the row says "no", yet the person has it."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = lambda delivery: {1: "lose", 2: "later"}.get(delivery.attempt, "refuse")
        await a.say("one")

        await all_of_them.until_over()

        row = await only_row(all_of_them)
        assert (row.state, row.maybe_sent, row.attempts) == (FAILED, True, 3)
        assert provider.effects == ["one"]


@pytest.mark.parametrize("how", ["timeout", "killed", "closed"])
async def test_l5_a_provider_that_can_be_asked_is_asked_when_no_request_can_still_land(how: str) -> None:
    """Without: ask: "not there"; resend; the first request lands: twice, at a provider that promises once."""
    provider = Provider("reconcilable")
    quiet = 40.0

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, provider)
        phone.quiet_time = quiet
        phone.behave = "late" if member.name == "a" else "send"
        return (LiveProbe(), phone)

    async with fleet(make) as all_of_them:
        a = all_of_them.a
        phone = phone_of(a)
        stop = a.places.stop("settle") if how == "killed" else None
        if how == "closed":
            phone.behave = "late and hang"
        began = all_of_them.clock.monotonic()
        await a.say("one")
        await all_of_them.rest()
        if how == "closed":
            await a.kit.close(timeout=0)
        if stop is not None:
            a.freeze()
        phone.behave = "send"

        await all_of_them.pass_time(phone.send_timeout + quiet - 1)
        assert provider.asked == []
        assert (await only_row(all_of_them)).maybe_sent is (how != "killed")
        provider.take(phone.on_its_way[0])  # the last moment at which it can
        await all_of_them.until_over()

        assert all_of_them.clock.monotonic() - began >= phone.send_timeout + quiet
        assert provider.effects == ["one"]
        assert len(provider.asked) == 1
        assert (await only_row(all_of_them)).state is SENT


async def test_l5_a_takeover_waits_until_no_request_of_the_old_holder_can_land() -> None:
    """Without: the call began late in the lease, is asked about when that ends, and lands after the resend."""
    provider = Provider("reconcilable")

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, provider)
        phone.quiet_time = 40.0
        phone.behave = "late" if member.name == "a" else "send"
        return (LiveProbe(), phone)

    async with fleet(make) as all_of_them:
        a = all_of_them.a
        claimed = a.places.stop("committed", only=lambda changes: changes.work)
        reply = a.places.stop("settle")
        all_of_them.start(a.say, "one")
        await claimed.reached.wait()
        a.freeze()
        await all_of_them.pass_time(40.0)
        claimed.open()  # there is time for one call before the lease ends
        await reply.reached.wait()
        [request] = phone_of(a).on_its_way

        await all_of_them.pass_time(phone_of(a).send_timeout + 39.0)
        assert provider.asked == []
        provider.take(request)
        await all_of_them.until_over()

        assert provider.effects == ["one"]
        assert [(r.state, r.takeovers, r.maybe_sent) for r in await all_of_them.rows()] == [(SENT, 1, True)]


async def test_l5_where_waiting_changes_nothing_nobody_waits() -> None:
    """A provider that neither remembers keys nor can be asked gets the marked resend when it is due."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        for member in all_of_them.members:
            phone_of(member).quiet_time = 3600.0
        phone_of(all_of_them.a).behave = phone_of(all_of_them.b).behave = "lose"
        await all_of_them.a.say("one")
        await all_of_them.rest()
        phone_of(all_of_them.a).behave = phone_of(all_of_them.b).behave = "send"

        await all_of_them.pass_time(2.0)

        assert [r.is_marked for r in provider.requests] == [False, True]


# -------------------------------------------------------------------------------------------------------------- L6


async def test_l6_a_tenure_whose_task_lives_is_prolonged() -> None:
    """Without: a model call of ten minutes is taken over after one, and everything is asked twice."""
    asked = []

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            asked.append(member.name)
            await member.places("asking")
            return ["because"]

        return (LiveProbe(), Answering(reply=reply))

    async with fleet(make) as all_of_them:
        stop = all_of_them.a.places.stop("asking")
        await all_of_them.a.say("why?")
        await stop.reached.wait()

        await all_of_them.pass_time(10 * LEASE)
        stop.open()
        await all_of_them.rest()

        assert asked == ["a"]
        assert await all_of_them.texts() == ["why?", "because"]


@pytest.mark.parametrize("when", ["commit", "committed"])
async def test_l6_a_caller_that_is_cancelled_leaves_no_row_that_is_leased_for_ever(when: str) -> None:
    """Without: the row is claimed, nobody works on it, and the live kit prolongs its lease for ever."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        stop = a.places.stop(when)
        scope = anyio.CancelScope()

        async def say() -> None:
            with scope:
                await a.say("one")

        all_of_them.start(say)
        await stop.reached.wait()
        scope.cancel()
        stop.open()
        await all_of_them.rest()
        await all_of_them.until_over(600.0)

        assert provider.effects == ["one"]
        assert await all_of_them.states() == [SENT]
        assert a.holds == 0


async def test_l6_a_row_of_this_very_kit_that_no_task_of_it_holds_is_free() -> None:
    """Without: heartbeats that name workers keep it for ever."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = "later"
        await a.say("one")
        await all_of_them.rest()
        phone_of(a).behave = "send"
        all_of_them.clock.jump(300.0)
        [row] = await all_of_them.store.claim(a.kit._engine.ports.owner, lease=LEASE, limit=1)  # and forgets it

        await all_of_them.pass_time(LEASE + 2)

        assert provider.effects == ["one"]
        assert [(r.id, r.state, r.takeovers) for r in await all_of_them.rows()] == [(row.id, SENT, 1)]


async def test_l6_a_renewal_says_nothing_about_a_tenure_that_began_while_it_was_on_its_way() -> None:
    """Without: "lost" is said of the old token, and ends the task that goes on under the new one."""
    asked = []

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            asked.append(member.name)
            await member.places("asking")
            return ["because"]

        return (LiveProbe(), Answering(reply=reply))

    async with fleet(make, kits="a") as all_of_them:
        a = all_of_them.a
        asking = a.places.stop("asking")
        await a.say("why?")
        await asking.reached.wait()
        renewal = a.places.stop("renew")
        await all_of_them.pass_time(LEASE / 3 + 1)
        assert renewal.arrivals == 1
        holdings, owner = a.kit._engine.runners.holdings, a.kit._engine.ports.owner
        all_of_them.clock.jump(2 * LEASE)
        [row] = await all_of_them.store.claim(owner, lease=LEASE, limit=1)
        assert holdings.adopt(row, all_of_them.clock.monotonic(), LEASE)

        renewal.open()
        await all_of_them.rest()
        asking.open()
        await all_of_them.pass_time(1.0)

        assert (asked, await all_of_them.texts()) == (["a"], ["why?", "because"])


# -------------------------------------------------------------------------------------------------------------- L7


async def test_l7_nothing_moves_a_row_that_is_final() -> None:
    """Without: e1 is open again while e2 is in flight, and goes out behind it or twice."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = lambda delivery: "refuse" if delivery.part.body == "no" else "send"
        for text in ("yes", "no"):
            await a.say(text)
            await all_of_them.rest()
        sent, failed = before = await all_of_them.rows()
        assert (sent.state, failed.state) == (SENT, FAILED)

        for row in before:
            assert not await a.store.settle(row.id, row.token, row_outcome(PENDING), due_in=0.0)
            assert await a.store.renew([(row.id, row.token)], lease=LEASE) == [row.id]
            assert sent.event_id is not None
            await a.kit.delete_event("room", row.event_id or "")
        await a.kit.detach_channel("room", "phone")
        await all_of_them.pass_time(2 * 3600.0)

        kept = [row for row in await all_of_them.rows() if row.id in (sent.id, failed.id)]
        assert [row._replace(receipt_rank="none") for row in kept] == before


def row_outcome(state: WorkState) -> Any:
    from roomkit_core import Outcome

    return Outcome(state)


# -------------------------------------------------------------------------------------------------------------- L8


@pytest.mark.usefixtures("no_poll")
@pytest.mark.parametrize("who_sees", ["committer", "settler"])
async def test_l8_committer_and_settler_look_at_the_lane_after_their_own_commit(who_sees: str) -> None:
    """Without: settle sees no e2, commit sees e1 open, both commit: e2 waits for ever."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        place = a.places.stop("settle" if who_sees == "settler" else "settled")
        await a.say("one")
        await place.reached.wait()

        await b.say("two")
        await all_of_them.rest()
        expected = ["one"] if who_sees == "settler" else ["one", "two"]
        assert provider.effects == expected
        place.open()
        await all_of_them.rest()

        assert [(r.text, r.kit) for r in provider.requests] == [("one", "a"), ("two", "ab"[who_sees == "committer"])]


async def test_l8_a_sweep_repairs_a_kill_between_the_two() -> None:
    """Without: killed between its settle and the look, e2 is due and nobody knows."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("settled")
        await a.say("one")
        await a.say("two")
        await stop.reached.wait()
        a.freeze()

        await all_of_them.pass_time(2.0)

        assert [(r.text, r.kit, r.is_marked) for r in provider.requests] == [("one", "a", False), ("two", "b", False)]


# -------------------------------------------------------------------------------------------------------------- L9


async def test_l9_an_open_breaker_is_waited_for_without_a_lease_and_without_an_attempt() -> None:
    """Without: dead after two open breakers, without a single call."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, provider)
        phone.failure_threshold, phone.recovery_timeout = 1, 30.0
        return (LiveProbe(), phone)

    async with fleet(make, kits="a", rooms=("broken", "waiting")) as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = "lose"
        await a.say("trips it", "broken")
        await all_of_them.rest()
        await a.say("waits", "waiting")
        for _ in range(3):  # each probe is of the room that tripped it, and fails
            [row] = await all_of_them.rows(room_id="waiting")
            if row.state is UNKNOWN:
                break
            assert (row.state, row.attempts, row.token, row.owner, row.lease_until) == (PENDING, 0, 0, None, None)
            calls = phone_of(a).calls
            await all_of_them.pass_time(31.0)
            assert phone_of(a).calls == calls + 1
        phone_of(a).behave = "send"

        await all_of_them.until_over()

        [row] = await all_of_them.rows(room_id="waiting")
        assert row.state is SENT
        assert row.attempts <= 2
        provider.check_marks()


@pytest.mark.parametrize("what", ["pause", "breaker"])
async def test_l9_what_closes_between_the_plan_and_the_call_hands_the_row_back_as_it_was(what: str) -> None:
    """Without: a row in flight, with an attempt and a lease, that waits for a gate."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Phone(member, provider))

    async with fleet(make, kits="a") as all_of_them:
        a = all_of_them.a
        gate: Any = a.target("phone").gate
        stop = a.places.stop("committed", only=lambda changes: changes.work)
        all_of_them.start(a.say, "one")
        await stop.reached.wait()
        assert await all_of_them.states() == [IN_FLIGHT]
        if what == "pause":
            await a.kit.deliveries.pause("phone")
        else:
            for _ in range(gate.channel.failure_threshold):  # of others
                permit = gate.take()
                assert permit is not None
                permit.failed(retryable=True)
        stop.open()
        await all_of_them.rest()

        row = await only_row(all_of_them)
        assert (row.state, row.attempts, row.takeovers, row.maybe_sent) == (PENDING, 0, 0, False)
        assert row.owner is None
        if what == "pause":
            await a.kit.deliveries.resume("phone")
        await all_of_them.pass_time(61.0)
        assert provider.effects == ["one"]
        assert (await only_row(all_of_them)).attempts == 1


async def test_l9_journaled_messages_are_delayed_and_never_refused_for_a_rate() -> None:
    """Without: a webhook that got its 200 is refused because others came at the same moment."""
    provider = Provider()
    async with fleet(phones(provider), kits="a", inbound_rate_limit=RateLimit(max_per_second=1)) as all_of_them:
        a = all_of_them.a
        for number in range(5):
            await a.accept(str(number))
        await all_of_them.rest()
        assert await all_of_them.texts() == ["0"]

        await all_of_them.pass_time(30.0)

        assert await all_of_them.texts() == list("01234")
        assert [(r.state, r.attempts) for r in await all_of_them.rows(WorkKind.INBOUND)] == 5 * [(DONE, 1)]


# ------------------------------------------------------------------------------------------------------------- L10


async def test_l10_bytes_and_route_are_those_of_the_commit_whatever_changes_between_attempts() -> None:
    """Without: the store says new, the provider has old; or a retry goes to somebody else."""
    provider, routes = Provider(), []

    class Changing(Phone):
        version = "first"

        def render(self, content: Any) -> Any:
            return super().render(content.model_copy(update={"body": f"{content.body} by the {self.version} program"}))

        async def send(self, delivery: Any) -> Any:
            routes.append(delivery.route.address)
            return await super().send(delivery)

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Changing(member, provider))

    async with fleet(make, kits="a") as all_of_them:
        a = all_of_them.a
        await a.kit.attach_channel("room", "phone", route=Route(address="+1", participant_id="ann"))
        phone_of(a).behave = "later"
        await a.say("said")
        await all_of_them.rest()
        await a.kit.attach_channel("room", "phone", route=Route(address="+2", participant_id="ann"))
        Changing.version = "second"
        phone_of(a).behave = "send"

        await all_of_them.until_over()

        assert provider.effects == ["said by the first program"]
        assert routes == ["+1", "+1"]


async def test_l10_each_part_is_a_call_of_its_own_with_its_own_key_and_receipt() -> None:
    """Without: part 1 sent twice, unmarked, because part 2 was refused for now."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = lambda delivery: "later" if delivery.parts_done == 1 and delivery.attempt == 1 else "send"
        await a.say("one|two|three")
        await all_of_them.rest()
        row = await only_row(all_of_them)
        assert (row.state, row.parts_done, row.provider_ids) == (PENDING, 1, ("id-1",))

        await all_of_them.until_over()

        assert provider.effects == ["one", "two", "three"]
        assert [r.key for r in provider.requests] == [f"{row.id}:{number}" for number in range(3)]
        row = await only_row(all_of_them)
        assert (row.state, row.parts_done, row.provider_ids) == (SENT, 2, ("id-1", "id-2", "id-3"))


async def test_l10_a_room_that_is_made_again_under_one_id_has_keys_of_its_own() -> None:
    """Without: the provider remembers the key of the old room's message, and says "sent": a false success."""
    provider = Provider("idempotent")
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        await a.say("same words")
        await all_of_them.rest()
        await a.kit.delete_room("room")
        await make_room(a.kit, "room", "live", "phone")

        await a.say("same words")
        await all_of_them.rest()

        assert provider.effects == ["same words", "same words"]


# ------------------------------------------------------------------------------------------------------------- L11


def status(name: str, word: str) -> DeliveryStatus:
    return DeliveryStatus(channel_id="phone", provider="twin", message_id=name, status=word)


async def test_l11_a_status_that_overtakes_our_own_reply_is_not_lost_and_moves_no_row_back() -> None:
    """Without: the webhook "delivered" comes before the reply, is about nothing, and the row says "sent" for ever."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("taken")
        await a.say("one")
        await stop.reached.wait()

        assert not await a.kit.process_delivery_status(status("id-1", "delivered"))
        assert (await only_row(all_of_them)).state is IN_FLIGHT
        stop.open()
        await all_of_them.rest()
        row = await only_row(all_of_them)
        assert (row.state, row.receipt_rank) == (SENT, "delivered")
        assert not await a.kit.process_delivery_status(status("id-1", "sent")), "the rank only grows"
        assert await a.kit.process_delivery_status(status("id-1", "read"))

        row = await only_row(all_of_them)
        assert (row.state, row.receipt_rank) == (SENT, "read")


# ------------------------------------------------------------------------------------------------------------- L12


@pytest.mark.parametrize("reason", ["detach", "access", "delete"])
@pytest.mark.parametrize("state", ["in back-off", "unknown", "queued", "in flight and killed"])
async def test_l12_who_removes_the_reason_for_a_row_ends_it(state: str, reason: str) -> None:
    """Without: an owed message is sent after the detach, or what was deleted goes out."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        for member in all_of_them.members:
            phone_of(member).behave = {"unknown": "vanish"}.get(state, "later")
        stop = a.places.stop("calling") if "flight" in state else None
        await a.say("one")
        if state == "queued":
            await a.say("two")
        await all_of_them.rest()
        a.freeze()
        for member in all_of_them.members:
            phone_of(member).behave = "send"
        row = (await all_of_them.rows(WorkKind.DELIVERY))[-1]

        await withdraw(b, reason, row)
        await all_of_them.until_over()

        assert stop is None or stop.arrivals == 1
        row = next(r for r in await all_of_them.rows() if r.id == row.id)
        assert row.state is SUPPRESSED
        assert row.code in ("channel.detached", "channel.access", "event.deleted")
        assert row.maybe_sent is (state in ("unknown", "in flight and killed"))
        assert ("two" if state == "queued" else "one") not in provider.effects


async def withdraw(member: Member, reason: str, row: WorkRow) -> None:
    if reason == "detach":
        await member.kit.detach_channel("room", "phone")
    elif reason == "access":
        await member.kit.set_access("room", "phone", Access.WRITE_ONLY)
    else:
        await member.kit.delete_event("room", row.event_id or "")


@pytest.mark.parametrize("reason", ["detach", "access", "close"])
async def test_l12_a_question_whose_reason_is_gone_is_not_asked_again_after_a_takeover(reason: str) -> None:
    """Without: the kit that asked is killed, and the next one asks the model about a room that is closed."""
    asked = []

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            asked.append(member.name)
            await member.places("asking")
            return ["because"]

        return (LiveProbe(), Answering(reply=reply))

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("asking")
        await a.say("why?")
        await stop.reached.wait()
        a.freeze()
        if reason == "detach":
            await b.kit.detach_channel("room", "ai")
        elif reason == "access":
            await b.kit.set_access("room", "ai", Access.NONE)
        else:
            await b.kit.close_room("room")

        await all_of_them.until_over()

        assert asked == ["a"]
        assert await all_of_them.states(WorkKind.ASK) == [SUPPRESSED]


# ------------------------------------------------------------------------------------------------------------- L13


@pytest.mark.parametrize("kind", [WorkKind.INBOUND, WorkKind.DELIVERY, WorkKind.ASK, WorkKind.HOOK])
async def test_l13_tr8_a_row_that_kills_its_holders_is_given_up_before_it_kills_the_next(kind: WorkKind) -> None:
    """Without: it kills the process for ever; nothing that never fails is ever counted as failed."""
    reached: list[WorkKind] = []

    def reach(kind: WorkKind, answer: Any) -> Any:
        def note(*args: Any) -> Any:
            reached.append(kind)
            return answer

        return note

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, Provider())
        phone.behave = reach(WorkKind.DELIVERY, "send")
        return (LiveProbe(), phone, Answering(reply=reach(WorkKind.ASK, [])))

    async with fleet(make, kits="a") as all_of_them:
        a = all_of_them.a
        on = a.kit.hook
        on(HookTrigger.BEFORE_BROADCAST)(reach(WorkKind.INBOUND, HookResult.allow()))
        on(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="poison", durable=True)(reach(WorkKind.HOOK, None))
        row = await row_of_kind(all_of_them, kind)
        await lose_holders(all_of_them, row, MAX_TAKEOVERS)

        await all_of_them.pass_time(2.0)

        [row] = await all_of_them.rows(row_id=row.id)
        assert (row.state, row.takeovers) == (QUARANTINED if kind is WorkKind.INBOUND else DEAD, MAX_TAKEOVERS + 1)
        assert row.code == "work.takeovers"
        assert kind not in reached


async def row_of_kind(all_of_them: Fleet, kind: WorkKind) -> WorkRow:
    """A row of this kind that nobody works on yet; all of the kit's other work is done."""
    a = all_of_them.a
    pools = (a.kit._engine.ports.journal, a.kit._engine.ports.house)
    for pool in pools:
        pool.limit = 0
    for channel_id in ("phone", "ai"):
        await a.kit.deliveries.pause(channel_id)
    await (a.accept("poison") if kind is WorkKind.INBOUND else a.say("poison"))
    await all_of_them.rest()
    [row] = await all_of_them.rows(kind)
    assert (row.state, row.attempts) == (PENDING, 0)
    claimed = await all_of_them.store.claim("dead", lease=1.0, limit=1, lanes=[row.lane])
    assert claimed
    all_of_them.clock.jump(1.1)
    for pool in pools:
        pool.limit = 32
    for channel_id in ("phone", "ai"):
        await a.kit.deliveries.resume(channel_id)
    return row


async def test_l13_takeovers_are_not_attempts() -> None:
    """Without: three deploys in the middle of one message quarantine it."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        row = await row_of_kind_inbound(all_of_them)
        await lose_holders(all_of_them, row, MAX_TAKEOVERS - 1)

        await all_of_them.pass_time(2.0)

        [row] = await all_of_them.rows(row_id=row.id)
        assert (row.state, row.attempts, row.takeovers) == (DONE, 1, MAX_TAKEOVERS)
        assert await all_of_them.texts() == ["innocent"]
        assert a.holds == 0


async def row_of_kind_inbound(all_of_them: Fleet) -> WorkRow:
    a = all_of_them.a
    journal = a.kit._engine.ports.journal
    journal.limit = 0
    await a.accept("innocent")
    journal.limit = 32
    [row] = await all_of_them.rows(WorkKind.INBOUND)
    assert await all_of_them.store.claim("dead", lease=1.0, limit=1, lanes=[row.lane])
    all_of_them.clock.jump(1.1)
    return row


async def test_l13_from_its_second_takeover_a_row_runs_alone_in_its_process() -> None:
    """Without: a row that kills the process takes its innocent neighbours along, until they are given up too."""
    provider = Provider()
    rooms = ("poison", "before", "after")
    async with fleet(phones(provider), kits="a", rooms=rooms) as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = "later"
        await a.say("poison", "poison")
        await all_of_them.rest()
        phone_of(a).behave = "send"
        [row] = await all_of_them.rows()
        all_of_them.clock.jump(300.0)
        await lose_holders(all_of_them, row, 2)
        stop = a.places.stop("calling", only=lambda delivery: delivery.event.room_id == "before")
        poison = a.places.at
        await a.say("before", "before")
        await stop.reached.wait()

        await all_of_them.pass_time(2.0)
        [row] = await all_of_them.rows(room_id="poison")
        assert (row.state, row.takeovers) == (IN_FLIGHT, 2), "claimed, and waiting to be alone"
        await a.say("after", "after")
        await all_of_them.pass_time(2.0)
        assert provider.effects == []
        alone = a.places.stop("taken", only=lambda delivery: delivery.event.room_id == "poison")
        stop.open()
        await alone.reached.wait()
        assert provider.effects == ["before", "poison"]
        await all_of_them.pass_time(2.0)
        assert (phone_of(a).running, provider.effects) == (1, ["before", "poison"])
        alone.open()
        await all_of_them.rest()

        assert provider.effects == ["before", "poison", "after"]
        assert poison is not None
        [neighbour] = await all_of_them.rows(room_id="after")
        assert (neighbour.attempts, neighbour.takeovers, neighbour.maybe_sent) == (1, 0, False)


# ------------------------------------------------------------------------------------------------------------- L14


async def test_l14_a_provider_that_hangs_stops_neither_the_pump_nor_another_channel() -> None:
    """Without: one hung provider, and nothing of any channel leaves until it answers."""
    dead, well = Provider(), Provider()

    def make(member: Member) -> Iterable[Channel]:
        hung = Phone(member, dead, "hung")
        hung.max_in_flight = 4
        return (LiveProbe(), hung, Phone(member, well))

    rooms = [f"room{number}" for number in range(12)]
    async with fleet(make, kits="a", rooms=rooms) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("calling", only=lambda delivery: delivery.binding.channel_id == "hung")
        for room_id in rooms:
            await a.accept(room_id, room_id, sender_id=room_id)
        await all_of_them.pass_time(5.0)

        assert sorted(well.effects) == sorted(rooms)
        assert (stop.arrivals, dead.effects) == (4, [])
        assert set(await all_of_them.states(WorkKind.INBOUND)) == {DONE}
        await a.say("more", "room0")
        await all_of_them.rest()
        assert well.effects[-1] == "more"


async def test_l14_a_channel_that_does_not_say_whether_it_is_ready_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without: the pump waits for an answer, and nobody's retries, rates and heartbeats run meanwhile."""
    monkeypatch.setattr("roomkit_core.engine.verbs.channels.PATIENCE", 0.01)  # when it starts, it is waited for
    provider = Provider()

    class Silent(Phone):
        async def ready(self) -> bool:
            await anyio.sleep_forever()
            return True

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Silent(member, Provider(), "silent"), Phone(member, provider))

    async with fleet(make, kits="a") as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = "later"
        await a.say("one")
        await all_of_them.rest()
        phone_of(a).behave = "send"

        await all_of_them.pass_time(2.0)

        assert provider.effects == ["one"]
        [row] = await all_of_them.rows(channel_id="silent")
        assert (row.state, row.attempts) == (PENDING, 0)


async def test_l14_a_purge_that_takes_its_time_holds_up_neither_heartbeats_nor_retries() -> None:
    """Without: after a long stop there is much to forget, and meanwhile every lease of the kit ends."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        purge = a.places.stop("purge")
        hold = a.places.stop("calling", only=lambda delivery: delivery.part.body == "long")
        await make_room(b.kit, "other", "live", "phone")
        await a.say("long", "other")
        await hold.reached.wait()
        await all_of_them.pass_time(61.0)
        assert purge.arrivals == 1
        b.freeze()
        phone_of(a).behave = "later"
        await a.say("one")
        await all_of_them.rest()
        phone_of(a).behave = "send"
        await all_of_them.pass_time(2.0)
        assert provider.effects == ["one"]
        b.thaw()

        await all_of_them.pass_time(3 * LEASE)

        assert purge.arrivals == 1, "one at a time"
        [row] = await all_of_them.rows(room_id="other")
        assert (row.state, row.token, row.takeovers) == (IN_FLIGHT, 1, 0)


@pytest.mark.parametrize("kind", [ChannelCategory.TRANSPORT, ChannelCategory.INTELLIGENCE])
async def test_l14_the_pumps_work_on_a_journaled_message_ends_at_its_commit(kind: ChannelCategory) -> None:
    """Without: the next message of the conversation waits for a provider, or for a model, that hangs."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            await member.places("asking")
            return [f"re: {text_of(event)}"]

        return (LiveProbe(), Phone(member, provider), Answering(reply=reply))

    async with fleet(make, kits="a") as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("calling" if kind is ChannelCategory.TRANSPORT else "asking")
        for text in ("one", "two"):
            await a.accept(text)
        await stop.reached.wait()
        await all_of_them.rest()

        assert [text for text in await all_of_them.texts() if not text.startswith("re: ")] == ["one", "two"]
        assert await all_of_them.states(WorkKind.INBOUND) == [DONE, DONE]
