"""PROTOCOL 7, 1 to 3, 7, 8, 11, 16, 17: lanes, claims and wake-ups, with two kits over one store object."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from roomkit_core import (
    Channel,
    HookExecution,
    HookResult,
    HookTrigger,
    RateLimit,
    RoomEvent,
    TextContent,
    WorkKind,
    WorkState,
)
from roomkit_core.interfaces.channel import Guarantee
from tests.protocol.fleet import LEASE, Member, fleet
from tests.protocol.providers import GUARANTEES, Phone, Provider, phone_of, phones
from tests.support.channels import Answering, LiveProbe, message, text_of

pytestmark = pytest.mark.anyio

PENDING, IN_FLIGHT, UNKNOWN, SENT = WorkState.PENDING, WorkState.IN_FLIGHT, WorkState.UNKNOWN, WorkState.SENT
FAILED, EXPIRED, DONE = WorkState.FAILED, WorkState.EXPIRED, WorkState.DONE

# ------------------------------------------------------------------------------------------------------------ 1 to 3


@pytest.mark.parametrize("who", ["a", "b"])
@pytest.mark.parametrize("state", ["in flight", "in back-off", "unknown", "being settled", "taken over"])
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_1_what_is_committed_behind_a_row_in_whatever_state_follows_it(
    guarantee: Guarantee, state: str, who: str
) -> None:
    provider = Provider(guarantee)
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        for member in (a, b):
            phone_of(member).behave = {"in back-off": "later", "unknown": "vanish"}.get(state, "send")
        places = {"in flight": "calling", "being settled": "settle", "taken over": "taken"}
        stop = a.places.stop(places[state]) if state in places else None
        await a.say("one")
        await all_of_them.rest()
        if state == "taken over":
            a.freeze()
            await all_of_them.pass_time(LEASE - 1)
        for member in (a, b):
            phone_of(member).behave = "send"

        await (a if who == "a" and state != "taken over" else b).say("two")
        await all_of_them.pass_time(0.0)
        assert "two" not in provider.effects
        if stop is not None and state != "taken over":
            stop.open()
        await all_of_them.until_over()

        provider.check_marks()
        assert provider.firsts() == ["one", "two"]
        assert set(await all_of_them.states()) == {SENT}


async def test_2_of_two_who_claim_one_head_one_has_it_and_nobody_has_the_second_row() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        phone_of(a).behave = "later"
        await a.say("one")
        await a.say("two")
        await all_of_them.rest()
        phone_of(a).behave = "send"
        stops = [member.places.stop("claim", only=lambda kinds: WorkKind.DELIVERY in kinds) for member in (a, b)]
        await all_of_them.pass_time(10.0)
        assert all(stop.arrivals for stop in stops), "both are about to claim"

        calling = [member.places.stop("calling") for member in (a, b)]
        for stop in stops:
            stop.open()
        await all_of_them.pass_time(2.0)

        assert sorted(stop.arrivals for stop in calling) == [0, 1]
        assert [(r.state, r.attempts) for r in await all_of_them.rows()] == [(IN_FLIGHT, 2), (PENDING, 0)]
        for stop in calling:
            stop.open()
        await all_of_them.until_over()
        assert provider.effects == ["one", "two"]


async def test_3_a_stale_settle_a_stale_renewal_and_a_stale_commit_are_refused() -> None:
    """Each by the token; the row is in flight all the while, in other hands."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Phone(member, provider), Answering(reply=lambda event: [f"of {member.name}"]))

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        settle = a.places.stop("settle")
        commit = a.places.stop("commit", only=lambda changes: changes.discharges)
        await a.say("one")
        await settle.reached.wait()
        await commit.reached.wait()
        a.freeze()
        held = b.places.stop("calling"), b.places.stop("commit", only=lambda changes: changes.discharges)
        await all_of_them.pass_time(2 * LEASE)
        assert [stop.arrivals for stop in held] == [1, 1]
        before = await all_of_them.rows()
        assert [(r.state, r.token) for r in before] == 2 * [(IN_FLIGHT, 2)]

        lost = await a.store.renew([(row.id, 1) for row in before], lease=LEASE)
        settle.open()
        commit.open()
        await all_of_them.rest()

        assert sorted(lost) == sorted(row.id for row in before)
        assert await all_of_them.rows() == before
        assert await all_of_them.texts() == ["one"]
        for stop in held:
            stop.open()
        await all_of_them.rest()
        assert await all_of_them.texts() == ["one", "of b"]


# ---------------------------------------------------------------------------------------------------------------- 7


@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_7_an_operators_retry_stands_at_the_tail_and_is_made_once(guarantee: Guarantee) -> None:
    provider = Provider(guarantee)
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        phone_of(a).behave = lambda delivery: (
            "send" if "two" in delivery.part.body else {1: "lose"}.get(delivery.attempt, "refuse")
        )
        phone_of(b).behave = phone_of(a).behave
        stop = a.places.stop("taken", only=lambda delivery: "two" in delivery.part.body)
        hold = b.places.stop("taken", only=lambda delivery: "two" in delivery.part.body)
        await a.say("one")
        await a.say("two")
        await all_of_them.pass_time(60.0)
        one, two = await all_of_them.rows()
        if guarantee == "reconcilable":  # it was asked, and said that it has it
            assert one.state is SENT
            return
        assert (one.state, one.maybe_sent, two.state) == (FAILED, True, IN_FLIGHT)
        phone_of(a).behave = phone_of(b).behave = "send"

        for member in (a, b):
            await member.kit.deliveries.retry(one.id)
        await all_of_them.pass_time(5.0)
        [copy] = await all_of_them.rows(retry_of=one.id)
        assert (copy.state, copy.provider_key, copy.maybe_sent, copy.token) == (PENDING, one.id, True, 0)
        stop.open()
        hold.open()
        await all_of_them.until_over()

        assert [r for r in await all_of_them.rows() if r.id == one.id] == [one]
        assert [r.state for r in await all_of_them.rows()] == [FAILED, SENT, SENT]
        assert [(r.text, r.is_marked) for r in provider.requests] == [("one", False), ("two", False), ("one", True)]
        assert provider.effects == (["one", "two"] if guarantee == "idempotent" else ["one", "two", "one"])


# ---------------------------------------------------------------------------------------------------------------- 8


async def test_8_what_closes_between_the_look_at_the_gate_and_the_claim_costs_nothing() -> None:
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = "later"
        await a.say("one")
        await all_of_them.rest()
        phone_of(a).behave = "send"
        stop = a.places.stop("claim", only=lambda kinds: WorkKind.DELIVERY in kinds)
        await all_of_them.pass_time(5.0)
        assert stop.arrivals
        await a.kit.deliveries.pause("phone")
        stop.open()
        await all_of_them.pass_time(5.0)
        assert provider.effects == ["one"], "who is through the gate is through"

        await a.say("two")
        await all_of_them.pass_time(60.0)
        two = (await all_of_them.rows())[1]
        assert (two.state, two.attempts, two.token) == (PENDING, 0, 0)
        await a.kit.deliveries.resume("phone")
        await all_of_them.rest()

        assert provider.effects == ["one", "two"]
        assert a.target("phone").gate.running == 0


# --------------------------------------------------------------------------------------------------------------- 11


class Waking:
    """Sets the scene for a wake-up, and says what has to have happened without anybody polling."""

    def __init__(self, member: Member, provider: Provider) -> None:
        self.member = member
        self.kit = member.kit
        self.phone = phone_of(member)
        self.gate = member.target("phone").gate
        self.provider = provider

    async def queued(self) -> list[str]:
        """Rows behind one another."""
        for text in "1234":
            await self.member.say(text)
        return list("1234")

    async def later(self) -> list[str]:
        """A row that is due later, and one behind it."""
        self.phone.behave = lambda delivery: "later" if delivery.attempt < 4 else "send"
        for text in "12":
            await self.member.say(text)
        return list("12")

    async def unknown(self) -> list[str]:
        """A row whose outcome is unknown."""
        self.phone.behave = lambda delivery: "vanish" if delivery.attempt < 4 else "send"
        await self.member.say("1")
        return ["1"]

    async def paused(self) -> list[str]:
        """An operator pauses and resumes."""
        await self.kit.deliveries.pause("phone")
        for text in "12":
            await self.member.say(text)
        await self.member.fleet.pass_time(5.0)
        await self.kit.deliveries.resume("phone")
        return list("12")

    async def busy(self) -> list[str]:
        """More rooms than the channel takes at once."""
        self.phone.max_in_flight = 1
        stop = self.member.places.stop("calling")
        for number in range(4):
            await self.member.say(str(number), f"room{number}")
        await self.member.fleet.rest()
        stop.open()
        return list("0123")

    async def limited(self) -> list[str]:
        """More rooms than the provider takes in a second."""
        channel = self.kit.unregister_channel("phone")
        assert channel is not None
        channel.rate_limit = RateLimit(max_per_second=1)
        self.kit.register_channel(channel)
        await self.member.fleet.rest()
        for number in range(4):
            await self.member.say(str(number), f"room{number}")
        return list("0123")

    async def parts(self) -> list[str]:
        """A content of several calls at a provider that takes one in a second."""
        await self.limited()
        await self.member.say("x|y|z")
        return [*"0123", "x", "y", "z"]

    async def binding(self) -> list[str]:
        """A binding with a limit of its own."""
        await self.kit.attach_channel("room", "phone", rate_limit=RateLimit(max_per_second=1))
        for text in "1234":
            await self.member.say(text)
        return list("1234")

    async def breaker(self) -> list[str]:
        """A provider that fails until its breaker opens, and is well again when it is tried."""
        channel = self.kit.unregister_channel("phone")
        assert channel is not None
        channel.failure_threshold, channel.recovery_timeout = 1, 20.0
        self.kit.register_channel(channel)
        await self.member.fleet.rest()
        self.phone.behave = "vanish"
        await self.member.say("0", "room0")
        await self.member.fleet.rest()
        self.phone.behave = "send"
        for number in range(1, 4):
            await self.member.say(str(number), f"room{number}")
        return list("0123")

    async def journal(self) -> list[str]:
        """Messages of one conversation, and a guard that fails the first time."""
        tries = []

        async def guard(event: RoomEvent, context: Any) -> HookResult:
            tries.append(event)
            if len(tries) == 1:
                raise RuntimeError("no answer")
            return HookResult.allow()

        self.kit.hook(HookTrigger.BEFORE_BROADCAST, on_error="block")(guard)
        for text in "123":
            await self.member.accept(text)
        return list("123")

    async def crowded_journal(self) -> list[str]:
        """More conversations than are worked on at once."""
        self.kit._engine.ports.journal.limit = 1
        for number in range(4):
            await self.member.accept(str(number), f"room{number}", sender_id=str(number))
        return list("0123")

    async def inbound_rate(self) -> list[str]:
        """More journaled messages than come in in a second: see the options of the test."""
        for number in range(4):
            await self.member.accept(str(number), f"room{number}", sender_id=str(number))
        return list("0123")

    async def hook(self) -> list[str]:
        """A durable hook that fails the first times."""
        tries = []

        async def after(event: RoomEvent, context: Any) -> None:
            if text_of(event) == "1":
                tries.append(event)
                if len(tries) < 3:
                    raise RuntimeError("not yet")
                await self.kit.send_event("room", "live", TextContent(body="2"))

        self.kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="after", durable=True)(after)
        await self.member.say("1")
        return ["1", "2"]

    async def operator(self) -> list[str]:
        """What was refused is sent again by an operator."""
        self.phone.behave = "refuse"
        await self.member.say("1")
        await self.member.fleet.rest()
        self.phone.behave = "send"
        [row] = await self.kit.deliveries.list()
        await self.kit.deliveries.retry(row.id)
        return ["1"]

    async def place_held_by_a_commit(self) -> list[str]:
        """The last place is taken for a row that is just being committed behind another one, and given back."""
        self.phone.max_in_flight = 2
        fleet, places = self.member.fleet, self.member.places
        self.phone.behave = lambda delivery: "later" if delivery.part.body == "2" and delivery.attempt == 1 else "send"
        await self.member.say("2", "room2")
        await fleet.rest()
        calling = places.stop("calling", only=lambda delivery: delivery.event.room_id == "room0")
        await self.member.say("0", "room0")
        await calling.reached.wait()
        commit = places.stop("commit")
        fleet.start(self.member.say, "1", "room0")
        await commit.reached.wait()
        await fleet.pass_time(5.0)
        assert self.provider.effects == []
        commit.open()
        await fleet.rest()
        assert self.provider.effects == ["2"], "nobody has to end for it, and nobody to look"
        calling.open()
        return list("012")

    async def scheduled(self) -> list[str]:
        """What is to be said later."""
        for seconds in (5, 3):
            at = self.member.clock.now() + timedelta(seconds=seconds)
            await self.kit.send_event("room", "live", TextContent(body=str(seconds)), at=at)
        return ["3", "5"]


SCENES = [name for name in vars(Waking) if not name.startswith("_")]


@pytest.mark.usefixtures("no_poll")
@pytest.mark.parametrize("scene", SCENES)
async def test_11_everything_is_woken_by_what_it_waits_for_and_not_by_the_poll(scene: str) -> None:
    """Without a wake-up of its own, each of these would wait for the next look of somebody."""
    provider = Provider()
    rooms = ["room", *(f"room{number}" for number in range(4))]
    options = {"inbound_rate_limit": RateLimit(max_per_second=1)} if scene == "inbound_rate" else {}
    async with fleet(phones(provider), kits="a", rooms=rooms, **options) as all_of_them:
        waking = Waking(all_of_them.a, provider)
        expected = await getattr(waking, scene)()

        await all_of_them.pass_time(50.0)

        in_order = scene in ("queued", "later", "paused", "binding", "journal", "hook", "scheduled")
        assert (provider.effects if in_order else sorted(provider.effects)) == expected
        assert not [row for row in await all_of_them.rows() if row.is_open]
        assert waking.gate.running == all_of_them.a.holds == 0


# --------------------------------------------------------------------------------------------------------------- 16


async def test_16_a_hung_channel_takes_its_own_places_and_holds_up_no_room_elsewhere() -> None:
    hung, well = Provider(), Provider()

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, hung)
        phone.max_in_flight = 3
        return (LiveProbe(), phone, Phone(member, well, "fax"), Answering())

    rooms = [f"room{number}" for number in range(30)]
    async with fleet(make, rooms=rooms) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stops = [m.places.stop("calling", only=lambda d: d.binding.channel_id == "phone") for m in (a, b)]
        for number, room_id in enumerate(rooms):
            await (a, b)[number % 2].say(room_id, room_id)
        await all_of_them.pass_time(5.0)

        assert [stop.arrivals for stop in stops] == [3, 3]
        assert sorted(well.effects) == sorted([*rooms, *(f"echo {room_id}" for room_id in rooms)])
        for stop in stops:
            stop.open()
        await all_of_them.until_over()
        assert sorted(hung.effects) == sorted([*rooms, *(f"echo {room_id}" for room_id in rooms)])
        assert max(phone_of(a).most_running, phone_of(b).most_running) <= 3


# --------------------------------------------------------------------------------------------------------------- 17


@pytest.mark.parametrize("state", ["pending", "queued", "unknown"])
async def test_17_rows_of_a_channel_that_is_registered_nowhere_expire_and_their_lane_ends(state: str) -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        phone_of(a).behave = phone_of(b).behave = "vanish" if state == "unknown" else "later"
        await a.say("one")
        if state == "queued":
            await a.say("two")
        await all_of_them.rest()
        for member in (a, b):
            member.kit.unregister_channel("phone")

        await all_of_them.pass_time(3600.0 - 10.0)
        assert EXPIRED not in await all_of_them.states()
        await all_of_them.pass_time(20.0)

        rows = await all_of_them.rows()
        assert {(row.state, row.code) for row in rows} == {(EXPIRED, "expired")}
        assert {row.maybe_sent for row in rows} == {state == "unknown"}
        assert provider.effects == []


async def test_17_a_message_for_a_channel_that_is_registered_nowhere_fails_and_says_so() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        for member in (a, b):
            member.kit.unregister_channel("phone")

        result = await a.kit.process_inbound(message("one"), room_id="room")

        [row] = await all_of_them.rows()
        assert (row.state, row.code) == (FAILED, "channel.not_registered")
        assert result.delivery_results["phone"].error is not None


async def test_17_a_row_that_only_one_kit_can_send_is_left_to_it() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        b.kit.unregister_channel("phone")
        stop = a.places.stop("committed", only=lambda changes: changes.work)
        all_of_them.start(a.say, "one")
        await stop.reached.wait()
        a.freeze()
        await all_of_them.pass_time(3 * LEASE)
        assert provider.effects == []

        stop.open()
        a.thaw()
        await all_of_them.pass_time(2.0)

        assert [(r.text, r.kit) for r in provider.requests] == [("one", "a")]
