"""``durable=True``: an observer whose calls are owed, at least once, in the order of the room, also by the next kit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import anyio
import pytest

from roomkit_core import (
    EventStatus,
    EventType,
    HookError,
    HookExecution,
    HookResult,
    HookTrigger,
    RoomContext,
    RoomEvent,
    RoomKit,
    TextContent,
    WorkKind,
    WorkRow,
    WorkState,
)
from roomkit_core.engine.steps import run_hook
from roomkit_core.engine.steps.run_hook import MAX_ATTEMPTS
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.homes import Home
from tests.support.rooms import messages, say, texts, work

AFTER, BEFORE = HookTrigger.AFTER_BROADCAST, HookTrigger.BEFORE_BROADCAST
Observe = Callable[[RoomEvent, RoomContext], Awaitable[None]]


async def arrive(kit: RoomKit, text: str = "hi", room_id: str = "room", **options: Any) -> RoomEvent:
    event = (await kit.process_inbound(message(text), room_id=room_id, **options)).event
    assert event is not None
    return event


async def owed(kit: RoomKit) -> list[WorkRow]:
    return await work(kit, WorkKind.HOOK)


def note_into(seen: list[str]) -> Observe:
    """An observer that notes texts."""

    async def observe(event: RoomEvent, context: RoomContext) -> None:
        seen.append(text_of(event))

    return observe


# --------------------------------------------------------------------------------------------------- it is called


@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_it_is_called_with_every_message_and_its_row_is_done(home: Home, kind: str) -> None:
    seen: list[tuple[str, int, str]] = []
    async with home.kit(LiveProbe(), Answering()) as kit:

        def note(event: RoomEvent, context: RoomContext) -> None:
            seen.append((text_of(event), context.attempt, context.room_id))

        async def note_later(event: RoomEvent, context: RoomContext) -> None:
            note(event, context)

        kit.hook(AFTER, durable=True)(note if kind == "def" else note_later)
        await arrive(kit)
        await kit.idle()

        assert seen == [("hi", 1, "room"), ("echo hi", 1, "room")]
        assert {row.state for row in await owed(kit)} == {WorkState.DONE}


async def test_what_is_blocked_or_noted_or_refused_is_owed_to_nobody(home: Home) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe()) as kit:
        kit.hook(AFTER, durable=True)(note_into(seen))

        @kit.hook(BEFORE)
        async def guard(event: RoomEvent, context: RoomContext) -> HookResult:
            return HookResult.block("no") if text_of(event) == "bad" else HookResult.allow()

        await arrive(kit, "bad")
        await kit.mute("room", "live")
        await arrive(kit, "muted")
        await kit.close_room("room")
        await kit.process_inbound(message("late"), room_id="room")
        await kit.idle()

        assert (seen, await owed(kit)) == ([], [])


async def test_what_a_deciding_hook_changed_is_what_it_is_shown(home: Home) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe()) as kit:
        kit.hook(AFTER, durable=True)(note_into(seen))

        @kit.hook(BEFORE)
        async def change(event: RoomEvent, context: RoomContext) -> HookResult:
            return HookResult.modify(event.model_copy(update={"content": TextContent(body="changed")}))

        await arrive(kit)
        await kit.idle()

        assert seen == ["changed"]


async def test_settled_waits_for_its_first_run_and_for_what_that_brings(home: Home) -> None:
    go_on, waits = anyio.Event(), anyio.Event()
    sms = ScriptedChannel("sms")
    async with home.kit(LiveProbe(), sms) as kit:

        @kit.hook(AFTER, durable=True)
        async def answer(event: RoomEvent, context: RoomContext) -> None:
            waits.set()
            await go_on.wait()
            await say(kit, "from the hook", channel_id="live")

        done = anyio.Event()
        async with anyio.create_task_group() as group:

            async def speak() -> None:
                await arrive(kit)
                done.set()

            group.start_soon(speak)
            with anyio.fail_after(10):
                await waits.wait()
            await arrive(kit, "another", wait="committed")  # waits for nothing
            assert not done.is_set()
            go_on.set()
        assert sms.texts[0] == "hi"
        assert "from the hook" in sms.texts


async def test_settled_does_not_wait_for_a_second_run(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(AFTER, durable=True)
        async def broken(event: RoomEvent, context: RoomContext) -> None:
            raise RuntimeError("no")

        with anyio.fail_after(10):
            await arrive(kit)

        [row] = await owed(kit)
        assert (row.state, row.code) == (WorkState.PENDING, "hook.failed")
        assert await kit.idle() == 1


# ----------------------------------------------------------------------------------------------------- it is retried


@pytest.mark.parametrize("failure", ["raise", "hang"])
async def test_it_is_tried_again_after_a_pause_until_it_returns(home: Home, failure: str) -> None:
    attempts: list[int] = []
    told: list[dict[str, Any]] = []
    async with home.kit(LiveProbe()) as kit:
        kit.on("hook_error")(lambda event: told.append(dict(event.data)))

        @kit.hook(AFTER, durable=True, timeout=0.05 if failure == "hang" else 30)
        async def flaky(event: RoomEvent, context: RoomContext) -> None:
            attempts.append(context.attempt)
            if context.attempt < 3:
                if failure == "raise":
                    raise RuntimeError("no")
                await anyio.sleep_forever()

        await arrive(kit)
        assert attempts == [1], "not at once"
        for _ in range(30):
            await home.later(kit, 1)

        assert attempts == [1, 2, 3]
        [row] = await owed(kit)
        assert row.state is WorkState.DONE
        error = "RuntimeError: no" if failure == "raise" else "no end within 0.05 s"
        assert told == [{"hook": "flaky", "error": error, "state": "pending"}] * 2


async def test_the_pauses_double(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_hook, "random", lambda: 1.0)  # the whole pause, of which jitter takes a part otherwise
    moments: list[float] = []
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(AFTER, durable=True)
        async def broken(event: RoomEvent, context: RoomContext) -> None:
            moments.append(home.clock.monotonic())
            raise RuntimeError("no")

        await arrive(kit)
        for _ in range(130):
            await home.later(kit, 1)

        pauses = [after - before for before, after in pairwise(moments)]
        assert len(pauses) >= 5
        assert all(after == 2 * before for before, after in pairwise(pauses))


async def test_after_the_last_attempt_it_is_dead_and_the_next_message_has_its_turn(home: Home) -> None:
    runs: list[str] = []
    states: list[str] = []
    async with home.kit(LiveProbe()) as kit:
        kit.on("hook_error")(lambda event: states.append(event.data["state"]))

        @kit.hook(AFTER, durable=True)
        async def broken(event: RoomEvent, context: RoomContext) -> None:
            runs.append(text_of(event))
            if text_of(event) == "poison":
                raise RuntimeError("no")

        await arrive(kit, "poison")
        await arrive(kit, "good")
        for _ in range(60):
            await home.later(kit, 600)

        assert runs == ["poison"] * MAX_ATTEMPTS + ["good"]
        dead, done = await owed(kit)
        assert (dead.state, dead.code, dead.attempts) == (WorkState.DEAD, "hook.failed", MAX_ATTEMPTS)
        assert "RuntimeError: no" in (dead.reason or "")
        assert done.state is WorkState.DONE
        assert states == ["pending"] * (MAX_ATTEMPTS - 1) + ["dead"]


async def test_a_room_keeps_its_order_and_no_other_room_waits(home: Home) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe(), rooms=["room", "other"]) as kit:

        @kit.hook(AFTER, durable=True)
        async def observe(event: RoomEvent, context: RoomContext) -> None:
            if text_of(event) == "1" and context.attempt == 1:
                raise RuntimeError("not yet")
            seen.append(text_of(event))

        for text in "123":
            await arrive(kit, text)
        await arrive(kit, "elsewhere", "other")
        assert seen == ["elsewhere"]
        for _ in range(30):
            await home.later(kit, 1)

        assert seen == ["elsewhere", "1", "2", "3"]


async def test_hooks_of_one_room_do_not_wait_for_each_other(home: Home) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(AFTER, durable=True)
        async def broken(event: RoomEvent, context: RoomContext) -> None:
            raise RuntimeError("no")

        kit.hook(AFTER, durable=True, name="good")(note_into(seen))
        for text in "12":
            await arrive(kit, text)

        assert seen == ["1", "2"]


# ---------------------------------------------------------------------------------------------------- another process


async def test_what_was_owed_when_the_kit_ended_is_done_by_the_next_one(home: Home) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(AFTER, durable=True)
        async def observe(event: RoomEvent, context: RoomContext) -> None:
            raise RuntimeError("no")

        await arrive(kit, "1")
        await arrive(kit, "2")
    home.clock.jump(60)
    kit = RoomKit(home.store(), clock=home.clock)
    kit.register_channel(LiveProbe())
    kit.hook(AFTER, durable=True, name="observe")(note_into(seen))
    async with kit:
        await kit.idle()

        assert seen == ["1", "2"]
        assert {row.state for row in await owed(kit)} == {WorkState.DONE}


async def test_a_holder_that_died_in_it_is_taken_over_and_it_runs_again(home: Home) -> None:
    seen: list[tuple[str, int]] = []
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(AFTER, durable=True)
        async def observe(event: RoomEvent, context: RoomContext) -> None:
            raise RuntimeError("no")

        await arrive(kit)
    home.clock.jump(60)
    store = home.store()
    await store.open()
    assert len(await store.claim("a kit that dies", lease=60, limit=9, kinds=[WorkKind.HOOK])) == 1
    await store.close()
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(AFTER, durable=True, name="observe")
        async def again(event: RoomEvent, context: RoomContext) -> None:
            seen.append((text_of(event), context.attempt))

        await home.later(kit, 61)
        await home.later(kit, 61)

        assert seen == [("hi", 3)], "the second attempt was that of the dead one"
        [row] = await owed(kit)
        assert (row.state, row.takeovers) == (WorkState.DONE, 1)


async def test_a_hook_that_is_not_registered_is_waited_for_and_costs_no_attempt(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(AFTER, durable=True)
        async def crm(event: RoomEvent, context: RoomContext) -> None:
            raise RuntimeError("not yet")

        await arrive(kit)
    async with home.kit(LiveProbe()) as kit:
        for _ in range(20):
            await home.later(kit, 61)
        [row] = await owed(kit)
        assert (row.state, row.code, row.attempts) == (WorkState.PENDING, "hook.not_registered", 1)
        assert "no durable hook 'crm'" in caplog.text
        kit.hook(AFTER, durable=True, name="crm")(note_into(seen))

        await home.later(kit, 61)

        assert seen == ["hi"]
        assert (await owed(kit))[0].state is WorkState.DONE


async def test_what_nobody_came_for_within_a_week_expires(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(AFTER, durable=True)
        async def crm(event: RoomEvent, context: RoomContext) -> None:
            raise RuntimeError("not yet")

        await arrive(kit)
    home.clock.jump(7 * 86_400 + 1)
    async with home.kit(LiveProbe()) as kit:
        await home.later(kit, 10)
        ended: list[WorkRow] = []

        async def look() -> None:
            ended[:] = await owed(kit)

        while not ended or ended[0].is_open:
            await look()

        assert ended[0].state is WorkState.EXPIRED


async def test_a_deleted_event_or_room_is_not_shown_any_more(home: Home) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe(), rooms=["room", "other"]) as kit:

        @kit.hook(AFTER, durable=True)
        async def observe(event: RoomEvent, context: RoomContext) -> None:
            seen.append(text_of(event))
            raise RuntimeError("no")

        event = await arrive(kit, "1")
        await arrive(kit, "2", "other")
        await kit.delete_event("room", event.id)
        await kit.delete_room("other")
        await home.later(kit, 600)

        assert seen == ["1", "2"]
        assert all(not row.is_open for row in await owed(kit))


# --------------------------------------------------------------------------------------------------- what it does


async def test_what_it_sends_is_said_once_although_it_ran_twice(home: Home) -> None:
    runs = 0
    async with home.kit(LiveProbe(), rooms=["room", "desk"]) as kit:

        @kit.hook(AFTER, durable=True, channel_ids={"live"})
        async def tell(event: RoomEvent, context: RoomContext) -> None:
            nonlocal runs
            if event.room_id != "room":
                return
            runs += 1
            await say(kit, "copy", channel_id="live", room_id="desk")
            await say(kit, "copy", channel_id="live", room_id="desk")  # twice on purpose
            await say(kit, f"run {runs}", channel_id="live", room_id="desk")
            if runs == 1:
                raise RuntimeError("the first run fails at its end")

        await arrive(kit)
        await home.later(kit, 60)

        assert runs == 2
        assert await texts(kit, "desk") == ["copy", "copy", "run 1", "run 2"]


async def test_it_is_not_shown_what_it_sends_and_others_are(home: Home) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(AFTER, durable=True)
        async def echo(event: RoomEvent, context: RoomContext) -> None:
            await say(kit, f"echo {text_of(event)}", channel_id="live")

        kit.hook(AFTER, durable=True, name="other")(note_into(seen))
        first = await arrive(kit)
        await kit.idle()

        assert seen == ["hi", "echo hi"]
        answer = (await messages(kit))[1]
        assert (answer.chain_depth, answer.correlation_id) == (1, first.id)
        assert [row.correlation_id for row in await owed(kit)] == [first.id] * 3


async def test_t44_two_that_answer_each_other_end(home: Home) -> None:
    async with home.kit(LiveProbe(), max_chain_depth=3) as kit:
        for name in ("ping", "pong"):

            @kit.hook(AFTER, durable=True, name=name)
            async def answer(event: RoomEvent, context: RoomContext, name: str = name) -> None:
                await say(kit, name, channel_id="live")

        await arrive(kit)
        for _ in range(5):
            await home.later(kit, 60)

        found = await messages(kit)
        assert max(event.chain_depth for event in found) == 3
        assert {event.status for event in found if event.chain_depth == 3} == {EventStatus.BLOCKED}
        assert await kit.idle() == 0


# ------------------------------------------------------------------------------------------------ which and for whom


@pytest.mark.parametrize(
    ("filters", "is_called"),
    [
        ({"channel_ids": {"live"}}, True),
        ({"channel_ids": {"sms"}}, False),
        ({"channel_types": {"websocket"}}, True),
        ({"channel_types": {"scripted"}}, False),
        ({"directions": {"inbound"}}, True),
        ({"directions": {"outbound"}}, False),
    ],
    ids=repr,
)
async def test_t25_what_a_filter_does_not_let_through_is_not_owed(
    home: Home, filters: dict[str, Any], is_called: bool
) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe()) as kit:
        kit.hook(AFTER, durable=True, **filters)(note_into(seen))
        await arrive(kit)

        assert seen == (["hi"] if is_called else [])
        assert len(await owed(kit)) == len(seen)


async def test_a_hook_of_a_room_is_owed_what_is_said_there_and_goes_with_it(home: Home) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe(), rooms=["room", "other"]) as kit:
        kit.add_room_hook("room", AFTER, HookExecution.ASYNC, note_into(seen), name="n", durable=True)
        await arrive(kit, "here")
        await arrive(kit, "there", "other")
        await kit.idle()
        assert seen == ["here"]

        await kit.delete_room("room")
        await arrive(kit, "again")
        await kit.idle()

        assert seen == ["here"]


async def test_observers_that_are_not_durable_are_called_beside_it(home: Home) -> None:
    seen: list[str] = []
    async with home.kit(LiveProbe()) as kit:

        async def observe(event: RoomEvent, context: RoomContext) -> None:
            seen.append("observer")

        async def durable(event: RoomEvent, context: RoomContext) -> None:
            seen.append("durable")

        kit.hook(AFTER)(observe)
        kit.hook(AFTER, durable=True)(durable)
        await arrive(kit)
        await kit.idle()

        assert sorted(seen) == ["durable", "observer"]
        assert len(await owed(kit)) == 1


def kit_with_durable(room_id: str | None) -> RoomKit:
    kit = RoomKit()
    if room_id is None:
        kit.hook(AFTER, durable=True, name="n")(note_into([]))
    else:
        kit.add_room_hook(room_id, AFTER, HookExecution.ASYNC, note_into([]), name="n", durable=True)
    return kit


@pytest.mark.parametrize(
    ("first", "second", "clashes"),
    [(None, None, True), (None, "a", True), ("a", None, True), ("a", "a", True), ("a", "b", False)],
)
def test_a_name_is_that_of_one_durable_hook(first: str | None, second: str | None, clashes: bool) -> None:
    kit = kit_with_durable(first)

    def register(durable: bool) -> None:
        if second is None:
            kit.hook(AFTER, durable=durable, name="n")(note_into([]))
        else:
            kit.add_room_hook(second, AFTER, HookExecution.ASYNC, note_into([]), name="n", durable=durable)

    register(durable=False)  # whose name finds nothing after a restart
    if not clashes:
        register(durable=True)
        return
    with pytest.raises(HookError) as refused:
        register(durable=True)
    assert refused.value.code == "hook.durable_name"


@pytest.mark.parametrize("trigger", [BEFORE, HookTrigger.ON_ROOM_CREATED, HookTrigger.ON_ERROR, "on_anything"])
def test_only_what_was_broadcast_is_owed_to_a_hook(trigger: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(HookError) as refused:
        RoomKit().hook(trigger, durable=True)(note_into([]))
    assert refused.value.code == "hook.durable"


async def test_bookkeeping_is_not_shown(home: Home) -> None:
    seen: list[EventType] = []
    async with home.kit(LiveProbe(), spare=[ScriptedChannel("sms")]) as kit:

        @kit.hook(AFTER, durable=True)
        async def observe(event: RoomEvent, context: RoomContext) -> None:
            seen.append(event.type)

        await kit.attach_channel("room", "sms")
        await kit.mute("room", "sms")
        event = await arrive(kit)
        await kit.delete_event("room", event.id)
        await kit.idle()

        assert seen == [EventType.MESSAGE]
