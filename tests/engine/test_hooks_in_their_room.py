"""What deciding hooks do to their own room: once with the message, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import anyio.lowlevel
import pytest

from roomkit_core import (
    ChannelDirection,
    ConflictError,
    EventSource,
    EventStatus,
    EventType,
    FrameworkEvent,
    HookExecution,
    HookResult,
    HookTrigger,
    InboundResult,
    InjectedEvent,
    InMemoryStore,
    Observation,
    RoomClosedError,
    RoomContext,
    RoomEvent,
    RoomKit,
    RoomStatus,
    Task,
    TextContent,
    UnsupportedError,
    WorkState,
)
from tests.support.channels import LiveProbe, ScriptedChannel, message, text_of
from tests.support.rooms import PATIENCE, check_at_rest, kit_with, messages, say, texts, timeline, wait_for, work
from tests.support.stores import SlowStore

pytestmark = pytest.mark.anyio

BEFORE, AFTER = HookTrigger.BEFORE_BROADCAST, HookTrigger.AFTER_BROADCAST

Act = Callable[[RoomKit], Awaitable[Any]]
Check = Callable[["Scene"], Awaitable[Any]]


class Scene:
    """A room with a person's channel ``live``, a ``bot``, a durable ``sms`` and the unattached ``late``.

    Attributes:
        foreign: Another kit on the same store; what it writes is a foreign commit.
        seen: (hook, text, attempt) of every call of :meth:`watch` and :meth:`acting` hooks, in order.
    """

    def __init__(self, kit: RoomKit, foreign: RoomKit) -> None:
        self.kit = kit
        self.foreign = foreign
        self.sms: Any = kit.get_channel("sms")
        self.late: Any = kit.get_channel("late")
        self.live: Any = kit.get_channel("live")
        self.seen: list[tuple[str, str, int]] = []
        self.reports: list[FrameworkEvent] = []
        kit.on("hook_error")(self.reports.append)

    def watch(self, name: str, priority: int = 0) -> None:
        """A hook that only looks."""

        async def look(event: RoomEvent, context: RoomContext) -> HookResult:
            self.seen.append((name, text_of(event), context.attempt))
            return HookResult.allow()

        self.kit.hook(BEFORE, priority=priority, name=name)(look)

    def acting(self, act: Act, end: Callable[[], Awaitable[Any]] | None = None, **options: Any) -> None:
        """A hook that acts, and then ends in a certain way."""

        async def hook(event: RoomEvent, context: RoomContext) -> Any:
            self.seen.append(("actor", text_of(event), context.attempt))
            await act(self.kit)
            return HookResult.allow() if end is None else await end()

        self.kit.hook(BEFORE, name="actor", **options)(hook)

    def shown_to(self, name: str) -> list[str]:
        """The texts that a hook was shown in the last attempt."""
        last = max((attempt for _, _, attempt in self.seen), default=1)
        return [text for who, text, attempt in self.seen if who == name and attempt == last]

    async def arrives(self, text: str = "hi", **fields: Any) -> InboundResult:
        """A message of the person, bounded."""
        with anyio.fail_after(PATIENCE):
            return await self.kit.process_inbound(message(text, **fields), room_id="room")

    async def idle(self) -> None:
        """Nothing runs in either kit; a row of one may be waiting behind one of the other."""
        for kit in (self.kit, self.foreign, self.kit):
            await kit.idle()

    async def bookkeeping(self) -> list[str]:
        """The bookkeeping events behind those of the set-up."""
        return [event.type for event in (await timeline(self.kit))[3:] if event.type != EventType.MESSAGE]

    async def binding(self, channel_id: str) -> Any:
        """The binding, or None."""
        return next((b for b in await self.kit.list_bindings("room") if b.channel_id == channel_id), None)


@asynccontextmanager
async def scene(store: InMemoryStore | None = None, **options: Any) -> AsyncIterator[Scene]:
    store = store or InMemoryStore()
    channels: list[Any] = [LiveProbe("live"), LiveProbe("bot"), ScriptedChannel("sms")]
    foreign_channels: list[Any] = [LiveProbe("live"), LiveProbe("bot"), ScriptedChannel("sms")]
    foreign_channels[2].sent = channels[2].sent  # one provider: a row may be sent by either kit
    async with (
        kit_with(*channels, spare=[ScriptedChannel("late")], store=store, **options) as kit,
        kit_with(*foreign_channels, store=store) as foreign,
    ):
        yield Scene(kit, foreign)


# -------------------------------------------------------------------------------- what hooks do, and what is there then


async def sends(kit: RoomKit) -> None:
    event = await say(kit, "noted")
    assert event.status is EventStatus.DELIVERED


async def sent(scene: Scene) -> None:
    assert (await texts(scene.kit)).count("noted") == 1
    assert scene.sms.texts.count("noted") == 1


async def brings_in(kit: RoomKit) -> None:
    result = await kit.process_inbound(message("from the phone", channel_id="sms"), room_id="room")
    assert not result.blocked


async def brought_in(scene: Scene) -> None:
    assert (await texts(scene.kit)).count("from the phone") == 1


async def mutes(kit: RoomKit) -> None:
    assert (await kit.mute("room", "sms")).muted
    assert (await kit.get_binding("room", "sms")).muted


async def muted(scene: Scene) -> None:
    assert (await scene.binding("sms")).muted
    assert await scene.bookkeeping() == ["channel_muted"]


async def attaches(kit: RoomKit) -> None:
    await kit.attach_channel("room", "late")
    assert len(await kit.list_bindings("room")) == 4


async def attached(scene: Scene) -> None:
    assert (await scene.binding("late")) is not None
    assert await scene.bookkeeping() == ["channel_attached"]
    assert scene.late.texts == ["hi"]


async def detaches(kit: RoomKit) -> None:
    assert await kit.detach_channel("room", "sms")
    assert len(await kit.list_bindings("room")) == 2


async def detached(scene: Scene) -> None:
    assert (await scene.binding("sms")) is None
    assert await scene.bookkeeping() == ["channel_detached"]
    assert "hi" not in scene.sms.texts


async def closes(kit: RoomKit) -> None:
    assert (await kit.close_room("room")).status is RoomStatus.CLOSED
    assert (await kit.get_room("room")).status is RoomStatus.CLOSED
    with pytest.raises(RoomClosedError):
        await say(kit, "too late")


async def closed(scene: Scene) -> None:
    room = await scene.kit.get_room("room")
    assert room.status is RoomStatus.CLOSED
    assert await scene.bookkeeping() == []
    assert "too late" not in await texts(scene.kit)


async def does_all(kit: RoomKit) -> None:
    await sends(kit)
    await brings_in(kit)
    await mutes(kit)
    await attaches(kit)


async def done_all(scene: Scene) -> None:
    await sent(scene)
    await brought_in(scene)
    assert (await scene.binding("sms")).muted
    assert (await scene.binding("late")) is not None
    assert sorted(await scene.bookkeeping()) == ["channel_attached", "channel_muted"]


class Deed(NamedTuple):
    act: Act
    check: Check


DEEDS = {
    "sends": Deed(sends, sent),
    "brings in": Deed(brings_in, brought_in),
    "mutes": Deed(mutes, muted),
    "attaches": Deed(attaches, attached),
    "detaches": Deed(detaches, detached),
    "closes": Deed(closes, closed),
    "does it all": Deed(does_all, done_all),
}


async def raises() -> Any:
    raise RuntimeError("the hook broke")


async def hangs() -> Any:
    await anyio.sleep_forever()


async def talks_nonsense() -> Any:
    return "fine with me"


async def swallows_its_cancellation() -> Any:
    try:
        await anyio.sleep_forever()
    except BaseException:
        return HookResult.allow()


async def breaks_when_it_is_cut() -> Any:
    try:
        await anyio.sleep_forever()
    finally:
        raise RuntimeError("the clean-up broke")


async def breaks_with_a_group_when_it_is_cut() -> Any:
    try:
        await anyio.sleep_forever()
    except BaseException as cut:
        raise BaseExceptionGroup("all of it", [cut, RuntimeError("the clean-up broke")]) from None


async def breaks_in_a_child_when_it_is_cut() -> Any:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        group.start_soon(breaks_when_it_is_cut)
        await anyio.sleep_forever()


ENDS = {
    "raises": raises,
    "hangs": hangs,
    "nonsense": talks_nonsense,
    "swallows": swallows_its_cancellation,
    "breaks late": breaks_when_it_is_cut,
    "breaks late with a group": breaks_with_a_group_when_it_is_cut,
    "breaks late in a child": breaks_in_a_child_when_it_is_cut,
}


# ----------------------------------------------------------------------------------------------- under which conditions


class Condition(NamedTuple):
    """How the message comes to its commit.

    Attributes:
        name: For the test's id.
        conflict: A foreign commit comes between plan and commit: from a hook, or while a slow store writes.
        slow: Commits suspend.
        repeats: How often the message is delivered, with one key.
    """

    name: str
    conflict: bool = False
    slow: bool = False
    repeats: int = 1


CONDITIONS = [
    Condition("plain"),
    Condition("conflict", conflict=True),
    Condition("slow", slow=True),
    Condition("slow conflict", conflict=True, slow=True),
    Condition("redelivery", repeats=3),
    Condition("redelivery after a conflict", conflict=True, repeats=2),
]


class Interference:
    """One foreign commit to the room, at the worst moment."""

    def __init__(self, condition: Condition) -> None:
        self.left = 1 if condition.conflict else 0
        self.slow = condition.slow
        self.scene: Scene | None = None

    async def strike(self) -> None:
        """Write now, unless it is done."""
        if self.left and self.scene is not None:
            self.left -= 1
            await say(self.scene.foreign, "foreign", channel_id="live", wait="committed")

    async def pause(self) -> None:
        """The pause of a slow store."""
        await anyio.lowlevel.checkpoint()
        if self.slow:
            await self.strike()

    def hook_in(self, scene: Scene) -> None:
        """From now on it strikes: in the pause of a commit, or from a hook before all others."""
        self.scene = scene
        if self.slow:
            return

        async def interfere(event: RoomEvent, context: RoomContext) -> HookResult:
            await self.strike()
            return HookResult.allow()

        scene.kit.hook(BEFORE, priority=-100, name="interference")(interfere)


@asynccontextmanager
async def scene_under(condition: Condition) -> AsyncIterator[Scene]:
    interference = Interference(condition)
    async with scene(SlowStore(interference.pause) if condition.slow else None) as found:
        interference.hook_in(found)
        yield found
        assert interference.left == 0
        await check_at_rest(found.kit)


async def deliver(found: Scene, condition: Condition) -> InboundResult:
    """The message, as often as the condition says; every answer names the same event."""
    results = [await found.arrives(idempotency_key="m1") for _ in range(condition.repeats)]
    assert len({(result.event.id, result.blocked, result.reason) for result in results if result.event}) == 1
    assert (await texts(found.kit)).count("hi") == 1
    assert (await texts(found.kit)).count("foreign") == int(condition.conflict)
    return results[0]


under_all_conditions = pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
at_every_place = pytest.mark.parametrize("place", [-10, 0, 10], ids=["first", "between", "last"])


@under_all_conditions
@at_every_place
@pytest.mark.parametrize("deed", DEEDS)
async def test_what_a_hook_does_to_its_room_is_there_once(deed: str, place: int, condition: Condition) -> None:
    async with scene_under(condition) as found:
        found.watch("early", -5)
        found.watch("later", 5)
        found.acting(DEEDS[deed].act, priority=place)

        result = await deliver(found, condition)
        await found.idle()

        assert not result.blocked
        assert result.event is not None
        assert result.event.status is EventStatus.DELIVERED
        await DEEDS[deed].check(found)
        # Ran once for each attempt, and was never shown what it had sent itself.
        attempts = [1, 2] if condition.conflict else [1]
        assert [attempt for who, _, attempt in found.seen if who == "actor"] == attempts
        assert found.shown_to("actor") == ["hi"]
        for other in ("early", "later"):
            shown = found.shown_to(other)
            assert shown.count("hi") == 1
            assert len(shown) == len(set(shown)), "nobody is shown an event twice"


@under_all_conditions
@at_every_place
@pytest.mark.parametrize("on_error", ["allow", "block"])
@pytest.mark.parametrize("end", ENDS)
async def test_t22_what_a_failing_hook_did_is_taken_back_and_on_error_decides(
    end: str, on_error: Any, place: int, condition: Condition
) -> None:
    async with scene_under(condition) as found:
        found.watch("early", -5)
        found.watch("later", 5)
        limited = {} if end in ("raises", "nonsense") else {"timeout": 0.01}
        found.acting(does_all, ENDS[end], priority=place, on_error=on_error, **limited)
        before = await found.kit.list_bindings("room")

        result = await deliver(found, condition)
        await found.idle()

        assert result.event is not None
        if on_error == "allow":
            assert not result.blocked
        else:
            assert (result.blocked, result.reason) == (True, "hook_error:actor")
            assert (result.event.status, result.event.blocked_by) == (EventStatus.BLOCKED, "actor")
        assert sorted(await texts(found.kit)) == sorted(["hi"] + ["foreign"] * condition.conflict)
        assert await found.kit.list_bindings("room") == before
        assert await found.bookkeeping() == []
        assert found.late.texts == []
        assert [report.data["hook"] for report in found.reports] == ["actor"], "reported once, by the try that counted"


@under_all_conditions
@pytest.mark.parametrize("deed", ["sends", "brings in", "mutes", "attaches", "does it all"])
async def test_what_hooks_did_stays_when_a_later_one_blocks_the_message(deed: str, condition: Condition) -> None:
    async with scene_under(condition) as found:
        found.acting(DEEDS[deed].act)

        @found.kit.hook(BEFORE, priority=5, name="guard")
        async def guard(event: RoomEvent, context: RoomContext) -> HookResult:
            return HookResult.block("not today") if text_of(event) == "hi" else HookResult.allow()

        result = await deliver(found, condition)
        await found.idle()

        assert result.blocked
        assert result.event is not None
        assert (result.event.status, result.event.blocked_by) == (EventStatus.BLOCKED, "guard")
        assert "hi" not in found.sms.texts
        if deed != "attaches":
            await DEEDS[deed].check(found)
        else:
            assert await found.binding("late") is not None
            assert found.late.texts == []


# ----------------------------------------------------------------------------------------------------- chains and loops


def let_pass(act: Callable[[RoomEvent], Awaitable[Any]]) -> Callable[..., Awaitable[HookResult]]:
    """A hook that acts and lets the event pass."""

    async def hook(event: RoomEvent, context: RoomContext) -> HookResult:
        await act(event)
        return HookResult.allow()

    return hook


async def test_an_event_is_not_shown_to_any_hook_on_the_chain_that_sent_it() -> None:
    async with scene() as found:
        shown: list[tuple[str, str]] = []

        def hook(name: str) -> Any:
            async def answer(event: RoomEvent) -> None:
                shown.append((name, text_of(event)))
                await say(found.kit, f"{text_of(event)}{name}")

            return let_pass(answer)

        found.kit.hook(BEFORE, name="a")(hook("a"))
        found.kit.hook(BEFORE, name="b")(hook("b"))

        result = await found.arrives("-")

        assert not result.blocked
        assert shown == [("a", "-"), ("b", "-a"), ("b", "-"), ("a", "-b")]
        assert await texts(found.kit) == ["-", "-a", "-ab", "-b", "-ba"]
        assert [event.chain_depth for event in await messages(found.kit)] == [0, 1, 2, 1, 2]
        await check_at_rest(found.kit)


async def test_one_hook_registered_twice_counts_as_two_hooks() -> None:
    async with scene() as found:
        hook = let_pass(lambda event: say(found.kit, text_of(event) + "+"))
        found.kit.hook(BEFORE)(hook)
        found.kit.add_room_hook("room", BEFORE, HookExecution.SYNC, hook)

        await found.arrives("-")

        assert await texts(found.kit) == ["-", "-+", "-++", "-+", "-++"]


@pytest.mark.parametrize("swallow", [True, False], ids=["swallowed", "raised"])
@pytest.mark.parametrize("through", ["send_event", "process_inbound"])
async def test_three_hooks_that_each_send_twice_are_stopped_by_the_budget(through: str, swallow: bool) -> None:
    async with scene() as found:
        codes: list[tuple[str, bool]] = []

        async def twice(event: RoomEvent) -> None:
            for _ in range(2):
                try:
                    if through == "send_event":
                        await say(found.kit, "more")
                    else:
                        await found.kit.process_inbound(message("more", channel_id="bot"), room_id="room")
                except ConflictError as error:
                    codes.append((error.code, error.retryable))
                    if not swallow:
                        raise

        for name in "abc":
            found.kit.hook(BEFORE, name=name)(let_pass(twice))

        result = await found.arrives()

        assert not result.blocked
        assert result.event is not None
        assert result.event.status is EventStatus.DELIVERED
        assert codes
        assert set(codes) == {("loop", False)}
        assert 1 <= len(await messages(found.kit)) <= 50
        assert (await texts(found.kit))[0] == "hi"
        await check_at_rest(found.kit)
        # The next message is a chain of its own.
        assert not (await found.arrives("again")).blocked


async def test_hooks_that_run_out_of_budget_again_and_again_do_not_work_on_for_ever() -> None:
    """What is taken back frees room in the unit, and that must not pay for another round of the same."""
    async with scene() as found:
        calls = 0

        async def twice(event: RoomEvent) -> None:
            nonlocal calls
            for _ in range(2):
                calls += 1
                await say(found.kit, "more")

        for number in range(6):
            found.kit.hook(BEFORE, name=f"hook {number}")(let_pass(twice))

        result = await found.arrives()

        assert not result.blocked
        assert calls < 5_000
        await check_at_rest(found.kit)


async def test_a_verb_for_which_the_unit_has_no_place_leaves_no_half_of_itself() -> None:
    async with scene() as found:
        codes: list[str] = []

        async def fill_and_mute(event: RoomEvent) -> None:
            for _ in range(49):
                await say(found.kit, "more")
            for verb in (found.kit.mute("room", "sms"), found.kit.attach_channel("room", "late")):
                with pytest.raises(ConflictError) as full:
                    await verb
                codes.append(full.value.code)

        found.kit.hook(BEFORE)(let_pass(fill_and_mute))

        result = await found.arrives()

        assert not result.blocked
        assert codes == ["loop", "loop"]
        assert len(await messages(found.kit)) == 50
        assert not (await found.binding("sms")).muted
        assert await found.binding("late") is None
        assert await found.bookkeeping() == []


async def test_a_hook_that_injects_more_than_a_unit_holds_fails_and_the_message_survives() -> None:
    async with scene() as found:

        @found.kit.hook(BEFORE, name="flood")
        async def flood(event: RoomEvent, context: RoomContext) -> HookResult:
            return HookResult.allow(injected=[InjectedEvent(event=note(f"n{n}")) for n in range(60)])

        result = await found.arrives()
        await found.idle()

        assert not result.blocked
        assert "hi" in await texts(found.kit)
        assert len(await messages(found.kit)) <= 50
        assert [report.data["hook"] for report in found.reports] == ["flood"]


def note(text: str) -> RoomEvent:
    """An event that a hook could inject."""
    return RoomEvent(
        room_id="room", source=EventSource(channel_id="system", channel_type="system"), content=TextContent(body=text)
    )


async def test_deleting_its_own_room_is_refused_to_a_hook() -> None:
    async with scene() as found:
        codes: list[str] = []

        async def delete(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                await say(found.kit, "below")
            with pytest.raises(UnsupportedError) as refused:
                await found.kit.delete_room("room")
            codes.append(refused.value.code)

        found.kit.hook(BEFORE, name="a")(let_pass(delete))
        found.kit.hook(BEFORE, name="b")(let_pass(delete))

        result = await found.arrives()

        assert not result.blocked
        assert set(codes) == {"room.delete_inside"}
        assert sorted(await texts(found.kit)) == ["below", "below", "hi"]
        await check_at_rest(found.kit)
        assert await found.kit.delete_room("room")


async def test_reads_inside_a_hook_show_its_unit_and_those_outside_do_not() -> None:
    async with scene() as found:
        inside: list[list[str]] = []
        outside: list[list[str]] = []

        async def act(event: RoomEvent) -> None:
            await say(found.kit, "one")
            await found.kit.detach_channel("room", "sms")
            inside.append([text_of(e) for e in await found.kit.get_timeline("room") if e.type == EventType.MESSAGE])
            inside.append([binding.channel_id for binding in await found.kit.list_bindings("room")])
            outside.append([text_of(event) for event in await messages(found.foreign)])
            outside.append([binding.channel_id for binding in await found.foreign.list_bindings("room")])

        found.kit.hook(BEFORE)(let_pass(act))

        await found.arrives()

        assert inside == [["one"], ["live", "bot"]]
        assert outside == [[], ["live", "bot", "sms"]]


async def test_five_conflicts_end_a_message_and_nothing_of_its_hooks_is_there() -> None:
    async with scene() as found:

        async def always_interfere(kit: RoomKit) -> None:
            await say(kit, "noted")
            await say(found.foreign, "foreign", channel_id="live", wait="committed")

        found.acting(always_interfere)

        with pytest.raises(ConflictError) as conflict:
            await found.arrives(idempotency_key="m1")

        assert conflict.value.retryable
        assert [attempt for _, _, attempt in found.seen] == [1, 2, 3, 4, 5]
        assert await texts(found.kit) == ["foreign"] * 5
        await check_at_rest(found.kit)
        # The provider's redelivery is welcome.
        found.kit.hook_engine.remove_global_hook("actor")
        assert not (await found.arrives(idempotency_key="m1")).blocked
        assert await texts(found.kit) == ["foreign"] * 5 + ["hi"]


# ----------------------------------------------------------------------------------------------------------------- keys


async def test_two_hooks_that_send_with_one_key_say_it_once() -> None:
    async with scene() as found:
        ids: list[str] = []

        async def welcome(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                ids.append((await say(found.kit, "welcome", idempotency_key="welcome")).id)

        found.kit.hook(BEFORE, name="a")(let_pass(welcome))
        found.kit.hook(BEFORE, name="b")(let_pass(welcome))

        await found.arrives()

        assert await texts(found.kit) == ["hi", "welcome"]
        assert len(ids) == 2
        assert len(set(ids)) == 1


async def test_two_hooks_that_send_with_one_key_below_each_other_do_not_lose_the_message() -> None:
    """The second hook sees the first one's event and sends with the key that is just being decided."""
    async with scene() as found:
        welcome = let_pass(lambda event: say(found.kit, "welcome", idempotency_key="welcome"))
        found.kit.hook(BEFORE, name="a")(welcome)
        found.kit.hook(BEFORE, name="b")(welcome)

        result = await found.arrives()

        assert not result.blocked
        assert await texts(found.kit) == ["hi", "welcome"]
        await check_at_rest(found.kit)


@under_all_conditions
async def test_a_hook_that_brings_in_its_own_message_again_does_not_lose_it(condition: Condition) -> None:
    async with scene_under(condition) as found:
        again = let_pass(lambda event: found.kit.process_inbound(message("hi", idempotency_key="m1"), room_id="room"))
        found.kit.hook(BEFORE, name="a")(again)
        found.kit.hook(BEFORE, name="b")(again)

        result = await deliver(found, condition)

        assert not result.blocked


async def test_a_key_that_was_used_before_gives_the_hook_the_first_event() -> None:
    async with scene() as found:
        first = await say(found.kit, "welcome", idempotency_key="welcome")
        ids: list[str] = []

        async def welcome(event: RoomEvent) -> None:
            ids.append((await say(found.kit, "welcome", idempotency_key="welcome")).id)

        found.kit.hook(BEFORE)(let_pass(welcome))
        await found.arrives()

        assert ids == [first.id]
        assert await texts(found.kit) == ["welcome", "hi"]


@pytest.mark.parametrize("elsewhere", [True, False], ids=["in another room", "in this room"])
async def test_a_hooks_key_that_a_foreign_commit_takes_meanwhile_is_a_conflict_and_no_verdict(elsewhere: bool) -> None:
    async with scene() as found:
        await found.foreign.create_room("other")
        await found.foreign.attach_channel("other", "bot")
        ids: list[str] = []
        attempts: list[int] = []

        @found.kit.hook(BEFORE)
        async def welcome(event: RoomEvent, context: RoomContext) -> HookResult:
            attempts.append(context.attempt)
            ids.append((await say(found.kit, "welcome", idempotency_key="welcome")).id)
            if context.attempt == 1:
                room_id = "other" if elsewhere else "room"
                await say(found.foreign, "welcome from elsewhere", room_id=room_id, idempotency_key="welcome")
            return HookResult.allow()

        result = await found.arrives(idempotency_key="m1")

        assert not result.blocked
        assert attempts == [1, 2]
        said = await texts(found.kit)
        assert said == ["hi"] if elsewhere else ["welcome from elsewhere", "hi"]
        (event,) = await messages(found.foreign, "other") if elsewhere else (await messages(found.kit))[:1]
        assert ids[1] == event.id
        await check_at_rest(found.kit)


async def test_the_messages_own_key_taken_meanwhile_ends_it_with_the_first_result_and_nothing_of_its_hooks() -> None:
    async with scene() as found:
        attempts: list[int] = []

        @found.kit.hook(BEFORE)
        async def race(event: RoomEvent, context: RoomContext) -> HookResult:
            attempts.append(context.attempt)
            await say(found.kit, "noted")
            arrived = message("hi", idempotency_key="m1")
            with anyio.fail_after(PATIENCE):
                await found.foreign.process_inbound(arrived, room_id="room", wait="committed")
            return HookResult.allow()

        result = await found.arrives(idempotency_key="m1")

        assert not result.blocked
        assert await texts(found.kit) == ["hi"]
        assert result.event is not None
        assert result.event.id == (await messages(found.kit))[0].id
        assert attempts == [1], "a second try looks the key up before it asks the hooks again"
        await check_at_rest(found.kit)


# ----------------------------------------------------------------------------------------------------------------- time


async def test_t23_hooks_that_hang_with_ample_timeouts_do_not_use_up_the_messages_time() -> None:
    async with scene(process_timeout=0.2) as found:
        for number in range(3):
            found.kit.hook(BEFORE, name=f"hangs {number}", timeout=30.0)(let_pass(lambda event: anyio.sleep_forever()))
        found.acting(sends, priority=5)

        result = await found.arrives()
        await found.idle()

        assert not result.blocked
        assert await texts(found.kit) == ["hi", "noted"]
        assert [report.data["hook"] for report in found.reports][:3] == ["hangs 0", "hangs 1", "hangs 2"]


async def test_t23_a_hook_below_a_hook_gets_a_share_of_what_that_one_has_left() -> None:
    async with scene() as found:

        async def outer(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                assert (await say(found.kit, "noted")).status is EventStatus.DELIVERED

        async def inner(event: RoomEvent) -> None:
            if text_of(event) == "noted":
                await anyio.sleep_forever()

        found.kit.hook(BEFORE, name="outer", timeout=0.2)(let_pass(outer))
        found.kit.hook(BEFORE, name="inner", timeout=30.0)(let_pass(inner))

        result = await found.arrives()
        await found.idle()

        assert not result.blocked
        assert await texts(found.kit) == ["hi", "noted"]
        assert [report.data["hook"] for report in found.reports] == ["inner"]


async def test_t23_a_guard_below_a_hook_that_hangs_blocks_what_the_hook_sent_and_not_the_message() -> None:
    async with scene() as found:

        async def outer(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                assert (await say(found.kit, "noted")).blocked_by == "guard"

        async def guard(event: RoomEvent) -> None:
            if text_of(event) == "noted":
                await anyio.sleep_forever()

        found.kit.hook(BEFORE, name="outer")(let_pass(outer))
        found.kit.hook(BEFORE, name="guard", timeout=0.01, on_error="block")(let_pass(guard))

        result = await found.arrives()

        assert not result.blocked
        assert await texts(found.kit) == ["hi", "noted"]
        assert await texts(found.kit, blocked=False) == ["hi"]


async def test_a_message_that_runs_out_of_time_at_the_lock_is_not_there_and_may_come_again() -> None:
    async with scene(process_timeout=0.05) as found:
        async with found.kit.lock_manager.locked("room"), anyio.create_task_group() as group:
            results: list[InboundResult] = []

            async def arrive() -> None:
                with anyio.fail_after(PATIENCE):
                    arrived = message("hi", idempotency_key="m1")
                    results.append(await found.kit.process_inbound(arrived, room_id="room"))

            # From outside of the lock's context, as a stranger to it.
            found.kit.spawn(arrive)
            await wait_for(lambda: results)
            group.cancel_scope.cancel()

        assert [(result.blocked, result.reason, result.event) for result in results] == [
            (True, "process_timeout", None)
        ]
        assert await texts(found.kit) == []
        assert not (await found.arrives(idempotency_key="m1")).blocked
        assert await texts(found.kit) == ["hi"]
        await check_at_rest(found.kit)


# -------------------------------------------------------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["hi", "text", "from the bot"]),
        ({"channel_ids": ["live"]}, ["hi"]),
        ({"channel_ids": ["sms", "bot"]}, ["text", "from the bot"]),
        ({"channel_types": ["scripted"]}, ["text"]),
        ({"channel_types": ["websocket"], "channel_ids": ["bot", "sms"]}, ["from the bot"]),
        ({"channel_types": ["scripted"], "directions": ["outbound"]}, []),
        ({"directions": [ChannelDirection.INBOUND]}, ["hi", "text", "from the bot"]),
        ({"channel_ids": []}, []),
    ],
)
@pytest.mark.parametrize("trigger", [BEFORE, AFTER])
async def test_t25_filters_choose_the_events_of_deciding_hooks_and_of_observers(
    filters: dict[str, Any], expected: list[str], trigger: HookTrigger
) -> None:
    async with scene() as found:
        seen: list[str] = []

        @found.kit.hook(trigger, **filters)
        async def look(event: RoomEvent, context: RoomContext) -> HookResult:
            seen.append(text_of(event))
            return HookResult.allow()

        await found.arrives("hi")
        await found.arrives("text", channel_id="sms")
        await say(found.kit, "from the bot")
        await found.idle()

        assert seen == expected


@pytest.mark.parametrize("execution", [HookExecution.SYNC, HookExecution.ASYNC])
@pytest.mark.parametrize(
    ("filters", "expected"),
    [({}, ["bot", "sms"]), ({"channel_ids": ["sms"]}, ["sms"]), ({"channel_types": ["websocket"]}, ["bot"])],
)
async def test_t25_filters_count_for_hooks_about_channels_too(
    filters: dict[str, Any], expected: list[str], execution: HookExecution
) -> None:
    async with scene() as found:
        seen: list[str] = []

        @found.kit.hook(HookTrigger.ON_CHANNEL_MUTED, execution, **filters)
        async def look(event: RoomEvent, context: RoomContext) -> None:
            seen.append(event.content.data["channel_id"])

        await found.kit.mute("room", "bot")
        await found.kit.mute("room", "sms")
        await found.idle()

        assert seen == expected


async def test_t25_a_filter_does_not_put_a_hook_out_of_the_order_of_priorities() -> None:
    async with scene() as found:
        order: list[str] = []

        def hook(name: str) -> Any:
            async def look(event: RoomEvent) -> None:
                order.append(name)

            return let_pass(look)

        found.kit.hook(BEFORE, priority=3, name="c", channel_ids=["live"])(hook("c"))
        found.kit.add_room_hook("room", BEFORE, HookExecution.SYNC, hook("b"), priority=2)
        found.kit.hook(BEFORE, priority=1, name="a")(hook("a"))
        found.kit.hook(BEFORE, priority=2, name="never", channel_ids=["sms"])(hook("never"))
        found.kit.add_room_hook("room", BEFORE, HookExecution.SYNC, hook("d"), priority=4)

        await found.arrives()

        assert order == ["a", "b", "c", "d"]


async def test_t24_room_hooks_go_with_their_room() -> None:
    async with scene() as found:
        called: list[str] = []
        hook = let_pass(lambda event: say(found.kit, "noted"))
        found.kit.add_room_hook("room", BEFORE, HookExecution.SYNC, hook, name="before")
        found.kit.add_room_hook("room", AFTER, HookExecution.ASYNC, lambda event, context: called.append("after"))
        await found.arrives()
        await found.idle()
        assert (await texts(found.kit), called) == (["hi", "noted"], ["after", "after"])

        await found.kit.delete_room("room")

        assert not found.kit.hook_engine.has_hooks(BEFORE)
        assert not found.kit.hook_engine.has_hooks(AFTER)
        assert not found.kit.remove_room_hook("room", "before")
        result = await found.kit.process_inbound(message("anew"), room_id="room")
        await found.idle()
        assert not result.blocked
        assert await texts(found.kit) == ["anew"]
        assert called == ["after", "after"]


async def test_t24_a_room_hook_that_is_removed_while_it_runs_ends_its_run() -> None:
    async with scene() as found:
        found.kit.add_room_hook(
            "room",
            BEFORE,
            HookExecution.SYNC,
            let_pass(lambda event: remove_and_say(found.kit)),
            name="once",
        )

        await found.arrives("one")
        await found.arrives("two")

        assert await texts(found.kit) == ["one", "noted", "two"]


async def remove_and_say(kit: RoomKit) -> None:
    kit.remove_room_hook("room", "once")
    await say(kit, "noted")


# ----------------------------------------------------------------------------------------- verdicts and what they bring


async def test_a_modified_event_is_what_later_hooks_see_and_what_is_stored_but_it_stays_the_same_event() -> None:
    async with scene() as found:
        seen: list[str] = []

        @found.kit.hook(BEFORE, priority=1)
        async def polish(event: RoomEvent, context: RoomContext) -> HookResult:
            other = RoomEvent(
                room_id="elsewhere",
                source=EventSource(channel_id="bot", channel_type="bot"),
                content=TextContent(body=text_of(event) + "!"),
                index=77,
                chain_depth=3,
                idempotency_key="mine",
                metadata={"polished": True},
            )
            return HookResult.modify(other)

        @found.kit.hook(BEFORE, priority=2)
        def look(event: RoomEvent, context: RoomContext) -> HookResult:
            seen.append(text_of(event))
            return HookResult.allow()

        result = await found.arrives(idempotency_key="m1")

        (event,) = await messages(found.kit)
        assert result.event == event
        assert seen == ["hi!"]
        assert (text_of(event), event.metadata, event.source.channel_id) == ("hi!", {"polished": True}, "live")
        assert (event.room_id, event.index, event.chain_depth, event.idempotency_key) == ("room", 3, 0, "m1")
        assert found.sms.texts == ["hi!"]


async def test_t29_blocked_and_injected_events_have_indexes_of_their_own() -> None:
    async with scene() as found:

        @found.kit.hook(BEFORE)
        async def judge(event: RoomEvent, context: RoomContext) -> HookResult:
            text = text_of(event)
            injected = [InjectedEvent(event=note(f"about {text}"), target_channel_ids=["sms"])]
            if text == "bad":
                return HookResult.block("rude", injected=injected)
            return HookResult.allow(injected=injected)

        found.watch("later", 5)

        good, bad = await found.arrives("good"), await found.arrives("bad")
        last = await found.arrives("last")
        await found.idle()

        assert [event.index for event in await messages(found.kit)] == [3, 4, 5, 6, 7, 8]
        assert await texts(found.kit) == ["good", "about good", "bad", "about bad", "last", "about last"]
        assert [result.event and result.event.index for result in (good, bad, last)] == [3, 5, 7]
        assert (bad.blocked, bad.reason, bad.event and bad.event.blocked_by) == (True, "rude", "judge")
        # Injected events go where they are sent, are shown to no hook, and are part of the chain.
        assert found.sms.texts == ["good", "about good", "about bad", "last", "about last"]
        assert found.shown_to("later") == ["good", "last"]
        assert [text_of(event) for event in found.live.got] == ["good", "last"]
        about = (await messages(found.kit))[1]
        assert (about.chain_depth, about.correlation_id) == (1, good.event and good.event.id)


async def test_an_injected_event_that_is_used_again_and_again_is_a_new_event_each_time() -> None:
    async with scene() as found:
        greeting = InjectedEvent(event=note("welcome"), target_channel_ids=["sms"])
        found.kit.hook(BEFORE)(lambda event, context: HookResult.allow(injected=[greeting, greeting]))

        for number in range(2):
            assert not (await found.arrives(f"m{number}")).blocked
        await found.idle()

        assert await texts(found.kit) == ["m0", "welcome", "welcome", "m1", "welcome", "welcome"]
        assert found.sms.texts == ["m0", "welcome", "welcome", "m1", "welcome", "welcome"]


async def test_a_hook_that_injects_the_message_itself_does_not_lose_it() -> None:
    async with scene() as found:
        found.kit.hook(BEFORE)(lambda event, context: HookResult.allow(injected=[InjectedEvent(event=event)]))

        result = await found.arrives()

        assert not result.blocked
        assert await texts(found.kit) == ["hi", "hi"]
        assert result.event == (await messages(found.kit))[0]


@pytest.mark.parametrize("what", ["task", "observation"])
@pytest.mark.parametrize("on_error", ["allow", "block"])
async def test_t22_a_hook_that_notes_something_about_another_room_fails_and_the_message_survives(
    what: str, on_error: Any
) -> None:
    async with scene() as found:

        @found.kit.hook(BEFORE, name="lost", on_error=on_error)
        async def lost(event: RoomEvent, context: RoomContext) -> HookResult:
            if what == "task":
                return HookResult(tasks=[Task(room_id="elsewhere", title="call back")])
            return HookResult(observations=[Observation(room_id="elsewhere", channel_id="live", content="is upset")])

        result = await found.arrives()
        await found.idle()

        assert result.reason == (None if on_error == "allow" else "hook_error:lost")
        assert await texts(found.kit) == ["hi"]
        assert [report.data["hook"] for report in found.reports] == ["lost"]


@pytest.mark.parametrize("targets", [None, []], ids=["none", "an empty list"])
async def test_an_injected_event_without_targets_reaches_nobody(targets: list[str] | None) -> None:
    async with scene() as found:

        @found.kit.hook(BEFORE)
        async def inject(event: RoomEvent, context: RoomContext) -> HookResult:
            return HookResult.allow(injected=[InjectedEvent(event=note("secret"), target_channel_ids=targets)])

        await found.arrives()
        await found.idle()

        assert await texts(found.kit) == ["hi", "secret"]
        assert found.sms.texts == ["hi"]
        assert [text_of(event) for event in found.live.got] == ["hi"]


async def test_injected_events_of_several_hooks_come_behind_what_the_hooks_sent() -> None:
    async with scene() as found:

        @found.kit.hook(BEFORE, name="a")
        async def a(event: RoomEvent, context: RoomContext) -> HookResult:
            await say(found.kit, "sent by a")
            return HookResult.allow(injected=[InjectedEvent(event=note("injected by a"))])

        @found.kit.hook(BEFORE, name="b", channel_ids=["live"])
        async def b(event: RoomEvent, context: RoomContext) -> HookResult:
            await say(found.kit, "sent by b")
            return HookResult.allow(injected=[InjectedEvent(event=note("injected by b"))])

        await found.arrives()

        said = await texts(found.kit)
        assert said[0] == "hi"
        assert sorted(said[1:]) == sorted(
            # a is shown what b sent, and answers it too.
            ["sent by a", "sent by b", "injected by a", "injected by b", "sent by a", "injected by a"]
        )
        assert said.index("sent by a") < said.index("injected by a")


@pytest.mark.parametrize("verdict", ["allow", "block"])
async def test_tasks_and_observations_of_hooks_are_part_of_the_commit_whatever_the_verdict(verdict: str) -> None:
    async with scene() as found:

        @found.kit.hook(BEFORE)
        async def plan(event: RoomEvent, context: RoomContext) -> HookResult:
            task = Task(room_id="room", title="call back")
            seen = Observation(room_id="room", channel_id="live", content="is upset")
            if verdict == "block":
                return HookResult.block("later", tasks=[task], observations=[seen])
            return HookResult(tasks=[task], observations=[seen])

        await found.arrives()

        assert [task.title for task in await found.kit.store.list_tasks("room")] == ["call back"]
        assert [seen.content for seen in await found.kit.store.list_observations("room")] == ["is upset"]


@pytest.mark.parametrize("answer", [None, True, "allow", HookResult, {"action": "allow"}], ids=repr)
async def test_t22_a_guard_that_answers_nonsense_blocks(answer: Any) -> None:
    async with scene() as found:
        found.kit.hook(BEFORE, name="guard", on_error="block")(lambda event, context: answer)

        result = await found.arrives()

        assert (result.blocked, result.reason) == (True, "hook_error:guard")


async def test_t22_modify_without_an_event_is_a_failure_and_its_effects_are_taken_back() -> None:
    async with scene() as found:

        @found.kit.hook(BEFORE, name="editor")
        async def edit(event: RoomEvent, context: RoomContext) -> HookResult:
            await say(found.kit, "noted")
            return HookResult.modify("not an event")

        result = await found.arrives()
        await found.idle()

        assert not result.blocked
        assert await texts(found.kit) == ["hi"]
        assert [report.data["hook"] for report in found.reports] == ["editor"]


async def test_a_block_is_final_for_the_key_and_a_failing_guard_is_no_more_than_that_verdict() -> None:
    async with scene() as found:

        @found.kit.hook(BEFORE, name="guard", on_error="block")
        async def guard(event: RoomEvent, context: RoomContext) -> HookResult:
            if text_of(event) == "broken":
                raise RuntimeError("the guard broke")
            return HookResult.block("no")

        first = await found.arrives("x", idempotency_key="m1")
        broken = await found.arrives("broken", idempotency_key="m2")
        found.kit.hook_engine.remove_global_hook("guard")
        again = await found.arrives("x", idempotency_key="m1")
        still_broken = await found.arrives("broken", idempotency_key="m2")

        assert (first.blocked, first.reason) == (again.blocked, again.reason) == (True, "no")
        assert (broken.reason, still_broken.reason) == ("hook_error:guard", "hook_error:guard")
        assert again.event == first.event
        assert await texts(found.kit) == ["x", "broken"]


async def test_muting_its_own_source_blocks_the_message_and_what_was_sent_through_it() -> None:
    async with scene() as found:

        async def mute_the_source(kit: RoomKit) -> None:
            await kit.mute("room", "live")
            event = await say(kit, "noted", channel_id="live")
            assert (event.status, event.blocked_by) == (EventStatus.BLOCKED, "source_muted")

        found.acting(mute_the_source)

        result = await found.arrives()

        assert (result.blocked, result.reason) == (True, "source_muted")
        assert await texts(found.kit) == ["hi", "noted"]
        assert await texts(found.kit, blocked=False) == []


async def test_a_hook_that_detaches_the_source_of_its_message_does_not_lose_it() -> None:
    async with scene() as found:
        found.acting(lambda kit: kit.detach_channel("room", "live"))

        result = await found.arrives(idempotency_key="m1")
        again = await found.arrives(idempotency_key="m1")

        assert result.event is not None
        assert await texts(found.kit) == ["hi"]
        assert (again.event, again.blocked) == (result.event, result.blocked)
        await check_at_rest(found.kit)


async def test_a_closed_room_takes_no_more_messages_and_the_one_whose_hook_closed_it_was_let_in() -> None:
    async with scene() as found:
        found.acting(closes)

        first = await found.arrives(idempotency_key="m1")
        second = await found.arrives("too late", idempotency_key="m2")

        assert not first.blocked
        assert (second.blocked, second.reason, second.event) == (True, "room_closed", None)
        assert await texts(found.kit) == ["hi"]
        assert found.sms.texts == ["hi"]


# ---------------------------------------------------------------------------------------------------------- child tasks


async def test_children_of_a_hook_join_its_unit_one_at_a_time() -> None:
    async with scene() as found:
        inside = most = 0

        async def brood(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                async with anyio.create_task_group() as group:
                    for number in range(5):
                        group.start_soon(say, found.kit, f"child {number}")
                    await say(found.kit, "parent")

        async def slow_look(event: RoomEvent) -> None:
            nonlocal inside, most
            if text_of(event) != "hi":
                inside += 1
                most = max(most, inside)
                for _ in range(3):
                    await anyio.lowlevel.checkpoint()
                inside -= 1

        found.kit.hook(BEFORE, name="brood")(let_pass(brood))
        found.kit.hook(BEFORE, name="slow")(let_pass(slow_look))

        result = await found.arrives()

        assert not result.blocked
        assert most == 1
        said = await texts(found.kit)
        assert said[0] == "hi"
        assert sorted(said[1:]) == [*(f"child {number}" for number in range(5)), "parent"]
        await check_at_rest(found.kit)


async def test_a_child_that_fails_takes_back_its_own_work_and_not_its_siblings() -> None:
    async with scene() as found:

        async def child(number: int) -> None:
            await say(found.kit, f"child {number}")

        async def failing_child() -> None:
            with anyio.move_on_after(0.01):
                await say(found.kit, "stuck")

        async def brood(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                async with anyio.create_task_group() as group:
                    group.start_soon(child, 1)
                    group.start_soon(failing_child)
                    group.start_soon(child, 2)

        async def stick(event: RoomEvent) -> None:
            if text_of(event) == "stuck":
                await say(found.kit, "below what is stuck")
                await anyio.sleep_forever()

        found.kit.hook(BEFORE, name="brood")(let_pass(brood))
        found.kit.hook(BEFORE, name="stick")(let_pass(stick))

        result = await found.arrives()

        assert not result.blocked
        said = await texts(found.kit)
        assert said[0] == "hi"
        assert sorted(said[1:]) == ["child 1", "child 2"]
        await check_at_rest(found.kit)


class Stray:
    """A task that a hook starts outside of itself: it has the hook's context, and lives on when the hook has ended."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self.group = group
        self.go = anyio.Event()
        self.ended = anyio.Event()
        self.outcome: Any = None

    def start(self, act: Callable[[], Awaitable[Any]], *, at_once: bool = False) -> None:
        if at_once:
            self.go.set()
        self.group.start_soon(self._run, act)

    async def _run(self, act: Callable[[], Awaitable[Any]]) -> None:
        await self.go.wait()
        try:
            self.outcome = await act()
        except Exception as error:
            self.outcome = error
        self.ended.set()


async def test_a_child_that_outlives_its_hook_is_a_stranger_and_its_work_a_unit_of_its_own() -> None:
    async with scene() as found, anyio.create_task_group() as group:
        stray = Stray(group)

        async def start(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                stray.start(lambda: say(found.kit, "later"))

        found.kit.hook(BEFORE, name="starter")(let_pass(start))
        found.watch("other", 5)

        await found.arrives()
        assert await texts(found.kit) == ["hi"]
        stray.go.set()
        with anyio.fail_after(PATIENCE):
            await stray.ended.wait()

        assert isinstance(stray.outcome, RoomEvent)
        assert await texts(found.kit) == ["hi", "later"]
        # Depth, hook chain and loop budget stay with it.
        later = (await messages(found.kit))[1]
        assert later.chain_depth == 1
        assert found.shown_to("other") == ["hi", "later"]
        assert later.routing is not None
        assert later.routing.budget == 49
        await check_at_rest(found.kit)


async def test_a_stray_child_may_delete_the_room_that_its_hook_could_not() -> None:
    async with scene() as found, anyio.create_task_group() as group:
        stray = Stray(group)

        async def start(event: RoomEvent) -> None:
            stray.start(lambda: found.kit.delete_room("room"))

        found.kit.hook(BEFORE, name="starter")(let_pass(start))
        await found.arrives()
        stray.go.set()
        with anyio.fail_after(PATIENCE):
            await stray.ended.wait()

        assert stray.outcome is True


async def test_a_child_that_asks_for_the_room_after_its_hook_waits_for_the_message_and_nobody_deadlocks() -> None:
    async with scene() as found, anyio.create_task_group() as group:
        stray = Stray(group)
        at_later = anyio.Event()
        may_end = anyio.Event()

        async def start(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                stray.start(lambda: say(found.kit, "later"))

        async def later_hook(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                at_later.set()
                await may_end.wait()

        found.kit.hook(BEFORE, priority=1, name="starter")(let_pass(start))
        found.kit.hook(BEFORE, priority=2, name="later")(let_pass(later_hook))
        group.start_soon(found.arrives)
        with anyio.fail_after(PATIENCE):
            await at_later.wait()
            stray.go.set()
            await anyio.wait_all_tasks_blocked()
            assert not stray.ended.is_set()
            may_end.set()
            await stray.ended.wait()

        assert await texts(found.kit) == ["hi", "later"]
        await check_at_rest(found.kit)


async def test_what_a_hook_starts_and_forgets_does_not_conflict_with_its_own_message() -> None:
    """The commonest mistake: ``create_task(kit.send_event(...))`` in a hook, and a later hook that takes its time."""
    async with scene() as found, anyio.create_task_group() as group:
        attempts: list[int] = []
        strays: list[Stray] = []

        @found.kit.hook(BEFORE, priority=1, name="forgetful")
        async def forgetful(event: RoomEvent, context: RoomContext) -> HookResult:
            if text_of(event) == "hi":
                attempts.append(context.attempt)
                strays.append(Stray(group))
                strays[-1].start(lambda: say(found.kit, "forgotten"), at_once=True)
            return HookResult.allow()

        async def slow(event: RoomEvent) -> None:
            for _ in range(20):
                await anyio.lowlevel.checkpoint()

        found.kit.hook(BEFORE, priority=2, name="slow")(let_pass(slow))

        result = await found.arrives()
        with anyio.fail_after(PATIENCE):
            await strays[0].ended.wait()

        assert not result.blocked
        assert attempts == [1]
        assert await texts(found.kit) == ["hi", "forgotten"]
        await check_at_rest(found.kit)


class Halfway:
    """A hook in which the join of a stray child stands still until it is told to go on, whatever its limit says."""

    def __init__(self, found: Scene) -> None:
        self.reached = anyio.Event()
        self.go_on = anyio.Event()
        found.kit.hook(BEFORE, name="halfway", priority=50)(let_pass(self.stand))

    async def stand(self, event: RoomEvent) -> None:
        if text_of(event) == "child":
            self.reached.set()
            with anyio.CancelScope(shield=True):
                await self.go_on.wait()


async def test_the_end_of_a_hook_waits_for_a_join_in_progress() -> None:
    async with scene() as found, anyio.create_task_group() as group:
        halfway = Halfway(found)
        stray = Stray(group)

        async def start(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                stray.start(lambda: say(found.kit, "child"), at_once=True)
                await halfway.reached.wait()

        found.kit.hook(BEFORE, name="starter")(let_pass(start))
        results: list[InboundResult] = []

        async def arrive() -> None:
            results.append(await found.arrives())

        group.start_soon(arrive)
        with anyio.fail_after(PATIENCE):
            await halfway.reached.wait()
            await anyio.wait_all_tasks_blocked()
            assert not results
            halfway.go_on.set()
            await stray.ended.wait()
            await wait_for(lambda: results)

        assert await texts(found.kit) == ["hi", "child"]
        await check_at_rest(found.kit)


@pytest.mark.parametrize("end", ["raises", "hangs", "waits for the join"])
async def test_a_join_in_progress_of_a_hook_that_fails_writes_nothing_and_ends(end: str) -> None:
    async with scene() as found, anyio.create_task_group() as group:
        halfway = Halfway(found)
        stray = Stray(group)

        async def start(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                await say(found.kit, "before")
                stray.start(lambda: say(found.kit, "child"), at_once=True)
                await halfway.reached.wait()
                if end == "raises":
                    raise RuntimeError("the hook broke")
                if end == "hangs":
                    await anyio.sleep_forever()

        found.kit.hook(BEFORE, name="starter", timeout=30.0 if end == "raises" else 0.05)(let_pass(start))

        result = await found.arrives()
        assert not result.blocked
        assert await texts(found.kit) == ["hi"]

        halfway.go_on.set()
        with anyio.fail_after(PATIENCE):
            await stray.ended.wait()
        assert isinstance(stray.outcome, ConflictError)
        assert (stray.outcome.code, stray.outcome.retryable) == ("hook.ended", False)
        assert await texts(found.kit) == ["hi"]
        await check_at_rest(found.kit)
        # What it does from now on is its own.
        assert not (await found.arrives("next")).blocked


async def test_children_that_wait_for_their_turn_when_the_hook_ends_write_once_or_not_at_all() -> None:
    """Whoever got a turn in time is part of the message, the others come later or get an error."""
    async with scene() as found, anyio.create_task_group() as group:
        strays = [Stray(group) for _ in range(6)]

        async def start(event: RoomEvent) -> None:
            if text_of(event) == "hi":
                for number, stray in enumerate(strays):
                    stray.start(lambda number=number: say(found.kit, f"child {number}"), at_once=True)
                await anyio.lowlevel.checkpoint()

        async def slow(event: RoomEvent) -> None:
            await anyio.lowlevel.checkpoint()

        found.kit.hook(BEFORE, name="starter")(let_pass(start))
        found.kit.hook(BEFORE, name="slow", priority=5)(let_pass(slow))

        result = await found.arrives()
        with anyio.fail_after(PATIENCE):
            for stray in strays:
                await stray.ended.wait()

        assert not result.blocked
        said = await texts(found.kit)
        written = [number for number, stray in enumerate(strays) if isinstance(stray.outcome, RoomEvent)]
        assert sorted(said) == sorted(["hi", *(f"child {number}" for number in written)])
        await check_at_rest(found.kit)


async def test_a_stray_child_of_a_message_that_ran_again_belongs_to_neither_try() -> None:
    async with scene() as found, anyio.create_task_group() as group:
        strays: list[Stray] = []

        @found.kit.hook(BEFORE, name="starter")
        async def start(event: RoomEvent, context: RoomContext) -> HookResult:
            if text_of(event) == "hi":
                stray = Stray(group)
                strays.append(stray)
                stray.start(lambda: say(found.kit, f"child of try {len(strays)}"))
                if context.attempt == 1:
                    await say(found.foreign, "foreign", channel_id="live", wait="committed")
            return HookResult.allow()

        await found.arrives()
        assert await texts(found.kit) == ["foreign", "hi"]
        for stray in strays:
            stray.go.set()
            with anyio.fail_after(PATIENCE):
                await stray.ended.wait()

        assert await texts(found.kit) == ["foreign", "hi", "child of try 2", "child of try 2"]
        await check_at_rest(found.kit)


async def test_a_hook_may_not_wait_for_everything() -> None:
    async with scene() as found:
        codes: list[str] = []

        async def wait(event: RoomEvent) -> None:
            for verb in (found.kit.idle, found.kit.close):
                try:
                    await verb()
                except Exception as error:
                    codes.append(getattr(error, "code", repr(error)))

        found.kit.hook(BEFORE)(let_pass(wait))

        assert not (await found.arrives()).blocked
        assert codes == ["kit.reentrant_wait", "kit.reentrant_wait"]


async def test_what_hooks_sent_is_owed_like_the_message_itself() -> None:
    async with scene() as found:
        found.acting(sends)

        await found.arrives()

        assert found.sms.texts == ["hi", "noted"]
        assert [row.state for row in await work(found.kit)] == [WorkState.SENT, WorkState.SENT]
        assert [text_of(event) for event in found.live.got] == ["hi", "noted"]
