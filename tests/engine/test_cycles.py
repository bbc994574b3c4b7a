"""No reference cycles on the way of a message: what it leaves behind is freed at once, not by the collector."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from roomkit_core import (
    ConflictError,
    HookExecution,
    HookResult,
    HookTrigger,
    InboundResult,
    InMemoryStore,
    RoomContext,
    RoomEvent,
    RoomKit,
    WorkFilter,
    WorkState,
)
from roomkit_core.models.work import OPEN_STATES
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.rooms import kit_with, say
from tests.support.stores import SlowStore

pytestmark = pytest.mark.anyio

BEFORE, AFTER = HookTrigger.BEFORE_BROADCAST, HookTrigger.AFTER_BROADCAST
COUNT = 1_000
WARM_UP = 20

Deed = Callable[[], Awaitable[Any]]


@pytest.fixture(autouse=True)
def quiet_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Records of log lines hold tracebacks, and the capturing plugin holds the records."""
    caplog.set_level("CRITICAL")


async def cycles_of(deed: Deed, count: int = COUNT) -> int:
    """How many objects ``count`` times ``deed`` leave to the garbage collector."""
    for _ in range(WARM_UP):
        await deed()
    gc.collect()
    gc.disable()
    try:
        for _ in range(count):
            await deed()
        return gc.collect()
    finally:
        gc.enable()


class Scene:
    """Two kits on one store; the second one's commits are foreign to the first."""

    def __init__(self, kit: RoomKit, foreign: RoomKit) -> None:
        self.kit = kit
        self.foreign = foreign

    def hook(self, act: Callable[[RoomEvent, RoomContext], Awaitable[Any]], **options: Any) -> None:
        async def hook(event: RoomEvent, context: RoomContext) -> HookResult:
            answer = await act(event, context)
            return answer if isinstance(answer, HookResult) else HookResult.allow()

        self.kit.hook(BEFORE, **options)(hook)

    async def arrives(self, text: str = "hi", **fields: Any) -> InboundResult:
        result = await self.kit.process_inbound(message(text, **fields), room_id="room")
        await self.kit.idle()
        return result


# --------------------------------------------------------------------------------------------------------- the messages


SORTS: dict[str, Callable[[Scene], Deed]] = {}


def sort(make: Callable[[Scene], Deed]) -> Callable[[Scene], Deed]:
    """Register a sort of message: given the scene, it says how one of them is brought in."""
    SORTS[make.__name__] = make
    return make


@sort
def plain(scene: Scene) -> Deed:
    return scene.arrives


@sort
def observed(scene: Scene) -> Deed:
    scene.kit.hook(AFTER, HookExecution.ASYNC)(lambda event, context: None)
    scene.kit.on("event_processed")(lambda event: None)
    return scene.arrives


@sort
def raising_observer(scene: Scene) -> Deed:
    @scene.kit.hook(AFTER, HookExecution.ASYNC)
    async def fail(event: RoomEvent, context: RoomContext) -> None:
        raise RuntimeError("the observer broke")

    return scene.arrives


@sort
def blocked(scene: Scene) -> Deed:
    async def block(event: RoomEvent, context: RoomContext) -> HookResult:
        return HookResult.block("no")

    scene.hook(block)
    return scene.arrives


@sort
def raising(scene: Scene) -> Deed:
    async def fail(event: RoomEvent, context: RoomContext) -> None:
        raise RuntimeError("the hook broke")

    scene.hook(fail)
    return scene.arrives


@sort
def raising_guard(scene: Scene) -> Deed:
    async def fail(event: RoomEvent, context: RoomContext) -> None:
        await anyio.lowlevel.checkpoint()
        raise RuntimeError("the hook broke")

    scene.hook(fail, on_error="block")
    return scene.arrives


@sort
def nonsense(scene: Scene) -> Deed:
    scene.kit.hook(BEFORE)(lambda event, context: "fine with me")
    return scene.arrives


@sort
def conflicting(scene: Scene) -> Deed:
    async def interfere(event: RoomEvent, context: RoomContext) -> None:
        if context.attempt == 1:
            await scene.foreign.mute("room", "bot")
            await scene.foreign.unmute("room", "bot")

    scene.hook(interfere)
    return scene.arrives


@sort
def never_committed(scene: Scene) -> Deed:
    async def interfere(event: RoomEvent, context: RoomContext) -> None:
        await scene.foreign.mute("room", "bot")

    scene.hook(interfere)

    async def arrive() -> None:
        try:
            await scene.arrives()
        except ConflictError:
            return
        raise AssertionError("it was committed")

    return arrive


@sort
def inner_send(scene: Scene) -> Deed:
    async def act(event: RoomEvent, context: RoomContext) -> None:
        if text_of(event) == "hi":
            await say(scene.kit, "noted")

    scene.hook(act)
    return scene.arrives


@sort
def inner_send_that_fails(scene: Scene) -> Deed:
    async def act(event: RoomEvent, context: RoomContext) -> None:
        if text_of(event) == "hi":
            await say(scene.kit, "noted")
            await say(scene.kit, "through nobody", channel_id="nobody")

    scene.hook(act)
    return scene.arrives


@sort
def inner_message(scene: Scene) -> Deed:
    async def act(event: RoomEvent, context: RoomContext) -> None:
        if text_of(event) == "hi":
            await scene.kit.process_inbound(message("below", channel_id="bot"), room_id="room")

    scene.hook(act)
    return scene.arrives


@sort
def beyond(scene: Scene) -> Deed:
    async def act(event: RoomEvent, context: RoomContext) -> None:
        if text_of(event) == "hi":
            await say(scene.kit, "beyond", room_id="other")

    scene.hook(act)
    return scene.arrives


@sort
def lock_self(scene: Scene) -> Deed:
    async def act(event: RoomEvent, context: RoomContext) -> None:
        await say(scene.kit, "there", room_id="other" if event.room_id == "room" else "room")

    scene.hook(act, name="there")
    scene.hook(act, name="back")
    return scene.arrives


@sort
def keyed(scene: Scene) -> Deed:
    async def arrive() -> None:
        nonlocal count
        count += 1
        for _ in range(2):
            await scene.arrives(idempotency_key=f"m{count}")

    count = 0
    return arrive


@sort
def cancelled(scene: Scene) -> Deed:
    async def wait(event: RoomEvent, context: RoomContext) -> None:
        scope.cancel()
        await anyio.lowlevel.checkpoint()

    scene.hook(wait)

    async def arrive() -> None:
        nonlocal scope
        scope = anyio.CancelScope()
        with scope:
            await scene.arrives()
            raise AssertionError("it was not cancelled")

    scope = anyio.CancelScope()
    return arrive


@sort
def cancelled_in_the_commit(scene: Scene) -> Deed:
    scope = anyio.CancelScope()

    async def pause() -> None:
        scope.cancel()
        await anyio.lowlevel.checkpoint()

    scene.kit.store.pause = pause  # type: ignore[attr-defined]

    async def arrive() -> None:
        nonlocal scope
        scope = anyio.CancelScope()
        with scope:
            await scene.arrives()
        await scene.kit.idle()

    return arrive


@sort
def late(scene: Scene) -> Deed:
    async def hang(event: RoomEvent, context: RoomContext) -> None:
        await anyio.sleep_forever()

    scene.hook(hang, timeout=0.000_01)
    return scene.arrives


@sort
def timed_out(scene: Scene) -> Deed:
    """The message runs out of time behind another one."""

    async def arrive() -> None:
        entered, leave = anyio.Event(), anyio.Event()

        async def hold() -> None:
            async with scene.kit.lock_manager.locked("room"):
                entered.set()
                await leave.wait()

        scene.kit.spawn(hold)
        await entered.wait()
        result = await scene.kit.process_inbound(message(), room_id="room")
        assert result.reason == "process_timeout"
        leave.set()
        await scene.kit.idle()

    return arrive


@sort
def refused(scene: Scene) -> Deed:
    """The channel fails in its translation."""
    live: Any = scene.kit.get_channel("broken")
    assert live is not None

    async def arrive() -> None:
        try:
            await scene.arrives(channel_id="broken")
        except RuntimeError:
            return
        raise AssertionError("it was translated")

    return arrive


@sort
def slow_commit(scene: Scene) -> Deed:
    return scene.arrives


@sort
def children(scene: Scene) -> Deed:
    async def brood(event: RoomEvent, context: RoomContext) -> None:
        if text_of(event) == "hi":
            async with anyio.create_task_group() as group:
                group.start_soon(say, scene.kit, "one")
                group.start_soon(say, scene.kit, "two")

    async def slow(event: RoomEvent, context: RoomContext) -> None:
        await anyio.lowlevel.checkpoint()

    scene.hook(brood, name="brood")
    scene.hook(slow, name="slow", priority=1)
    return scene.arrives


@sort
def answered(scene: Scene) -> Deed:
    return lambda: scene.arrives("hi")


@sort
def unanswered(scene: Scene) -> Deed:
    return lambda: scene.arrives("raise")


@sort
def undelivered(scene: Scene) -> Deed:
    sms: Any = scene.kit.get_channel("sms")
    sms.behave = "raise"
    return scene.arrives


@sort
def verbs(scene: Scene) -> Deed:
    async def change() -> None:
        await scene.kit.mute("room", "bot")
        await scene.kit.unmute("room", "bot")
        await scene.kit.detach_channel("room", "bot")
        await scene.kit.attach_channel("room", "bot")
        await scene.kit.create_room("another")
        await scene.kit.close_room("another")
        await scene.kit.delete_room("another")
        await scene.kit.idle()

    return change


@sort
def late_observer(scene: Scene) -> Deed:
    @scene.kit.hook(AFTER, HookExecution.ASYNC, timeout=0.000_01)
    async def hang(event: RoomEvent, context: RoomContext) -> None:
        await anyio.sleep_forever()

    return scene.arrives


@sort
def late_delivery(scene: Scene) -> Deed:
    sms: Any = scene.kit.get_channel("sms")
    sms.behave = "hang"
    sms.send_timeout = 0.000_01

    async def arrive() -> None:
        await scene.arrives()
        sms.sent.clear()
        for row in await scene.kit.store.list_work(WorkFilter(states=OPEN_STATES)):
            assert row.state is WorkState.UNKNOWN
        await scene.foreign.detach_channel("room", "sms")  # ends what is of unknown outcome, and frees the lane
        await scene.foreign.attach_channel("room", "sms")

    return arrive


@sort
def cancelled_while_it_drains(scene: Scene) -> Deed:
    live: Any = scene.kit.get_channel("live")
    scope = anyio.CancelScope()

    async def slow() -> None:
        scope.cancel()
        await anyio.lowlevel.checkpoint()

    live.slow = slow

    async def arrive() -> None:
        nonlocal scope
        scope = anyio.CancelScope()
        with scope:
            await scene.arrives()
        await scene.kit.idle()
        live.seen.clear()
        live.got.clear()

    return arrive


@sort
def circle(scene: Scene) -> Deed:
    """Two rooms whose hooks send to each other: one unit is given up and runs again."""
    tries = 0
    entered = anyio.Event()

    async def across(event: RoomEvent, context: RoomContext) -> None:
        nonlocal tries
        if event.source.channel_id == "live":
            tries += 1
            if tries == 2:
                entered.set()
            await entered.wait()
            await say(scene.kit, "across", room_id="other" if event.room_id == "room" else "room")

    scene.hook(across)

    async def arrive() -> None:
        nonlocal tries, entered
        tries, entered = 0, anyio.Event()
        async with anyio.create_task_group() as group:
            for room_id in ("room", "other"):
                group.start_soon(bring, scene.kit, room_id)
        assert tries == 3
        await scene.kit.idle()

    return arrive


async def bring(kit: RoomKit, room_id: str) -> None:
    await kit.process_inbound(message(), room_id=room_id)


PAUSING = {"slow_commit", "cancelled_in_the_commit"}
ASKING = {"answered", "unanswered"}


class Broken(LiveProbe):
    async def handle_inbound(self, message: Any, context: RoomContext) -> RoomEvent:
        raise RuntimeError("no such format")


def think(event: RoomEvent) -> list[str]:
    if text_of(event) == "raise":
        raise RuntimeError("the model broke")
    return ["answer"] if text_of(event) == "hi" else []


@pytest.mark.parametrize("name", SORTS)
async def test_a_message_leaves_nothing_to_the_garbage_collector(name: str) -> None:
    store = SlowStore(anyio.lowlevel.checkpoint) if name in PAUSING else InMemoryStore()
    options: dict[str, Any] = {"process_timeout": 0.000_1} if name == "timed_out" else {}

    def channels() -> list[Any]:
        bots = [Answering(reply=think)] if name in ASKING else []
        return [LiveProbe("live"), LiveProbe("bot"), ScriptedChannel("sms"), Broken("broken"), *bots]

    async with (
        kit_with(*channels(), store=store, rooms=["room", "other"]) as foreign,
        kit_with(*channels(), store=store, **options) as kit,
    ):
        assert await cycles_of(SORTS[name](Scene(kit, foreign))) == 0
