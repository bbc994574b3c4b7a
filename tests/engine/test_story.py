"""`why`: for each fault that can happen, its cause stands in the story, in a sentence that is written here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from roomkit_core import (
    Access,
    BotChannel,
    ChannelCategory,
    CustomContent,
    Delivery,
    DeliveryStatus,
    FrameworkEvent,
    HookExecution,
    HookResult,
    HookTrigger,
    InMemoryStore,
    Outcome,
    RateLimit,
    Receipt,
    Rendering,
    RetryPolicy,
    RoomContext,
    RoomEvent,
    RoomKit,
    Route,
    SQLiteStore,
    Story,
    TextContent,
    WorkKind,
    WorkNotFoundError,
    WorkRow,
    WorkState,
)
from roomkit_core.engine.pure.explanations import EXPLANATIONS
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message
from tests.support.kits import make_room, open_kit, rows_of
from tests.support.rooms import wait_for
from tests.support.still import StillClock

Fault = Callable[[], Awaitable[Story]]
FAULTS: list[Any] = []


def fault(*sentences: str) -> Callable[[Fault], Fault]:
    """A fault, and what must be said about it."""

    def add(inject: Fault) -> Fault:
        FAULTS.append(pytest.param(inject, sentences, id=inject.__name__))
        return inject

    return add


@pytest.mark.parametrize(("inject", "sentences"), FAULTS)
async def test_the_cause_of_a_fault_is_clear_from_its_story_alone(inject: Fault, sentences: tuple[str, ...]) -> None:
    story = await inject()

    text = str(story)
    for sentence in sentences:
        assert sentence in text
    assert story.cause is not None
    assert len(text.splitlines()) <= 30, "one screen"
    assert Story.model_validate_json(story.model_dump_json()) == story


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 25


# ------------------------------------------------------------------------------------------------------------- helpers


class Setting:
    """A kit with one durable channel in one room, and what a fault does to it."""

    def __init__(self, kit: RoomKit, sms: ScriptedChannel, clock: StillClock) -> None:
        self.kit = kit
        self.sms = sms
        self.clock = clock

    async def say(self, text: str = "hi", **fields: Any) -> WorkRow:
        """A message that is owed to the channel; returns its row."""
        await self.kit.process_inbound(message(text, **fields), room_id="room")
        return (await rows_of(self.kit, "room", "sms"))[-1]

    async def why(self, name: str) -> Story:
        return await self.kit.deliveries.why(name)

    async def why_of_one(self, text: str = "hi") -> Story:
        return await self.why((await self.say(text)).id)


def with_sms(
    act: Callable[[Setting], Awaitable[Story]],
    behave: Any = "send",
    *,
    sms: ScriptedChannel | None = None,
    **binding: Any,
) -> Awaitable[Story]:
    """Let ``act`` happen in a fresh setting."""

    async def run() -> Story:
        channel, clock = sms or ScriptedChannel("sms", behave), StillClock()
        async with open_kit(LiveProbe(), channel, Answering(), clock=clock) as kit:
            await make_room(kit, "room", "live")
            await kit.attach_channel("room", "sms", **binding)
            story = await act(Setting(kit, channel, clock))
            channel.gate.set()
            channel.behave = "send"
            return story

    return run()


async def accept(kit: RoomKit, **fields: Any) -> str:
    return (await kit.accept_inbound(message(**fields), room_id="room")).id


def durable_hook(kit: RoomKit, fn: Callable[..., Any]) -> None:
    kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="bot", durable=True)(fn)


# ----------------------------------------------------------------------------------------------- what the provider does


@fault(
    "The provider refused it for good: no such number. [provider.refused]", "Correct that, then retry it: roomkit dead"
)
async def refused_for_good() -> Story:
    return await with_sms(Setting.why_of_one, "fail")


@fault("The channel refused it for good: the number is blocked. [acme.blocked]")
async def refused_with_a_code_of_the_channels_own() -> Story:
    class Acme(ScriptedChannel):
        async def send(self, delivery: Delivery) -> Receipt:
            return Receipt.failed("acme.blocked", "the number is blocked")

    return await with_sms(Setting.why_of_one, sms=Acme("sms"))


@fault("The provider did not take it for now: come back later; it is tried again at ", "[provider.busy]")
async def refused_for_now() -> Story:
    return await with_sms(Setting.why_of_one, "later")


@fault("The provider did not answer in time, and nobody knows whether it took the message: no answer within 0.01 s")
async def hangs() -> Story:
    sms = ScriptedChannel("sms", "hang")
    sms.send_timeout = 0.01
    return await with_sms(Setting.why_of_one, sms=sms)


@fault(
    "The call to the provider broke off with an exception, and nobody knows whether it took the message",
    "RuntimeError: the channel broke",
    "MAYBE SENT",
)
async def raises() -> Story:
    return await with_sms(Setting.why_of_one, "raise")


@fault("the reply was lost", "the person may get it twice where the provider does not know the key")
async def loses_the_reply() -> Story:
    return await with_sms(Setting.why_of_one, "lose")


@fault(
    "the reply was lost", "The provider is asked then what became of it, and it is sent again only if it is not there"
)
async def loses_the_reply_and_can_be_asked() -> Story:
    sms = ScriptedChannel("sms", "lose")
    sms.guarantee = "reconcilable"
    return await with_sms(Setting.why_of_one, sms=sms)


@fault("The channel's send returned something that is no Receipt", "Correct the channel: send returns a Receipt")
async def answers_nonsense() -> Story:
    class Silent(ScriptedChannel):
        async def send(self, delivery: Delivery) -> Any:
            return None

    return await with_sms(Setting.why_of_one, sms=Silent("sms"))


@fault("The provider took it and reports that it could not be delivered", "Check the address with the provider")
async def reports_that_it_was_not_delivered() -> Story:
    async def act(at: Setting) -> Story:
        row = await at.say()
        report = DeliveryStatus(channel_id="sms", provider="acme", message_id=row.provider_ids[0], status="bounced")
        await at.kit.process_delivery_status(report)
        return await at.why(row.provider_ids[0])

    return await with_sms(act)


@fault(
    "Only 2 of its 5 parts were sent: 2 parts were sent, the next one was refused: no such number. [provider.refused]"
)
async def refuses_the_third_part() -> Story:
    class Parts(ScriptedChannel):
        def render(self, content: Any) -> Rendering:
            return Rendering(tuple(TextContent(body=f"{part}") for part in range(5)))

    def behave(delivery: Delivery) -> str:
        return "send" if delivery.parts_done < 2 else "fail"

    return await with_sms(Setting.why_of_one, sms=Parts("sms", behave))


# ------------------------------------------------------------------------------------------------- its reason is gone


@fault("Its channel was detached from the room. [channel.detached]", "Attach the channel again")
async def detached() -> Story:
    async def act(at: Setting) -> Story:
        row = await at.say()
        await at.kit.detach_channel("room", "sms")
        return await at.why(row.id)

    return await with_sms(act, "later")


@fault("Its channel may not receive in this room any more. [channel.access]")
async def access_taken() -> Story:
    async def act(at: Setting) -> Story:
        row = await at.say()
        await at.kit.set_access("room", "sms", Access.WRITE_ONLY)
        return await at.why(row.id)

    return await with_sms(act, "later")


@fault("Its room was deleted, with everything that was owed in it. [deleted]", "key SM1")
async def room_deleted() -> Story:
    async def act(at: Setting) -> Story:
        await at.say(provider_message_id="SM1")
        await at.kit.delete_room("room")
        return await at.why("SM1")

    return await with_sms(act, "later")


@fault("The event that it is about was deleted. [event.deleted]")
async def event_deleted() -> Story:
    async def act(at: Setting) -> Story:
        row = await at.say()
        await at.kit.delete_event("room", row.event_id or "")
        return await at.why(row.id)

    return await with_sms(act, "later")


@fault("It is not due yet; it is due at ", "written down to be said later as")
async def scheduled() -> Story:
    async def act(at: Setting) -> Story:
        later = at.clock.now() + timedelta(hours=1)
        event = await at.kit.send_event("room", "live", TextContent(body="hi"), at=later)
        return await at.why(event.id)

    return await with_sms(act)


@fault("scheduled message on 'live': suppressed", "The room was closed. [room_closed]", "Write to an open room")
async def scheduled_into_a_closed_room() -> Story:
    async def act(at: Setting) -> Story:
        later = at.clock.now() + timedelta(hours=1)
        event = await at.kit.send_event("room", "live", TextContent(body="hi"), at=later)
        await at.kit.close_room("room")
        at.clock.advance(3_601)
        await at.kit.idle()
        return await at.why(event.id)

    return await with_sms(act)


@fault("More messages came in than the kit lets in at once; it is due at ", "accepted into the journal as")
async def more_came_in_than_is_let_in() -> Story:
    async with open_kit(LiveProbe(), inbound_rate_limit=RateLimit(max_per_minute=1)) as kit:
        await make_room(kit, "room", "live")
        await accept(kit)
        second = await accept(kit)
        await kit.idle()
        return await kit.deliveries.why(second)


@fault("It was cancelled by hand. [cancelled]", "Retry it: roomkit dead retry ")
async def cancelled() -> Story:
    async def act(at: Setting) -> Story:
        row = await at.say()
        await at.kit.deliveries.cancel(row.id)
        return await at.why(row.id)

    return await with_sms(act, "later")


# --------------------------------------------------------------------------------------------- it could not be rendered


@fault("The channel cannot carry this kind of content: channel 'sms' cannot carry poll content", "no attempt")
async def content_unsupported() -> Story:
    async def act(at: Setting) -> Story:
        await at.kit.send_event("room", "live", CustomContent(type="poll", data={"question": "tea?"}))
        return await at.why((await rows_of(at.kit, "room", "sms"))[-1].id)

    return await with_sms(act)


@fault("The text is longer than the channel takes: the text has 11 characters and channel 'sms' takes 10")
async def too_long() -> Story:
    class Short(ScriptedChannel):
        def capabilities(self) -> Any:
            from roomkit_core import ChannelCapabilities

            return ChannelCapabilities(max_length=10)

    return await with_sms(lambda at: at.why_of_one("01234567890"), sms=Short("sms"))


@fault("The channel's render raised an exception: render of channel 'sms' raised KeyError: 'font'")
async def render_raises() -> Story:
    class Broken(ScriptedChannel):
        def render(self, content: Any) -> Rendering:
            raise KeyError("font")

    return await with_sms(Setting.why_of_one, sms=Broken("sms"))


@fault("No channel of this id was registered with the kit that planned it", "Register the channel, then: roomkit dead")
async def channel_not_registered() -> Story:
    async def act(at: Setting) -> Story:
        at.kit.unregister_channel("sms")
        return await at.why_of_one()

    return await with_sms(act)


# ------------------------------------------------------------------------------------------------------ it was given up


@fault(
    "It was not done before its time was over. Before that: the provider did not take it for now (come back later)",
    "[expired]",
)
async def expired() -> Story:
    async def act(at: Setting) -> Story:
        row = await at.say()
        at.clock.advance(100_000)
        await at.kit.store.expire(at.clock.microseconds)
        return await at.why(row.id)

    return await with_sms(act, "later")


@fault(
    "The retry policy of its binding allows no further attempt. Before that: the provider did not take it for now",
    "1 attempts were made; last: come back later. [work.attempts]",
)
async def dead_by_policy() -> Story:
    async def act(at: Setting) -> Story:
        row = await at.say()
        at.clock.advance(60)
        await at.kit.idle()
        return await at.why(row.id)

    return await with_sms(act, "later", retry_policy=RetryPolicy(max_retries=0))


@fault("It was retried as ", "which is sent.", ", a retry of ")
async def retried_by_an_operator() -> Story:
    async def act(at: Setting) -> Story:
        row = await at.say()
        at.sms.behave = "send"
        await at.kit.deliveries.retry(row.id)
        await at.kit.idle()
        return await at.why(row.id)

    return await with_sms(act, "fail")


# ------------------------------------------------------------------------------------------------------------ it waits


@fault("Its channel is paused by an operator (since 20", "UTC: the provider moves)", "roomkit deliveries resume sms")
async def paused() -> Story:
    async def act(at: Setting) -> Story:
        await at.kit.deliveries.pause("sms", reason="the provider moves")
        return await at.why_of_one()

    return await with_sms(act)


@fault(
    "The breaker of its channel is open, because the provider failed again and again (1 calls in a row failed)",
    "Its last attempt: the provider did not take it for now: come back later. [waits.breaker]",
)
async def breaker_open() -> Story:
    sms = ScriptedChannel("sms", "later")
    sms.failure_threshold = 1
    return await with_sms(Setting.why_of_one, sms=sms)


@fault("The rate limit of its channel is used up (1 a minute); it opens at ", "[waits.rate]")
async def rate_limited() -> Story:
    sms = ScriptedChannel("sms")
    sms.rate_limit = RateLimit(max_per_minute=1)

    async def act(at: Setting) -> Story:
        await at.say()
        return await at.why_of_one()

    return await with_sms(act, sms=sms)


@fault("The rate limit of its channel in this room is used up; it is due at ")
async def rate_limited_in_its_room() -> Story:
    async def act(at: Setting) -> Story:
        await at.say()
        return await at.why_of_one()

    return await with_sms(act, rate_limit=RateLimit(max_per_minute=1))


@fault("Its channel says that it is not ready. [waits.not_ready]", "Look at its connection and credentials")
async def not_ready() -> Story:
    class Offline(ScriptedChannel):
        async def ready(self) -> bool:
            return False

    return await with_sms(Setting.why_of_one, sms=Offline("sms"))


@fault("No channel of this id is registered with this kit", "Register the channel; the row waits until it expires")
async def unregistered_meanwhile() -> Story:
    async def act(at: Setting) -> Story:
        row = await at.say()
        at.kit.unregister_channel("sms")
        return await at.why(row.id)

    return await with_sms(act, "later")


@fault("It waits behind 1 row of its lane, the first is ", ": the provider did not take it for now: come back later;")
async def queued_behind_a_head_in_back_off() -> Story:
    async def act(at: Setting) -> Story:
        await at.say()
        return await at.why_of_one()

    return await with_sms(act, "later")


@fault("A worker is at it right now: ", ", attempt 1. [waits.held]")
async def being_sent() -> Story:
    async def act(at: Setting) -> Story:
        await at.kit.process_inbound(message(), room_id="room", wait="committed")
        await wait_for(lambda: at.sms.running)
        return await at.why((await rows_of(at.kit, "room", "sms"))[-1].id)

    return await with_sms(act, "wait")


@fault("Its channel is sending as much at once as it may (1 at once). [waits.busy]")
async def as_much_at_once_as_it_may() -> Story:
    sms = ScriptedChannel("sms", "wait")
    sms.max_in_flight = 1

    async def act(at: Setting) -> Story:
        await at.kit.process_inbound(message(), room_id="room", wait="committed")
        await wait_for(lambda: sms.running)
        await make_room(at.kit, "other", "live", sms)
        await at.kit.process_inbound(message(), room_id="other", wait="committed")
        return await at.why((await rows_of(at.kit, "other", "sms"))[-1].id)

    return await with_sms(act, sms=sms)


@fault("It waits for an operator. Its last attempt: the provider did not take it for now: look at it. [waits.parked]")
async def parked_for_an_operator() -> Story:
    async def act(at: Setting) -> Story:
        row = await frozen(at)
        await at.kit.store.settle(row.id, 1, Outcome(WorkState.PENDING, "acme.odd", "look at it"))
        await at.kit.deliveries.resume("sms")
        return await at.why(row.id)

    return await with_sms(act)


# ---------------------------------------------------------------------------------------- workers that do not come back


async def frozen(at: Setting) -> WorkRow:
    """A row in the hands of a worker that never comes back, its lease over."""
    await at.kit.deliveries.pause("sms")
    row = await at.say()
    (claim,) = await at.kit.store.claim("gone", lease=60.0, limit=1)
    assert claim.id == row.id
    at.clock.advance(61)
    return row


@fault("The worker that held it has not been heard of since its lease ended: gone, attempt 1. [waits.lost]")
async def lost_by_its_worker() -> Story:
    async def act(at: Setting) -> Story:
        return await at.why((await frozen(at)).id)

    return await with_sms(act)


@fault(
    "An earlier attempt may have got through, so they may have it twice. [maybe_sent]",
    "attempt 1 by gone never came back; another worker took it over (may have got through)",
)
async def taken_over() -> Story:
    async def act(at: Setting) -> Story:
        row = await frozen(at)
        await at.kit.deliveries.resume("sms")
        await at.kit.idle()
        assert at.sms.sent[-1].maybe_sent
        return await at.why(row.id)

    return await with_sms(act)


@fault("the kit was closed while the provider was being called, and nobody knows whether it took the message")
async def closed_in_the_call() -> Story:
    store, clock = InMemoryStore(clock=StillClock()), StillClock()
    sms = ScriptedChannel("sms", "hang")
    async with open_kit(LiveProbe(), sms, store=store, clock=clock) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message(), room_id="room", wait="committed")
        await wait_for(lambda: sms.sent)
        await kit.close(timeout=0.0)
    async with open_kit(LiveProbe(), store=store, clock=clock) as kit:
        return await kit.deliveries.why((await rows_of(kit, "room", "sms"))[0].id)


# ------------------------------------------------------------------------------------------------------- not let in


@fault("Hook 'moderator' blocked it: no insults here. [hook_blocked]", "stored BLOCKED as event")
async def blocked_by_a_hook() -> Story:
    async def act(at: Setting) -> Story:
        @at.kit.hook(HookTrigger.BEFORE_BROADCAST, name="moderator")
        def moderator(event: Any, context: Any) -> HookResult:
            return HookResult.block("no insults here")

        result = await at.kit.process_inbound(message(), room_id="room")
        assert result.event is not None
        return await at.why(result.event.id)

    return await with_sms(act)


@fault("Guard 'guard' failed, and guards that fail block: RuntimeError: no model. [hook_error]")
async def guard_failed() -> Story:
    async def act(at: Setting) -> Story:
        @at.kit.hook(HookTrigger.BEFORE_BROADCAST, name="guard", on_error="block")
        def guard(event: Any, context: Any) -> HookResult:
            raise RuntimeError("no model")

        result = await at.kit.process_inbound(message(), room_id="room")
        assert result.event is not None
        return await at.why(result.event.id)

    return await with_sms(act)


@fault("The channel that said it is muted in this room. [source_muted]", "unmute() it, and say it again")
async def muted() -> Story:
    async def act(at: Setting) -> Story:
        await at.kit.mute("room", "live")
        await at.kit.process_inbound(message(provider_message_id="SM1"), room_id="room")
        return await at.why("SM1")

    return await with_sms(act)


@fault("The channel that said it may not write in this room. [source_read_only]")
async def read_only() -> Story:
    async def act(at: Setting) -> Story:
        await at.kit.set_access("room", "live", Access.READ_ONLY)
        await at.kit.process_inbound(message(provider_message_id="SM1"), room_id="room")
        return await at.why("SM1")

    return await with_sms(act)


@fault("The room was closed. [room_closed]", "room_closed; a repeat gets this first result")
async def closed_room() -> Story:
    async def act(at: Setting) -> Story:
        await at.kit.close_room("room")
        await at.kit.process_inbound(message(provider_message_id="SM1"), room_id="room")
        return await at.why("SM1")

    return await with_sms(act)


@fault("The room was closed. [room_closed]", "accepted into the journal as", "refused after 1 attempt")
async def accepted_for_a_closed_room() -> Story:
    async def act(at: Setting) -> Story:
        await at.kit.close_room("room")
        accepted = await accept(at.kit)
        await at.kit.idle()
        return await at.why(accepted)

    return await with_sms(act)


@fault("It is an answer to an answer, deeper than max_chain_depth. [event_chain_depth_limit]")
async def too_deep() -> Story:
    async def act(at: Setting) -> Story:
        event = await at.kit.send_event("room", "live", TextContent(body="hi"), chain_depth=5)
        return await at.why(event.id)

    return await with_sms(act)


# ----------------------------------------------------------------------------------------- journal, asks, durable hooks


@fault(
    "The message was put aside because it never came in. Bringing the message in failed with an exception",
    "8 attempts and 0 lost holders; last: ValueError: bad payload. [message.failed]",
    "Retry it: roomkit dead retry ",
)
async def quarantined() -> Story:
    class Poison(LiveProbe):
        async def handle_inbound(self, message: Any, context: Any) -> Any:
            raise ValueError("bad payload")

    clock = StillClock()
    async with open_kit(Poison(), clock=clock) as kit:
        await kit.create_room("room")
        accepted = await accept(kit, provider_message_id="SM1")
        for _ in range(8):
            await kit.idle()
            clock.advance(400)
        await kit.idle()
        return await kit.deliveries.why(accepted)


@fault("A guard failed while the message was being brought in: HookError: a guard failed: hook_error:guard")
async def guard_failed_for_an_accepted_message() -> Story:
    async def act(at: Setting) -> Story:
        @at.kit.hook(HookTrigger.BEFORE_BROADCAST, name="guard", on_error="block")
        def guard(event: Any, context: Any) -> HookResult:
            raise RuntimeError("no model")

        accepted = await accept(at.kit)
        await at.kit.idle()
        return await at.why(accepted)

    return await with_sms(act)


async def asked(reply: Callable[[Any], Any], ask_timeout: float = 60.0) -> Story:
    bot = Answering(reply=reply)
    bot.ask_timeout = ask_timeout
    async with open_kit(LiveProbe(), bot) as kit:
        await make_room(kit, "room", "live", bot)
        result = await kit.process_inbound(message(), room_id="room")
        assert result.event is not None
        return await kit.deliveries.why(result.event.id)


@fault("cause (question on 'ai'): The channel that was asked did not answer in time: no answer within 0.01 s")
async def ask_timed_out() -> Story:
    return await asked(lambda event: anyio.sleep_forever(), 0.01)


@fault("The channel that was asked raised an exception: RuntimeError: out of tokens. [ask.failed]")
async def ask_raised() -> Story:
    def reply(event: Any) -> Any:
        raise RuntimeError("out of tokens")

    return await asked(reply)


@fault(
    "cause (durable hook 'bot'): The durable hook raised an exception: 15 attempts; last: RuntimeError: the model is",
    "… 10 more attempts …",
)
async def durable_hook_is_dead() -> Story:
    clock = StillClock()
    async with open_kit(LiveProbe(), clock=clock) as kit:

        def bot(event: Any, context: Any) -> None:
            raise RuntimeError("the model is down")

        durable_hook(kit, bot)
        await make_room(kit, "room", "live")
        result = await kit.process_inbound(message(), room_id="room")
        for _ in range(15):
            await kit.idle()
            clock.advance(400)
        assert result.event is not None
        return await kit.deliveries.why(result.event.id)


@fault(
    "cause (durable hook 'bot'): No durable hook of this name is registered with the running kit",
    "Deploy the hook again",
)
async def durable_hook_was_not_deployed() -> Story:
    store, clock = InMemoryStore(clock=StillClock()), StillClock()
    async with open_kit(LiveProbe(), store=store, clock=clock) as kit:
        durable_hook(kit, lambda event, context: anyio.sleep_forever())
        await make_room(kit, "room", "live")
        await kit.process_inbound(message(), room_id="room", wait="committed")
        await kit.close(timeout=0.0)
    async with open_kit(LiveProbe(), store=store, clock=clock) as kit:
        await kit.idle()
        (row,) = await rows_of(kit, "room")
        return await kit.deliveries.why(row.id)


# --------------------------------------------------------------------------------------------------------- all is well


async def test_what_went_well_is_told_from_arrival_to_receipt_and_has_no_cause() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms, Answering()) as kit:
        await make_room(kit, "room", "live", "ai")
        await kit.attach_channel("room", "sms", route=Route(address="+1555", participant_id="bea"))
        accepted = await accept(kit, provider_message_id="SM1")
        await kit.idle()
        at = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
        report = DeliveryStatus(channel_id="sms", provider="acme", message_id="sms-1", status="delivered", timestamp=at)
        await kit.process_delivery_status(report)

        story = await kit.deliveries.why("SM1")

    text = str(story)
    assert (story.cause, story.hint, story.found_as, story.room_id) == (None, None, "key", "room")
    for told in (
        "arrived on channel 'live' from 'ann', key 'SM1'",
        f"accepted into the journal as {accepted}",
        "brought in after 1 attempt",
        f"let in and stored as event {story.event_id}, index 3 of room 'room'",
        "delivery on 'sms' to +1555: sent",
        "provider's id sms-1",
        "the provider reports: delivered",
        "question on 'ai': answered",
        "led to event ",
        " by 'ai', index 4, stored; 1 delivery sent",
    ):
        assert told in text
    assert [step.at for step in story.steps if step.text.startswith("the provider reports")] == [at]
    order = [text.index(told) for told in ("arrived on", "accepted into", "let in", "delivery on", "led to event")]
    assert order == sorted(order)


async def test_a_message_that_no_channel_was_there_for_says_that_nothing_is_owed() -> None:
    async with open_kit(BotChannel("bot")) as kit:
        await make_room(kit, "room", "bot")
        event = await kit.send_event("room", "bot", TextContent(body="hello?"))

        story = await kit.deliveries.why(event.id)

    assert "in the timeline; nothing is owed for it; room 'room' is active" in str(story)


async def test_what_it_led_to_in_another_room_belongs_to_its_story() -> None:
    async with open_kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        await make_room(kit, "room", "live")
        await make_room(kit, "other", "live", "sms")

        @kit.hook(HookTrigger.BEFORE_BROADCAST)
        async def pass_on(event: RoomEvent, context: RoomContext) -> HookResult:
            if event.room_id == "room":
                await kit.send_event("other", "live", TextContent(body="passed on"))
            return HookResult.allow()

        result = await kit.process_inbound(message(), room_id="room")
        assert result.event is not None
        story = await kit.deliveries.why(result.event.id)

    [passed] = [step.text for step in story.steps if step.text.startswith("led to event ")]
    assert "by 'live', index 2 of room 'other', stored; 1 delivery sent" in passed


@pytest.mark.parametrize("keeps", ["in memory", "in a file"])
async def test_every_id_that_a_person_may_have_leads_to_the_same_message(keeps: str, tmp_path: Path) -> None:
    sms, clock = ScriptedChannel("sms"), StillClock()
    stores = {"in memory": InMemoryStore, "in a file": partial(SQLiteStore, tmp_path / "room.db")}
    async with open_kit(LiveProbe(), sms, Answering(), clock=clock, store=stores[keeps](clock=clock)) as kit:
        await make_room(kit, "room", "live", sms, "ai")
        accepted = await accept(kit, provider_message_id="SM1")
        await kit.idle()
        rows = await rows_of(kit, "room")
        first = next(row for row in rows if row.kind is WorkKind.DELIVERY)
        answer = next(row for row in rows if row.event_id != first.event_id)

        found = {
            name: (await kit.deliveries.why(name)).event_id
            for name in (
                first.event_id or "",
                accepted,
                "SM1",
                "sms-1",
                *(row.id for row in rows if row.kind != "inbound"),
            )
        }
        of_answer = await kit.deliveries.why(answer.event_id or "")

    for name, event_id in found.items():
        assert event_id == (answer.event_id if name in (answer.id, "sms-2") else first.event_id), name
    assert f"its chain began with event {first.event_id} of 'ann'" in str(of_answer)


async def test_a_message_without_a_key_is_found_by_what_accepting_it_returned() -> None:
    async with open_kit(LiveProbe()) as kit:
        await make_room(kit, "room", "live")
        accepted = await accept(kit)
        await kit.idle()

        story = await kit.deliveries.why(accepted)
        back = await kit.deliveries.why(story.event_id or "")

    assert story.event_id is not None
    assert [row.id for row in back.work] == [accepted]


async def test_what_was_scheduled_and_deleted_later_is_told_as_one_story() -> None:
    clock = StillClock()
    async with open_kit(LiveProbe(), clock=clock) as kit:
        await make_room(kit, "room", "live")
        event = await kit.send_event("room", "live", TextContent(body="hi"), at=clock.now() + timedelta(hours=1))
        clock.advance(3_601)
        await kit.idle()
        await kit.delete_event("room", event.id)
        story = await kit.deliveries.why(event.id)

    text = str(story)
    assert (story.found_as, story.cause) == ("event", None)
    order = ["written down to be said later as", "brought in after 1 attempt", "let in and stored", "was deleted"]
    assert [text.index(told) for told in order] == sorted(text.index(told) for told in order)


async def test_a_repeat_of_a_key_is_told_to_get_the_first_result() -> None:
    async with open_kit(LiveProbe()) as kit:
        await make_room(kit, "room", "live")
        first = await kit.process_inbound(message(provider_message_id="SM1"), room_id="room")
        again = await kit.process_inbound(message(provider_message_id="SM1"), room_id="room")
        story = await kit.deliveries.why("SM1")

    assert first.event is not None
    assert again.event is not None
    assert again.event.id == first.event.id == story.event_id
    assert f"key 'SM1' of 'ann' on 'live' was decided: {first.event.id}; a repeat gets this first result" in str(story)


async def test_an_id_of_nothing_is_an_error_of_its_own() -> None:
    async with open_kit() as kit:
        with pytest.raises(WorkNotFoundError, match="nothing is known by the id 'nothing'") as raised:
            await kit.deliveries.why("nothing")
    assert raised.value.code == "work.not_found"


async def test_of_many_deliveries_those_that_are_not_well_are_told_one_by_one() -> None:
    def behave(delivery: Delivery) -> str:
        assert delivery.route is not None
        return "fail" if delivery.route.address == "+30" else "send"

    async with open_kit(LiveProbe(), ScriptedChannel("sms", behave)) as kit:
        await make_room(kit, "room", "live")
        routes = {f"p{number}": Route(address=f"+{number}") for number in range(40)}
        await kit.attach_channel("room", "sms", routes=routes)
        result = await kit.process_inbound(message(), room_id="room")
        assert result.event is not None
        story = await kit.deliveries.why(result.event.id)

    text = str(story)
    assert "delivery on 'sms' to +30: failed" in text
    assert "and 32 others: 32 delivery sent" in text
    assert [trouble.about for trouble in story.troubles] == ["delivery on 'sms' to +30"]
    assert len(text.splitlines()) <= 40


async def test_what_others_send_cannot_steer_the_terminal_of_an_operator() -> None:
    class Rude(ScriptedChannel):
        async def send(self, delivery: Delivery) -> Receipt:
            return Receipt.failed("rude.no", "\x1b[2Jno\nsecond line " + "x" * 5_000)

    async with open_kit(LiveProbe(), Rude("sms")) as kit:
        await make_room(kit, "room", "live", "sms")
        await kit.process_inbound(message(sender_id="\x1b[31mann"), room_id="room")
        (row,) = await rows_of(kit, "room")
        text = str(await kit.deliveries.why(row.id))

    assert all(line.isprintable() for line in text.splitlines())
    assert max(map(len, text.splitlines())) < 500


# -------------------------------------------------------------------------------------------------- codes and sentences


def test_an_explanation_is_a_sentence_with_something_to_do() -> None:
    for code, (cause, hint) in EXPLANATIONS.items():
        assert cause[0].isupper(), code
        assert not cause.endswith("."), code
        assert not hint or hint[0].isupper() or hint.startswith(("roomkit", "unmute")), code
        hint.format(id="", channel="")


def test_every_state_has_a_sentence_for_codes_of_channels() -> None:
    from roomkit_core.engine.pure.explanations import explain

    for state in WorkState:
        assert explain("acme.own", state).cause


async def test_an_intelligence_channel_is_told_about_like_any_other() -> None:
    async with open_kit(LiveProbe(), Answering()) as kit:
        await make_room(kit, "room", "live")
        await kit.attach_channel("room", "ai", ChannelCategory.INTELLIGENCE)
        await kit.deliveries.pause("ai")
        await kit.process_inbound(message(), room_id="room")
        (row,) = await rows_of(kit, "room")
        story = await kit.deliveries.why(row.id)

    assert story.cause is not None
    assert story.cause.startswith("Its channel is paused by an operator")


# ------------------------------------------------------------------------------------------- why an event is blocked


async def test_handlers_are_told_the_reason_that_a_guard_gave() -> None:
    told: list[FrameworkEvent] = []
    async with open_kit(LiveProbe()) as kit:
        await make_room(kit, "room", "live")
        kit.on("event_blocked")(told.append)
        kit.hook(HookTrigger.BEFORE_BROADCAST, name="guard")(lambda event, context: HookResult.block("not today"))
        await kit.process_inbound(message(), room_id="room")
        await kit.idle()

    [event] = told
    assert event.data == {"reason": "not today", "blocked_by": "guard"}


async def test_t5_a_sender_does_not_say_why_their_message_is_blocked() -> None:
    told: list[FrameworkEvent] = []
    async with open_kit(LiveProbe()) as kit:
        await make_room(kit, "room", "live")
        await kit.mute("room", "live")
        kit.on("event_blocked")(told.append)
        lie = {"blocked_reason": "the provider is down", "blocked_error": "x", "name": "Ann"}
        result = await kit.process_inbound(message(metadata=lie), room_id="room")
        assert result.event is not None
        await kit.idle()
        story = await kit.deliveries.why(result.event.id)

    [event] = told
    assert event.data == {"reason": "source_muted", "blocked_by": "source_muted"}
    assert result.event.metadata == {"name": "Ann"}
    assert story.cause is not None
    assert story.cause.startswith("The channel that said it is muted in this room.")
