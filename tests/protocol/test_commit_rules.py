"""The rules of the commit, PROTOCOL 3, C1 to C8: each test says what breaks without the rule."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio
import pytest

from roomkit_core import (
    Access,
    ChangeSet,
    Channel,
    DeliveryStatus,
    HookResult,
    HookTrigger,
    InboundResult,
    RoomEvent,
    StoreError,
    Task,
    WorkKind,
    WorkState,
)
from tests.protocol.fleet import LEASE, Fleet, Member, fleet
from tests.protocol.providers import Phone, Provider, phone_of, phones
from tests.support.channels import Answering, LiveProbe, message, text_of
from tests.support.kits import make_room

pytestmark = pytest.mark.anyio

PENDING, DONE, REFUSED, SENT = WorkState.PENDING, WorkState.DONE, WorkState.REFUSED, WorkState.SENT
ANSWERED = WorkState.ANSWERED

HOUR = 3600.0


async def both_at_their_commit(all_of_them: Fleet, *calls: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Start the calls, wait until each is about to commit, then let all of them go on in this order."""
    stops = [member.places.stop("commit") for member in all_of_them.members]
    results: list[Any] = [None] * len(calls)

    async def run(number: int) -> None:
        results[number] = await calls[number]()

    for number in range(len(calls)):
        all_of_them.start(run, number)
    for stop in stops[: len(calls)]:
        await stop.reached.wait()
    for stop in stops:
        stop.open()
        await all_of_them.rest()
    return results


# -------------------------------------------------------------------------------------------------------------- C1


@pytest.mark.parametrize("rooms", [("room", "room"), ("room", "other")], ids=["one room", "two rooms"])
async def test_c1_a_key_is_unique_in_the_commit(rooms: tuple[str, str]) -> None:
    """Without: two webhooks pass the early look and both commit: the message is there twice."""
    provider = Provider()
    async with fleet(phones(provider), rooms=("room", "other")) as all_of_them:
        a, b = all_of_them.a, all_of_them.b

        results = await both_at_their_commit(
            all_of_them,
            lambda: a.say("one", rooms[0], idempotency_key="k1"),
            lambda: b.say("one", rooms[1], idempotency_key="k1"),
        )
        await all_of_them.rest()

        assert [*await all_of_them.texts("room"), *await all_of_them.texts("other")] == ["one"]
        assert provider.effects == ["one"]
        first, second = results
        assert first.event.id == second.event.id
        assert (second.blocked, second.reason) == (False, None)


async def test_c1_a_key_outlives_its_event_and_its_room() -> None:
    """Without: delete the room, redelivery, and the bot answers again."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Phone(member, provider), Answering())

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await a.say("why?", idempotency_key="k1")
        await all_of_them.rest()
        await a.kit.delete_room("room")

        result = await b.say("why?", idempotency_key="k1")
        journaled = await b.accept("why?", idempotency_key="k1")
        await all_of_them.rest()

        assert (result.event, result.blocked, result.reason) == (None, True, "deleted")
        assert journaled.duplicate
        assert provider.effects == ["why?", "echo why?"]
        assert not await all_of_them.store.room_exists("room")


async def test_c1_a_key_is_kept_for_three_days_at_least() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        first = await a.say("one", idempotency_key="k1")
        all_of_them.clock.jump(72 * HOUR)
        await all_of_them.pass_time(120.0)  # what is old has been forgotten by now

        again = await b.say("one", idempotency_key="k1")

        assert first.event is not None
        assert again.event is not None
        assert again.event.id == first.event.id
        assert await all_of_them.texts() == ["one"]


async def test_c1_ids_that_clients_make_up_have_their_sender_in_their_scope() -> None:
    """Without: whoever guesses the id of another's message makes it vanish."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        await all_of_them.a.say("of ann", idempotency_key="1")
        await all_of_them.b.say("of bob", idempotency_key="1", sender_id="bob")

        assert await all_of_them.texts() == ["of ann", "of bob"]


# -------------------------------------------------------------------------------------------------------------- C2


@pytest.mark.parametrize("key", [None, "k1"])
async def test_c2_a_commit_that_discharges_a_lost_row_writes_nothing_at_all(key: str | None) -> None:
    """Without: a frozen worker commits its copy after the takeover: the message is there twice."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("commit", only=lambda changes: changes.discharges)
        await a.accept("one", idempotency_key=key)
        await stop.reached.wait()
        a.freeze()
        await all_of_them.pass_time(2 * LEASE)
        before = await all_of_them.rows(), await all_of_them.store.load_room("room")

        stop.open()
        await all_of_them.rest()
        a.thaw()
        await all_of_them.rest()

        assert await all_of_them.texts() == ["one"]
        assert (await all_of_them.rows(), await all_of_them.store.load_room("room")) == before
        assert provider.effects == ["one"]


async def test_c2_a_question_is_answered_once_although_two_have_answered_it() -> None:
    """Without: both answers are committed."""

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Answering(reply=lambda event: [f"of {member.name}"]))

    async with fleet(make) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("commit", only=lambda changes: changes.discharges)
        await a.say("why?")
        await stop.reached.wait()
        a.freeze()
        await all_of_them.pass_time(2 * LEASE)

        stop.open()
        await all_of_them.rest()

        assert await all_of_them.texts() == ["why?", "of b"]


# -------------------------------------------------------------------------------------------------------------- C3

REASONS: dict[str, Callable[[Member], Awaitable[Any]]] = {
    "not polite": lambda member: block(member),
    "room_closed": lambda member: member.kit.close_room("room"),
    "source_muted": lambda member: member.kit.mute("room", "live"),
    "source_read_only": lambda member: member.kit.set_access("room", "live", Access.READ_ONLY),
    "channel_detached": lambda member: member.kit.detach_channel("room", "live"),
}


async def block(member: Member) -> None:
    """A hook that lets nothing pass."""
    for other in member.fleet.members:

        async def refuse(event: RoomEvent, context: Any) -> HookResult:
            return HookResult.block("not polite")

        other.kit.hook(HookTrigger.BEFORE_BROADCAST)(refuse)


@pytest.mark.parametrize("reason", REASONS)
async def test_c3_20_tr4_a_refusal_is_keyed_discharges_its_row_and_is_not_decided_again(reason: str) -> None:
    """PROTOCOL 7, 20. Without: decided anew at every redelivery, and in the end the finished message is quarantined."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await REASONS[reason](a)
        await a.accept("one", idempotency_key="k1")
        await all_of_them.rest()
        [row] = await all_of_them.rows(WorkKind.INBOUND)
        assert (row.state, row.code, row.reason, row.attempts) == (REFUSED, "message.refused", reason, 1)
        before = len(await all_of_them.store.list_events("room"))

        journaled = await b.accept("one", idempotency_key="k1")
        direct = await b.say("one", idempotency_key="k1")
        await all_of_them.pass_time(LEASE)

        assert journaled.duplicate
        assert (direct.blocked, direct.reason) == (True, reason)
        assert len(await all_of_them.store.list_events("room")) == before
        assert await all_of_them.states(WorkKind.INBOUND) == [REFUSED]
        assert provider.effects == []


@pytest.mark.parametrize("verdict", ["stored", "refused"])
@pytest.mark.parametrize("found", ["when it is looked up", "when it is committed"])
async def test_c3_a_journaled_message_that_is_a_repeat_is_discharged(found: str, verdict: str) -> None:
    """Without: the row of what is decided already stays, is tried again, and ends in quarantine."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        if verdict == "refused":
            await block(a)
        direct = b.places.stop("commit")
        all_of_them.start(lambda: b.say("one", idempotency_key="k1"))
        await direct.reached.wait()  # it has found no journal to wait for
        journaled = a.places.stop("looking up a key" if found == "when it is looked up" else "commit")
        await a.accept("one", idempotency_key="k1")
        await journaled.reached.wait()
        direct.open()
        await all_of_them.rest()
        journaled.open()
        await all_of_them.pass_time(LEASE)

        [row] = await all_of_them.rows(WorkKind.INBOUND)
        assert (row.state, row.attempts) == (DONE if verdict == "stored" else REFUSED, 1)
        assert len(await all_of_them.texts()) == 1


async def test_c3_a_refusal_that_rests_on_what_a_kit_remembers_is_compared_with_the_room() -> None:
    """Without: refused by a stale cache though the room is open again."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await a.kit.mute("room", "live")
        assert (await a.say("muted")).reason == "source_muted"
        await b.kit.unmute("room", "live")

        assert (await a.say("heard")).reason is None
        await a.accept("journaled")
        await all_of_them.rest()

        events = await all_of_them.store.list_events("room", limit=1000)
        heard = [text_of(event) for event in events if event.type == "message" and event.status == "delivered"]
        assert heard == ["heard", "journaled"]


# -------------------------------------------------------------------------------------------------------------- C4


async def test_c4_the_loser_of_two_first_messages_writes_to_the_winners_room() -> None:
    """Without: orphan rooms, each with half of the conversation."""
    provider = Provider()
    async with fleet(phones(provider), rooms=()) as all_of_them:
        a, b = all_of_them.a, all_of_them.b

        def first(member: Member, text: str) -> Callable[[], Awaitable[InboundResult]]:
            incoming = message(text, channel_id="phone", sender_id="+1")
            return lambda: member.kit.process_inbound(incoming, wait="committed")

        await both_at_their_commit(all_of_them, first(a, "one"), first(b, "two"))
        await all_of_them.rest()

        [room] = await all_of_them.store.list_rooms()
        assert sorted(await all_of_them.texts(room.id)) == ["one", "two"]
        assert await all_of_them.store.find_conversation(("phone", "+1")) == room.id
        [bound] = await all_of_them.store.list_bindings(room.id)
        assert bound.channel_id == "phone"


async def test_c4_21_a_kill_while_the_room_is_made_leaves_nothing_or_a_whole_room() -> None:
    """PROTOCOL 7, 21: fifty first messages at once, and the kit that was first never comes back."""
    provider = Provider()
    async with fleet(phones(provider), rooms=()) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit")
        first = {"channel_id": "phone", "sender_id": "+1"}
        await a.accept("0", None, **first)
        await stop.reached.wait()
        for number in range(1, 50):
            incoming = message(str(number), **first)
            all_of_them.start((a, b)[number % 2].kit.accept_inbound, incoming)
        await all_of_them.rest()
        a.freeze()

        await all_of_them.pass_time(2 * LEASE)

        [room] = await all_of_them.store.list_rooms()
        assert len(await all_of_them.texts(room.id)) == 50
        assert set(await all_of_them.states(WorkKind.INBOUND)) == {DONE}


# -------------------------------------------------------------------------------------------------------------- C5

CHANGES: dict[str, Callable[[Member], Awaitable[Any]]] = {
    "source_muted": lambda other: other.kit.mute("room", "live"),
    "source_read_only": lambda other: other.kit.set_access("room", "live", Access.READ_ONLY),
    "channel_detached": lambda other: other.kit.detach_channel("room", "live"),
    "room_closed": lambda other: other.kit.close_room("room"),
}


@pytest.mark.parametrize("reason", CHANGES)
@pytest.mark.parametrize("how", ["direct", "journaled"])
async def test_c5_25_what_another_kit_changed_between_plan_and_commit_counts(how: str, reason: str) -> None:
    """PROTOCOL 7, 25. Without: mute on one worker, and the other commits what it planned before."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await a.say("warm")
        await all_of_them.rest()
        stop = a.places.stop("commit")
        all_of_them.start(a.say if how == "direct" else a.accept, "hi")
        await stop.reached.wait()
        await CHANGES[reason](b)
        stop.open()
        await all_of_them.rest()

        assert provider.effects == ["warm"]
        if how == "journaled":
            [row] = await all_of_them.rows(WorkKind.INBOUND)
            assert (row.state, row.reason) == (REFUSED, reason)


async def test_c5_25_a_target_that_left_between_plan_and_commit_is_owed_nothing() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit")
        all_of_them.start(a.say, "hi")
        await stop.reached.wait()
        await b.kit.detach_channel("room", "phone")
        stop.open()
        await all_of_them.rest()

        assert (await all_of_them.rows(), provider.effects) == ([], [])


async def test_c5_a_plan_for_a_room_that_was_deleted_and_made_again_does_not_fit() -> None:
    """PROTOCOL 7, 13 and 22. Without: delete and create under one id, and the stale plan fits by accident."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        await a.say("old")
        await all_of_them.rest()
        stop = a.places.stop("commit")
        all_of_them.start(a.say, "new")
        await stop.reached.wait()
        await b.kit.delete_room("room")
        await make_room(b.kit, "room", "live")  # and the phone is not in it
        stop.open()
        await all_of_them.rest()

        assert await all_of_them.texts() == ["new"]
        assert provider.effects == ["old"]


async def test_c5_a_room_that_is_gone_at_the_commit_lets_its_message_begin_anew_at_its_route() -> None:
    provider = Provider()
    async with fleet(phones(provider), rooms=()) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        incoming = {"channel_id": "phone", "sender_id": "+1"}
        first = await a.kit.process_inbound(message("first", **incoming), wait="committed")
        assert first.event is not None
        stop = a.places.stop("commit")
        all_of_them.start(a.kit.accept_inbound, message("second", **incoming))
        await stop.reached.wait()
        await b.kit.delete_room(first.event.room_id)
        stop.open()
        await all_of_them.rest()

        [room] = await all_of_them.store.list_rooms()
        assert room.id != first.event.room_id
        assert await all_of_them.texts(room.id) == ["second"]
        assert await all_of_them.states(WorkKind.INBOUND) == [DONE]


async def test_c5_a_commit_id_is_new_for_every_plan_and_only_a_resend_repeats_it() -> None:
    """Without: an id used again by a replan fits by accident after a foreign write, and a mute is overlooked."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        sent: list[ChangeSet] = []

        async def interfere() -> None:  # another kit writes to the room, before the first of these commits
            if len(sent) == 1:
                await b.kit.mute("room", "phone")

        a.places.at("commit", interfere, only=lambda changes: sent.append(changes) is None)
        await a.say("planned twice")
        first, second = sent
        assert first.events[0].id == second.events[0].id
        assert len({first.commit_id, second.commit_id, first.events[0].id}) == 3

        a.places.fail("committed", StoreError("the answer was lost", code="store.io"))
        await a.say("sent twice")

        assert [changes.commit_id for changes in sent[2:]] == 2 * [sent[2].commit_id]
        assert await all_of_them.texts() == ["planned twice", "sent twice"]


def test_c5_ids_of_two_processes_never_meet_after_a_fork() -> None:
    """Without: parent and child make the same commit ids, and each takes the other's commit for its own."""
    program = """
import os
from roomkit_core.models.ids import new_commit_id, new_id
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, f"{new_id()[16:]} {new_commit_id().partition('.')[2]}".encode())
    os._exit(0)
os.wait()
print(new_id()[16:], new_commit_id().partition('.')[2], os.read(read, 1000).decode())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    mine, of_my_commits, childs, of_its_commits = done.stdout.split()
    assert mine == of_my_commits
    assert childs == of_its_commits
    assert mine != childs


@pytest.mark.parametrize("what", ["receipt", "status", "read marker", "repeat", "task"])
async def test_c5_what_is_not_about_the_room_leaves_its_version_alone(what: str) -> None:
    """Without: each receipt makes plans stale that it has nothing to do with."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Phone(member, provider))

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        hold = a.places.stop("calling")
        result = await a.say("one", idempotency_key="k1")
        assert result.event is not None
        await hold.reached.wait()
        before = await all_of_them.store.load_room("room")
        assert before is not None

        if what == "receipt":
            hold.open()
            await all_of_them.rest()
            assert await all_of_them.states() == [SENT]
        elif what == "status":
            await b.kit.process_delivery_status(
                DeliveryStatus(channel_id="phone", provider="twin", message_id="id-1", status="read")
            )
        elif what == "read marker":
            await b.store.mark_read("room", "live", result.event.id)
        elif what == "repeat":
            assert (await b.say("one", idempotency_key="k1")).event == result.event
        else:
            await b.store.add_task(Task(room_id="room", title="call back"))

        after = await all_of_them.store.load_room("room")
        assert after is not None
        assert after.version == before.version


async def test_c5_25_a_room_that_changes_while_it_is_read_is_read_whole() -> None:
    """Torn load: the version of one moment with the bindings of another would make a stale plan fit."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        a.kit._engine.ports.cache.drop(["room"])
        reading = a.places.stop("reading", only=lambda name: name == "load_room")
        all_of_them.start(a.say, "hi")
        await reading.reached.wait()
        await b.kit.mute("room", "live")
        reading.open()
        await all_of_them.rest()

        [event] = [event for event in await all_of_them.store.list_events("room") if event.type == "message"]
        assert event.blocked_by == "source_muted"


# -------------------------------------------------------------------------------------------------------------- C6


async def test_c6_a_direct_call_waits_for_the_open_journal_of_its_conversation() -> None:
    """Without: a direct message overtakes the journal."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit")
        await a.accept("first")
        await stop.reached.wait()
        all_of_them.start(b.say, "second")
        await all_of_them.pass_time(1.0)
        assert await all_of_them.texts() == []
        await b.say("of somebody else", sender_id="bob")
        stop.open()
        await all_of_them.pass_time(1.0)
        await all_of_them.rest()

        assert await all_of_them.texts() == ["of somebody else", "first", "second"]


async def test_c6_past_its_budget_it_journals_itself_and_keeps_its_place() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit")
        await a.accept("first")
        await stop.reached.wait()
        results: list[InboundResult] = []

        async def say() -> None:
            results.append(await b.say("second", idempotency_key="k2"))

        all_of_them.start(say)
        await all_of_them.pass_time(30.0)
        await all_of_them.rest()
        assert [(r.event, r.blocked, r.reason) for r in results] == [(None, False, "queued")]
        assert (await b.accept("second", idempotency_key="k2")).duplicate
        stop.open()
        await all_of_them.pass_time(2.0)

        assert await all_of_them.texts() == ["first", "second"]
        assert await all_of_them.states(WorkKind.INBOUND) == [DONE, DONE]


async def test_c6_a_direct_call_waits_for_the_row_of_its_own_key_and_gets_its_result() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit")
        await a.accept("one", idempotency_key="k1")
        await stop.reached.wait()
        results: list[InboundResult] = []

        async def say() -> None:
            results.append(await b.say("one", idempotency_key="k1"))

        all_of_them.start(say)
        await all_of_them.pass_time(1.0)
        stop.open()
        await all_of_them.pass_time(1.0)
        await all_of_them.rest()

        [event] = await all_of_them.store.list_events("room", limit=1, newest_first=True)
        assert [(r.event and r.event.id, r.blocked) for r in results] == [(event.id, False)]
        assert await all_of_them.texts() == ["one"]


@pytest.mark.parametrize("where", ["hook", "ask", "durable hook", "observer"])
async def test_c6_a_call_from_inside_never_waits_for_the_journal(where: str) -> None:
    """Without: the hook of the journaled message waits for the message, which waits for its hook."""
    results: list[InboundResult] = []
    provider = Provider()

    async def call(member: Member) -> None:
        results.append(await member.kit.process_inbound(message("from inside"), room_id="other"))

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            if where == "ask" and text_of(event) == "first":
                await call(member)
            return []

        async def hook(event: RoomEvent, context: Any) -> HookResult:
            if text_of(event) == "first":
                await call(member)
            return HookResult.allow()

        if where == "hook":
            member.kit.hook(HookTrigger.BEFORE_BROADCAST)(hook)
        elif where != "ask":
            member.kit.hook(HookTrigger.AFTER_BROADCAST, "async", name="after", durable=where == "durable hook")(hook)
        return (LiveProbe(), Phone(member, provider), Answering(reply=reply))

    async with fleet(make, kits="a", rooms=("room", "other")) as all_of_them:
        a = all_of_them.a
        journal = a.kit._engine.ports.journal
        commit = None
        if where != "hook":
            journal.limit = 1  # and the second one stays in the journal while the first one is observed
            commit = a.places.stop("commit", only=lambda changes: changes.events)
        await a.accept("first", "room")
        await a.accept("second", "room")
        if commit is not None:
            journal.limit = 0
            commit.open()
        await all_of_them.rest()

        assert [(r.event, r.blocked, r.reason) for r in results] == [(None, False, "queued")]
        journal.limit = 32
        await all_of_them.pass_time(2.0)
        assert await all_of_them.texts("room") == ["first", "second"]
        assert await all_of_them.texts("other") == ["from inside"]
        assert set(await all_of_them.states(WorkKind.INBOUND)) == {DONE}


async def test_c6_journaled_messages_of_one_conversation_are_stored_in_their_order_by_two_kits() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        for number in range(20):
            member = all_of_them.members[number % 2]
            await member.accept(f"{number:02}")
        await all_of_them.until_over()

        assert await all_of_them.texts() == [f"{number:02}" for number in range(20)]
        assert provider.effects == [f"{number:02}" for number in range(20)]


# -------------------------------------------------------------------------------------------------------------- C7


@pytest.mark.parametrize("verdict", ["stored", "refused", "known"])
async def test_c7_whatever_is_answered_is_durable(verdict: str) -> None:
    """Without: "ok" or "known", and then the COMMIT fails."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        if verdict == "refused":
            await block(a)
        if verdict == "known":
            await all_of_them.b.say("one", idempotency_key="k1")
        stop = a.places.stop("committed")
        answered = []

        async def say() -> None:
            answered.append(await a.say("one", idempotency_key="k1"))

        all_of_them.start(say)
        await all_of_them.rest()
        assert len(answered) == (verdict == "known"), "what is known was durable before"
        stop.open()
        await all_of_them.rest()
        [result] = answered
        assert result.blocked is (verdict == "refused")


@pytest.mark.parametrize("who", ["first", "second"])
async def test_c7_a_caller_that_is_cancelled_takes_no_other_one_along(who: str) -> None:
    """Without: a leader that is cancelled lets its followers wait for ever."""
    provider = Provider()
    async with fleet(phones(provider), kits="a", rooms=("first", "second")) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("commit")
        scopes = {"first": anyio.CancelScope(), "second": anyio.CancelScope()}

        async def say(room_id: str) -> None:
            with scopes[room_id]:
                await a.say(room_id, room_id)

        for room_id in scopes:
            all_of_them.start(say, room_id)
            await all_of_them.rest()
        scopes[who].cancel()
        await all_of_them.rest()
        stop.open()
        await all_of_them.rest()

        assert sorted(provider.effects) == ["first", "second"], "all or nothing: after the commit began it goes on"


# -------------------------------------------------------------------------------------------------------------- C8


@pytest.mark.parametrize("window", ["asking", "commit"])
async def test_c8_tr5_an_answer_of_several_events_is_one_commit(window: str) -> None:
    """Without: kill between two segments: half an answer; or two runs are mixed in the timeline."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            await member.places("asking")
            return [f"{member.name}{number}" for number in range(3)]

        return (LiveProbe(), Phone(member, provider), Answering(reply=reply))

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop(window, only=lambda what: getattr(what, "discharges", True))
        slow = b.places.stop("commit", only=lambda what: what.discharges)
        await a.say("why?")
        await stop.reached.wait()
        a.freeze()
        await all_of_them.pass_time(2 * LEASE)
        assert slow.arrivals == 1
        assert await all_of_them.texts() == ["why?"]
        stop.open()
        await all_of_them.rest()
        assert await all_of_them.texts() == ["why?"], "the frozen one's copy is refused as a whole"
        slow.open()
        await all_of_them.rest()

        assert await all_of_them.texts() == ["why?", "b0", "b1", "b2"]
        assert phone_of(a).calls + phone_of(b).calls == 4
        assert await all_of_them.states(WorkKind.ASK) == [ANSWERED]
