"""No reference cycles on the way of a message: what it leaves behind is freed at once, without the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
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
)
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.rooms import kit_with, say
from tests.support.stores import SlowStore

pytestmark = pytest.mark.anyio

BEFORE, AFTER = HookTrigger.BEFORE_BROADCAST, HookTrigger.AFTER_BROADCAST
COUNT = 1_000
WARM_UP = 20

Deed = Callable[[], Awaitable[Any]]


@pytest.fixture(autouse=True)
def quiet_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Records of log lines hold tracebacks, and the capturing plugin holds the records."""
    caplog.set_level("CRITICAL")
    yield


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


def plain(scene: Scene) -> Deed:
    return scene.arrives


def observed(scene: Scene) -> Deed:
    scene.kit.hook(AFTER, HookExecution.ASYNC)(lambda event, context: None)
    scene.kit.on("event_processed")(lambda event: None)
    return scene.arrives


def raising_observer(scene: Scene) -> Deed:
    @scene.kit.hook(AFTER, HookExecution.ASYNC)
    async def fail(event: RoomEvent, context: RoomContext) -> None:
        raise RuntimeError("the observer broke")

    return scene.arrives


def blocked(scene: Scene) -> Deed:
    async def block(event: RoomEvent, context: RoomContext) -> HookResult:
        return HookResult.block("no")

    scene.hook(block)
    return scene.arrives


def raising(scene: Scene) -> Deed:
    async def fail(event: RoomEvent, context: RoomContext) -> None:
        raise RuntimeError("the hook broke")

    scene.hook(fail)
    return scene.arrives


def raising_guard(scene: Scene) -> Deed:
    async def fail(event: RoomEvent, context: RoomContext) -> None:
        await anyio.lowlevel.checkpoint()
        raise RuntimeError("the hook broke")

    scene.hook(fail, on_error="block")
    return scene.arrives


def nonsense(scene: Scene) -> Deed:
    scene.kit.hook(BEFORE)(lambda event, context: "fine with me")
    return scene.arrives


def conflicting(scene: Scene) -> Deed:
    async def interfere(event: RoomEvent, context: RoomContext) -> None:
        if context.attempt == 1:
            await scene.foreign.mute("room", "bot")
            await scene.foreign.unmute("room", "bot")

    scene.hook(interfere)
    return scene.arrives


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


def inner_send(scene: Scene) -> Deed:
    async def act(event: RoomEvent, context: RoomContext) -> None:
        if text_of(event) == "hi":
            await say(scene.kit, "noted")

    scene.hook(act)
    return scene.arrives


def inner_send_that_fails(scene: Scene) -> Deed:
    async def act(event: RoomEvent, context: RoomContext) -> None:
        if text_of(event) == "hi":
            await say(scene.kit, "noted")
            await say(scene.kit, "through nobody", channel_id="nobody")

    scene.hook(act)
    return scene.arrives


def inner_message(scene: Scene) -> Deed:
    async def act(event: RoomEvent, context: RoomContext) -> None:
        if text_of(event) == "hi":
            await scene.kit.process_inbound(message("below", channel_id="bot"), room_id="room")

    scene.hook(act)
    return scene.arrives


def beyond(scene: Scene) -> Deed:
    async def act(event: RoomEvent, context: RoomContext) -> None:
        if text_of(event) == "hi":
            await say(scene.kit, "beyond", room_id="other")

    scene.hook(act)
    return scene.arrives


def lock_self(scene: Scene) -> Deed:
    async def act(event: RoomEvent, context: RoomContext) -> None:
        await say(scene.kit, "there", room_id="other" if event.room_id == "room" else "room")

    scene.hook(act, name="there")
    scene.hook(act, name="back")
    return scene.arrives


def keyed(scene: Scene) -> Deed:
    async def arrive() -> None:
        nonlocal count
        count += 1
        for _ in range(2):
            await scene.arrives(idempotency_key=f"m{count}")

    count = 0
    return arrive


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


def late(scene: Scene) -> Deed:
    async def hang(event: RoomEvent, context: RoomContext) -> None:
        await anyio.sleep_forever()

    scene.hook(hang, timeout=0.000_01)
    return scene.arrives


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


def slow_commit(scene: Scene) -> Deed:
    return scene.arrives


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


def answered(scene: Scene) -> Deed:
    return lambda: scene.arrives("hi")


def unanswered(scene: Scene) -> Deed:
    return lambda: scene.arrives("raise")


def undelivered(scene: Scene) -> Deed:
    sms: Any = scene.kit.get_channel("sms")
    sms.behave = "raise"
    return scene.arrives


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


SORTS: dict[str, Callable[[Scene], Deed]] = {
    name: sort
    for name, sort in list(globals().items())
    if getattr(sort, "__annotations__", {}).get("return") == "Deed" and name != "cycles_of"
}
WITH_PAUSES = {"slow_commit", "cancelled_in_the_commit"}
WITH_BOT = {"answered", "unanswered"}


class Broken(LiveProbe):
    async def handle_inbound(self, message: Any, context: RoomContext) -> RoomEvent:
        raise RuntimeError("no such format")


def think(event: RoomEvent) -> list[str]:
    if text_of(event) == "raise":
        raise RuntimeError("the model broke")
    return ["answer"] if text_of(event) == "hi" else []


@pytest.mark.parametrize("sort", SORTS)
async def test_a_message_leaves_nothing_to_the_garbage_collector(sort: str) -> None:
    store = SlowStore(anyio.lowlevel.checkpoint) if sort in WITH_PAUSES else InMemoryStore()
    channels: list[Any] = [LiveProbe("live"), LiveProbe("bot"), ScriptedChannel("sms"), Broken("broken")]
    if sort in WITH_BOT:
        channels.append(Answering(reply=think))
    options: dict[str, Any] = {"process_timeout": 0.000_1} if sort == "timed_out" else {}
    async with (
        kit_with(*channels, store=store, rooms=["room", "other"]) as maker,
        kit_with(*(type(channel)(channel.channel_id) for channel in channels[:3]), store=store) as foreign,
    ):
        if not options:
            assert await cycles_of(SORTS[sort](Scene(maker, foreign))) == 0
            return
        async with kit_with(
            *(type(channel)(channel.channel_id) for channel in channels), store=store, **options
        ) as kit:
            assert await cycles_of(SORTS[sort](Scene(kit, foreign))) == 0
