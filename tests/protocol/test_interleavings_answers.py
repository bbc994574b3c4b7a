"""PROTOCOL 7, 26 and 27: answers of none, one and several events, and observers, at every way to go wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from roomkit_core import (
    Channel,
    HookError,
    HookExecution,
    HookResult,
    HookTrigger,
    RoomEvent,
    RoomKit,
    TextContent,
    WorkKind,
    WorkState,
)
from tests.protocol.fleet import LEASE, Member, fleet
from tests.protocol.providers import Phone, Provider, phones
from tests.support.channels import Answering, LiveProbe, text_of

pytestmark = pytest.mark.anyio

ANSWERED, SUPPRESSED, SENT, DONE = WorkState.ANSWERED, WorkState.SUPPRESSED, WorkState.SENT, WorkState.DONE

# --------------------------------------------------------------------------------------------------------------- 26


def answering(provider: Provider, count: int, asked: list[str]) -> Callable[[Member], Iterable[Channel]]:
    """Kits whose bot answers with so many events, and stops at ``asking`` before it does."""

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            asked.append(member.name)
            await member.places("asking")
            return [f"{number} of {member.name}" for number in range(count)]

        return (LiveProbe(), Phone(member, provider), Answering(reply=reply))

    return make


def said_by(name: str, count: int) -> list[str]:
    return [f"{number} of {name}" for number in range(count)]


@pytest.mark.parametrize("window", ["asking", "commit", "committed"])
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_26_killed_with_an_answer_in_hand(count: int, window: str) -> None:
    provider, asked = Provider(), []
    async with fleet(answering(provider, count, asked)) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop(window, only=lambda what: getattr(what, "discharges", True))
        await a.say("why?")
        await stop.reached.wait()
        a.freeze()  # and never comes back

        await all_of_them.until_over()

        who = "a" if window == "committed" else "b"
        assert await all_of_them.texts() == ["why?", *said_by(who, count)]
        assert await all_of_them.states(WorkKind.ASK) == [ANSWERED]
        assert provider.firsts() == ["why?", *said_by(who, count)]
        provider.check_marks()
        assert asked == (["a"] if window == "committed" else ["a", "b"])


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_26_a_conflict_with_another_kit_is_planned_again_and_nobody_is_asked_twice(count: int) -> None:
    provider, asked = Provider(), []
    async with fleet(answering(provider, count, asked)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit", only=lambda changes: changes.discharges)
        await a.say("why?")
        await stop.reached.wait()
        await b.kit.send_event("room", "live", TextContent(body="meanwhile"), visibility="transport")
        stop.open()
        await all_of_them.rest()

        assert await all_of_them.texts() == ["why?", "meanwhile", *said_by("a", count)]
        assert (asked, await all_of_them.states(WorkKind.ASK)) == (["a"], [ANSWERED])
        assert provider.effects == ["why?", "meanwhile", *said_by("a", count)]


@pytest.mark.parametrize("count", [1, 3])
async def test_26_what_a_hook_blocks_of_an_answer_is_stored_blocked_and_the_rest_goes_out(count: int) -> None:
    provider, asked = Provider(), []
    async with fleet(answering(provider, count, asked)) as all_of_them:
        a = all_of_them.a

        async def check(event: RoomEvent, context: Any) -> HookResult:
            return HookResult.block("no") if text_of(event).startswith("0 ") else HookResult.allow()

        a.kit.hook(HookTrigger.BEFORE_BROADCAST)(check)
        await a.say("why?")
        await all_of_them.rest()

        assert await all_of_them.texts() == ["why?", *said_by("a", count)]
        assert provider.effects == ["why?", *said_by("a", count)[1:]]
        assert await all_of_them.states(WorkKind.ASK) == [ANSWERED]


REASONS: dict[str, Callable[[Member], Awaitable[Any]]] = {
    "room_closed": lambda other: other.kit.close_room("room"),
    "channel.detached": lambda other: other.kit.detach_channel("room", "ai"),
}


@pytest.mark.parametrize("window", ["asking", "commit"])
@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_26_an_answer_that_has_no_place_any_more_is_dropped_whole(count: int, reason: str, window: str) -> None:
    provider, asked = Provider(), []
    async with fleet(answering(provider, count, asked)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop(window, only=lambda what: getattr(what, "discharges", True))
        await a.say("why?")
        await stop.reached.wait()
        await REASONS[reason](b)
        stop.open()
        await all_of_them.until_over()

        assert await all_of_them.texts() == ["why?"]
        assert provider.effects == ["why?"]
        [row] = await all_of_them.rows(WorkKind.ASK)
        assert row.state is (ANSWERED if count == 0 else SUPPRESSED)
        assert asked == ["a"]


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_26_an_answer_of_a_muted_bot_is_stored_blocked(count: int) -> None:
    """Muted between question and answer, on another kit: planned again, and every event of it is there."""
    provider, asked = Provider(), []
    async with fleet(answering(provider, count, asked)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit", only=lambda changes: changes.discharges)
        await a.say("why?")
        await stop.reached.wait()
        await b.kit.mute("room", "ai")
        stop.open()
        await all_of_them.rest()

        events = [event for event in await all_of_them.store.list_events("room") if event.source.channel_id == "ai"]
        assert [(text_of(event), event.blocked_by) for event in events] == [
            (text, "source_muted") for text in said_by("a", count)
        ]
        assert provider.effects == ["why?"]
        assert await all_of_them.states(WorkKind.ASK) == [ANSWERED]


async def test_26_questions_to_one_bot_are_answered_in_their_order_by_two_kits() -> None:
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            await member.places("asking", event)
            return [f"re: {text_of(event)}"]

        return (LiveProbe(), Phone(member, provider), Answering(reply=reply))

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("asking")
        for number in range(6):
            await (a, b)[number % 2].say(str(number))
        await stop.reached.wait()
        await all_of_them.pass_time(5.0)
        assert await all_of_them.texts() == list("012345")
        stop.open()
        await all_of_them.until_over()

        assert await all_of_them.texts() == [*"012345", *(f"re: {number}" for number in range(6))]
        assert provider.effects == await all_of_them.texts()


# --------------------------------------------------------------------------------------------------------------- 27


@pytest.mark.parametrize("window", ["commit", "committed", "before", "inside", "after"])
async def test_27_at_a_kill_an_observer_is_told_once_at_most_and_a_durable_hook_once_at_least(window: str) -> None:
    """``before`` and ``after`` are the durable hook's own start and its record."""
    provider = Provider()
    observed, began, ended = [], [], []

    def make(member: Member) -> Iterable[Channel]:
        async def observer(event: RoomEvent, context: Any) -> None:
            observed.append(member.name)

        async def durable(event: RoomEvent, context: Any) -> None:
            began.append(event.id)
            await member.places("inside")
            ended.append(event.id)

        on = member.kit.hook
        on(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC)(observer)
        on(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="durable", durable=True)(durable)
        return (LiveProbe(), Phone(member, provider))

    async with fleet(make) as all_of_them:
        a = all_of_them.a
        places = {"before": "settle", "after": "settled"}
        is_hook = (lambda outcome: outcome.state is DONE) if window in places else (lambda what: True)
        stop = a.places.stop(places.get(window, window), only=is_hook)
        all_of_them.start(a.say, "one")
        await stop.reached.wait()
        a.freeze()

        await all_of_them.until_over()
        await all_of_them.pass_time(2 * LEASE)

        is_stored = window != "commit"
        assert await all_of_them.texts() == (["one"] if is_stored else [])
        assert len(observed) == (window in ("inside", "before", "after"))
        assert len(set(began)) == len(set(ended)) == is_stored
        assert len(ended) == {"commit": 0, "before": 2}.get(window, 1)
        assert await all_of_them.states(WorkKind.HOOK) == [DONE] * is_stored


async def test_27_a_hook_that_is_registered_anew_under_its_name_gets_what_its_predecessor_was_owed() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        heard: list[str] = []

        def register(member: Member, version: str, fails: bool) -> None:
            async def after(event: RoomEvent, context: Any) -> None:
                heard.append(f"{version} {text_of(event)}")
                if fails:
                    raise RuntimeError("a mistake")

            member.kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="after", durable=True)(after)

        for member in (a, b):
            register(member, "old", fails=True)
        await a.say("one")
        await a.say("two")
        await all_of_them.rest()
        assert heard == ["old one"]
        for member in (a, b):
            member.kit.hook_engine.remove_global_hook("after")
        await all_of_them.pass_time(120.0)
        assert heard == ["old one"], "nobody of that name: nothing is spent"
        attempts = [row.attempts for row in await all_of_them.rows(WorkKind.HOOK)]
        for member in (a, b):
            register(member, "new", fails=False)

        await all_of_them.until_over()

        assert heard == ["old one", "new one", "new two"]
        assert attempts == [1, 0]
        assert await all_of_them.states(WorkKind.HOOK) == [DONE, DONE]


async def test_27_a_durable_hook_keeps_the_order_of_its_room_over_two_kits() -> None:
    provider = Provider()
    heard: list[str] = []

    def make(member: Member) -> Iterable[Channel]:
        async def after(event: RoomEvent, context: Any) -> None:
            await member.places("inside")
            heard.append(text_of(event))

        member.kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="after", durable=True)(after)
        return (LiveProbe(), Phone(member, provider))

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("inside")
        for number in range(6):
            await (a, b)[number % 2].say(str(number))
        await all_of_them.pass_time(3.0)
        assert heard == []
        stop.open()
        await all_of_them.until_over()

        assert heard == list("012345")


def test_27_the_name_of_a_durable_hook_means_one_hook_whichever_was_registered_first() -> None:
    """Without: the hook of one room is called in the place of the one of all rooms, twice."""
    for global_first in (True, False):
        kit = RoomKit()

        def after(event: RoomEvent, context: Any) -> None:
            """Does nothing."""

        def of_all(kit: RoomKit = kit, after: Any = after) -> None:
            kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="after", durable=True)(after)

        def of_one(kit: RoomKit = kit, after: Any = after) -> None:
            kit.add_room_hook(
                "room", HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, after, name="after", durable=True
            )

        first, second = (of_all, of_one) if global_first else (of_one, of_all)
        first()
        with pytest.raises(HookError) as refused:
            second()
        assert refused.value.code == "hook.durable_name"
