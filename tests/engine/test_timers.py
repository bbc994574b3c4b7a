"""Timers of rooms: they run by themselves, for every room that has some, and a room that is busy puts them off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from roomkit_core import (
    EventStatus,
    EventType,
    FrameworkEvent,
    HookResult,
    HookTrigger,
    InMemoryStore,
    Room,
    RoomContext,
    RoomEvent,
    RoomKit,
    RoomNotFoundError,
    RoomStatus,
    RoomTimers,
    TextContent,
    WorkKind,
    WorkRow,
)
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message
from tests.support.homes import Home
from tests.support.kits import whole_timeline
from tests.support.rooms import say, wait_for, work

BEFORE = HookTrigger.BEFORE_BROADCAST
PAUSE, CLOSE = 60.0, 100.0
BOTH = RoomTimers(inactive_after_seconds=PAUSE, closed_after_seconds=CLOSE)
TICK = 0.001


def told_by(kit: RoomKit, *names: str) -> list[tuple[str, str | None, Any]]:
    """What handlers are told under these names from now on."""
    told: list[tuple[str, str | None, Any]] = []

    def note(event: FrameworkEvent) -> None:
        told.append((event.type, event.room_id, event.data.get("reason")))

    for name in names:
        kit.on(name)(note)
    return told


async def status(kit: RoomKit, room_id: str = "room") -> RoomStatus:
    return (await kit.get_room(room_id)).status


async def open_timers(kit: RoomKit) -> list[WorkRow]:
    return [row for row in await work(kit, WorkKind.TIMER) if row.is_open]


def codes(events: list[RoomEvent]) -> list[str]:
    return [getattr(event.content, "code", "") for event in events]


# ------------------------------------------------------------------------------------------------------ by themselves


async def test_t28_a_room_pauses_and_closes_by_itself(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        told = told_by(kit, "room_paused", "room_closed")
        await kit.create_room("room", timers=BOTH)

        home.clock.jump(PAUSE + TICK)
        await wait_for(lambda: told)
        assert told == [("room_paused", "room", "timer")]
        assert await status(kit) is RoomStatus.PAUSED
        await kit.idle()  # the row sleeps again: whoever is told may be told before

        home.clock.jump(CLOSE - PAUSE)
        await wait_for(lambda: len(told) == 2)
        assert told[1:] == [("room_closed", "room", "timer")]
        room = await kit.get_room("room")
        assert (room.status, room.closed_at) == (RoomStatus.CLOSED, home.clock.now())
        assert codes(await whole_timeline(kit, "room")) == ["room_paused_by_timer", "room_closed_by_timer"]
        assert await open_timers(kit) == []
        assert await kit.idle() == 0


async def test_what_a_timer_writes_into_the_timeline_is_no_activity(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        made = await kit.create_room("room", timers=BOTH)
        await home.later(kit, PAUSE + TICK)

        paused = await kit.get_room("room")

        assert paused.status is RoomStatus.PAUSED
        assert paused.timers.last_activity_at == made.timers.last_activity_at
        [event] = await whole_timeline(kit, "room")
        assert (event.type, event.visibility, event.created_at) == (EventType.SYSTEM, "internal", home.clock.now())


@pytest.mark.parametrize(
    ("timers", "after", "expected"),
    [
        (RoomTimers(inactive_after_seconds=PAUSE), PAUSE, RoomStatus.ACTIVE),
        (RoomTimers(inactive_after_seconds=PAUSE), PAUSE + 0.00001, RoomStatus.PAUSED),
        (RoomTimers(closed_after_seconds=CLOSE), CLOSE, RoomStatus.ACTIVE),
        (RoomTimers(closed_after_seconds=CLOSE), CLOSE + 0.00001, RoomStatus.CLOSED),
        (BOTH, CLOSE + 1, RoomStatus.CLOSED),
        (RoomTimers(inactive_after_seconds=PAUSE, closed_after_seconds=PAUSE), PAUSE + 1, RoomStatus.CLOSED),
        (RoomTimers(inactive_after_seconds=CLOSE, closed_after_seconds=PAUSE), PAUSE + 1, RoomStatus.CLOSED),
        (RoomTimers(inactive_after_seconds=0), 0.00001, RoomStatus.PAUSED),
        (RoomTimers(closed_after_seconds=0), 0, RoomStatus.ACTIVE),
        (RoomTimers(), 1e9, RoomStatus.ACTIVE),
    ],
)
@pytest.mark.parametrize("who", ["the pump", "check_room_timers", "check_all_timers"])
async def test_a_silence_has_to_be_longer_and_closing_wins(
    home: Home, timers: RoomTimers, after: float, expected: RoomStatus, who: str
) -> None:
    async with home.kit(rooms=[]) as kit:
        await kit.create_room("room", timers=timers)
        home.clock.jump(after)
        if who == "check_room_timers":
            assert (await kit.check_room_timers("room")).status is expected
        elif who == "check_all_timers":
            await kit.check_all_timers()
        else:
            await kit.idle()

        assert await status(kit) is expected


async def test_a_silence_of_more_than_a_century_is_refused() -> None:
    for seconds in (-1, 1e12, float("inf"), float("nan")):
        with pytest.raises(ValidationError):
            RoomTimers(inactive_after_seconds=seconds)
        with pytest.raises(ValidationError):
            RoomTimers(closed_after_seconds=seconds)


# ----------------------------------------------------------------------------------------------------------- activity


def arrives(kit: RoomKit) -> Awaitable[Any]:
    return kit.process_inbound(message(), room_id="room")


def is_sent(kit: RoomKit) -> Awaitable[Any]:
    return say(kit, "hi", channel_id="live")


@pytest.mark.parametrize("speak", [arrives, is_sent])
async def test_activity_moves_both_on(home: Home, speak: Callable[[RoomKit], Awaitable[Any]]) -> None:
    async with home.kit(LiveProbe()) as kit:
        await kit.set_room_timers("room", BOTH)
        for _ in range(4):
            await home.later(kit, PAUSE - 1)
            await speak(kit)
            assert await status(kit) is RoomStatus.ACTIVE
        assert (await kit.get_room("room")).timers.last_activity_at == home.clock.now()

        await home.later(kit, PAUSE)
        assert await status(kit) is RoomStatus.ACTIVE
        await home.later(kit, TICK)
        assert await status(kit) is RoomStatus.PAUSED

        await speak(kit)  # a paused room takes messages and stays paused
        await home.later(kit, CLOSE)
        assert await status(kit) is RoomStatus.PAUSED
        await home.later(kit, TICK)
        assert await status(kit) is RoomStatus.CLOSED
        assert len(await work(kit, WorkKind.TIMER)) == 1, "one row, however often it was put off"


async def test_an_answer_is_activity_and_an_attachment_or_a_mute_is_none(home: Home) -> None:
    async with home.kit(LiveProbe(), Answering(), spare=[ScriptedChannel("sms")]) as kit:
        before = (await kit.get_room("room")).timers.last_activity_at
        home.clock.jump(10)
        await kit.attach_channel("room", "sms")
        await kit.mute("room", "sms")
        assert (await kit.get_room("room")).timers.last_activity_at == before

        await kit.process_inbound(message(), room_id="room")

        assert (await kit.get_room("room")).timers.last_activity_at != before


async def test_a_message_that_is_dated_back_does_not_set_the_clock_of_its_room_back(home: Home) -> None:
    class Late(LiveProbe):
        async def handle_inbound(self, message: Any, context: RoomContext) -> RoomEvent:
            event = await super().handle_inbound(message, context)
            return event.model_copy(update={"created_at": home.clock.now() - timedelta(days=2)})

    async with home.kit(LiveProbe(), Late("mail")) as kit:
        await kit.set_room_timers("room", BOTH)
        await kit.process_inbound(message(), room_id="room")
        await kit.process_inbound(message(channel_id="mail"), room_id="room")
        assert (await kit.get_room("room")).timers.last_activity_at == home.clock.now()

        await home.later(kit, PAUSE)

        assert await status(kit) is RoomStatus.ACTIVE
        snapshot = await kit.store.load_room("room")
        cached = kit._engine.ports.cache.peek("room")
        assert snapshot is not None
        assert cached is not None
        assert cached.room == snapshot.room


# ------------------------------------------------------------------------------------------------ setting them anew


async def test_other_timers_replace_those_that_the_room_had(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        await kit.create_room("room", timers=BOTH)
        home.clock.jump(30)

        room = await kit.set_room_timers("room", RoomTimers(inactive_after_seconds=40))

        assert room.timers.closed_after_seconds is None
        assert room.timers.last_activity_at == home.clock.now() - timedelta(seconds=30), "they count from there"
        assert len(await open_timers(kit)) == 1
        await home.later(kit, 10)
        assert await status(kit) is RoomStatus.ACTIVE
        await home.later(kit, TICK)
        assert await status(kit) is RoomStatus.PAUSED
        await home.later(kit, 10 * CLOSE)
        assert await status(kit) is RoomStatus.PAUSED
        assert await open_timers(kit) == []


@pytest.mark.parametrize(("silence", "name"), [(PAUSE, "room_paused"), (CLOSE, "room_closed")])
async def test_timers_that_are_over_when_they_are_set_take_effect_at_once(
    home: Home, silence: float, name: str
) -> None:
    async with home.kit(LiveProbe()) as kit:
        told = told_by(kit, "room_paused", "room_closed")
        home.clock.jump(silence + TICK)
        await kit.set_room_timers("room", BOTH)
        since = home.clock.now() - timedelta(seconds=silence + TICK)
        await kit.create_room("other", timers=BOTH.model_copy(update={"last_activity_at": since}))

        await wait_for(lambda: len(told) == 2)

        assert sorted(told) == [(name, "other", "timer"), (name, "room", "timer")]


async def test_no_timers_take_the_row_away_and_given_activity_is_where_they_count_from(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        await kit.create_room("room", timers=BOTH)
        await kit.set_room_timers("room", RoomTimers())
        assert await open_timers(kit) == []
        since = home.clock.now() - timedelta(seconds=PAUSE)

        room = await kit.set_room_timers("room", RoomTimers(inactive_after_seconds=PAUSE, last_activity_at=since))

        assert room.timers.last_activity_at == since
        assert await kit.get_room("room") == room
        await home.later(kit, TICK)
        assert await status(kit) is RoomStatus.PAUSED
        with pytest.raises(RoomNotFoundError):
            await kit.set_room_timers("nowhere", BOTH)


async def test_inside_a_hook_they_are_set_with_the_message_or_not_at_all(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(BEFORE)
        async def set_them(event: RoomEvent, context: RoomContext) -> HookResult:
            await kit.set_room_timers("room", RoomTimers(closed_after_seconds=1))
            await kit.set_room_timers("room", BOTH)
            if event.content == TextContent(body="raise"):
                raise RuntimeError("no")
            return HookResult.allow()

        await kit.process_inbound(message("raise"), room_id="room")
        assert await open_timers(kit) == []

        await kit.process_inbound(message("hi"), room_id="room")
        assert len(await open_timers(kit)) == 1
        await home.later(kit, PAUSE)
        assert await status(kit) is RoomStatus.ACTIVE
        await home.later(kit, TICK)
        assert await status(kit) is RoomStatus.PAUSED


# ----------------------------------------------------------------------------------------------------- the verbs


async def test_a_check_of_one_room_returns_it_as_it_is_then(home: Home) -> None:
    async with home.kit(LiveProbe(), rooms=["timed", "other"]) as kit:
        await kit.set_room_timers("timed", BOTH)
        unchanged = await kit.get_room("other")
        home.clock.jump(PAUSE + TICK)

        assert (await kit.check_room_timers("timed")).status is RoomStatus.PAUSED
        assert (await kit.check_room_timers("timed")).status is RoomStatus.PAUSED
        assert await kit.check_room_timers("other") == unchanged
        home.clock.jump(CLOSE)
        assert (await kit.check_room_timers("timed")).status is RoomStatus.CLOSED
        assert (await kit.check_room_timers("timed")).status is RoomStatus.CLOSED
        assert codes(await whole_timeline(kit, "timed"))[-2:] == ["room_paused_by_timer", "room_closed_by_timer"]
        with pytest.raises(RoomNotFoundError):
            await kit.check_room_timers("nowhere")


async def test_a_check_of_all_returns_the_rooms_that_changed(home: Home) -> None:
    async with home.kit(LiveProbe(), rooms=["busy", "gone", "idle", "long", "without"]) as kit:
        for room_id in ("busy", "gone", "idle"):
            await kit.set_room_timers(room_id, BOTH)
        await kit.set_room_timers("long", RoomTimers(inactive_after_seconds=1e6))
        home.clock.slip(PAUSE + TICK)  # the pump has not looked yet
        await say(kit, "hi", room_id="busy", channel_id="live")
        await kit.store.delete_room("gone")

        changed = await kit.check_all_timers()

        assert [(room.id, room.status) for room in changed] == [("idle", RoomStatus.PAUSED)]
        assert await kit.check_all_timers() == []


async def test_t28_each_of_ten_thousand_rooms_is_found_and_none_is_searched_for() -> None:
    class Counting(InMemoryStore):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.calls: Counter[str] = Counter()

        async def find_rooms(self, *args: Any, **options: Any) -> list[Room]:
            self.calls["find_rooms"] += 1
            return await super().find_rooms(*args, **options)

        async def load_room(self, *args: Any, **options: Any) -> Any:
            self.calls["load_room"] += 1
            return await super().load_room(*args, **options)

    home, count, timed = Home(), 10_000, 7
    store = Counting(clock=home.clock)
    home._memory = store
    async with home.kit(rooms=[]) as kit:
        told = told_by(kit, "room_closed")
        for number in range(count):
            await kit.create_room(f"long-{number}", timers=RoomTimers(closed_after_seconds=1e6))
        for number in range(timed):
            await kit.create_room(f"short-{number}", timers=RoomTimers(closed_after_seconds=PAUSE))
        store.calls.clear()

        await home.later(kit, PAUSE + 1)

        assert len(told) == timed
        assert store.calls["find_rooms"] == 0
        assert store.calls["load_room"] <= 3 * timed
        await home.later(kit, 1e6)
        assert {room_id for _, room_id, _ in told} >= {f"long-{number}" for number in range(count)}
        assert store.calls["find_rooms"] == 0


# -------------------------------------------------------------------------------------------------- another process


@pytest.mark.parametrize("away", [1.0, PAUSE + 1, CLOSE + 1, 400 * 86_400.0])
async def test_after_a_restart_they_go_on_from_where_they_were(home: Home, away: float) -> None:
    async with home.kit(rooms=[]) as kit:
        await kit.create_room("room", timers=BOTH)
    home.clock.jump(away)
    async with home.kit(rooms=[]) as kit:
        await kit.idle()
        passed = {False: RoomStatus.ACTIVE, True: RoomStatus.PAUSED}[away > PAUSE]
        assert await status(kit) is (RoomStatus.CLOSED if away > CLOSE else passed)

        await home.later(kit, CLOSE)

        assert await status(kit) is RoomStatus.CLOSED


async def test_a_holder_that_died_is_taken_over_and_the_room_closes_once(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        await kit.create_room("room", timers=RoomTimers(closed_after_seconds=CLOSE))
    home.clock.jump(CLOSE + 1)
    store = home.store()
    await store.open()
    assert len(await store.claim("a kit that dies", lease=60, limit=9, kinds=[WorkKind.TIMER])) == 1
    await store.close()
    async with home.kit(rooms=[]) as kit:
        told = told_by(kit, "room_closed")
        await home.later(kit, 61)
        await home.later(kit, 61)

        assert len(told) == 1
        assert codes(await whole_timeline(kit, "room")) == ["room_closed_by_timer"]


# --------------------------------------------------------------------------------------------------- hooks and ends


async def test_hooks_and_handlers_are_told_what_a_timer_did(home: Home) -> None:
    called: list[tuple[HookTrigger, str, RoomStatus]] = []
    async with home.kit(rooms=[]) as kit:
        told = told_by(kit, "room_paused", "room_closed")
        for trigger in (HookTrigger.ON_ROOM_PAUSED, HookTrigger.ON_ROOM_CLOSED):

            @kit.hook(trigger)
            async def note(event: RoomEvent, context: RoomContext, trigger: HookTrigger = trigger) -> None:
                called.append((trigger, event.content.code, context.room.status))

        await kit.create_room("room", timers=BOTH)
        await home.later(kit, PAUSE + TICK)
        await home.later(kit, CLOSE)

        assert called == [
            (HookTrigger.ON_ROOM_PAUSED, "room_paused_by_timer", RoomStatus.PAUSED),
            (HookTrigger.ON_ROOM_CLOSED, "room_closed_by_timer", RoomStatus.CLOSED),
        ]
        assert [name for name, _, _ in told] == ["room_paused", "room_closed"]


async def test_closing_a_room_by_hand_ends_its_timers_and_says_so(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        told = told_by(kit, "room_closed", "room_paused")
        await kit.create_room("room", timers=BOTH)
        await kit.close_room("room")
        assert await open_timers(kit) == []

        await home.later(kit, CLOSE + 1)

        assert told == [("room_closed", "room", None)]
        room = await kit.set_room_timers("room", BOTH)
        assert (room.status, await open_timers(kit)) == (RoomStatus.CLOSED, [])


async def test_t24_a_deleted_room_leaves_no_timer_and_its_successor_has_its_own(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        told = told_by(kit, "room_closed")
        await kit.create_room("room", timers=BOTH)
        await kit.delete_room("room")
        assert await open_timers(kit) == []
        await kit.create_room("room")

        await home.later(kit, CLOSE + 1)

        assert (told, await status(kit)) == ([], RoomStatus.ACTIVE)


async def test_what_arrives_in_a_room_that_its_timer_has_closed_is_refused(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        await kit.set_room_timers("room", BOTH)
        await home.later(kit, CLOSE + 1)

        result = await kit.process_inbound(message(), room_id="room")

        assert (result.blocked, result.reason, result.event) == (True, "room_closed", None)


async def test_deliveries_owed_go_out_and_a_conversation_is_free_when_a_timer_closes(home: Home) -> None:
    sms = ScriptedChannel("sms", "later")
    async with home.kit(sms, rooms=[]) as kit:
        first = (await kit.process_inbound(message("one", channel_id="sms"))).event
        await kit.set_room_timers(first.room_id, RoomTimers(closed_after_seconds=1))
        await kit.attach_channel(first.room_id, "sms", metadata={})
        await home.later(kit, 2)
        assert await status(kit, first.room_id) is RoomStatus.CLOSED

        second = (await kit.process_inbound(message("two", channel_id="sms"))).event

        assert second.status is EventStatus.DELIVERED
        assert second.room_id != first.room_id
