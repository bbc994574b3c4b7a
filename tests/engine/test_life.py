"""Start and close of a kit, what a stale cache must not decide, and chains that have no end of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from roomkit_core import (
    Access,
    ChannelCategory,
    DeliveryState,
    EventType,
    FrameworkEvent,
    HookExecution,
    HookResult,
    HookTrigger,
    InMemoryStore,
    KitStateError,
    RoomContext,
    RoomEvent,
    RoomKit,
    Route,
    TextContent,
    WorkFilter,
    WorkState,
)
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.still import StillClock

pytestmark = pytest.mark.anyio

BEFORE, AFTER = HookTrigger.BEFORE_BROADCAST, HookTrigger.AFTER_BROADCAST


async def test_what_is_emitted_before_a_loop_runs_is_told_when_the_kit_starts() -> None:
    kit = RoomKit()
    told: list[str | None] = []
    kit.on("channel_registered")(lambda event: told.append(event.channel_id))
    await anyio.to_thread.run_sync(kit.register_channel, LiveProbe())  # a thread has no loop, as a module has none
    assert told == []
    with anyio.fail_after(5):
        async with kit:
            await kit.idle()
    assert told == ["live"]


async def test_close_waits_for_callers_that_are_under_way() -> None:
    kit = RoomKit()
    sms = ScriptedChannel("sms")
    for channel in (LiveProbe(), sms):
        kit.register_channel(channel)
    async with kit, anyio.create_task_group() as group:
        await kit.create_room("r")
        for channel_id in ("live", "sms"):
            await kit.attach_channel("r", channel_id)
        inside, go_on = anyio.Event(), anyio.Event()

        @kit.hook(BEFORE)
        async def slow(event: RoomEvent, context: RoomContext) -> HookResult:
            inside.set()
            await go_on.wait()
            return HookResult.allow()

        group.start_soon(lambda: kit.process_inbound(message(), room_id="r"))
        await inside.wait()
        group.start_soon(kit.close)
        await anyio.wait_all_tasks_blocked()
        go_on.set()
    assert sms.texts == ["hi"]
    with pytest.raises(KitStateError, match="closed"):
        await kit.process_inbound(message(), room_id="r")


async def test_a_close_that_was_cancelled_has_closed_all_the_same() -> None:
    class Closing(LiveProbe):
        closed = 0

        async def close(self) -> None:
            self.closed += 1

    kit = RoomKit()
    channel = Closing()
    kit.register_channel(channel)
    async with kit:
        started = anyio.Event()

        async def forever() -> None:
            started.set()
            await anyio.sleep_forever()

        kit.spawn(forever)
        await started.wait()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await kit.close(60)
        await kit.close()
    assert channel.closed == 1


async def test_a_channel_may_use_verbs_in_its_own_start_and_not_wait_for_itself() -> None:
    class Eager(LiveProbe):
        refused: str | None = None

        async def start(self, kit: Any) -> None:
            await kit.create_room("lobby")
            try:
                await kit.idle()
            except KitStateError as error:
                self.refused = error.code

    kit = RoomKit()
    channel = Eager()
    kit.register_channel(channel)
    with anyio.fail_after(5):
        async with kit:
            assert (await kit.get_room("lobby")).id == "lobby"
    assert channel.refused == "kit.reentrant_wait"


# ------------------------------------------------------------------------------------- two kits, one of them behind


async def two_kits(store: InMemoryStore, *channels: str) -> tuple[list[RoomKit], list[ScriptedChannel]]:
    kits, all_sms = [], []
    for _ in range(2):
        kit, sms = RoomKit(store), ScriptedChannel("sms")
        kit.register_channel(LiveProbe())
        kit.register_channel(sms)
        kits.append(kit)
        all_sms.append(sms)
    return kits, all_sms


async def test_a_kit_that_does_not_know_of_an_attachment_yet_suppresses_nothing() -> None:
    store = InMemoryStore()
    (one, two), (first, second) = await two_kits(store)
    async with one, two:
        await one.create_room("r")
        await one.attach_channel("r", "live")
        await two.process_inbound(message("cached"), room_id="r")
        await one.attach_channel("r", "sms")

        first.behave = second.behave = "wait"
        for number in range(first.max_in_flight + 2):
            await one.create_room(f"r{number}")
            await one.attach_channel(f"r{number}", "live")
            await one.attach_channel(f"r{number}", "sms")
            await one.process_inbound(message(f"fill {number}"), room_id=f"r{number}", wait="committed")
        await one.process_inbound(message("owed"), room_id="r", wait="committed")
        second.gate.set()
        await two.create_room("other")
        await two.attach_channel("other", "live")
        await two.attach_channel("other", "sms")
        await two.process_inbound(message("wakes a runner"), room_id="other")
        await two.idle()
        first.gate.set()
        await one.idle()
    assert sorted(first.texts + second.texts).count("owed") == 1


async def test_what_a_first_try_decided_about_an_event_does_not_reach_the_second() -> None:
    store = InMemoryStore()
    (one, two), (sms, _) = await two_kits(store)
    async with one, two:
        await one.create_room("r")
        await one.attach_channel("r", "live", visibility="internal")
        await one.attach_channel("r", "sms")
        await one.process_inbound(message("hidden"), room_id="r")
        await two.set_visibility("r", "live", "all")

        result = await one.process_inbound(message("seen"), room_id="r")

        assert result.event is not None
        assert (result.event.visibility, result.delivery_results["sms"].state) == ("all", DeliveryState.SENT)
        assert sms.texts == ["seen"]


# ------------------------------------------------------------------------------------------ chains without an end (T44)


async def test_t44_an_apology_for_a_failed_delivery_that_fails_itself_comes_to_an_end() -> None:
    kit = RoomKit()
    sms = ScriptedChannel("sms", behave="fail")
    kit.register_channel(LiveProbe())
    kit.register_channel(sms)

    @kit.on("delivery_failed")
    async def sorry(event: FrameworkEvent) -> None:
        assert event.room_id is not None
        await kit.send_event(event.room_id, "live", TextContent(body="not delivered"))

    async with kit:
        await kit.create_room("r")
        await kit.attach_channel("r", "live")
        await kit.attach_channel("r", "sms")
        await kit.process_inbound(message(), room_id="r")
        with anyio.fail_after(10):
            await kit.idle()
        assert sms.started <= 5


async def test_t44_an_error_hook_that_asks_the_broken_bot_again_comes_to_an_end() -> None:
    kit = RoomKit()

    def broken(event: RoomEvent) -> list[str]:
        raise RuntimeError("the model is down")

    ai = Answering(reply=broken)
    kit.register_channel(LiveProbe())
    kit.register_channel(ai)

    @kit.hook(HookTrigger.ON_ERROR, HookExecution.ASYNC)
    async def sorry(event: RoomEvent, context: RoomContext) -> None:
        await kit.send_event(event.room_id, "live", TextContent(body="sorry"))

    async with kit:
        await kit.create_room("r")
        await kit.attach_channel("r", "live")
        await kit.attach_channel("r", "ai", ChannelCategory.INTELLIGENCE)
        await kit.process_inbound(message(), room_id="r")
        with anyio.fail_after(10):
            await kit.idle()
        assert len(ai.asked) <= 5


async def test_t44_hooks_that_undo_each_other_come_to_an_end() -> None:
    kit = RoomKit()
    kit.register_channel(LiveProbe())

    @kit.hook(HookTrigger.ON_CHANNEL_MUTED, HookExecution.ASYNC)
    async def unmute(event: RoomEvent, context: RoomContext) -> None:
        await kit.unmute(event.room_id, "live")

    @kit.hook(HookTrigger.ON_CHANNEL_UNMUTED, HookExecution.ASYNC)
    async def mute(event: RoomEvent, context: RoomContext) -> None:
        await kit.mute(event.room_id, "live")

    async with kit:
        await kit.create_room("r")
        await kit.attach_channel("r", "live")
        await kit.mute("r", "live")
        with anyio.fail_after(10):
            await kit.idle()
        assert len(await kit.get_timeline("r")) <= 5


# ---------------------------------------------------------------------------------------------------- routes, access


async def test_the_author_is_not_sent_their_own_message_whatever_they_are_called() -> None:
    kit = RoomKit()
    sms = ScriptedChannel("sms")
    kit.register_channel(sms)
    async with kit:
        await kit.create_room("r")
        await kit.attach_channel("r", "sms", route=Route(address="+1", participant_id="ann"))
        await kit.process_inbound(message(channel_id="sms", sender_id="+1"))
        assert sms.sent == []


async def test_attaching_again_without_the_right_to_read_ends_what_was_owed() -> None:
    kit = RoomKit()
    sms = ScriptedChannel("sms", behave="later")
    kit.register_channel(LiveProbe())
    kit.register_channel(sms)
    async with kit:
        await kit.create_room("r")
        await kit.attach_channel("r", "live")
        await kit.attach_channel("r", "sms")
        await kit.process_inbound(message(), room_id="r")
        assert await kit.idle() == 1
        await kit.attach_channel("r", "sms", access=Access.WRITE_ONLY)
        assert await kit.idle() == 0


async def test_a_guard_whose_clean_up_raises_when_it_is_late_still_blocks() -> None:
    kit = RoomKit()
    kit.register_channel(LiveProbe())

    @kit.hook(BEFORE, timeout=0.01, on_error="block")
    async def guard(event: RoomEvent, context: RoomContext) -> HookResult:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("the clean-up broke")

    async with kit:
        await kit.create_room("r")
        await kit.attach_channel("r", "live")
        result = await kit.process_inbound(message(), room_id="r")
        assert (result.blocked, result.reason) == (True, "hook_error:guard")
        assert result.event is not None
        assert text_of(result.event) == "hi"


async def test_what_is_owed_is_brought_in_while_the_kit_closes() -> None:
    """A journaled message and a scheduled send of which a runner takes hold when no caller gets in any more."""
    clock = StillClock()
    store = InMemoryStore(clock=clock)
    inside, go_on = anyio.Event(), anyio.Event()
    kit = RoomKit(store, clock=clock)
    kit.register_channel(LiveProbe())

    @kit.hook(BEFORE)
    async def slow(event: RoomEvent, context: RoomContext) -> HookResult:
        if text_of(event) == "first":
            inside.set()
            await go_on.wait()
        return HookResult.allow()

    with anyio.fail_after(5):
        async with kit, anyio.create_task_group() as group:
            for room_id in ("r", "later"):
                await kit.create_room(room_id)
                await kit.attach_channel(room_id, "live")
            for text in ("first", "second"):
                await kit.accept_inbound(message(text), room_id="r")
            await kit.send_event("later", "live", TextContent(body="third"), at=clock.now() + timedelta(seconds=60))
            await inside.wait()
            group.start_soon(kit.close)
            while not kit.health().problems:
                await anyio.lowlevel.checkpoint()
            with pytest.raises(KitStateError):
                await kit.accept_inbound(message("too late"), room_id="r")
            clock.advance(60.0)
            await anyio.wait_all_tasks_blocked()
            go_on.set()

    rows = await store.list_work(WorkFilter(), limit=10)
    assert [(row.state, row.code) for row in rows] == [(WorkState.DONE, None)] * 3
    said = [event for room_id in ("r", "later") for event in await store.list_events(room_id)]
    assert [text_of(event) for event in said if event.type == EventType.MESSAGE] == ["first", "second", "third"]
