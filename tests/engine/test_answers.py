"""Channels that answer: one commit for each output, recorded outcomes, and no end of talk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from roomkit_core import (
    ChangeSet,
    ChannelBinding,
    ChannelOutput,
    EventSource,
    EventStatus,
    EventType,
    FrameworkEvent,
    HookResult,
    HookTrigger,
    InMemoryStore,
    Observation,
    RoomContext,
    RoomEvent,
    RoomKit,
    StoreError,
    Task,
    TextContent,
    Ticket,
    WorkKind,
    WorkRow,
    WorkState,
)
from roomkit_core.engine.pure.plan import share_budget
from roomkit_testkit.stores.clock import ManualClock
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.rooms import (
    PATIENCE,
    attach,
    check_at_rest,
    kit_with,
    messages,
    say,
    texts,
    timeline,
    wait_for,
    work,
)
from tests.support.still import StillClock

pytestmark = pytest.mark.anyio


class CountingStore(InMemoryStore):
    """Remembers every batch that was written."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[ChangeSet] = []

    def submit(self, changes: ChangeSet) -> Ticket:
        self.batches.append(changes)
        return super().submit(changes)


async def hear(kit: RoomKit, text: str = "hi", *, room_id: str = "room", **options: Any) -> Any:
    """A message of a person, and all that follows from it, bounded."""
    with anyio.fail_after(PATIENCE):
        return await kit.process_inbound(message(text), room_id=room_id, **options)


async def asks(kit: RoomKit) -> list[WorkRow]:
    return await work(kit, WorkKind.ASK)


async def states(kit: RoomKit) -> list[WorkState]:
    return [row.state for row in await asks(kit)]


def heard(kit: RoomKit, name: str) -> list[FrameworkEvent]:
    """The framework events of a type, as they come."""
    events: list[FrameworkEvent] = []
    kit.on(name)(events.append)
    return events


# -------------------------------------------------------------------------------------------------------------- commits


async def test_all_events_of_an_answer_and_the_end_of_the_question_are_one_commit() -> None:
    store = CountingStore()
    ai = Answering(reply=lambda event: ["one", "two", "three"])
    sms = ScriptedChannel("sms")
    async with kit_with(LiveProbe("live"), sms, ai, store=store) as kit:
        store.batches.clear()

        await hear(kit)

        said = await messages(kit)
        assert [text_of(event) for event in said] == ["hi", "one", "two", "three"]
        question, answer = store.batches
        assert [row.kind for row in question.work] == [WorkKind.DELIVERY, WorkKind.ASK]
        assert [text_of(event) for event in answer.events] == ["one", "two", "three"]
        assert [discharge.outcome.state for discharge in answer.discharges] == [WorkState.ANSWERED]
        assert await states(kit) == [WorkState.ANSWERED]
        assert sms.texts == ["hi", "one", "two", "three"]
        first = said[0]
        for event in said[1:]:
            assert (event.chain_depth, event.correlation_id, event.source.channel_id) == (1, first.id, "ai")
            assert event.routing is not None
            assert (event.routing.origin, event.routing.hops, event.routing.budget) == (first.id, 1, 49)
        await check_at_rest(kit)


async def test_an_empty_answer_ends_the_question_and_leaves_the_room_as_it_is() -> None:
    ai = Answering(reply=lambda event: [])
    async with kit_with(LiveProbe("live"), ai) as kit:
        result = await hear(kit)
        before = await kit.store.load_room("room")

        await hear(kit, "again")

        assert await texts(kit) == ["hi", "again"]
        assert await states(kit) == [WorkState.ANSWERED, WorkState.ANSWERED]
        assert not result.blocked
        assert before is not None
        after = await kit.store.load_room("room")
        assert after is not None
        assert after.next_index == before.next_index + 1
        await check_at_rest(kit)


async def test_tasks_and_observations_of_an_answer_are_part_of_its_commit() -> None:
    class Noting(Answering):
        async def on_event(self, event: RoomEvent, binding: ChannelBinding, context: RoomContext) -> ChannelOutput:
            task = Task(room_id=event.room_id, title="call back")
            seen = Observation(room_id=event.room_id, channel_id="ai", content="is upset")
            return ChannelOutput(tasks=[task], observations=[seen])

    store = CountingStore()
    async with kit_with(LiveProbe("live"), Noting(), store=store) as kit:
        await hear(kit)

        assert [task.title for task in await kit.store.list_tasks("room")] == ["call back"]
        assert [seen.content for seen in await kit.store.list_observations("room")] == ["is upset"]
        assert await states(kit) == [WorkState.ANSWERED]
        assert len(store.batches[-1].discharges) == 1


async def test_a_stream_is_one_event_that_is_committed_when_it_has_ended() -> None:
    class Streaming(Answering):
        async def on_event(self, event: RoomEvent, binding: ChannelBinding, context: RoomContext) -> ChannelOutput:
            async def pieces() -> AsyncIterator[str]:
                for piece in ("to", "ge", "ther"):
                    await anyio.lowlevel.checkpoint()
                    yield piece

            return ChannelOutput(responded=True, response_stream=pieces())

    async with kit_with(LiveProbe("live"), Streaming()) as kit:
        await hear(kit)

        assert await texts(kit) == ["hi", "together"]
        assert await states(kit) == [WorkState.ANSWERED]


async def test_an_answer_cannot_choose_its_room_source_depth_or_id() -> None:
    class Forging(Answering):
        async def on_event(self, event: RoomEvent, binding: ChannelBinding, context: RoomContext) -> ChannelOutput:
            forged = RoomEvent(
                id=event.id,  # as a bot does that gives back a copy of the question
                room_id="elsewhere",
                source=EventSource(channel_id="live", channel_type="websocket"),
                content=TextContent(body="forged"),
                chain_depth=0,
                index=99,
                correlation_id="mine",
            )
            return ChannelOutput(responded=True, response_events=[forged])

    async with kit_with(LiveProbe("live"), Forging()) as kit:
        await hear(kit)

        first, forged = await messages(kit)
        assert (text_of(forged), forged.source.channel_id, forged.chain_depth) == ("forged", "ai", 1)
        assert (forged.room_id, forged.correlation_id) == ("room", first.id)
        assert await states(kit) == [WorkState.ANSWERED]
        await check_at_rest(kit)


async def test_a_bot_that_answers_with_one_and_the_same_event_says_it_each_time() -> None:
    constant = RoomEvent(
        room_id="room",
        source=EventSource(channel_id="ai", channel_type="ai"),
        content=TextContent(body="I do not understand"),
    )

    class Constant(Answering):
        async def on_event(self, event: RoomEvent, binding: ChannelBinding, context: RoomContext) -> ChannelOutput:
            return ChannelOutput(responded=True, response_events=[constant])

    async with kit_with(LiveProbe("live"), Constant()) as kit:
        await hear(kit, "one")
        await hear(kit, "two")

        assert await texts(kit) == ["one", "I do not understand", "two", "I do not understand"]
        assert await states(kit) == [WorkState.ANSWERED] * 2
        await check_at_rest(kit)


async def test_hooks_see_each_event_of_an_answer_and_what_they_do_is_part_of_its_commit() -> None:
    store = CountingStore()
    ai = Answering(reply=lambda event: ["good", "bad"] if text_of(event) == "hi" else [])
    async with kit_with(LiveProbe("live"), LiveProbe("bot"), ai, store=store) as kit:

        @kit.hook(HookTrigger.BEFORE_BROADCAST, channel_ids=["ai"])
        async def judge(event: RoomEvent, context: RoomContext) -> HookResult:
            await say(kit, f"{text_of(event)}?")
            return HookResult.block("rude") if text_of(event) == "bad" else HookResult.allow()

        await hear(kit)

        assert await texts(kit) == ["hi", "good", "good?", "bad", "bad?"]
        assert await texts(kit, blocked=False) == ["hi", "good", "good?", "bad?"]
        answers = [batch for batch in store.batches if batch.discharges]
        assert [text_of(event) for event in answers[0].events] == ["good", "good?", "bad", "bad?"]
        # The bot is asked about what the hook said, and not about its own words.
        assert [text_of(event) for event in ai.asked] == ["hi", "good?", "bad?"]


async def test_an_answer_whose_commit_conflicts_is_planned_again_and_not_asked_again() -> None:
    store = InMemoryStore()
    ai = Answering(reply=lambda event: ["answer"] if text_of(event) == "hi" else [])
    async with (
        kit_with(LiveProbe("live"), LiveProbe("bot"), ai, store=store) as kit,
        kit_with(LiveProbe("live"), LiveProbe("bot"), store=store) as foreign,
    ):
        attempts: list[int] = []

        @kit.hook(HookTrigger.BEFORE_BROADCAST, channel_ids=["ai"])
        async def interfere(event: RoomEvent, context: RoomContext) -> HookResult:
            attempts.append(context.attempt)
            if context.attempt < 3:
                await foreign.mute("room", "bot")
                await foreign.unmute("room", "bot")
            return HookResult.allow()

        await hear(kit)

        assert attempts == [1, 2, 3]
        assert len(ai.asked) == 1
        assert await texts(kit) == ["hi", "answer"]
        assert await states(kit) == [WorkState.ANSWERED]
        await check_at_rest(kit)


# ------------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    "failure", ["raises", "raises later", "no output", "broken stream", "foreign task", "hangs", "breaks late"]
)
async def test_a_question_that_fails_ends_with_a_code_and_the_lane_goes_on(failure: str) -> None:
    class Failing(Answering):
        async def on_event(self, event: RoomEvent, binding: ChannelBinding, context: RoomContext) -> Any:
            if text_of(event) != "bad":
                return await super().on_event(event, binding, context)
            if failure == "raises":
                raise RuntimeError("the model broke")
            await anyio.lowlevel.checkpoint()
            if failure == "raises later":
                raise RuntimeError("the model broke")
            if failure == "no output":
                return "just a string"
            if failure == "foreign task":
                return ChannelOutput(tasks=[Task(room_id="elsewhere", title="call back")])
            if failure == "hangs":
                await anyio.sleep_forever()
            if failure == "breaks late":
                async with anyio.create_task_group() as group:
                    group.start_soon(break_when_cut)
                    await anyio.sleep_forever()

            async def broken() -> AsyncIterator[str]:
                yield "half a"
                raise RuntimeError("the stream broke")

            return ChannelOutput(responded=True, response_stream=broken())

    ai = Failing()
    ai.ask_timeout = 0.02 if failure in ("hangs", "breaks late") else 300.0
    async with kit_with(LiveProbe("live"), ai) as kit:
        failures = heard(kit, "ask_failed")

        @kit.hook(HookTrigger.ON_ERROR)
        async def on_error(event: RoomEvent, context: RoomContext) -> None:
            errors.append(event.metadata["error_category"])

        errors: list[str] = []
        result = await hear(kit, "bad")
        await hear(kit, "good")
        await kit.idle()

        assert not result.blocked
        assert await texts(kit) == ["bad", "good", "echo good"]
        code = "ask.timeout" if failure == "hangs" else "ask.failed"
        assert [(row.state, row.code) for row in await asks(kit)] == [
            (WorkState.FAILED, code),
            (WorkState.ANSWERED, None),
        ]
        assert [(event.data["code"], event.channel_id, event.room_id) for event in failures] == [(code, "ai", "room")]
        assert errors == [code]
        await check_at_rest(kit)


async def break_when_cut() -> None:
    try:
        await anyio.sleep_forever()
    finally:
        raise RuntimeError("the clean-up broke")


async def test_t10_a_slow_answer_delays_no_other_bot_no_delivery_and_no_caller_that_only_wants_the_commit() -> None:
    gate = anyio.Event()

    async def think() -> list[str]:
        await gate.wait()
        return ["slow answer"]

    slow = Answering("slow", reply=lambda event: think() if text_of(event).startswith("hi") else [])
    quick = Answering("quick", reply=lambda event: ["quick answer"] if text_of(event).startswith("hi") else [])
    sms = ScriptedChannel("sms")
    async with kit_with(LiveProbe("live"), sms, slow, quick) as kit:
        await hear(kit, "hi", wait="committed")
        await wait_for(lambda: "quick answer" in sms.texts)
        assert sms.texts == ["hi", "quick answer"]

        # Another room is not held up either, and the slow bot itself takes its question.
        await kit.create_room("other")
        for channel in (kit.get_channel("live"), quick, slow):
            assert channel is not None
            await attach(kit, "other", channel)
        await hear(kit, "hi there", room_id="other", wait="committed")
        await wait_for(lambda: len(slow.asked) == 2)

        # In its room the next question about a new message waits for its turn.
        await hear(kit, "hi again", wait="attempted")
        assert [text_of(event) for event in slow.asked if event.room_id == "room"] == ["hi"]

        gate.set()
        await kit.idle()
        # What the bots said about each other's words is empty.
        assert (await texts(kit)).count("slow answer") == 2
        assert await texts(kit, "other") == ["hi there", "quick answer", "slow answer"]
        assert set(await states(kit)) == {WorkState.ANSWERED}
        await check_at_rest(kit, "room", "other")


async def test_questions_of_one_room_are_asked_in_the_order_of_its_timeline() -> None:
    ai = Answering(reply=lambda event: echo_after_a_while(event))
    async with kit_with(LiveProbe("live"), ai) as kit:
        for number in range(8):
            await hear(kit, f"m{number}", wait="committed")
        await kit.idle()

        assert [text_of(event) for event in ai.asked] == [f"m{number}" for number in range(8)]
        answers = [text for text in await texts(kit) if text.startswith("echo")]
        assert answers == [f"echo m{number}" for number in range(8)]


async def echo_after_a_while(event: RoomEvent) -> list[str]:
    for _ in range(len(text_of(event))):
        await anyio.lowlevel.checkpoint()
    return [f"echo {text_of(event)}"]


# ---------------------------------------------------------------------------------------------------------------- loops


async def test_t44_bots_that_answer_each_other_stop_at_the_chain_depth_and_it_is_said() -> None:
    first, second = (Answering(name, reply=lambda event: [f"{text_of(event)}."]) for name in ("first", "second"))
    sms = ScriptedChannel("sms")
    async with kit_with(LiveProbe("live"), sms, first, max_chain_depth=5) as kit:
        kit.register_channel(second)
        await attach(kit, "room", second)
        told = heard(kit, "chain_depth_exceeded")

        await hear(kit, "-", wait="committed")
        with anyio.fail_after(PATIENCE):
            await kit.idle()

        said = await messages(kit)
        assert max(event.chain_depth for event in said) == 5
        for event in said:
            blocked = event.chain_depth >= 5
            assert event.status is (EventStatus.BLOCKED if blocked else EventStatus.DELIVERED)
            assert event.blocked_by == ("event_chain_depth_limit" if blocked else None)
        assert "-....." not in sms.texts
        # Two bots, one chain each way.
        assert len(said) == 1 + 2 * 5
        assert len(told) == 2
        seen = await kit.store.list_observations("room")
        assert [each.category for each in seen] == ["event_chain_depth_exceeded"] * 2
        assert set(await states(kit)) == {WorkState.ANSWERED}
        await check_at_rest(kit)


@pytest.mark.parametrize("depth", [5, 20])
async def test_t44_two_bots_with_two_events_each_share_one_loop_budget_and_stop(depth: int) -> None:
    first, second = (Answering(name, reply=lambda event: ["well", "but"]) for name in ("first", "second"))
    async with kit_with(LiveProbe("live"), first, second, max_chain_depth=depth) as kit:
        spent = heard(kit, "loop_budget_spent")

        await hear(kit, wait="committed")
        with anyio.fail_after(PATIENCE):
            await kit.idle()

        said = await messages(kit)
        assert len(await asks(kit)) <= 10 * depth, "all that follows from one message is within its budget"
        assert len(said) == 1 + 2 * len(await asks(kit))
        assert spent
        assert all(event.data["unasked"] > 0 for event in spent)
        assert set(await states(kit)) == {WorkState.ANSWERED}
        # The budget that travels with the events only shrinks.
        budgets = {event.id: event.routing.budget for event in said if event.routing is not None}
        assert all(budget is not None and budget >= 0 for budget in budgets.values())
        await check_at_rest(kit)
        # The next message has a budget of its own.
        await hear(kit, "again", wait="committed")
        await kit.idle()
        assert len(await messages(kit)) > len(said) + 1


async def test_t44_a_bot_that_says_more_than_its_chain_may_bring_asks_nobody_more() -> None:
    """An answer that overdraws the budget asks no question at all, however many its events would ask."""
    first = Answering("first", reply=lambda event: ["word"] * 12)
    second = Answering("second", reply=lambda event: ["word"] * 12)
    async with kit_with(LiveProbe("live"), first, second, max_chain_depth=3) as kit:
        await hear(kit, wait="committed")
        with anyio.fail_after(PATIENCE):
            await kit.idle()

        said = await messages(kit)
        asked = len(await asks(kit))
        # 30 = 2 questions of 14 each; 14 - 11 = 3 left, 3 questions of none each; those ask nobody.
        assert asked == 2 + 2 * 3
        assert len(said) == 1 + 12 * asked
        assert max(event.chain_depth for event in said) == 2


@pytest.mark.parametrize("left", range(-5, 6))
@pytest.mark.parametrize("count", range(12))
def test_t44_a_budget_is_shared_and_never_exceeded(left: int, count: int) -> None:
    made, each = share_budget(left, count)

    assert 0 <= made <= count
    assert each >= 0
    assert made + made * each <= max(0, left)
    if left >= count:
        assert made == count


async def test_t44_an_observer_a_bot_and_a_hook_that_feed_each_other_stop() -> None:
    ai = Answering(reply=lambda event: ["answer"])
    async with kit_with(LiveProbe("live"), LiveProbe("bot"), LiveProbe("echo"), ai) as kit:

        @kit.hook(HookTrigger.AFTER_BROADCAST, "async")
        async def observe(event: RoomEvent, context: RoomContext) -> None:
            await say(kit, "observed")

        @kit.hook(HookTrigger.BEFORE_BROADCAST)
        async def decide(event: RoomEvent, context: RoomContext) -> HookResult:
            await say(kit, "decided", channel_id="echo")
            return HookResult.allow()

        await hear(kit, wait="committed")
        with anyio.fail_after(PATIENCE):
            await kit.idle()

        assert max(event.chain_depth for event in await messages(kit)) <= 5
        await check_at_rest(kit)


# ----------------------------------------------------------------------------------------- what changes in the meantime


class Meanwhile(Answering):
    """Answers when it is told to."""

    def __init__(self, channel_id: str = "ai") -> None:
        super().__init__(channel_id, reply=self._think)
        self.thinking = anyio.Event()
        self.go_on = anyio.Event()

    async def _think(self, event: RoomEvent) -> list[str]:
        self.thinking.set()
        await self.go_on.wait()
        return ["one", "two"]


@pytest.mark.parametrize(
    ("verb", "stored", "outcome"),
    [
        ("mute", "source_muted", (WorkState.ANSWERED, None)),
        ("read only", "source_read_only", (WorkState.ANSWERED, None)),
        ("close", None, (WorkState.SUPPRESSED, "room_closed")),
        ("detach", None, (WorkState.SUPPRESSED, "channel.detached")),
    ],
)
@pytest.mark.parametrize("foreign", [False, True], ids=["here", "by another kit"])
async def test_what_happened_to_the_room_while_the_bot_was_thinking_decides_about_its_answer(
    verb: str, stored: str | None, outcome: tuple[WorkState, str | None], foreign: bool
) -> None:
    ai = Meanwhile()
    sms = ScriptedChannel("sms")
    store = InMemoryStore()
    async with (
        kit_with(LiveProbe("live"), sms, ai, store=store) as kit,
        kit_with(LiveProbe("live"), store=store) as other,
    ):
        await hear(kit, wait="committed")
        with anyio.fail_after(PATIENCE):
            await ai.thinking.wait()
        actor = other if foreign else kit
        if verb == "mute":
            await actor.mute("room", "ai")
        elif verb == "read only":
            await actor.set_access("room", "ai", "read_only")  # type: ignore[arg-type]
        elif verb == "close":
            await actor.close_room("room")
        else:
            await actor.detach_channel("room", "ai")
        ai.go_on.set()
        await kit.idle()

        assert [(row.state, row.code) for row in await asks(kit)] == [outcome]
        expected = [] if stored is None else ["one", "two"]
        assert await texts(kit) == ["hi", *expected]
        answers = (await messages(kit))[1:]
        assert all((event.status, event.blocked_by) == (EventStatus.BLOCKED, stored) for event in answers)
        assert sms.texts == ["hi"]
        await check_at_rest(kit)


async def test_the_answer_to_a_room_that_was_deleted_meanwhile_is_dropped_and_the_bot_goes_on() -> None:
    ai = Meanwhile()
    async with kit_with(LiveProbe("live"), ai, rooms=["room", "other"]) as kit:
        await hear(kit, wait="committed")
        with anyio.fail_after(PATIENCE):
            await ai.thinking.wait()
        await kit.delete_room("room")
        ai.go_on.set()
        await kit.idle()

        assert await asks(kit) == []
        await hear(kit, "hello", room_id="other")
        assert await texts(kit, "other") == ["hello", "one", "two"]
        assert not await kit.store.room_exists("room")
        await check_at_rest(kit, "other")


async def test_a_bot_is_not_asked_about_its_own_words_or_what_it_may_not_hear() -> None:
    ai = Answering(reply=lambda event: ["answer"] if text_of(event) == "hi" else [])
    async with kit_with(LiveProbe("live"), LiveProbe("bot"), ai) as kit:
        await hear(kit)
        await say(kit, "for people only", visibility="transport")
        await say(kit, "for nobody", visibility="none")
        await say(kit, "for the bot", visibility="ai")
        await kit.mute("room", "live")
        await hear(kit, "muted")
        await kit.idle()

        assert [text_of(event) for event in ai.asked] == ["hi", "for the bot"]


async def test_t6_response_visibility_decides_who_sees_the_answer() -> None:
    ai = Answering(reply=lambda event: ["psst"] if text_of(event) == "hi" else [])
    sms = ScriptedChannel("sms")
    async with kit_with(LiveProbe("live"), sms, ai) as kit:
        with anyio.fail_after(PATIENCE):
            await kit.process_inbound(message("hi", response_visibility="live"), room_id="room")

        assert (await messages(kit))[1].visibility == "live"
        assert sms.texts == ["hi"]


# --------------------------------------------------------------------------------------------------------- a second run


class Reporting(Answering):
    """Says what it is doing while it is asked, and then waits; the second run finds the first one's words."""

    def __init__(self, kit: list[RoomKit], words: list[str]) -> None:
        super().__init__("ai", reply=self._work)
        self.kit = kit
        self.words = words
        self.said: list[RoomEvent] = []
        self.reached = anyio.Event()
        self.go_on = anyio.Event()

    async def _work(self, event: RoomEvent) -> list[str]:
        if text_of(event) != "hi":
            return []
        for word in self.words:
            self.said.append(await say(self.kit[0], word, channel_id="ai"))
        self.reached.set()
        await self.go_on.wait()
        return ["answer"]


async def test_t9_what_a_question_says_itself_is_said_once_although_it_is_asked_twice() -> None:
    """The first run is frozen beyond its lease, another kit asks again: same words once, new words anew, one answer."""
    clock = ManualClock()
    store = InMemoryStore(clock=clock)
    first_kit: list[RoomKit] = []
    second_kit: list[RoomKit] = []
    first = Reporting(first_kit, ["thinking", "thinking", "old words"])
    second = Reporting(second_kit, ["thinking", "thinking", "new words"])
    async with (
        kit_with(LiveProbe("live"), first, store=store, rooms=["room", "other"], clock=StillClock()) as one,
        kit_with(LiveProbe("live"), second, store=store, clock=clock) as two,
    ):
        first_kit.append(one)
        second_kit.append(two)
        await anyio.wait_all_tasks_blocked()  # the first look of the pumps is over
        await hear(one, wait="committed")
        with anyio.fail_after(PATIENCE):
            await first.reached.wait()
        assert await texts(one) == ["hi", "thinking", "thinking", "old words"]

        clock.advance(3600)  # far beyond the lease, which covers the longest call of the channel
        # Any question of the channel brings a runner of the second kit, which then finds the row that is due.
        await hear(two, "wake up", room_id="other", wait="committed")
        with anyio.fail_after(PATIENCE):
            await second.reached.wait()
        assert [event.id for event in second.said[:2]] == [event.id for event in first.said[:2]]
        second.go_on.set()
        await two.idle()
        assert await texts(one) == ["hi", "thinking", "thinking", "old words", "new words", "answer"]

        # The first run wakes up: its row is not its own any more, and its answer is dropped.
        first.go_on.set()
        await one.idle()
        assert await texts(one) == ["hi", "thinking", "thinking", "old words", "new words", "answer"]
        (row,) = [row for row in await asks(one) if row.room_id == "room"]
        assert (row.state, row.takeovers) == (WorkState.ANSWERED, 1)
        await check_at_rest(one, "room", "other")
        await check_at_rest(two, "room", "other")


async def test_what_a_question_says_with_a_key_of_its_own_keeps_that_key() -> None:
    kits: list[RoomKit] = []
    ids: list[str] = []

    async def announce(event: RoomEvent) -> list[str]:
        if event.source.channel_id == "live":
            ids.append((await say(kits[0], "opened", channel_id="ai", idempotency_key="opened")).id)
        return []

    async with kit_with(LiveProbe("live"), Answering(reply=announce)) as kit:
        kits.append(kit)
        await hear(kit, "one")
        await hear(kit, "two")

        assert await texts(kit) == ["one", "opened", "two"]
        assert len(set(ids)) == 1


async def test_what_a_question_says_itself_is_part_of_the_chain_and_waited_for() -> None:
    kits: list[RoomKit] = []

    async def work_on_it(event: RoomEvent) -> list[str]:
        if text_of(event) != "hi":
            return []
        await say(kits[0], "thinking", channel_id="ai", wait="settled")
        return ["answer"]

    sms = ScriptedChannel("sms")
    async with kit_with(LiveProbe("live"), sms, Answering(reply=work_on_it)) as kit:
        kits.append(kit)
        result = await hear(kit)

        # The caller waited for everything that followed, deliveries of the bot's own words included.
        assert sms.texts == ["hi", "thinking", "answer"]
        assert result.delivery_results["sms"].state == "sent"
        first, thinking, answer = await messages(kit)
        assert (thinking.chain_depth, thinking.correlation_id) == (1, first.id)
        assert (answer.chain_depth, answer.correlation_id) == (1, first.id)
        await check_at_rest(kit)


async def test_bookkeeping_is_not_a_question() -> None:
    ai = Answering()
    async with kit_with(LiveProbe("live"), ai) as kit:
        await kit.mute("room", "live")
        await kit.unmute("room", "live")
        await kit.idle()

        assert ai.asked == []
        assert all(event.type != EventType.MESSAGE for event in await timeline(kit))


class Unanswering(InMemoryStore):
    """Takes no answer: whatever would discharge a question fails for a passing reason."""

    def submit(self, changes: ChangeSet) -> Ticket:
        if changes.discharges:
            raise StoreError("no answers today", code="store.io")
        return super().submit(changes)


async def test_nobody_waits_for_a_question_behind_one_that_is_asked_again_later() -> None:
    """The answer to the first one could not be stored and comes again; the second one is queued behind it."""
    reached, go_on = anyio.Event(), anyio.Event()

    async def reply(event: RoomEvent) -> list[str]:
        reached.set()
        await go_on.wait()
        return ["answer"]

    async with kit_with(LiveProbe("live"), Answering(reply=reply), store=Unanswering()) as kit:
        with anyio.fail_after(PATIENCE / 2):  # less than the patience of a caller
            async with anyio.create_task_group() as group:
                group.start_soon(hear, kit, "one")
                await reached.wait()
                group.start_soon(hear, kit, "two")
                await anyio.wait_all_tasks_blocked()
                go_on.set()
        assert [(row.state, row.attempts) for row in await asks(kit)] == [
            (WorkState.PENDING, 1),
            (WorkState.PENDING, 0),
        ]
