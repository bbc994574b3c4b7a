"""PROTOCOL 7, 4 to 6, 10 and 12: lost replies, late requests, kills after a resend, deletions and statuses between."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from roomkit_core import Channel, Delivery, DeliveryStatus, RetryPolicy, WorkKind, WorkState
from roomkit_core.interfaces.channel import Guarantee
from tests.protocol.fleet import LEASE, Member, fleet
from tests.protocol.providers import GUARANTEES, Phone, Provider, phone_of, phones
from tests.support.channels import LiveProbe

pytestmark = pytest.mark.anyio

PENDING, IN_FLIGHT, UNKNOWN, SENT = WorkState.PENDING, WorkState.IN_FLIGHT, WorkState.UNKNOWN, WorkState.SENT
FAILED, EXPIRED, DEAD, SUPPRESSED = WorkState.FAILED, WorkState.EXPIRED, WorkState.DEAD, WorkState.SUPPRESSED

REQUESTS = {"idempotent": 2, "reconcilable": 1, "at_least_once": 2}
EFFECTS = {"idempotent": 1, "reconcilable": 1, "at_least_once": 2}
"""What one lost reply costs at each guarantee: requests, and what the person gets."""

# ---------------------------------------------------------------------------------------------------------------- 4


def first(behaviour: str, text: str = "one") -> Any:
    """Behaves so at the first attempt of what says ``text``."""

    def behave(delivery: Delivery) -> str:
        return behaviour if delivery.attempt == 1 and delivery.part.body == text else "send"

    return behave


@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_4_a_lost_reply_is_resolved_as_the_channel_can(guarantee: Guarantee) -> None:
    provider = Provider(guarantee)
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        phone_of(a).behave = phone_of(b).behave = first("lose")
        await a.say("one")
        await b.say("two")
        await all_of_them.rest()
        one, two = await all_of_them.rows()
        assert (one.state, one.maybe_sent, two.state, two.due) == (UNKNOWN, True, PENDING, None)

        await all_of_them.until_over()

        provider.check_marks()
        assert provider.by_key[f"{one.id}:0"] == REQUESTS[guarantee]
        assert provider.effects == ["one"] * EFFECTS[guarantee] + ["two"]
        assert provider.asked == ([f"{one.id}:0"] if guarantee == "reconcilable" else [])


@pytest.mark.parametrize("lands", ["before the resend", "after the resend", "after the next one"])
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_4_a_request_that_lands_late_is_marked_or_has_no_second_effect(guarantee: Guarantee, lands: str) -> None:
    """The connection broke, the row is unknown, and the request is still on its way to the provider."""
    provider = Provider(guarantee)

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, provider)
        phone.quiet_time = 30.0
        phone.behave = first("late")
        return (LiveProbe(), phone)

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        hold = [member.places.stop("calling", only=lambda delivery: delivery.attempt > 1) for member in (a, b)]
        next_one = [member.places.stop("asking") for member in (a, b)]
        await a.say("one")
        await b.say("two")
        await all_of_them.rest()
        [request] = phone_of(a).on_its_way
        if lands == "before the resend":
            provider.take(request)
        await all_of_them.pass_time(50.0)  # the resend, or the question, is about to be made
        for stop in (*hold, *next_one):
            stop.open()
        await all_of_them.rest()
        if lands == "after the resend" and guarantee != "reconcilable":  # where it is asked none lands so late
            provider.take(request)
        await all_of_them.until_over()
        if lands == "after the next one" and guarantee != "reconcilable":
            provider.take(request)

        assert set(await all_of_them.states()) == {SENT}
        assert provider.firsts() == ["one", "two"]
        assert provider.effects.count("one") == (2 if guarantee == "at_least_once" else 1)
        [one, _] = await all_of_them.rows()
        assert one.maybe_sent


# ---------------------------------------------------------------------------------------------------------------- 5


@pytest.mark.parametrize("window", ["taken", "settle"])
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_5_a_takeover_that_is_killed_right_after_its_resend_is_taken_over(
    guarantee: Guarantee, window: str
) -> None:
    """Two kits are killed one after the other with the same row; the third one ends it."""
    provider = Provider(guarantee)
    async with fleet(phones(provider), kits="abc") as all_of_them:
        a, b, c = all_of_them.members
        b.freeze()
        c.freeze()
        first_kill = a.places.stop(window)
        await a.say("one")
        await first_kill.reached.wait()
        a.freeze()
        b.thaw()
        second_kill = b.places.stop("settle" if guarantee == "reconcilable" else window)
        await all_of_them.pass_time(2 * LEASE)
        assert second_kill.arrivals == 1
        b.freeze()
        c.thaw()
        await c.say("two")

        await all_of_them.pass_time(2 * LEASE)

        provider.check_marks()
        assert provider.firsts() == ["one", "two"]
        one, two = await all_of_them.rows()
        assert (one.state, one.token, one.takeovers, one.maybe_sent) == (SENT, 3, 2, True)
        assert (two.state, two.maybe_sent) == (SENT, False)
        kits = [request.kit for request in provider.requests if request.text == "one"]
        assert kits == (["a"] if guarantee == "reconcilable" else ["a", "b", "c"])
        assert provider.effects.count("one") == (3 if guarantee == "at_least_once" else 1)


# ---------------------------------------------------------------------------------------------------------------- 6


@pytest.mark.parametrize("end", [EXPIRED, FAILED, DEAD])
async def test_6_what_was_unknown_once_says_so_however_it_ends_and_its_lane_goes_on(end: WorkState) -> None:
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, provider)
        phone.delivery_lifetime = 3600.0 if end is not EXPIRED else 20.0
        return (LiveProbe(), phone)

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        if end is DEAD:
            policy = RetryPolicy(max_retries=2, base_delay_seconds=1.0)
            await a.kit.attach_channel("room", "phone", retry_policy=policy)

        def behave(delivery: Delivery) -> str:
            if delivery.part.body == "two":
                return "send"
            return "lose" if delivery.attempt == 1 else "refuse" if end is FAILED else "later"

        phone_of(a).behave = phone_of(b).behave = behave
        await a.say("one")
        await all_of_them.pass_time(5.0)
        await b.say("two")

        await all_of_them.until_over()

        one, two = await all_of_them.rows()
        assert (one.state, one.maybe_sent) == (end, True)
        if end is EXPIRED:
            assert two.state in (SENT, EXPIRED)
        else:
            assert (two.state, two.maybe_sent) == (SENT, False)
            assert provider.effects == ["one", "two"]
        if end is DEAD:
            assert (one.code, one.attempts) == ("work.attempts", 4)
            assert sum(request.text == "one" for request in provider.requests) == 1


# --------------------------------------------------------------------------------------------------------------- 10


@pytest.mark.parametrize("state", ["in back-off", "queued", "unknown", "in flight", "sent"])
async def test_10_a_deletion_between_attempts_takes_back_what_was_not_sent_and_follows_what_may_have_been(
    state: str,
) -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        behaviours = {"in back-off": "later", "unknown": "lose"}
        for member in (a, b):
            phone_of(member).behave = behaviours.get(state, "send")
        stop = a.places.stop("calling") if state in ("in flight", "queued") else None
        if state == "queued":
            await a.say("zero")
        result = await a.say("one")
        await all_of_them.rest()
        for member in (a, b):
            phone_of(member).behave = "send"

        assert result.event is not None
        await b.kit.delete_event("room", result.event.id)
        if stop is not None:
            stop.open()
        await all_of_them.until_over()

        expected = {
            "in back-off": [],
            "queued": ["zero"],
            "unknown": ["one", "(deleted)"],
            "in flight": ["one", "(deleted)"],
            "sent": ["one", "(deleted)"],
        }
        assert provider.effects == expected[state]
        row = next(r for r in await all_of_them.rows() if r.event_id == result.event.id)
        assert row.state is (SENT if state in ("in flight", "sent") else SUPPRESSED)
        assert row.maybe_sent is (state == "unknown")


@pytest.mark.parametrize("meanwhile", ["sent", "lost", "refused"])
async def test_10_what_is_sent_while_its_deletion_is_being_committed_is_followed_by_the_notice(meanwhile: str) -> None:
    """The deletion is planned while the row waits, and commits when it has been tried."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        phone_of(a).behave = phone_of(b).behave = "later"
        result = await a.say("one")
        await all_of_them.rest()
        phone_of(a).behave = phone_of(b).behave = {"sent": "send", "lost": "lose"}.get(meanwhile, "refuse")
        stop = b.places.stop("commit")
        assert result.event is not None
        all_of_them.start(b.kit.delete_event, "room", result.event.id)
        await stop.reached.wait()
        await all_of_them.pass_time(5.0)
        assert bool(provider.requests) is (meanwhile != "refused")
        phone_of(a).behave = phone_of(b).behave = "send"
        stop.open()
        await all_of_them.until_over()

        assert provider.firsts() == ([] if meanwhile == "refused" else ["one", "(deleted)"])
        assert provider.effects[-1:] == ([] if meanwhile == "refused" else ["(deleted)"])


# --------------------------------------------------------------------------------------------------------------- 12


def status(name: str, word: str) -> DeliveryStatus:
    return DeliveryStatus(channel_id="phone", provider="twin", message_id=name, status=word)


@pytest.mark.parametrize("name", ["provider id", "own key"])
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_12_a_status_that_comes_before_the_takeover_is_kept(guarantee: Guarantee, name: str) -> None:
    """The provider has it and says so; the kit that sent it is killed before it heard the reply."""
    provider = Provider(guarantee)
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("taken")
        await a.say("one")
        await stop.reached.wait()
        a.freeze()
        [row] = await all_of_them.rows()

        await b.kit.process_delivery_status(status("id-1" if name == "provider id" else row.provider_key, "delivered"))
        await all_of_them.pass_time(2 * LEASE)
        await b.kit.process_delivery_status(status("id-1" if name == "provider id" else row.provider_key, "sent"))

        [row] = await all_of_them.rows()
        assert (row.state, row.maybe_sent) == (SENT, True)
        # A provider that takes the resend as another message gives it another id, of which nothing was reported yet.
        knows = name == "own key" or guarantee != "at_least_once"
        assert row.receipt_rank == ("delivered" if knows else "none")


async def test_12_statuses_may_come_in_any_order_and_twice() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await a.say("one")
        await all_of_them.rest()

        grew = [
            await (a, b)[number % 2].kit.process_delivery_status(status("id-1", word))
            for number, word in enumerate(["read", "delivered", "read", "sent", "queued"])
        ]

        assert grew == [True, False, False, False, False]
        [row] = await all_of_them.rows(WorkKind.DELIVERY)
        assert (row.state, row.receipt_rank) == (SENT, "read")
