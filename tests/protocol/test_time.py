"""Owed work and time: tried again until its time is over, waits for what is not ready, and steps of the wall clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from roomkit_core import Channel, HookExecution, HookTrigger, RoomEvent, TextContent, WorkKind, WorkState
from roomkit_core.engine.pure.backoff import CEILING
from roomkit_core.interfaces.channel import Guarantee
from tests.protocol.fleet import LEASE, Member, fleet
from tests.protocol.providers import GUARANTEES, Phone, Provider, phone_of, phones
from tests.support.channels import Answering, LiveProbe, text_of
from tests.support.kits import make_room

pytestmark = pytest.mark.anyio

PENDING, IN_FLIGHT, UNKNOWN, SENT = WorkState.PENDING, WorkState.IN_FLIGHT, WorkState.UNKNOWN, WorkState.SENT
EXPIRED, DONE, ANSWERED = WorkState.EXPIRED, WorkState.DONE, WorkState.ANSWERED

HOUR = 3600.0

# ------------------------------------------------------------------------------------------------- retries by time


@pytest.mark.parametrize("behaviour", ["later", "vanish"])
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_a_row_is_tried_until_its_time_is_over_and_not_so_and_so_often(
    guarantee: Guarantee, behaviour: str
) -> None:
    """Not given up after five tries in half a minute, nor sent fifteen hours later (T13)."""
    provider, tries = Provider(guarantee), []
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a

        def behave(delivery: Any) -> str:
            tries.append(all_of_them.clock.monotonic())
            return behaviour

        phone_of(a).behave = behave
        began = all_of_them.clock.monotonic()
        await a.say("one")
        await a.say("two")
        await all_of_them.pass_time(HOUR - 10)
        assert [r.state for r in await all_of_them.rows()] == [UNKNOWN if behaviour == "vanish" else PENDING, PENDING]
        assert len(tries) >= HOUR / CEILING
        assert max(later - earlier for earlier, later in pairwise(tries)) <= CEILING + 30.0

        await all_of_them.pass_time(20.0)

        one, two = await all_of_them.rows()
        assert (one.state, one.code, one.maybe_sent) == (EXPIRED, "expired", behaviour == "vanish")
        assert (two.state, two.maybe_sent, two.attempts) == (EXPIRED, False, 0)
        count = len(tries)
        await all_of_them.pass_time(HOUR)
        assert len(tries) == count
        assert tries[-1] <= began + HOUR


async def test_what_is_being_sent_when_its_time_is_over_ends_as_it_did() -> None:
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, provider)
        phone.delivery_lifetime = 30.0
        return (LiveProbe(), phone)

    async with fleet(make) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("calling")
        await a.say("one")
        await stop.reached.wait()
        await all_of_them.pass_time(40.0)
        assert await all_of_them.states() == [IN_FLIGHT]
        stop.open()
        await all_of_them.rest()

        assert (await all_of_them.states(), provider.effects) == ([SENT], ["one"])


async def test_what_is_taken_over_when_its_time_is_over_is_not_sent_again() -> None:
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, provider)
        phone.delivery_lifetime = 30.0
        return (LiveProbe(), phone)

    async with fleet(make) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("taken")
        await a.say("one")
        await stop.reached.wait()
        a.freeze()
        await all_of_them.pass_time(2 * LEASE)

        [row] = await all_of_them.rows()
        assert (row.state, row.maybe_sent) == (EXPIRED, True)
        assert provider.effects == ["one"]


# -------------------------------------------------------------------------------------------------------- readiness


class Dialling(Phone):
    """A phone whose line comes and goes."""

    is_up = False

    async def ready(self) -> bool:
        return self.is_up


async def test_t13_what_is_owed_to_a_channel_that_is_not_ready_waits_and_spends_no_attempt() -> None:
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Dialling(member, provider))

    async with fleet(make, rooms=("room", "other")) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        for text in ("one", "two"):
            await a.say(text)
            await b.say(text, "other")
        await all_of_them.pass_time(600.0)
        assert [(r.state, r.attempts, r.token) for r in await all_of_them.rows()] == 4 * [(PENDING, 0, 0)]
        assert provider.requests == []

        b.channels["phone"].is_up = True  # type: ignore[attr-defined]
        await all_of_them.pass_time(3.0)

        assert [(r.text, r.kit) for r in provider.requests if r.text == "one"] == 2 * [("one", "b")]
        assert provider.effects == ["one", "one", "two", "two"]
        assert [(r.state, r.attempts) for r in await all_of_them.rows()] == 4 * [(SENT, 1)]


async def test_t13_a_channel_that_gets_unready_again_is_left_alone() -> None:
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        phone = Dialling(member, provider)
        phone.is_up = True
        return (LiveProbe(), phone)

    async with fleet(make, kits="a") as all_of_them:
        a = all_of_them.a
        await all_of_them.pass_time(2.0)
        await a.say("one")
        await all_of_them.rest()
        a.channels["phone"].is_up = False  # type: ignore[attr-defined]
        await all_of_them.pass_time(2.0)
        await a.say("two")
        await all_of_them.pass_time(60.0)
        assert provider.effects == ["one"]
        a.channels["phone"].is_up = True  # type: ignore[attr-defined]
        await all_of_them.pass_time(3.0)

        assert provider.effects == ["one", "two"]


async def test_a_pause_holds_on_every_kit_and_what_waited_goes_out_in_its_order() -> None:
    provider = Provider()
    async with fleet(phones(provider), rooms=("room", "other")) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await a.kit.deliveries.pause("phone", reason="maintenance")
        await all_of_them.pass_time(2.0)
        for number in range(4):
            await (a, b)[number % 2].say(str(number))
            await (b, a)[number % 2].say(str(number), "other")
        await all_of_them.pass_time(600.0)
        assert provider.requests == []
        assert {(r.state, r.attempts) for r in await all_of_them.rows()} == {(PENDING, 0)}

        await b.kit.deliveries.resume("phone")
        await all_of_them.pass_time(2.0)

        for room_id in ("room", "other"):
            rows = [row.id for row in await all_of_them.rows(room_id=room_id)]
            sent = [request.row_id for request in provider.requests if request.row_id in rows]
            assert sent == rows


async def test_a_pause_that_is_said_on_one_kit_is_obeyed_by_the_other_within_a_second() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await a.kit.deliveries.pause("phone")
        await all_of_them.pass_time(1.1)

        await b.say("one")
        await all_of_them.pass_time(30.0)

        assert provider.requests == []
        await a.kit.deliveries.resume("phone")
        await all_of_them.pass_time(1.1)
        assert provider.effects == ["one"]


# ------------------------------------------------------------------------------------------------------ clock steps


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_step_of_the_wall_clock_expires_nothing_and_holds_nothing(step: float) -> None:
    """An hour forward: nothing is too old all of a sudden. An hour back: nothing waits an hour longer."""
    provider, heard = Provider(), []

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            await member.places("asking")
            return [f"re: {text_of(event)}"]

        async def after(event: RoomEvent, context: Any) -> None:
            if len(heard) < 2:
                heard.append(text_of(event))
                raise RuntimeError("not yet")
            heard.append(text_of(event))

        member.kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="after", durable=True)(after)
        return (LiveProbe(), Phone(member, provider), Answering(reply=reply))

    async with fleet(make, rooms=()) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await make_room(a.kit, "room", "live", "phone", "ai")
        for member in (a, b):
            phone_of(member).behave = "later"
        asking = a.places.stop("asking")
        await a.say("one")
        at = a.clock.now() + timedelta(seconds=60)
        await a.kit.send_event("room", "live", TextContent(body="scheduled"), at=at)
        await all_of_them.rest()

        all_of_them.step_clocks(step)
        await all_of_them.pass_time(10.0)
        assert {r.kind: r.state for r in await all_of_them.rows()} == {
            WorkKind.DELIVERY: PENDING,
            WorkKind.ASK: IN_FLIGHT,
            WorkKind.HOOK: DONE,
            WorkKind.SCHEDULED: PENDING,
        }
        for member in (a, b):
            phone_of(member).behave = "send"
        await all_of_them.pass_time(60.0)
        assert provider.effects == ["one", "scheduled"]
        assert heard[:3] == ["one", "one", "one"]
        asking.open()
        await all_of_them.pass_time(5.0)

        assert await all_of_them.texts() == ["one", "scheduled", "re: one", "re: scheduled"]
        rows = await all_of_them.rows()
        assert {row.takeovers for row in rows} == {0}
        assert not [row for row in rows if row.is_open]


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_step_of_the_wall_clock_ends_no_lease_and_prolongs_none(step: float) -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("taken")
        await a.say("one")
        await stop.reached.wait()
        a.freeze()
        all_of_them.step_clocks(step)

        await all_of_them.pass_time(LEASE - 2)
        assert provider.by_key.total() == 1
        await all_of_them.pass_time(4.0)

        assert [(r.kit, r.is_marked) for r in provider.requests] == [("a", False), ("b", True)]


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_what_is_owed_after_a_step_of_the_wall_clock_lives_as_long_as_ever(step: float) -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        all_of_them.step_clocks(step)
        for member in all_of_them.members:
            phone_of(member).behave = "later"
        await all_of_them.a.say("one")
        await all_of_them.pass_time(HOUR - 10)
        assert await all_of_them.states() == [PENDING]
        await all_of_them.pass_time(20.0)

        assert await all_of_them.states() == [EXPIRED]
