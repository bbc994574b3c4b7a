"""A caller that is cancelled, at whatever moment: all of its message with everything owed for it, or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from roomkit_core import (
    Delivery,
    HookExecution,
    HookResult,
    HookTrigger,
    InMemoryStore,
    Receipt,
    RoomContext,
    RoomEvent,
    RoomKit,
    RoomStatus,
    SQLiteStore,
    WorkState,
)
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.rooms import PATIENCE, check_at_rest, kit_with, say, texts, timeline, work
from tests.support.sqlite import held_up
from tests.support.stepping import cancelled_as_it_wakes, cancelled_as_task, cancelled_by_scope
from tests.support.stores import SlowStore

pytestmark = pytest.mark.anyio

BEFORE, AFTER = HookTrigger.BEFORE_BROADCAST, HookTrigger.AFTER_BROADCAST
STEPS = 70

Cancelled = Callable[[Coroutine[Any, Any, Any], int], Awaitable[bool]]


async def a_while() -> None:
    for _ in range(4):
        await anyio.lowlevel.checkpoint()


class SlowSms(ScriptedChannel):
    async def send(self, delivery: Delivery) -> Receipt:
        await a_while()
        return await super().send(delivery)


async def think(event: RoomEvent) -> list[str]:
    await a_while()
    return ["answer"] if text_of(event) == "hi" else []


class Scene:
    """A room with a live, a durable and an answering channel, all of which suspend when they are called."""

    def __init__(self, kit: RoomKit) -> None:
        self.kit = kit
        self.live: Any = kit.get_channel("live")
        self.sms: Any = kit.get_channel("sms")
        self.live.slow = a_while
        self.observed: list[str] = []

        @kit.hook(AFTER, HookExecution.ASYNC)
        async def observe(event: RoomEvent, context: RoomContext) -> None:
            await a_while()
            self.observed.append(text_of(event))

    def hook(self, priority: int, act: Callable[[RoomEvent], Awaitable[Any]]) -> None:
        async def hook(event: RoomEvent, context: RoomContext) -> HookResult:
            if text_of(event) == "hi":
                await act(event)
            return HookResult.allow()

        self.kit.hook(BEFORE, priority=priority, name=f"hook {priority}")(hook)


@asynccontextmanager
async def scene(slow: bool) -> AsyncIterator[Scene]:
    store = SlowStore(a_while) if slow else InMemoryStore()
    async with kit_with(
        LiveProbe("live"), SlowSms("sms"), LiveProbe("bot"), Answering(reply=think), store=store
    ) as kit:
        yield Scene(kit)


# ---------------------------------------------------------------------------------------------- what is being cancelled


def plain(found: Scene) -> list[str]:
    return []


def suspending(found: Scene) -> list[str]:
    """Hooks that wait and then act."""

    async def act(event: RoomEvent) -> None:
        await a_while()
        await say(found.kit, "noted")
        await a_while()

    async def wait(event: RoomEvent) -> None:
        await a_while()

    found.hook(1, act)
    found.hook(2, wait)
    return ["noted"]


def joining(found: Scene) -> list[str]:
    """Hooks with children that join, below which another hook waits."""

    async def brood(event: RoomEvent) -> None:
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(say, found.kit, f"child {number}")
            await found.kit.mute("room", "sms")
            await a_while()
            await found.kit.unmute("room", "sms")

    async def slow(event: RoomEvent, context: RoomContext) -> HookResult:
        await a_while()
        return HookResult.allow()

    found.hook(1, brood)
    found.kit.hook(BEFORE, priority=2, name="slow")(slow)
    return ["child 0", "child 1", "child 2"]


def below(found: Scene) -> list[str]:
    """A hook that brings in another message, whose hook acts as well."""

    async def bring_in(event: RoomEvent) -> None:
        await found.kit.process_inbound(message("below", channel_id="bot"), room_id="room")

    async def answer(event: RoomEvent, context: RoomContext) -> HookResult:
        await a_while()
        if text_of(event) == "below":
            await say(found.kit, "further below")
            await a_while()
        return HookResult.allow()

    found.hook(1, bring_in)
    found.kit.hook(BEFORE, priority=2, name="answer")(answer)
    return ["below", "further below"]


SORTS: dict[str, Callable[[Scene], list[str]]] = {
    "plain": plain,
    "suspending": suspending,
    "joining": joining,
    "below": below,
}


async def check_whole(found: Scene, extras: list[str], *, cut: bool, committed: bool) -> None:
    """Everything of the message is there and went out, or nothing is."""
    await check_at_rest(found.kit)
    said = await texts(found.kit)
    if not committed:
        assert said == []
        assert (found.sms.texts, found.live.seen, found.observed) == ([], [], [])
        assert await work(found.kit) == []
        assert cut
        return
    sent = sorted(["hi", *extras])
    assert said[0] == "hi"
    assert sorted(said) == sorted([*sent, "answer"])
    assert sorted(found.sms.texts) == sorted([*sent, "answer"])
    assert [text_of(event) for event in found.live.got] == said
    assert found.live.waiting == []
    assert {row.state for row in await work(found.kit)} == {WorkState.SENT, WorkState.ANSWERED}
    assert sorted(found.observed) == sorted(said)


def by_every_way() -> Any:
    """Each way of cancelling, on each event loop that has it."""
    ways: list[Any] = [
        pytest.param("asyncio", cancelled_by_scope, id="asyncio-scope"),
        pytest.param("trio", cancelled_by_scope, id="trio-scope"),
        pytest.param("asyncio", cancelled_as_task, id="asyncio-task"),
        pytest.param("asyncio", cancelled_as_it_wakes, id="asyncio-waking"),
    ]
    return pytest.mark.parametrize(("anyio_backend", "cancelled"), ways)


@by_every_way()
@pytest.mark.parametrize("wait", ["settled", "committed"])
@pytest.mark.parametrize("slow", [False, True], ids=["fast store", "slow store"])
@pytest.mark.parametrize("sort", SORTS)
async def test_a_message_whose_caller_is_cancelled_is_there_as_a_whole_or_not_at_all(
    sort: str, slow: bool, wait: Any, cancelled: Cancelled
) -> None:
    outcomes: list[bool] = []
    for step in range(1, STEPS + 1):
        async with scene(slow) as found:
            extras = SORTS[sort](found)
            arrived = message("hi", idempotency_key="m1")

            with anyio.fail_after(PATIENCE):
                passage = found.kit.process_inbound(arrived, room_id="room", wait=wait)
                cut = await cancelled(passage, step)
                await found.kit.idle()
            committed = await found.kit.store.find_key(("live", "ann", "m1")) is not None

            await check_whole(found, extras, cut=cut, committed=committed)
            outcomes.append(committed)
            if sort == "plain" and wait == "committed" and cancelled is cancelled_by_scope:
                assert not cut, "a commit that has begun is not cut, and its caller learns of it"
            # The provider's redelivery completes what was cut, or is a repeat.
            with anyio.fail_after(PATIENCE):
                again = await found.kit.process_inbound(arrived, room_id="room")
                await found.kit.idle()
            assert not again.blocked
            await check_whole(found, extras, cut=False, committed=True)
        if not cut and step > 10:
            break  # it has ended before this step

    assert any(outcomes), "late cancellations come after the commit"
    # A plain message suspends in its commit at the earliest, which is not cut; otherwise early ones leave nothing.
    assert all(outcomes) is (sort == "plain")


@by_every_way()
@pytest.mark.parametrize("wait", ["settled", "committed"])
@pytest.mark.parametrize("slow", [False, True], ids=["fast store", "slow store"])
async def test_live_clients_get_what_was_committed_although_its_caller_is_gone(
    slow: bool, wait: Any, cancelled: Cancelled
) -> None:
    """Nothing else in the room drains the channel, as an answer would."""
    for step in range(1, 20):
        live = LiveProbe("live")
        live.slow = a_while
        async with kit_with(live, store=SlowStore(a_while) if slow else InMemoryStore()) as kit:
            with anyio.fail_after(PATIENCE):
                await cancelled(kit.process_inbound(message("hi"), room_id="room", wait=wait), step)
            await check_at_rest(kit)
            assert [text_of(event) for event in live.got] == await texts(kit) == ["hi"]


@by_every_way()
@pytest.mark.parametrize("slow", [False, True], ids=["fast store", "slow store"])
async def test_a_message_that_waits_behind_another_one_leaves_the_queue_without_a_trace(
    slow: bool, cancelled: Cancelled
) -> None:
    """Also when it is granted the room and cancelled at the same moment."""
    for step in range(1, 25):
        async with scene(slow) as found:
            holding = anyio.Event()

            async def hold(event: RoomEvent, context: RoomContext, holding: anyio.Event = holding) -> HookResult:
                if text_of(event) == "first":
                    holding.set()
                    await a_while()
                return HookResult.allow()

            found.kit.hook(BEFORE)(hold)
            arrived = message("hi", idempotency_key="m1")
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as group:
                    group.start_soon(bring, found.kit, "first")
                    await holding.wait()
                    await cancelled(found.kit.process_inbound(arrived, room_id="room"), step)
                    group.start_soon(bring, found.kit, "third")
                await found.kit.idle()

            said = await texts(found.kit)
            assert {text for text in said if text != "answer"} in ({"first", "third"}, {"first", "hi", "third"})
            assert sorted(found.sms.texts) == sorted(said)
            await check_at_rest(found.kit)
            with anyio.fail_after(PATIENCE):
                await found.kit.process_inbound(arrived, room_id="room")
            assert sorted(await texts(found.kit)) == ["answer", "first", "hi", "third"]


async def bring(kit: RoomKit, text: str) -> None:
    await kit.process_inbound(message(text), room_id="room", wait="committed")


async def mute(kit: RoomKit) -> None:
    await kit.mute("room", "sms")


async def close(kit: RoomKit) -> None:
    await kit.close_room("room")


async def delete(kit: RoomKit) -> None:
    await kit.delete_room("room")


async def send(kit: RoomKit) -> None:
    await say(kit, "hi")


@by_every_way()
@pytest.mark.parametrize("verb", [mute, close, delete, send])
@pytest.mark.parametrize("slow", [False, True], ids=["fast store", "slow store"])
async def test_every_verb_that_writes_is_all_or_nothing(
    verb: Callable[[RoomKit], Coroutine[Any, Any, None]], slow: bool, cancelled: Cancelled
) -> None:
    for step in range(1, 20):
        async with scene(slow) as found:
            before = len(await timeline(found.kit))
            with anyio.fail_after(PATIENCE):
                await cancelled(verb(found.kit), step)
                await found.kit.idle()

            await check_at_rest(found.kit)
            if verb is delete:
                if not await found.kit.store.room_exists("room"):
                    continue
            elif verb is mute:
                assert (await found.kit.get_binding("room", "sms")).muted is (len(await timeline(found.kit)) > before)
            elif verb is close:
                if (await found.kit.get_room("room")).status is RoomStatus.CLOSED:
                    continue
            else:
                said = await texts(found.kit)
                assert said in ([], ["hi", "answer"])
                assert found.sms.texts == said
            # The room is usable.
            with anyio.fail_after(PATIENCE):
                assert not (await found.kit.process_inbound(message("next"), room_id="room")).blocked
            await check_at_rest(found.kit)


@by_every_way()
@pytest.mark.parametrize("slow", [False, True], ids=["fast store", "slow store"])
async def test_a_message_that_makes_its_room_leaves_no_half_message(slow: bool, cancelled: Cancelled) -> None:
    for step in range(1, 25):
        async with scene(slow) as found:
            arrived = message("hi", channel_id="sms", sender_id="+1555", idempotency_key="m1")
            with anyio.fail_after(PATIENCE):
                await cancelled(found.kit.process_inbound(arrived), step)
                await found.kit.idle()
                room_id = await found.kit.store.find_conversation(("sms", "+1555"))
                first = [] if room_id is None else await texts(found.kit, room_id)
                again = await found.kit.process_inbound(arrived)

            assert not again.blocked
            assert first in ([], ["hi"])
            again_room = await found.kit.store.find_conversation(("sms", "+1555"))
            assert again_room is not None
            assert room_id in (None, again_room), "the redelivery finds the room that was made"
            assert await texts(found.kit, again_room) == ["hi"]
            await check_at_rest(found.kit, "room", again_room)


@by_every_way()
async def test_a_cancelled_hook_of_a_cancelled_message_takes_everything_back(cancelled: Cancelled) -> None:
    """A hook that swallows the cancellation of its caller cannot bring the message through by that."""
    for step in range(1, 12):
        async with scene(slow=False) as found:

            async def stubborn(event: RoomEvent, found: Scene = found) -> None:
                await say(found.kit, "noted")
                for _ in range(3):
                    try:
                        await a_while()
                    except BaseException:
                        await anyio.lowlevel.cancel_shielded_checkpoint()

            found.hook(1, stubborn)
            with anyio.fail_after(PATIENCE):
                await cancelled(found.kit.process_inbound(message("hi"), room_id="room"), step)
                await found.kit.idle()

            assert sorted(await texts(found.kit)) in ([], ["answer", "hi", "noted"])
            await check_at_rest(found.kit)


# ------------------------------------------------------------------------------------------------------- the journal


@pytest.mark.parametrize(
    ("anyio_backend", "cancelled"),
    [("asyncio", cancelled_by_scope), ("trio", cancelled_by_scope), ("asyncio", cancelled_as_task)],
)
async def test_l6_what_a_cancelled_caller_had_accepted_is_worked_on_at_once(
    cancelled: Cancelled, tmp_path: Path
) -> None:
    store = SQLiteStore(tmp_path / "rooms.db")
    async with kit_with(LiveProbe(), store=store) as kit:
        with held_up(store):
            assert await cancelled(kit.accept_inbound(message("hi"), room_id="room"), 1)
        await check_at_rest(kit)

        [row] = await work(kit)
        assert (row.state, row.takeovers) == (WorkState.DONE, 0)
        assert await texts(kit) == ["hi"]
