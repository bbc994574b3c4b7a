"""Who waits for what: the three kinds of waiting, callers that go away, slow parts, ``idle`` and ``close``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import pytest

from roomkit_core import (
    Channel,
    DeliveryState,
    FrameworkEvent,
    HookExecution,
    HookResult,
    HookTrigger,
    InboundMessage,
    InboundResult,
    InMemoryStore,
    KitStateError,
    RoomContext,
    RoomEvent,
    RoomKit,
    StoreBusyError,
    TextContent,
    Wait,
    WorkState,
)
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.kits import make_room, messages_of, open_kit, rows_of, texts_of

Release = tuple[anyio.Event, Callable[[RoomEvent], Awaitable[list[str]]]]


def held_reply(*texts: str) -> Release:
    """An event, and a reply that waits for it."""
    release = anyio.Event()

    async def reply(event: RoomEvent) -> list[str]:
        await release.wait()
        return list(texts)

    return release, reply


class Call:
    """A call of ``process_inbound`` in a task of its own."""

    def __init__(self, kit: RoomKit, text: str = "hi", *, wait: Wait = "settled", channel_id: str = "live") -> None:
        incoming = message(text, channel_id=channel_id)
        self._steps = partial(kit.process_inbound, incoming, room_id="room", wait=wait)
        self.result: InboundResult | None = None
        self.scope = anyio.CancelScope()

    async def __call__(self) -> None:
        with self.scope:
            self.result = await self._steps()

    @property
    def is_done(self) -> bool:
        return self.result is not None


# ----------------------------------------------------------------------------------------- the three kinds of waiting


async def test_committed_waits_for_the_commit_only() -> None:
    sms, ai = ScriptedChannel("sms", "wait"), Answering()
    async with open_kit(LiveProbe(), sms, ai) as kit:
        await make_room(kit, "room", "live", sms, ai)

        result = await kit.process_inbound(message(), room_id="room", wait="committed")

        assert (sms.started, ai.asked) == (0, [])
        assert await kit.store.get_event(result.event.id) == result.event
        assert result.delivery_results["sms"].state is DeliveryState.QUEUED
        assert result.delivery_results["live"].state is DeliveryState.LIVE
        sms.gate.set()


async def test_attempted_waits_for_the_first_try_of_each_row_but_not_for_answers_or_observers() -> None:
    sms, ai, hung = ScriptedChannel("sms", "wait"), Answering(), anyio.Event()
    release, ai.reply = held_reply("answer")
    async with open_kit(LiveProbe(), sms, ai) as kit, anyio.create_task_group() as group:
        kit.hook(HookTrigger.AFTER_BROADCAST)(waits_for(hung))
        await make_room(kit, "room", "live", sms, ai)
        call = Call(kit, wait="attempted")
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        assert not call.is_done

        sms.gate.set()
        await anyio.wait_all_tasks_blocked()

        assert call.is_done
        assert call.result.delivery_results["sms"].state is DeliveryState.SENT
        assert await texts_of(kit, "room") == ["hi"]
        release.set()
        hung.set()


def waits_for(event: anyio.Event) -> Callable[[RoomEvent, RoomContext], Awaitable[None]]:
    """An observer that hangs until then."""

    async def observe(_: RoomEvent, __: RoomContext) -> None:
        await event.wait()

    return observe


async def test_attempted_reports_a_row_as_queued_if_its_lane_is_busy() -> None:
    sms = ScriptedChannel("sms", "wait")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message("one"), room_id="room", wait="committed")
        await sms.called.wait()

        result = await kit.process_inbound(message("two"), room_id="room", wait="attempted")

        assert result.delivery_results["sms"].state is DeliveryState.QUEUED
        sms.gate.set()


@pytest.mark.parametrize("last", ["answer", "delivery of the answer", "observer", "observer of the answer", "drain"])
async def test_settled_waits_for_all_that_follows(last: str) -> None:
    """The message comes by SMS, so that the answer is the first row of the lane to its author."""
    release, seen, live = anyio.Event(), [], LiveProbe()
    sms = ScriptedChannel("sms", "wait" if last == "delivery of the answer" else "send")

    async def reply(event: RoomEvent) -> list[str]:
        if last == "answer":
            await release.wait()
        return [f"echo {text_of(event)}"]

    async def observe(event: RoomEvent, _: RoomContext) -> None:
        if last == {"hi": "observer", "echo hi": "observer of the answer"}[text_of(event)]:
            await release.wait()
        seen.append(text_of(event))

    if last == "drain":
        live.slow = release.wait
    async with open_kit(live, sms, Answering(reply=reply)) as kit, anyio.create_task_group() as group:
        kit.hook(HookTrigger.AFTER_BROADCAST)(observe)
        await make_room(kit, "room", "live", "ai")
        call = Call(kit, channel_id="sms")
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        assert not call.is_done

        release.set()
        sms.gate.set()
        await anyio.wait_all_tasks_blocked()

        assert call.is_done
        assert (sms.texts, sorted(seen)) == (["echo hi"], ["echo hi", "hi"])
        assert [text_of(event) for event in live.got] == ["hi", "echo hi"]


async def test_settled_waits_for_a_question_that_is_queued_behind_a_live_one() -> None:
    ai = Answering()
    release, ai.reply = held_reply("yes")
    async with open_kit(LiveProbe(), ai) as kit, anyio.create_task_group() as group:
        await make_room(kit, "room", "live", ai)
        await kit.process_inbound(message("one"), room_id="room", wait="committed")
        call = Call(kit, "two")
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        assert (call.is_done, len(ai.asked)) == (False, 1)

        release.set()
        await anyio.wait_all_tasks_blocked()

        assert (call.is_done, len(ai.asked)) == (True, 2)
        assert await texts_of(kit, "room") == ["one", "two", "yes", "yes"]


async def test_nobody_waits_longer_than_the_patience_for_a_queued_question() -> None:
    ai = Answering()
    release, ai.reply = held_reply()
    async with open_kit(LiveProbe(), ai, process_timeout=0.05) as kit:
        await make_room(kit, "room", "live", ai)
        await kit.process_inbound(message("one"), room_id="room", wait="committed")

        result = await kit.process_inbound(message("two"), room_id="room")

        assert (result.blocked, len(ai.asked)) == (False, 1)
        release.set()


async def test_nobody_waits_for_a_retry() -> None:
    sms = ScriptedChannel("sms", "later")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)

        first = await kit.process_inbound(message("one"), room_id="room")
        second = await kit.process_inbound(message("two"), room_id="room")

        states = [result.delivery_results["sms"].state for result in (first, second)]
        assert states == [DeliveryState.PENDING, DeliveryState.QUEUED]


async def test_a_wait_of_another_name_is_refused() -> None:
    async with open_kit(LiveProbe()) as kit:
        with pytest.raises(ValueError, match="wait must be one of"):
            await kit.process_inbound(message(), wait="forever")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- slow parts (T10)


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("wait", ["committed", "settled"])
async def test_t10_a_slow_channel_delays_neither_the_others_nor_the_answer_nor_who_waits_for_the_commit(
    place: str, wait: Wait
) -> None:
    live, slow, fast, ai = LiveProbe(), ScriptedChannel("slow", "wait"), ScriptedChannel("fast"), Answering()
    targets = [slow, live, fast, ai] if place == "first" else [live, fast, ai, slow]
    async with open_kit(live, slow, fast, ai) as kit, anyio.create_task_group() as group:
        await make_room(kit, "room", *targets)
        call = Call(kit, wait=wait)
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()

        assert call.is_done is (wait == "committed")
        assert (slow.running, slow.sent) == (1, [])
        assert fast.texts == ["hi", "echo hi"]
        assert [text_of(event) for event in live.got] == ["hi", "echo hi"]

        slow.gate.set()
        await kit.idle()
        assert slow.texts == ["hi", "echo hi"]


@pytest.mark.parametrize("place", ["first", "last"])
async def test_t10_a_live_channel_with_a_slow_socket_delays_no_other_channel_and_no_answer(place: str) -> None:
    slow, quick, sms, ai, release = LiveProbe("slow"), LiveProbe("live"), ScriptedChannel("sms"), Answering(), None
    release = anyio.Event()
    slow.slow = release.wait
    targets = [slow, quick, sms, ai] if place == "first" else [quick, sms, ai, slow]
    async with open_kit(slow, quick, sms, ai) as kit, anyio.create_task_group() as group:
        await make_room(kit, "room", *targets)
        group.start_soon(Call(kit))
        await anyio.wait_all_tasks_blocked()

        assert slow.got == []
        assert [text_of(event) for event in quick.got] == ["hi", "echo hi"]
        assert sms.texts == ["hi", "echo hi"]
        release.set()


async def test_t10_a_slow_room_delays_no_other_room() -> None:
    ai, sms = Answering(), ScriptedChannel("sms", lambda delivery: "wait" if delivery.event.room_id == "r0" else "send")
    async with open_kit(LiveProbe(), sms, ai) as kit:
        for number in range(3):
            await make_room(kit, f"r{number}", "live", sms, ai)
        await kit.process_inbound(message("slow"), room_id="r0", wait="committed")
        await sms.called.wait()

        results = [await kit.process_inbound(message("quick"), room_id=f"r{number}") for number in (1, 2)]

        assert [result.delivery_results["sms"].state for result in results] == [DeliveryState.SENT] * 2
        sms.gate.set()


# ----------------------------------------------------------------------------------------------- callers that go away


async def test_t10_a_caller_that_is_cancelled_in_mid_send_changes_nothing() -> None:
    sms, ai = ScriptedChannel("sms", "wait"), Answering()
    async with open_kit(LiveProbe(), sms, ai) as kit, anyio.create_task_group() as group:
        await make_room(kit, "room", "live", sms, ai)
        call = Call(kit)
        group.start_soon(call)
        await sms.called.wait()

        call.scope.cancel()
        await anyio.wait_all_tasks_blocked()
        sms.gate.set()

        assert await kit.idle() == 0
        assert (call.is_done, sms.started, sms.texts) == (False, 2, ["hi", "echo hi"])
        rows = await rows_of(kit, "room", "sms")
        assert [(row.state, row.maybe_sent, row.attempts) for row in rows] == [(WorkState.SENT, False, 1)] * 2


async def test_a_caller_that_is_cancelled_while_it_drains_leaves_the_rest_to_the_kit() -> None:
    slow, other, release = LiveProbe("slow"), LiveProbe("live"), anyio.Event()
    slow.slow = release.wait
    async with open_kit(slow, other) as kit, anyio.create_task_group() as group:
        await make_room(kit, "room", slow, other)
        call = Call(kit)
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()

        call.scope.cancel()
        await anyio.wait_all_tasks_blocked()
        release.set()
        await kit.idle()

        assert [text_of(event) for event in slow.got] == ["hi"]
        assert [text_of(event) for event in other.got] == ["hi"]


@pytest.mark.parametrize("when", ["hook", "lock"])
async def test_a_caller_that_is_cancelled_before_the_commit_leaves_nothing(when: str) -> None:
    release, entered, sms = anyio.Event(), anyio.Event(), ScriptedChannel("sms")

    async def decide(event: RoomEvent, _: RoomContext) -> HookResult:
        await kit.send_event("room", "live", TextContent(body="from the hook"))
        entered.set()
        await release.wait()
        return HookResult.allow()

    async with open_kit(LiveProbe(), sms) as kit, anyio.create_task_group() as group:
        await make_room(kit, "room", "live", sms)
        kit.hook(HookTrigger.BEFORE_BROADCAST)(decide)
        first, second = Call(kit, "one"), Call(kit, "two")
        group.start_soon(first)
        await entered.wait()
        group.start_soon(second)
        await anyio.wait_all_tasks_blocked()

        (first if when == "hook" else second).scope.cancel()
        release.set()
        await anyio.wait_all_tasks_blocked()

        survivor = "two" if when == "hook" else "one"
        assert await texts_of(kit, "room") == [survivor, "from the hook"]
        assert sms.texts == [survivor, "from the hook"]


async def test_t8_the_lock_is_free_again_after_a_waiting_caller_was_cancelled() -> None:
    release, entered = anyio.Event(), anyio.Event()

    async def decide(event: RoomEvent, _: RoomContext) -> HookResult:
        entered.set()
        await release.wait()
        return HookResult.allow()

    async with open_kit(LiveProbe()) as kit, anyio.create_task_group() as group:
        kit.hook(HookTrigger.BEFORE_BROADCAST)(decide)
        await make_room(kit, "room", "live")
        calls = [Call(kit, str(number)) for number in range(5)]
        group.start_soon(calls[0])
        await entered.wait()
        for call in calls[1:]:
            group.start_soon(call)
        await anyio.wait_all_tasks_blocked()

        for call in calls[:4]:
            call.scope.cancel()
        release.set()
        await anyio.wait_all_tasks_blocked()

        assert await texts_of(kit, "room") == ["4"]
        await kit.process_inbound(message("later"), room_id="room")
        assert await texts_of(kit, "room") == ["4", "later"]


# ---------------------------------------------------------------------------------------------- T11: slow observers


async def test_t11_an_observer_that_hangs_delays_nobody_elses() -> None:
    hung, seen = anyio.Event(), []

    async def observe(event: RoomEvent, _: RoomContext) -> None:
        seen.append(text_of(event))

    async with open_kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, priority=-1)(waits_for(hung))
        kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC)(observe)
        await make_room(kit, "room", "live", "sms")
        await make_room(kit, "other", "live", "sms")
        kit.on("event_processed")(lambda event: seen.append(event.type))

        for room_id in ("room", "other", "room"):
            result = await kit.process_inbound(message(room_id), room_id=room_id, wait="attempted")
            assert result.delivery_results["sms"].state is DeliveryState.SENT
        await anyio.wait_all_tasks_blocked()

        assert sorted(seen) == sorted(["room", "other", "room", *["event_processed"] * 3])
        hung.set()


async def test_t11_an_observer_that_runs_out_of_time_is_reported_and_holds_up_nobody() -> None:
    told: list[FrameworkEvent] = []
    async with open_kit(LiveProbe()) as kit:
        kit.on("hook_error")(told.append)
        kit.hook(HookTrigger.AFTER_BROADCAST, name="sleeper", timeout=0.01)(waits_for(anyio.Event()))
        await make_room(kit, "room", "live")

        result = await kit.process_inbound(message(), room_id="room")
        await kit.idle()

        assert not result.blocked
        assert [(event.data["hook"], event.event_id) for event in told] == [("sleeper", result.event.id)]


async def test_t11_observers_are_drained_when_the_kit_closes() -> None:
    release, seen = anyio.Event(), []

    async def observe(event: RoomEvent, _: RoomContext) -> None:
        await release.wait()
        seen.append(text_of(event))

    async with open_kit(LiveProbe()) as kit:
        kit.hook(HookTrigger.AFTER_BROADCAST)(observe)
        await make_room(kit, "room", "live")
        for number in range(3):
            await kit.process_inbound(message(str(number)), room_id="room", wait="committed")
        release.set()

    assert sorted(seen) == ["0", "1", "2"]


# ------------------------------------------------------------------------------------------------------------- idle


@pytest.mark.parametrize("behaviour", ["later", "lose"])
async def test_idle_counts_the_rows_that_are_left_for_later(behaviour: str) -> None:
    sms = ScriptedChannel("sms", behaviour)
    async with open_kit(LiveProbe(), sms) as kit:
        assert await kit.idle() == 0
        for room_id in ("one", "two"):
            await make_room(kit, room_id, "live", sms)
            await kit.process_inbound(message(), room_id=room_id, wait="committed")
        assert await kit.idle() == 2

        await kit.process_inbound(message("behind"), room_id="one")

        assert await kit.idle() == 3
        await kit.delete_room("one")
        assert await kit.idle() == 1


async def test_idle_waits_for_everything_that_runs() -> None:
    sms, ai, idle = ScriptedChannel("sms", "wait"), Answering(), []
    async with open_kit(LiveProbe(), sms, ai) as kit, anyio.create_task_group() as group:
        await make_room(kit, "room", "live", sms, ai)
        await kit.process_inbound(message(), room_id="room", wait="committed")

        async def wait_idle() -> None:
            idle.append(await kit.idle())

        group.start_soon(wait_idle)
        await anyio.wait_all_tasks_blocked()
        assert idle == []
        sms.gate.set()
        await anyio.wait_all_tasks_blocked()

        assert idle == [0]
        assert sms.texts == ["hi", "echo hi"]


# -------------------------------------------------------------------------------------------------- inside of a call

PLACES = ["deciding hook", "observer", "handler", "ask", "send", "drain", "handle_inbound", "on_room_attached"]


def inside(kit: RoomKit, place: str, action: Callable[[], Awaitable[Any]]) -> list[Channel]:
    """Let ``action`` run at that place, once; returns the channels that a room needs for it."""
    done = False

    async def once(*_: Any) -> None:
        nonlocal done
        if not done:
            done = True
            await action()

    async def decide(*_: Any) -> HookResult:
        await once()
        return HookResult.allow()

    class Sending(ScriptedChannel):
        async def send(self, delivery: Any) -> Any:
            await once()
            return await super().send(delivery)

    class Attached(LiveProbe):
        on_room_attached = once  # type: ignore[assignment]

    class Translating(LiveProbe):
        async def handle_inbound(self, incoming: InboundMessage, context: RoomContext) -> RoomEvent:
            await once()
            return await super().handle_inbound(incoming, context)

    async def reply(_: RoomEvent) -> list[str]:
        await once()
        return []

    live = Translating() if place == "handle_inbound" else LiveProbe()
    channels: list[Channel] = [live]
    if place == "deciding hook":
        kit.hook(HookTrigger.BEFORE_BROADCAST)(decide)
    elif place == "observer":
        kit.hook(HookTrigger.AFTER_BROADCAST)(once)
    elif place == "handler":
        kit.on("event_processed")(once)
    elif place == "ask":
        channels.append(Answering(reply=reply))
    elif place == "send":
        channels.append(Sending("sms"))
    elif place == "drain":
        live.slow = once
    elif place == "on_room_attached":
        channels.append(Attached("attached"))
    for channel in channels:
        kit.register_channel(channel)
    return channels


@pytest.mark.parametrize("verb", ["idle", "close"])
@pytest.mark.parametrize("place", PLACES)
async def test_waiting_for_the_kit_inside_one_of_its_calls_is_refused(place: str, verb: str) -> None:
    codes: list[str] = []
    async with open_kit() as kit:

        async def act() -> None:
            try:
                await getattr(kit, verb)()
            except KitStateError as error:
                codes.append(error.code)

        await make_room(kit, "room", *inside(kit, place, act))
        await kit.process_inbound(message(), room_id="room")
        await kit.idle()

        assert codes == ["kit.reentrant_wait"]
        assert await texts_of(kit, "room") == ["hi"]


@pytest.mark.parametrize("verb", ["process_inbound", "send_event"])
@pytest.mark.parametrize("place", PLACES)
async def test_inside_a_call_every_verb_waits_for_its_commit_only(place: str, verb: str) -> None:
    """The room that is written to has a channel that never answers and a bot that never does: nobody waits for them."""
    stuck, silent = ScriptedChannel("stuck", "wait"), Answering("silent")
    release, silent.reply = held_reply()
    done: list[bool] = []
    async with open_kit(stuck, silent) as kit:
        kit.register_channel(LiveProbe("door"))
        await make_room(kit, "side", "door", stuck, silent, ai=["silent"])

        async def act() -> None:
            if verb == "process_inbound":
                await kit.process_inbound(message("aside", channel_id="door"), room_id="side", wait="settled")
            else:
                await kit.send_event("side", "door", TextContent(body="aside"), wait="settled")
            done.append(True)

        await make_room(kit, "room", *inside(kit, place, act))
        await kit.process_inbound(message(), room_id="room", wait="committed")
        await anyio.wait_all_tasks_blocked()

        assert done == [True]
        assert await texts_of(kit, "side") == ["aside"]
        release.set()
        stuck.gate.set()


async def test_after_the_call_has_returned_its_tasks_may_wait_again() -> None:
    """The mark dies with the call: a task that outlives an observer is a stranger."""
    waited, go = [], anyio.Event()
    async with open_kit(LiveProbe()) as kit, anyio.create_task_group() as group:

        async def later() -> None:
            await go.wait()
            waited.append(await kit.idle())

        @kit.hook(HookTrigger.AFTER_BROADCAST)
        async def observe(_: RoomEvent, __: RoomContext) -> None:
            group.start_soon(later)

        await make_room(kit, "room", "live")
        await kit.process_inbound(message(), room_id="room")
        go.set()
        with anyio.fail_after(5):
            while not waited:
                await anyio.lowlevel.checkpoint()

        assert waited == [0]


async def test_the_mark_is_per_kit() -> None:
    """Inside a call of one kit another kit can be waited for."""
    waited: list[int] = []
    async with open_kit(LiveProbe()) as kit, open_kit(LiveProbe()) as other:
        await make_room(other, "room", "live")

        async def act() -> None:
            await other.process_inbound(message("over there"), room_id="room")
            waited.append(await other.idle())

        await make_room(kit, "room", "live")
        kit.on("event_processed")(lambda _: act())
        await kit.process_inbound(message(), room_id="room")
        await kit.idle()

        assert (waited, await texts_of(other, "room")) == ([0], ["over there"])


# ------------------------------------------------------------------------------------------------------------ closing


class Closing(ScriptedChannel):
    """Notes when it is closed."""

    was_closed = 0

    async def close(self) -> None:
        assert self.running == 0
        self.was_closed += 1


async def test_close_refuses_calls_lets_what_is_under_way_end_and_closes_the_channels_once() -> None:
    sms, ai = Closing("sms", "wait"), Answering()
    async with open_kit(LiveProbe(), sms, ai) as kit, anyio.create_task_group() as group:
        await make_room(kit, "room", "live", sms, ai)
        await kit.process_inbound(message(), room_id="room", wait="committed")
        group.start_soon(kit.close)
        await anyio.wait_all_tasks_blocked()

        with pytest.raises(KitStateError, match="closing") as refused:
            await kit.process_inbound(message("late"), room_id="room")
        assert (refused.value.code, sms.was_closed) == ("kit.closed", 0)
        sms.gate.set()
        await anyio.wait_all_tasks_blocked()

        assert (sms.texts, sms.was_closed) == (["hi", "echo hi"], 1)
        assert [row.state for row in await rows_of(kit, "room", "sms")] == [WorkState.SENT] * 2
        await kit.close()
    assert sms.was_closed == 1


async def test_what_is_interrupted_when_the_time_to_close_is_over_is_recorded_as_unknown() -> None:
    sms, fax = Closing("sms", "hang"), Closing("fax")
    async with open_kit(LiveProbe(), sms, fax) as kit:
        await make_room(kit, "room", "live", sms, fax)
        await kit.process_inbound(message(), room_id="room", wait="committed")

        await kit.close(timeout=0.01)

        [row] = await rows_of(kit, "room", "sms")
        assert (row.state, row.maybe_sent, row.code) == (WorkState.UNKNOWN, True, "delivery.interrupted")
        assert [row.state for row in await rows_of(kit, "room", "fax")] == [WorkState.SENT]
    assert (sms.was_closed, fax.was_closed) == (1, 1)


async def test_a_caller_that_waits_is_let_go_when_the_kit_is_closed() -> None:
    sms = ScriptedChannel("sms", "hang")
    async with open_kit(LiveProbe(), sms) as kit, anyio.create_task_group() as group:
        await make_room(kit, "room", "live", sms)
        call = Call(kit)
        group.start_soon(call)
        await sms.called.wait()

        await kit.close(timeout=0)

        await anyio.wait_all_tasks_blocked()
        assert call.is_done
        assert call.result.delivery_results["sms"].state is DeliveryState.UNKNOWN


async def test_a_channel_that_does_not_close_does_not_keep_the_others_from_it() -> None:
    class Stubborn(ScriptedChannel):
        async def close(self) -> None:
            raise OSError("no")

    good = Closing("good")
    kit = RoomKit()
    for channel in (Stubborn("bad"), good):
        kit.register_channel(channel)
    await kit.__aenter__()

    with pytest.raises(ExceptionGroup, match="did not close") as failed:
        await kit.__aexit__(None, None, None)

    assert good.was_closed == 1
    assert [str(error) for error in failed.value.exceptions] == ["no"]


async def test_a_kit_that_is_closed_in_the_body_of_its_with_block_lets_the_body_go_on() -> None:
    sms = Closing("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message(), room_id="room")
        await kit.close()
        await anyio.lowlevel.checkpoint()
        went_on = True

    assert (went_on, sms.was_closed) == (True, 1)


async def test_a_with_block_that_is_cancelled_still_lets_what_is_under_way_end_and_closes_in_order() -> None:
    sms = Closing("sms", "wait")
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            async with open_kit(LiveProbe(), sms) as kit:
                await make_room(kit, "room", "live", sms)
                await kit.process_inbound(message(), room_id="room", wait="committed")
                await sms.called.wait()
                group.start_soon(open_the_gate_when_all_wait, sms)
                scope.cancel()
                await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert (sms.texts, sms.was_closed) == (["hi"], 1)
    assert [row.state for row in await rows_of(kit, "room")] == [WorkState.SENT]


async def open_the_gate_when_all_wait(channel: ScriptedChannel) -> None:
    await anyio.wait_all_tasks_blocked()
    channel.gate.set()


async def test_a_kit_whose_store_does_not_open_leaves_nothing_behind() -> None:
    class Locked(InMemoryStore):
        async def open(self) -> None:
            raise StoreBusyError("another process has it")

    with pytest.raises(StoreBusyError):
        async with open_kit(LiveProbe(), store=Locked()):
            raise AssertionError("the kit was entered")
    async with open_kit(LiveProbe()) as kit:
        assert await kit.idle() == 0


async def test_emit_on_a_closed_kit_never_raises() -> None:
    async with open_kit(LiveProbe()) as kit:
        kit.on("late")(lambda event: None)

    kit.emit("late")
    kit.emit("late")


# ------------------------------------------------------------------------------------------- loops, bare kits, states


async def test_a_kit_that_nobody_entered_works_on_asyncio_and_says_what_to_do_on_trio(
    anyio_backend_name: str,
) -> None:
    kit = RoomKit()
    live, sms, ai = LiveProbe(), ScriptedChannel("sms"), Answering()
    for channel in (live, sms, ai):
        kit.register_channel(channel)
    if anyio_backend_name == "trio":
        with pytest.raises(KitStateError, match="not started") as refused:
            await kit.process_inbound(message(), room_id="room")
        assert refused.value.code == "kit.not_started"
        assert "async with" in refused.value.hint
        assert "kit.run" in refused.value.hint
        return

    await make_room(kit, "room", live, sms, ai)
    await kit.process_inbound(message(), room_id="room")
    await kit.idle()

    assert sms.texts == ["hi", "echo hi"]
    await kit.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has no bare kits
async def test_the_first_verbs_of_a_bare_kit_may_come_at_once() -> None:
    class Starting(LiveProbe):
        starts = 0

        async def start(self, kit: Any) -> None:
            self.starts += 1
            await anyio.lowlevel.checkpoint()

    kit, live = RoomKit(), Starting()
    kit.register_channel(live)
    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(partial(kit.process_inbound, message(str(number)), room_id="room"))

    assert live.starts == 1
    assert sorted(await texts_of(kit, "room")) == list("01234")
    await kit.close()


async def test_run_keeps_a_kit_running_until_it_is_cancelled() -> None:
    sms, kit = Closing("sms"), RoomKit()
    for channel in (LiveProbe(), sms):
        kit.register_channel(channel)
    async with anyio.create_task_group() as group:
        await group.start(kit.run)
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message(), room_id="room")
        group.cancel_scope.cancel()

    assert (sms.texts, sms.was_closed) == (["hi"], 1)


async def test_a_kit_is_used_on_one_event_loop_only(anyio_backend_name: str) -> None:
    async with open_kit(LiveProbe()) as kit:
        await make_room(kit, "room", "live")

        async def use() -> str:
            with pytest.raises(KitStateError) as refused:
                await kit.process_inbound(message(), room_id="room")
            with pytest.raises(KitStateError):
                await kit.create_room("other")
            return refused.value.code

        code = await anyio.to_thread.run_sync(lambda: anyio.run(use, backend=anyio_backend_name))

        assert code == "kit.wrong_loop"
        assert await messages_of(kit, "room") == []


async def test_a_closed_kit_takes_no_more_calls() -> None:
    async with open_kit(LiveProbe()) as kit:
        await make_room(kit, "room", "live")

    verbs: list[Callable[[], Awaitable[Any]]] = [
        lambda: kit.process_inbound(message(), room_id="room"),
        lambda: kit.send_event("room", "live", TextContent(body="x")),
        lambda: kit.create_room("other"),
        lambda: kit.attach_channel("room", "live"),
        lambda: kit.mute("room", "live"),
        lambda: kit.close_room("room"),
        lambda: kit.delete_room("room"),
        lambda: kit.idle(),
    ]
    codes = []
    for verb in verbs:
        with pytest.raises(KitStateError) as refused:
            await verb()
        codes.append(refused.value.code)

    assert codes == ["kit.closed"] * len(verbs)
