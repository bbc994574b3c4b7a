"""Closing a kit while rows run: each is recorded as what it is, and the next kit goes on at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from roomkit_core import Channel, HookExecution, HookTrigger, RoomEvent, StoreError, TextContent, WorkKind, WorkState
from tests.protocol.fleet import LEASE, Member, fleet, lose_holders
from tests.protocol.providers import Provider, phone_of, phones
from tests.support.channels import Answering, LiveProbe
from tests.support.rooms import wait_for

pytestmark = pytest.mark.anyio

PENDING, UNKNOWN, SENT, DONE, ANSWERED = (
    WorkState.PENDING,
    WorkState.UNKNOWN,
    WorkState.SENT,
    WorkState.DONE,
    WorkState.ANSWERED,
)


async def close_at_once(member: Member, *opened: Any) -> None:
    """Close a kit and do not wait for what is under way; ``opened`` are the stops that go on meanwhile."""
    member.fleet.start(member.kit.close, 0)
    await wait_for(lambda: member.kit._engine.ports.background.closed)
    await member.fleet.rest()  # until everything that runs has been cancelled
    for stop in opened:
        stop.open()
    await member.fleet.rest()


async def test_a_call_that_is_interrupted_is_unknown_and_marked() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        b.freeze()
        stop = a.places.stop("calling")
        await a.say("one")
        await stop.reached.wait()

        await close_at_once(a)

        [row] = await all_of_them.rows()
        assert (row.state, row.code, row.maybe_sent) == (UNKNOWN, "delivery.interrupted", True)
        b.thaw()
        await all_of_them.pass_time(1.0)
        assert [(r.text, r.kit, r.is_marked) for r in provider.requests] == [("one", "b", True)]


async def test_a_reply_in_hand_is_recorded() -> None:
    """Without: the provider has said "sent", and the next kit sends it again."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("settle")
        await a.say("one")
        await stop.reached.wait()

        await close_at_once(a, stop)
        await all_of_them.pass_time(2 * LEASE)

        assert [(r.state, r.maybe_sent) for r in await all_of_them.rows()] == [(SENT, False)]
        assert provider.effects == ["one"]


@pytest.mark.parametrize("kind", ["ask", "hook"])
async def test_a_question_or_hook_that_is_interrupted_is_handed_back(kind: str) -> None:
    began = []

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            began.append(member.name)
            await member.places("running")
            return []

        if kind == "ask":
            return (LiveProbe(), Answering(reply=reply))

        async def hook(event: RoomEvent, context: Any) -> None:
            await reply(event)

        member.kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="slow", durable=True)(hook)
        return (LiveProbe(),)

    async with fleet(make) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        b.freeze()
        stop = a.places.stop("running")
        await a.say("one")
        await stop.reached.wait()

        await close_at_once(a)

        [row] = await all_of_them.rows()
        assert (row.state, row.attempts, row.maybe_sent) == (PENDING, 0, False)
        b.thaw()
        await all_of_them.pass_time(1.0)
        assert began == ["a", "b"]
        assert (await all_of_them.rows())[0].state in (ANSWERED, DONE)


async def test_a_row_that_waits_because_another_one_runs_alone_is_handed_back() -> None:
    """Without: it was never touched, and comes back as a takeover, marked, when its lease has ended."""
    provider = Provider()
    async with fleet(phones(provider), rooms=("poison", "innocent")) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        b.freeze()
        phone_of(a).behave = "later"
        for room_id in ("poison", "innocent"):
            await a.say(room_id, room_id)
        await all_of_them.rest()
        phone_of(a).behave = "send"
        [poisonous] = await all_of_them.rows(room_id="poison")
        all_of_them.clock.jump(10.0)
        await lose_holders(all_of_them, poisonous, 2)
        claimed = a.places.stop("claimed", only=lambda rows: rows and rows[0].room_id == "innocent")
        alone = a.places.stop("calling")
        await all_of_them.pass_time(2.0)
        assert (claimed.arrivals, alone.arrivals) == (1, 1), "one runs alone; the claim of the other is on its way back"
        claimed.open()
        await all_of_them.rest()
        assert phone_of(a).running == 1

        await close_at_once(a)

        [row] = await all_of_them.rows(room_id="innocent")
        assert (row.state, row.attempts, row.takeovers, row.maybe_sent) == (PENDING, 1, 0, False)
        b.thaw()
        await all_of_them.pass_time(2.0)
        assert "innocent" in provider.effects


@pytest.mark.parametrize("is_durable", [False, True], ids=["memory", "durable"])
async def test_messages_that_were_accepted_just_before_are_worked_on_or_left_as_they_are(is_durable: bool) -> None:
    """What a store in memory holds is now or never. Without: they fail because the kit takes no more calls."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        all_of_them.a.store.is_durable = is_durable
        commit = all_of_them.a.places.stop("commit", only=lambda changes: changes.events)
        for number in range(3):
            await all_of_them.a.accept(str(number))
        await commit.reached.wait()

        all_of_them.start(all_of_them.a.kit.close)
        await all_of_them.rest()
        commit.open()
        await wait_for(lambda: all_of_them.a.kit._engine.ports.background.closed)

        ends = [(DONE, 1, None)] + 2 * [(PENDING, 0, None) if is_durable else (DONE, 1, None)]
        assert [(r.state, r.attempts, r.code) for r in await all_of_them.rows(WorkKind.INBOUND)] == ends
        assert provider.effects == (["0"] if is_durable else ["0", "1", "2"])


async def test_what_was_scheduled_for_now_is_said_while_the_kit_closes() -> None:
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        await a.kit.send_event("room", "live", TextContent(body="now"), at=a.clock.now())

        await a.kit.close()

        assert await all_of_them.states(WorkKind.SCHEDULED) == [DONE]
        assert provider.effects == ["now"]


async def test_a_durable_store_keeps_what_is_not_begun_for_the_next_kit() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        a.store.is_durable = b.store.is_durable = True
        b.freeze()
        stop = a.places.stop("taken")
        for text in ("one", "two", "three"):
            await a.say(text)
        all_of_them.start(a.kit.close)
        await all_of_them.rest()
        stop.open()
        await all_of_them.rest()

        assert [(r.state, r.attempts) for r in await all_of_them.rows()] == [(SENT, 1), (PENDING, 0), (PENDING, 0)]
        b.thaw()
        await all_of_them.pass_time(2.0)
        assert [(r.text, r.kit) for r in provider.requests] == [("one", "a"), ("two", "b"), ("three", "b")]


async def test_a_record_that_the_store_does_not_take_ends_with_the_kit() -> None:
    """It is tried as long as the kit lives; then the lease ends, and who takes over marks it."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        fault = a.places.fail("settle", times=1_000_000)
        await a.say("one")
        await all_of_them.pass_time(10.0)
        assert fault.raised > 3
        assert provider.effects == ["one"], "the record is repeated, never the call"

        all_of_them.start(a.kit.close, 0)
        await all_of_them.pass_time(10.0)
        await all_of_them.pass_time(2 * LEASE)

        assert [(r.kit, r.is_marked) for r in provider.requests] == [("a", False), ("b", True)]


@pytest.mark.parametrize("text", ["one", "one|two"])
async def test_a_record_that_the_store_takes_at_the_very_end_is_not_made_a_row_that_was_never_tried(text: str) -> None:
    """Without: what was claimed is handed back as it was, and the next kit sends it again as a first attempt."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        b.freeze()
        background = a.kit._engine.ports.background
        is_well = False

        async def fail_until_closed() -> None:
            nonlocal is_well
            if not is_well:
                is_well = background.closed
                raise StoreError("the disk is full", code="store.disk_full")

        a.places.at("settle", fail_until_closed)
        await a.say(text)
        await all_of_them.rest()
        all_of_them.start(a.kit.close, 0)
        await wait_for(lambda: background.closed)
        await all_of_them.pass_time(10.0)
        b.thaw()
        await all_of_them.pass_time(2 * LEASE)

        provider.check_marks()
        assert provider.firsts() == text.split("|")
        assert set(await all_of_them.states()) == {SENT}
