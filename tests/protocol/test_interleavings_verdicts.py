"""PROTOCOL 7, 18, 20, 21 and 25: every verdict about a journaled message, many first messages at once, late changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio
import pytest

from roomkit_core import (
    Access,
    Channel,
    HookResult,
    HookTrigger,
    InboundMessage,
    RoomContext,
    RoomEvent,
    RoomStatus,
    WorkKind,
    WorkState,
)
from roomkit_core.engine.steps.journal import MAX_ATTEMPTS
from tests.protocol.fleet import LEASE, Fleet, Member, fleet
from tests.protocol.providers import Phone, Provider, phones
from tests.support.channels import Answering, LiveProbe, message, text_of

pytestmark = pytest.mark.anyio

DONE, REFUSED, QUARANTINED, SENT = WorkState.DONE, WorkState.REFUSED, WorkState.QUARANTINED, WorkState.SENT

# --------------------------------------------------------------------------------------------------------------- 18


async def test_18_a_key_outlives_its_room_whichever_way_its_message_comes_again() -> None:
    """Without: the room is deleted, the provider delivers again, and the bot answers a second time."""
    provider = Provider()
    async with fleet(phones(provider), rooms=("room", "other")) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await a.accept("journaled", idempotency_key="k1")
        await all_of_them.rest()
        await a.say("direct", idempotency_key="k2")
        await all_of_them.until_over()
        await b.kit.delete_room("room")

        for key in ("k1", "k2"):
            for member in (a, b):
                for room_id in ("room", "other"):
                    assert (await member.accept("again", room_id, idempotency_key=key)).duplicate
                    assert (await member.say("again", room_id, idempotency_key=key)).event is None
        await all_of_them.until_over()

        assert await all_of_them.store.load_room("room") is None
        assert await all_of_them.texts("other") == []
        assert provider.effects == ["journaled", "direct"]


# --------------------------------------------------------------------------------------------------------------- 20


async def archive(member: Member) -> None:
    """The room is put away for good."""
    room = await member.fleet.store.get_room("room")
    assert room is not None
    await member.fleet.store.update_room(room.model_copy(update={"status": RoomStatus.ARCHIVED}))


REFUSALS: dict[str, tuple[Callable[[Member], Awaitable[Any]], str]] = {
    "archived": (archive, "room_closed"),
    "no access at all": (lambda member: member.kit.set_access("room", "live", Access.NONE), "source_read_only"),
}


@pytest.mark.parametrize("why", REFUSALS)
async def test_20_what_the_room_refuses_is_refused_for_good_also_when_the_room_is_open_again(why: str) -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        change, reason = REFUSALS[why]
        await change(a)
        await a.accept("one", idempotency_key="k1")
        await all_of_them.rest()
        [row] = await all_of_them.rows(WorkKind.INBOUND)
        assert (row.state, row.code, row.reason, row.attempts) == (REFUSED, "message.refused", reason, 1)
        if why != "archived":
            await b.kit.set_access("room", "live", Access.READ_WRITE)

        assert (await b.accept("one", idempotency_key="k1")).duplicate
        direct = await b.say("one", idempotency_key="k1")
        await all_of_them.pass_time(LEASE)

        assert (direct.blocked, direct.reason) == (True, reason)
        assert await all_of_them.states(WorkKind.INBOUND) == [REFUSED]
        assert provider.effects == []


class Fragile(LiveProbe):
    """A live channel whose translation fails at what says "poison"."""

    async def handle_inbound(self, message: InboundMessage, context: RoomContext) -> RoomEvent:
        if getattr(message.content, "body", "") == "poison":
            raise ValueError("half a surrogate pair")
        return await super().handle_inbound(message, context)


def the_guard_fails(all_of_them: Fleet, patch: pytest.MonkeyPatch) -> None:
    for member in all_of_them.members:

        async def check(event: RoomEvent, context: Any) -> HookResult:
            raise RuntimeError("no answer")

        member.kit.hook(HookTrigger.BEFORE_BROADCAST, on_error="block")(check)


def it_cannot_be_translated(all_of_them: Fleet, patch: pytest.MonkeyPatch) -> None:
    """The channel of this test fails by itself."""


def it_cannot_be_read(all_of_them: Fleet, patch: pytest.MonkeyPatch) -> None:
    """A row that another release wrote."""

    def fail(payload: Any, **options: Any) -> InboundMessage:
        raise ValueError("a kind of content that nobody here knows")

    patch.setattr(InboundMessage, "model_validate_json", fail)


POISON: dict[str, Callable[[Fleet, pytest.MonkeyPatch], None]] = {
    "hook.guard_failed": the_guard_fails,
    "message.failed": it_cannot_be_translated,
    "message.unreadable": it_cannot_be_read,
}


@pytest.mark.parametrize("code", POISON)
async def test_20_what_can_never_be_decided_is_put_aside_once_and_known_when_it_comes_again(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No verdict is no end: it is tried, then put aside with its reason, and a redelivery brings it in no more."""
    provider = Provider()
    async with fleet(lambda member: (Fragile(), Phone(member, provider))) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        POISON[code](all_of_them, monkeypatch)
        text = "poison" if code == "message.failed" else "one"
        await a.accept(text, idempotency_key="k1")
        await all_of_them.until_over()

        assert (await b.accept(text, idempotency_key="k1")).duplicate
        await all_of_them.pass_time(2 * LEASE)

        [row] = await all_of_them.rows(WorkKind.INBOUND)
        assert row.state is QUARANTINED
        assert (row.code, row.attempts) == (code, MAX_ATTEMPTS)
        assert await all_of_them.texts() == []


# --------------------------------------------------------------------------------------------------------------- 21


@pytest.mark.parametrize("place", ["commit", "committed"])
@pytest.mark.parametrize("way", ["direct", "journaled"])
async def test_21_fifty_first_messages_over_two_kits_make_one_room_and_each_is_there_once(way: str, place: str) -> None:
    """One kit is killed at the commit that makes the room. Whoever heard nothing says it again."""
    provider = Provider()
    first = {"channel_id": "phone", "sender_id": "+1"}
    async with fleet(phones(provider), rooms=()) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stops = [member.places.stop(place) for member in (a, b)]
        for number in range(50):
            member = (a, b)[number % 2]
            verb = member.kit.process_inbound if way == "direct" else member.kit.accept_inbound
            all_of_them.start(verb, message(str(number), idempotency_key=f"k{number}", **first))
            if way == "journaled" and number == 0:
                await stops[0].reached.wait()  # the only head of its lane, and in the hands of the first kit
        for stop in stops if way == "direct" else stops[:1]:
            await stop.reached.wait()
        a.freeze()  # and never comes back
        stops[1].open()
        await all_of_them.pass_time(3 * LEASE)

        for number in range(50):
            with anyio.fail_after(20.0):
                await b.kit.process_inbound(message(str(number), idempotency_key=f"k{number}", **first))
        await all_of_them.until_over()

        [room] = await all_of_them.store.list_rooms()
        assert sorted(await all_of_them.texts(room.id), key=int) == [str(number) for number in range(50)]
        assert await all_of_them.store.find_conversation(("phone", "+1")) == room.id
        assert set(await all_of_them.states(WorkKind.INBOUND)) <= {DONE}


# --------------------------------------------------------------------------------------------------------------- 25

TARGETS: dict[str, tuple[Callable[[Member], Awaitable[Any]], bool]] = {
    "mute": (lambda other: other.kit.mute("room", "phone"), True),  # who is muted may listen
    "detach": (lambda other: other.kit.detach_channel("room", "phone"), False),
    "access": (lambda other: other.kit.set_access("room", "phone", Access.WRITE_ONLY), False),
    "visibility": (lambda other: other.kit.set_visibility("room", "live", "internal"), False),
}


@pytest.mark.parametrize("change", TARGETS)
@pytest.mark.parametrize("way", ["direct", "journaled", "answer"])
async def test_25_who_gets_a_message_is_decided_by_the_room_as_it_is_at_the_commit(way: str, change: str) -> None:
    """Planned on one kit, changed on the other, then committed: the plan is made anew."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Phone(member, provider), Answering(reply=lambda event: ["hi"]))

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        act, gets_it = TARGETS[change]
        if way == "answer":
            if change == "visibility":
                act = lambda other: other.kit.set_visibility("room", "ai", "internal")  # noqa: E731
            await b.kit.set_access("room", "phone", Access.READ_WRITE)
            stop = a.places.stop("commit", only=lambda changes: changes.discharges)
            await a.say("why?", visibility="intelligence")
        else:
            await a.kit.detach_channel("room", "ai")
            stop = a.places.stop("commit")
            all_of_them.start(a.say if way == "direct" else a.accept, "hi")
        await stop.reached.wait()
        await act(b)
        stop.open()
        await all_of_them.until_over()

        assert (await all_of_them.texts())[-1] == "hi"
        assert provider.effects == ["hi"] * gets_it
        assert [text_of(event) for event in await all_of_them.store.list_events("room") if event.blocked_by] == []
