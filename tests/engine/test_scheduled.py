"""``send_event(at=)``: said once and at its time, also by the next process, unless its reason has gone before."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
import pytest

from roomkit_core import (
    Access,
    ChannelNotFoundError,
    ChannelType,
    DuplicateError,
    EventStatus,
    HookResult,
    HookTrigger,
    Outcome,
    RoomClosedError,
    RoomContext,
    RoomEvent,
    RoomKit,
    RoomNotFoundError,
    TextContent,
    WorkKind,
    WorkRow,
    WorkState,
)
from tests.support.channels import LiveProbe, ScriptedChannel, message, text_of
from tests.support.homes import Home
from tests.support.rooms import messages, say, texts, wait_for, work

HOUR = 3600.0
BEFORE, AFTER = HookTrigger.BEFORE_BROADCAST, HookTrigger.AFTER_BROADCAST


def in_an_hour(home: Home) -> datetime:
    return home.clock.now() + timedelta(hours=1)


async def scheduled(kit: RoomKit) -> list[WorkRow]:
    return await work(kit, WorkKind.SCHEDULED)


async def how_it_ended(kit: RoomKit) -> tuple[WorkState, str | None]:
    [row] = await scheduled(kit)
    return row.state, row.code


# ------------------------------------------------------------------------------------------------------- its time


async def test_it_is_said_by_itself_when_its_time_has_come_and_not_before(home: Home) -> None:
    sms = ScriptedChannel("sms")
    async with home.kit(LiveProbe(), sms) as kit:
        promised = await say(kit, "later", channel_id="live", at=in_an_hour(home))
        assert (promised.status, promised.created_at) == (EventStatus.PENDING, in_an_hour(home))
        assert promised.source.channel_type == ChannelType.WEBSOCKET

        await home.later(kit, HOUR - 1)
        assert await texts(kit) == sms.texts == []

        home.clock.jump(1)
        await wait_for(lambda: sms.texts)  # only the pump looks: nobody calls the kit

        [event] = await messages(kit)
        assert (event.id, event.status, text_of(event)) == (promised.id, EventStatus.DELIVERED, "later")
        assert event.created_at == home.clock.now()
        assert await how_it_ended(kit) == (WorkState.DONE, None)


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(microseconds=1), timedelta(days=30)])
async def test_a_moment_that_is_past_is_now(home: Home, ago: timedelta) -> None:
    sms = ScriptedChannel("sms")
    async with home.kit(LiveProbe(), sms) as kit:
        await say(kit, "at once", channel_id="live", at=home.clock.now() - ago)

        await wait_for(lambda: sms.texts)

        [event] = await messages(kit)
        assert event.created_at == home.clock.now(), "it was said now"


async def test_a_time_zone_says_which_moment_is_meant(home: Home) -> None:
    east = timezone(timedelta(hours=5, minutes=45))
    async with home.kit(LiveProbe()) as kit:
        promised = await say(kit, "later", channel_id="live", at=in_an_hour(home).astimezone(east))

        assert promised.created_at == in_an_hour(home)
        await home.later(kit, HOUR - 1)
        assert await texts(kit) == []
        await home.later(kit, 1)
        assert await texts(kit) == ["later"]


async def test_what_cannot_be_promised_is_refused_and_leaves_nothing(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        naive = datetime(2030, 1, 1)  # noqa: DTZ001
        with pytest.raises(ValueError, match="aware"):
            await say(kit, "?", channel_id="live", at=naive)
        with pytest.raises(ValueError, match="wait"):
            await say(kit, "?", channel_id="live", at=in_an_hour(home), wait="forever")
        with pytest.raises(ChannelNotFoundError):
            await say(kit, "?", channel_id="sms", at=in_an_hour(home))
        with pytest.raises(RoomNotFoundError):
            await say(kit, "?", room_id="nowhere", channel_id="live", at=in_an_hour(home))
        await kit.close_room("room")
        with pytest.raises(RoomClosedError):
            await say(kit, "?", channel_id="live", at=in_an_hour(home))

        assert await scheduled(kit) == []


async def test_several_are_said_in_the_order_of_their_times(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        for minutes in (30, 10, 20):
            await say(kit, str(minutes), channel_id="live", at=home.clock.now() + timedelta(minutes=minutes))

        for _ in range(30):
            await home.later(kit, 60)

        assert await texts(kit) == ["10", "20", "30"]


async def test_what_is_said_later_is_activity_at_the_time_at_which_it_is_said(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        await say(kit, "later", channel_id="live", at=in_an_hour(home))

        await home.later(kit, HOUR)

        assert (await kit.get_room("room")).timers.last_activity_at == home.clock.now()


# ------------------------------------------------------------------------------------------------- another process


@pytest.mark.parametrize("away", [HOUR / 2, HOUR, 6 * 24 * HOUR])
async def test_a_restart_in_between_changes_nothing(home: Home, away: float) -> None:
    async with home.kit(LiveProbe()) as kit:
        promised = await say(kit, "later", channel_id="live", at=in_an_hour(home))
    home.clock.jump(away)
    sms = ScriptedChannel("sms")
    async with home.kit(LiveProbe(), spare=[sms]) as kit:
        started = home.clock.now()
        await kit.idle()
        await home.later(kit, HOUR)

        [event] = await messages(kit)
        assert event.id == promised.id
        assert event.created_at == (started if away >= HOUR else home.clock.now()), "when it was said"
        assert await how_it_ended(kit) == (WorkState.DONE, None)


async def test_what_nobody_was_there_to_say_for_a_week_is_not_said_any_more(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        await say(kit, "stale", channel_id="live", at=in_an_hour(home))
    home.clock.jump(HOUR + 7 * 24 * HOUR + 1)
    async with home.kit(LiveProbe()) as kit:
        await home.later(kit, 10)

        assert await texts(kit) == []
        state, code = await how_it_ended(kit)
        assert (state, code) == (WorkState.EXPIRED, "expired")


@pytest.mark.parametrize("has_said", [False, True], ids=["before the commit", "after the commit"])
async def test_a_takeover_says_it_once(home: Home, has_said: bool) -> None:
    async with home.kit(LiveProbe()) as kit:
        promised = await say(kit, "later", channel_id="live", at=in_an_hour(home))
    home.clock.jump(HOUR)
    store = home.store()
    await store.open()
    [claimed] = await store.claim("a kit that dies", lease=60, limit=9, kinds=[WorkKind.SCHEDULED])
    await store.close()
    if has_said:  # what the dead one has committed without its discharge, as a kit of an older version would
        async with home.kit(LiveProbe()) as kit:
            key = claimed.payload[1]
            await kit.send_event("room", "live", TextContent(body="later"), idempotency_key=key)
    async with home.kit(LiveProbe()) as kit:
        await home.later(kit, 61)
        await home.later(kit, 61)

        assert await texts(kit) == ["later"]
        [row] = await scheduled(kit)
        assert (row.state, row.id, row.takeovers) == (WorkState.DONE, promised.id, 1)


async def test_a_holder_that_was_overtaken_can_say_nothing(home: Home) -> None:
    gate = anyio.Event()
    entered = anyio.Event()
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(BEFORE, timeout=1e6)
        async def slow(event: RoomEvent, context: RoomContext) -> HookResult:
            if not entered.is_set():
                entered.set()
                await gate.wait()
            return HookResult.allow()

        await say(kit, "later", channel_id="live", at=in_an_hour(home))
        home.clock.jump(HOUR)
        with anyio.fail_after(10):
            await entered.wait()
        [row] = await scheduled(kit)
        assert await kit.store.settle(row.id, row.token, Outcome(WorkState.PENDING), due_in=0.0)  # another one has it
        gate.set()
        await kit.idle()
        await home.later(kit, 10)

        assert await texts(kit) == ["later"]
        assert await how_it_ended(kit) == (WorkState.DONE, None)


async def test_a_kit_that_is_closing_does_not_give_up_what_is_just_due(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        await say(kit, "later", channel_id="live", at=in_an_hour(home))
        # Claimed, and the runner has not begun when the kit starts to close.
        home.clock.jump(HOUR)
        runners, ports = kit._engine.runners, kit._engine.ports
        work = await runners._next(ports.house)
        assert work is not None
        ports.background.draining = True
        await runners._work(work)

        assert await how_it_ended(kit) == (WorkState.DONE, None)
    async with home.kit(LiveProbe()) as kit:
        assert await texts(kit) == ["later"]


# --------------------------------------------------------------------------------------------- its reason has gone


async def close(kit: RoomKit) -> None:
    await kit.close_room("room")


async def detach(kit: RoomKit) -> None:
    await kit.detach_channel("room", "live")


@pytest.mark.parametrize(
    ("change", "code"), [(close, "room_closed"), (detach, "channel.detached")], ids=["closed", "detached"]
)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "while no kit ran"])
async def test_l12_what_has_lost_its_reason_ends_and_says_why(
    home: Home, change: Any, code: str, elsewhere: bool
) -> None:
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        await say(kit, "never", channel_id="live", at=in_an_hour(home))
        if not elsewhere:
            await change(kit)
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        if elsewhere:
            await change(kit)
        await home.later(kit, HOUR)

        assert await texts(kit) == []
        assert await how_it_ended(kit) == (WorkState.SUPPRESSED, code)
        assert await kit.idle() == 0


async def test_l12_a_room_that_is_deleted_takes_it_along_also_if_it_is_made_anew(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        await say(kit, "never", channel_id="live", at=in_an_hour(home))
        await kit.delete_room("room")
        await kit.create_room("room")
        await kit.attach_channel("room", "live")

        await home.later(kit, HOUR)

        assert await texts(kit) == []
        assert all(not row.is_open for row in await scheduled(kit))


async def test_a_channel_that_may_only_write_still_says_what_it_has_promised(home: Home) -> None:
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        await say(kit, "later", channel_id="sms", at=in_an_hour(home))
        await kit.set_access("room", "sms", Access.WRITE_ONLY)

        await home.later(kit, HOUR)

        assert await texts(kit, blocked=False) == ["later"]


async def test_what_a_muted_channel_has_promised_is_stored_as_blocked(home: Home) -> None:
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        await say(kit, "later", channel_id="live", at=in_an_hour(home))
        await kit.mute("room", "live")

        await home.later(kit, HOUR)

        [event] = await messages(kit)
        assert (event.status, event.blocked_by) == (EventStatus.BLOCKED, "source_muted")
        [row] = await scheduled(kit)
        assert (row.state, row.reason) == (WorkState.DONE, "source_muted")


async def test_hooks_decide_when_it_is_said_and_a_guard_that_fails_for_ever_blocks_it(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        await say(kit, "later", channel_id="live", at=in_an_hour(home))

        @kit.hook(BEFORE)
        async def guard(event: RoomEvent, context: RoomContext) -> HookResult:
            return HookResult.block("no")

        await home.later(kit, HOUR)

        [event] = await messages(kit)
        assert (event.status, event.blocked_by) == (EventStatus.BLOCKED, "guard")


# --------------------------------------------------------------------------------------------------- inside of hooks


@pytest.mark.parametrize("raises", [False, True])
async def test_inside_a_hook_it_belongs_to_the_message_and_is_taken_back_with_the_hook(
    home: Home, raises: bool
) -> None:
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(BEFORE)
        async def remind(event: RoomEvent, context: RoomContext) -> HookResult:
            if event.chain_depth == 0:
                await say(kit, "reminder", channel_id="live", at=in_an_hour(home))
                assert await scheduled(kit) == [], "not before the message is there"
                if raises:
                    raise RuntimeError("no")
            return HookResult.allow()

        await kit.process_inbound(message("hi"), room_id="room")

        assert len(await scheduled(kit)) == (0 if raises else 1)
        await home.later(kit, HOUR)
        assert await texts(kit) == ["hi"] + ([] if raises else ["reminder"])


async def test_t44_what_a_hook_schedules_goes_on_in_its_chain_and_no_chain_is_without_end(home: Home) -> None:
    async with home.kit(LiveProbe(), max_chain_depth=3) as kit:

        @kit.hook(AFTER)
        async def again(event: RoomEvent, context: RoomContext) -> None:
            await say(kit, "again", channel_id="live", at=home.clock.now())

        first = await kit.process_inbound(message("first"), room_id="room")
        for _ in range(10):
            await home.later(kit, 1)

        said = await messages(kit)
        assert [event.chain_depth for event in said] == [0, 1, 2, 3]
        assert [event.status.value for event in said][-2:] == ["delivered", "blocked"]
        assert {event.correlation_id for event in said[1:]} == {first.event.id}


async def test_what_a_durable_hook_schedules_is_said_once_although_it_ran_twice(home: Home) -> None:
    runs = 0
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(AFTER, durable=True)
        async def remind(event: RoomEvent, context: RoomContext) -> None:
            nonlocal runs
            if text_of(event) == "reminder":
                return
            runs += 1
            for _ in range(2):  # said twice on purpose
                await say(kit, "reminder", channel_id="live", at=in_an_hour(home))
            if runs == 1:
                raise RuntimeError("the first run fails at its end")

        await kit.process_inbound(message("hi"), room_id="room")
        await home.later(kit, 60)

        assert (runs, len(await scheduled(kit))) == (2, 2)
        await home.later(kit, HOUR)
        assert await texts(kit) == ["hi", "reminder", "reminder"]


# --------------------------------------------------------------------------------------------------------------- keys


async def test_a_repeat_with_the_same_key_is_the_same_event_before_and_after_it_is_said(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        when = in_an_hour(home)
        first = await say(kit, "later", channel_id="live", at=when, idempotency_key="k")
        again = await say(kit, "later", channel_id="live", at=when, idempotency_key="k")
        assert again == first
        assert len(await scheduled(kit)) == 1
        await home.later(kit, HOUR)

        after = await say(kit, "later", channel_id="live", at=home.clock.now(), idempotency_key="k")
        now = await say(kit, "later", channel_id="live", idempotency_key="k")
        await home.later(kit, HOUR)

        assert after.id == now.id == first.id
        assert (after.status, await texts(kit)) == (EventStatus.DELIVERED, ["later"])


async def test_a_repeat_inside_one_unit_of_work_is_the_same_event(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        promised: list[str] = []

        @kit.hook(BEFORE)
        async def remind(event: RoomEvent, context: RoomContext) -> HookResult:
            for _ in range(2):
                at = in_an_hour(home)
                promised.append((await say(kit, "reminder", channel_id="live", at=at, idempotency_key="k")).id)
            return HookResult.allow()

        await kit.process_inbound(message("hi"), room_id="room")

        assert promised[0] == promised[1]
        assert [row.id for row in await scheduled(kit)] == promised[:1]


async def test_a_key_is_that_of_one_channel(home: Home) -> None:
    async with home.kit(LiveProbe(), LiveProbe("other")) as kit:
        for channel_id in ("live", "other"):
            await say(kit, channel_id, channel_id=channel_id, at=in_an_hour(home), idempotency_key="k")

        await home.later(kit, HOUR)

        assert sorted(await texts(kit)) == ["live", "other"]


async def test_what_is_said_meanwhile_with_its_key_is_what_it_would_have_said(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        await say(kit, "later", channel_id="live", at=in_an_hour(home), idempotency_key="k")
        await say(kit, "now", channel_id="live", idempotency_key="k")

        await home.later(kit, HOUR)

        assert await texts(kit) == ["now"]
        assert await how_it_ended(kit) == (WorkState.DONE, None)


async def test_a_key_whose_event_is_gone_ends_the_row(home: Home) -> None:
    async with home.kit(LiveProbe(), rooms=["room", "other"]) as kit:
        await say(kit, "later", channel_id="live", at=in_an_hour(home), idempotency_key="k")
        await say(kit, "now", room_id="other", channel_id="live", idempotency_key="k")
        await kit.delete_room("other")
        with pytest.raises(DuplicateError):
            await say(kit, "again", channel_id="live", idempotency_key="k")

        await home.later(kit, HOUR)

        assert await texts(kit) == []
        assert await how_it_ended(kit) == (WorkState.DONE, None)
