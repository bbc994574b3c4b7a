"""PROTOCOL 7, 15, 18, 19 and 24: poison, one key by many ways, messages without a key, one sender and two pumps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from roomkit_core import (
    Channel,
    HookResult,
    HookTrigger,
    InboundMessage,
    InboundResult,
    RoomContext,
    RoomEvent,
    WorkKind,
    WorkState,
)
from roomkit_core.engine.pure.verdicts import MAX_TAKEOVERS
from roomkit_core.engine.steps.journal import MAX_ATTEMPTS
from tests.protocol.fleet import LEASE, Fleet, Member, fleet, lose_holders
from tests.protocol.providers import Phone, Provider, phone_of, phones
from tests.support.channels import LiveProbe, message, text_of

pytestmark = pytest.mark.anyio

PENDING, IN_FLIGHT, UNKNOWN, SENT = WorkState.PENDING, WorkState.IN_FLIGHT, WorkState.UNKNOWN, WorkState.SENT
DONE, QUARANTINED, EXPIRED = WorkState.DONE, WorkState.QUARANTINED, WorkState.EXPIRED

# --------------------------------------------------------------------------------------------------------------- 15


def guard(all_of_them: Fleet, error: Exception) -> list[str]:
    """A guard that fails at what says "poison"; returns what it was asked about, by every kit."""
    asked: list[str] = []

    async def check(event: RoomEvent, context: Any) -> HookResult:
        asked.append(text_of(event))
        if text_of(event) == "poison":
            raise error
        return HookResult.allow()

    for member in all_of_them.members:
        member.kit.hook(HookTrigger.BEFORE_BROADCAST, on_error="block")(check)
    return asked


async def test_15_a_message_whose_guard_fails_is_tried_n_times_and_put_aside_and_the_innocent_one_goes_on() -> None:
    """Tried again, then quarantined, never gone (T23); its conversation goes on, and others never waited."""
    provider, told = Provider(), []
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        for member in (a, b):
            member.kit.on("message_quarantined")(lambda event: told.append(event.data["id"]))
        asked = guard(all_of_them, RuntimeError("no answer"))
        poison = await a.accept("poison", idempotency_key="k1")
        await b.accept("innocent")
        await b.accept("of somebody else", sender_id="bob")
        await all_of_them.pass_time(10.0)
        assert await all_of_them.texts() == ["of somebody else"]

        await all_of_them.until_over()

        assert await all_of_them.texts() == ["of somebody else", "innocent"]
        [row] = await all_of_them.rows(row_id=poison.id)
        assert (row.state, row.code, row.attempts) == (QUARANTINED, "hook.guard_failed", MAX_ATTEMPTS)
        assert asked.count("poison") == MAX_ATTEMPTS
        assert told == [poison.id]
        assert (await b.accept("poison", idempotency_key="k1")).duplicate
        assert await all_of_them.states(WorkKind.INBOUND) == [QUARANTINED, DONE, DONE]


async def test_15_a_message_that_was_put_aside_can_be_brought_in_by_an_operator() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        guard(all_of_them, RuntimeError("no answer"))
        poison = await a.accept("poison")
        await all_of_them.until_over()
        for member in (a, b):
            member.kit.hook_engine.remove_global_hook("check")

        await b.kit.deliveries.retry(poison.id)
        await all_of_them.until_over()

        assert await all_of_them.texts() == ["poison"]


async def test_15_a_message_that_kills_m_times_is_put_aside_before_it_kills_again() -> None:
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        asked = guard(all_of_them, RuntimeError("unused"))
        a.kit._engine.ports.journal.limit = 0
        await a.accept("poison")
        await a.accept("innocent")
        a.kit._engine.ports.journal.limit = 32
        [poison, innocent] = await all_of_them.rows(WorkKind.INBOUND)
        assert await all_of_them.store.claim("dead", lease=1.0, limit=1, lanes=[poison.lane])
        all_of_them.clock.jump(1.1)
        await lose_holders(all_of_them, poison, MAX_TAKEOVERS)

        await all_of_them.pass_time(2.0)

        assert asked == ["innocent"]
        rows = await all_of_them.rows(WorkKind.INBOUND)
        assert [(row.state, row.code) for row in rows] == [(QUARANTINED, "work.takeovers"), (DONE, None)]
        assert (rows[1].id, rows[1].takeovers) == (innocent.id, 0)


@pytest.mark.parametrize("breaks", ["handle_inbound", "render"])
async def test_15_a_channel_that_breaks_at_one_message_harms_no_other(breaks: str) -> None:
    provider = Provider()

    class Breaking(Phone):
        def render(self, content: Any) -> Any:
            if breaks == "render" and content.body == "poison":
                raise ZeroDivisionError("by zero")
            return super().render(content)

    class Inbound(LiveProbe):
        async def handle_inbound(self, message: InboundMessage, context: RoomContext) -> RoomEvent:
            if breaks == "handle_inbound" and message.content.body == "poison":
                raise ZeroDivisionError("by zero")
            return await super().handle_inbound(message, context)

    def make(member: Member) -> Iterable[Channel]:
        return (Inbound(), Breaking(member, provider))

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await a.accept("poison")
        await b.accept("innocent")
        await all_of_them.until_over()

        first, second = await all_of_them.states(WorkKind.INBOUND)
        assert second is DONE
        assert first is (QUARANTINED if breaks == "handle_inbound" else DONE)
        assert provider.effects == ["innocent"]


async def test_15_a_delivery_that_breaks_at_every_try_does_not_disturb_its_neighbours() -> None:
    """It raises each time until it expires; its lane waits, and goes on; other rooms never notice."""
    provider = Provider()
    async with fleet(phones(provider), rooms=("room", "other")) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        for member in (a, b):
            phone_of(member).behave = lambda delivery: "raise" if delivery.part.body == "poison" else "send"
        await a.say("poison")
        for number in range(5):
            await b.say(str(number), "other")
        await all_of_them.pass_time(1800.0)
        await b.say("innocent")
        await all_of_them.rest()
        assert provider.effects == list("01234")
        [row] = [r for r in await all_of_them.rows() if r.event_id and "poison" in str(r.payload)]
        assert (row.state, row.maybe_sent) == (UNKNOWN, True)

        await all_of_them.until_over()

        poison, innocent = await all_of_them.rows(WorkKind.DELIVERY, room_id="room")
        assert (poison.state, poison.maybe_sent, innocent.state) == (EXPIRED, True, SENT)
        assert [row.takeovers for row in await all_of_them.rows()] == 7 * [0]


# --------------------------------------------------------------------------------------------------------------- 18

Way = Callable[[Member, str], Awaitable[Any]]

WAYS: dict[str, tuple[Way, Way]] = {
    "two direct": (
        lambda m, room: m.say("one", room, idempotency_key="k1"),
        lambda m, room: m.say("one", room, idempotency_key="k1"),
    ),
    "direct and pump": (
        lambda m, room: m.say("one", room, idempotency_key="k1"),
        lambda m, room: m.accept("one", room, idempotency_key="k1"),
    ),
    "two pumps": (
        lambda m, room: m.accept("one", room, idempotency_key="k1"),
        lambda m, room: m.accept("one", room, idempotency_key="k1"),
    ),
}


@pytest.mark.parametrize("second_room", ["room", "other"])
@pytest.mark.parametrize("way", WAYS)
async def test_18_one_key_by_two_ways_is_one_message_wherever_it_is_stopped(way: str, second_room: str) -> None:
    """The first one stands before its commit while the second one comes by; each place is tried."""
    for place in ("looking up a key", "commit", "committed"):
        provider = Provider()
        async with fleet(phones(provider), rooms=("room", "other")) as all_of_them:
            a, b = all_of_them.a, all_of_them.b
            first, second = WAYS[way]
            stop = a.places.stop(place)
            all_of_them.start(first, a, "room")
            await stop.reached.wait()
            all_of_them.start(second, b, second_room)
            await all_of_them.pass_time(1.0)
            stop.open()
            await all_of_them.until_over()
            await all_of_them.pass_time(2.0)

            assert [*await all_of_them.texts("room"), *await all_of_them.texts("other")] == ["one"], place
            assert provider.effects == ["one"], place
            assert set(await all_of_them.states(WorkKind.INBOUND)) <= {DONE}


async def test_18_two_pumps_after_a_lost_lease_decide_once() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit")
        await a.accept("one", idempotency_key="k1")
        await stop.reached.wait()
        a.freeze()
        slow = b.places.stop("commit")
        await all_of_them.pass_time(2 * LEASE)
        assert slow.arrivals == 1, "the takeover is about to commit as well"

        stop.open()  # the first one has no row any more, and is refused
        await all_of_them.rest()
        assert await all_of_them.texts() == []
        slow.open()
        await all_of_them.rest()
        a.thaw()
        await all_of_them.rest()

        assert await all_of_them.texts() == ["one"]
        assert provider.effects == ["one"]
        [row] = await all_of_them.rows(WorkKind.INBOUND)
        assert (row.state, row.takeovers) == (DONE, 1)


async def test_18_accepting_twice_at_once_makes_one_row() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stops = [member.places.stop("accept") for member in (a, b)]
        answers: list[Any] = []

        async def accept(member: Member) -> None:
            answers.append(await member.accept("one", idempotency_key="k1"))

        for member in (a, b):
            all_of_them.start(accept, member)
        for stop in stops:
            await stop.reached.wait()
        for stop in stops:
            stop.open()
        await all_of_them.until_over()

        assert sorted(answer.duplicate for answer in answers) == [False, True]
        assert len({answer.id for answer in answers}) == 1
        assert await all_of_them.texts() == ["one"]


# --------------------------------------------------------------------------------------------------------------- 19


@pytest.mark.parametrize("window", ["commit", "committed"])
async def test_19_a_message_without_a_key_is_there_once_however_the_pump_stalls(window: str) -> None:
    """Nothing but the discharge keeps the copy away."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop(window, only=lambda changes: changes.discharges)
        for number in range(3):
            await a.accept(str(number))
        await stop.reached.wait()
        a.freeze()
        await all_of_them.pass_time(2 * LEASE)
        stop.open()
        await all_of_them.rest()
        a.thaw()

        await all_of_them.until_over()

        assert await all_of_them.texts() == list("012")
        assert provider.firsts() == list("012")
        provider.check_marks()


# --------------------------------------------------------------------------------------------------------------- 24


async def test_24_one_sender_over_two_pumps_keeps_the_order_of_acceptance() -> None:
    """Each pump takes the next head when it is free; whoever is slow holds its conversation and no other."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit", only=lambda changes: changes.discharges)
        for number in range(10):
            await (a, b)[number % 2].accept(f"ann {number}")
            await (b, a)[number % 2].accept(f"bob {number}", sender_id="bob")
        await all_of_them.pass_time(2.0)
        held = await all_of_them.texts()
        stop.open()
        await all_of_them.until_over()

        said = await all_of_them.texts()
        for name in ("ann", "bob"):
            assert [text for text in said if name in text] == [f"{name} {number}" for number in range(10)]
        assert len(held) < 20


async def test_24_a_direct_message_stands_behind_the_journal_of_both_kits() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = b.places.stop("commit", only=lambda changes: changes.discharges)
        for text in ("1", "2"):
            await b.accept(text)
        results: list[InboundResult] = []

        async def say() -> None:
            results.append(await a.say("3"))

        all_of_them.start(say)
        await all_of_them.pass_time(2.0)
        assert results == []
        stop.open()
        await all_of_them.pass_time(2.0)

        assert [(result.blocked, result.reason) for result in results] == [(False, None)]
        assert await all_of_them.texts() == ["1", "2", "3"]
        assert await a.kit.process_inbound(message("4"), room_id="room", wait="committed")
        await all_of_them.until_over()
        assert provider.effects == ["1", "2", "3", "4"]
