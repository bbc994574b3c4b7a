"""PROTOCOL 7, 13, 14 and 22: rooms that are made again under one id, channels that leave and come back."""

from __future__ import annotations

import pytest

from roomkit_core import Cursor, WorkKind, WorkState
from roomkit_core.interfaces.channel import Guarantee
from tests.protocol.fleet import LEASE, fleet
from tests.protocol.providers import GUARANTEES, Provider, phone_of, phones
from tests.support.kits import make_room

pytestmark = pytest.mark.anyio

PENDING, IN_FLIGHT, UNKNOWN, SENT = WorkState.PENDING, WorkState.IN_FLIGHT, WorkState.UNKNOWN, WorkState.SENT
SUPPRESSED, DONE = WorkState.SUPPRESSED, WorkState.DONE

# ----------------------------------------------------------------------------------------------------------- 13, 22


@pytest.mark.parametrize("window", ["calling", "taken", "settle"])
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_13_a_row_of_the_old_room_that_is_under_way_means_nothing_to_the_new_one(
    guarantee: Guarantee, window: str
) -> None:
    """The lane has the same name: the new room's first message does not wait for the old room's last call."""
    provider = Provider(guarantee)
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop(window)
        await a.say("same words")
        await stop.reached.wait()
        await b.kit.delete_room("room")
        await make_room(b.kit, "room", "live", "phone")
        await b.say("same words")
        await all_of_them.rest()
        [new] = await all_of_them.rows()
        assert new.state is SENT

        stop.open()
        await all_of_them.pass_time(2 * LEASE)

        assert await all_of_them.rows() == [new]
        assert provider.effects == 2 * ["same words"], "the claimed call may still leave; it is not the new one's"
        assert (a.holds, a.target("phone").gate.running) == (0, 0)


async def test_13_a_cursor_of_the_old_room_is_told_that_it_is() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        for text in "12345":
            await a.say(text)
        page = await a.kit.rooms.read("room", viewer="live")
        await b.kit.delete_room("room")
        await make_room(b.kit, "room", "live", "phone")
        await b.say("new")

        again = await a.kit.rooms.read("room", viewer="live", after=page.cursor)

        assert again.reset
        assert [event.content.body for event in again.events if event.type == "message"] == ["new"]
        assert isinstance(again.cursor, Cursor)
        assert again.cursor.epoch != page.cursor.epoch


async def test_22_a_room_that_is_deleted_between_plan_and_commit_keeps_nothing_of_the_plan() -> None:
    """A message that names its room makes it again; nothing that was planned for the old one is owed."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit")
        await a.accept("one")
        await stop.reached.wait()
        await b.kit.delete_room("room")
        stop.open()
        await all_of_them.rest()

        assert await all_of_them.texts() == ["one"]
        assert await all_of_them.states(WorkKind.INBOUND) == [DONE]
        assert (await all_of_them.rows(WorkKind.DELIVERY), provider.effects) == ([], [])
        [bound] = await all_of_them.store.list_bindings("room")
        assert bound.channel_id == "live"


async def test_22_an_answer_for_a_room_that_is_deleted_is_dropped_quietly() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("settle")
        await a.say("one")
        await stop.reached.wait()
        await b.kit.delete_room("room")
        stop.open()
        await all_of_them.pass_time(LEASE)

        assert await all_of_them.rows() == []
        assert a.holds == 0


# --------------------------------------------------------------------------------------------------------------- 14


@pytest.mark.parametrize("state", ["in back-off", "unknown", "in flight", "queued"])
async def test_14_what_was_owed_before_a_detach_stays_over_when_the_channel_is_attached_again(state: str) -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        for member in (a, b):
            phone_of(member).behave = {"unknown": "vanish", "in flight": "later"}.get(state, "later")
        stop = a.places.stop("settle") if state == "in flight" else None
        await a.say("one")
        if state == "queued":
            await a.say("two")
        await all_of_them.rest()

        await b.kit.detach_channel("room", "phone")
        await b.kit.attach_channel("room", "phone")
        if stop is not None:
            stop.open()
        for member in (a, b):
            phone_of(member).behave = "send"
        await all_of_them.rest()
        await a.say("three")
        await all_of_them.until_over()

        assert provider.effects == ["three"]
        rows = await all_of_them.rows()
        assert [row.state for row in rows] == [SUPPRESSED] * (len(rows) - 1) + [SENT]
        assert {row.code for row in rows[:-1]} == {"channel.detached"}


async def test_14_a_plan_from_before_the_detach_owes_nothing_after_the_attach() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop("commit")
        all_of_them.start(a.say, "one")
        await stop.reached.wait()
        await b.kit.detach_channel("room", "phone")
        stop.open()
        await all_of_them.rest()
        assert provider.effects == []

        await b.kit.attach_channel("room", "phone")
        await all_of_them.pass_time(LEASE)

        assert (await all_of_them.rows(), provider.effects) == ([], [])


async def test_14_an_unknown_row_that_is_withdrawn_keeps_its_mark_and_its_lane_goes_on() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        phone_of(a).behave = phone_of(b).behave = "lose"
        result = await a.say("one")
        await a.say("two")
        await all_of_them.rest()
        phone_of(a).behave = phone_of(b).behave = "send"
        assert result.event is not None

        await b.kit.delete_event("room", result.event.id)
        await all_of_them.until_over()

        one, two, notice = await all_of_them.rows()
        assert (one.state, one.code, one.maybe_sent) == (SUPPRESSED, "event.deleted", True)
        assert (two.state, notice.state) == (SENT, SENT)
        assert provider.effects == ["one", "two", "(deleted)"]


@pytest.mark.parametrize("late", ["send", "lose", "later", "refuse"])
async def test_14_a_call_that_is_under_way_at_the_detach_ends_as_it_did_and_is_not_repeated(late: str) -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        phone_of(a).behave = phone_of(b).behave = late
        stop = a.places.stop("calling")
        await a.say("one")
        await stop.reached.wait()

        await b.kit.detach_channel("room", "phone")
        stop.open()
        await all_of_them.pass_time(600.0)

        [row] = await all_of_them.rows()
        ends = {"send": (SENT, False), "lose": (SUPPRESSED, True), "later": (SUPPRESSED, False)}
        assert (row.state, row.maybe_sent) == ends.get(late, (WorkState.FAILED, False))
        assert phone_of(a).calls + phone_of(b).calls == 1
