"""What deciding hooks do to other rooms: at least once, without deadlocks, and never at the price of their message."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from roomkit_core import (
    ConflictError,
    EventStatus,
    HookExecution,
    HookResult,
    HookTrigger,
    InboundResult,
    InMemoryStore,
    RoomContext,
    RoomEvent,
    RoomKit,
)
from roomkit_core.engine.state.unit_of_work import Unit
from tests.support.channels import LiveProbe, ScriptedChannel, message, text_of
from tests.support.rooms import PATIENCE, check_at_rest, kit_with, messages, say, texts, wait_for
from tests.support.stores import SlowStore

pytestmark = pytest.mark.anyio

BEFORE = HookTrigger.BEFORE_BROADCAST

Act = Callable[[RoomEvent, RoomContext], Awaitable[Any]]


def channels() -> list[Any]:
    return [LiveProbe("live"), LiveProbe("bot"), ScriptedChannel("sms")]


def room_hook(kit: RoomKit, room_id: str, act: Act, name: str = "", **options: Any) -> None:
    """A hook of one room that acts on what people say and lets it pass."""

    async def hook(event: RoomEvent, context: RoomContext) -> HookResult:
        if event.source.channel_id == "live":
            await act(event, context)
        return HookResult.allow()

    kit.add_room_hook(room_id, BEFORE, HookExecution.SYNC, hook, name=name or f"hook of {room_id}", **options)


async def all_arrive(kit: RoomKit, *room_ids: str, **options: Any) -> dict[str, InboundResult]:
    """A message in every room, at the same moment."""
    results: dict[str, InboundResult] = {}

    async def arrive(room_id: str) -> None:
        results[room_id] = await kit.process_inbound(message(f"to {room_id}"), room_id=room_id, **options)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for room_id in room_ids:
                group.start_soon(arrive, room_id)
    return results


class Meeting:
    """A point that so many tasks reach before any of them goes on; later ones pass at once."""

    def __init__(self, count: int) -> None:
        self.missing = count
        self.complete = anyio.Event()

    async def reached(self) -> None:
        self.missing -= 1
        if self.missing <= 0:
            self.complete.set()
        await self.complete.wait()


STORES: dict[str, Callable[[], InMemoryStore]] = {
    "fast": InMemoryStore,
    "slow": lambda: SlowStore(anyio.lowlevel.checkpoint),
}

every_store = pytest.mark.parametrize("store", STORES)


@every_store
@pytest.mark.parametrize("through", ["send_event", "process_inbound", "task group"])
@pytest.mark.parametrize("ring", [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]], ids=len)
async def test_rooms_whose_hooks_send_in_a_circle_all_end_committed(
    ring: Sequence[str], through: str, store: str
) -> None:
    async with kit_with(*channels(), store=STORES[store](), rooms=ring) as kit:
        meeting = Meeting(len(ring))
        attempts: list[int] = []

        def send_on(target: str) -> Act:
            async def act(event: RoomEvent, context: RoomContext) -> None:
                attempts.append(context.attempt)
                await meeting.reached()  # every room is held, and every hook wants the next one
                said = f"from {event.room_id}"
                if through == "send_event":
                    await say(kit, said, room_id=target)
                elif through == "process_inbound":
                    result = await kit.process_inbound(message(said, channel_id="bot"), room_id=target)
                    assert not result.blocked
                else:
                    async with anyio.create_task_group() as group:
                        group.start_soon(lambda: say(kit, said, room_id=target))

            return act

        for here, there in zip(ring, [*ring[1:], ring[0]], strict=True):
            room_hook(kit, here, send_on(there))

        results = await all_arrive(kit, *ring)

        assert not any(result.blocked for result in results.values())
        for here, there in zip(ring, [*ring[1:], ring[0]], strict=True):
            said = await texts(kit, there)
            assert said.count(f"to {there}") == 1, "the message itself is there once"
            assert f"from {here}" in said, "what the hook did beyond its room is there at least once"
        assert max(attempts) > 1, "somebody gave up a unit"
        await check_at_rest(kit, *ring)


@every_store
async def test_with_a_key_what_goes_round_in_a_circle_is_said_once(store: str) -> None:
    ring = ["a", "b", "c"]
    async with kit_with(*channels(), store=STORES[store](), rooms=ring) as kit:
        meeting = Meeting(3)

        def send_on(target: str) -> Act:
            async def act(event: RoomEvent, context: RoomContext) -> None:
                await meeting.reached()
                key = f"{event.room_id} to {target}"
                await say(kit, f"from {event.room_id}", room_id=target, idempotency_key=key)

            return act

        for here, there in [("a", "b"), ("b", "c"), ("c", "a")]:
            room_hook(kit, here, send_on(there))

        results = await all_arrive(kit, *ring)

        assert not any(result.blocked for result in results.values())
        for here, there in [("a", "b"), ("b", "c"), ("c", "a")]:
            assert sorted(await texts(kit, there)) == [f"from {here}", f"to {there}"]
        await check_at_rest(kit, *ring)


async def test_a_hook_that_swallows_everything_cannot_keep_its_unit_in_a_circle() -> None:
    async with kit_with(*channels(), rooms=["a", "b"]) as kit:
        meeting = Meeting(2)
        swallowed: list[BaseException] = []

        def send_on(target: str) -> Act:
            async def act(event: RoomEvent, context: RoomContext) -> None:
                await meeting.reached()
                try:
                    await say(kit, f"from {event.room_id}", room_id=target)
                except BaseException as error:
                    swallowed.append(error)

            return act

        room_hook(kit, "a", send_on("b"))
        room_hook(kit, "b", send_on("a"))

        results = await all_arrive(kit, "a", "b")

        assert not any(result.blocked for result in results.values())
        assert len(swallowed) == 1
        assert not isinstance(swallowed[0], Exception), "nobody who catches Exception sees it"
        assert "from a" in await texts(kit, "b")
        assert "from b" in await texts(kit, "a")
        await check_at_rest(kit, "a", "b")


async def test_a_task_that_a_hook_started_gets_an_ordinary_error_where_its_unit_is_given_up() -> None:
    """What ends a unit is not an ``Exception``; in a task of the program's own it would end the program."""
    outcomes: list[Any] = []
    attempts: list[int] = []
    async with kit_with(*channels(), rooms=["a", "b"]) as kit, anyio.create_task_group() as group:
        started, b_wants_a, ended = anyio.Event(), anyio.Event(), anyio.Event()

        async def child() -> None:
            try:
                await say(kit, "child", room_id="a")
            except Exception as error:
                outcomes.append(error)
            ended.set()

        async def start(event: RoomEvent, context: RoomContext) -> None:
            attempts.append(context.attempt)
            if context.attempt == 1:
                group.start_soon(child)
                await ended.wait()

        async def reach_beyond(event: RoomEvent, context: RoomContext) -> HookResult:
            if text_of(event) == "child":
                started.set()
                await b_wants_a.wait()
                await say(kit, "from a", room_id="b")
            return HookResult.allow()

        async def from_b(event: RoomEvent, context: RoomContext) -> None:
            await started.wait()
            b_wants_a.set()
            await say(kit, "from b", room_id="a")

        room_hook(kit, "a", start)
        kit.add_room_hook("a", BEFORE, HookExecution.SYNC, reach_beyond)
        room_hook(kit, "b", from_b)

        results = await all_arrive(kit, "a", "b")

        assert not any(result.blocked for result in results.values())
        assert attempts == [1, 2]
        (error,) = outcomes
        assert (type(error), error.code, error.retryable) == (ConflictError, "lock.circle", True)
        assert sorted(await texts(kit, "a")) == ["from b", "to a"]
        assert await texts(kit, "b") == ["to b"]
        await check_at_rest(kit, "a", "b")


async def test_a_join_that_outlives_its_message_holds_no_room_any_more() -> None:
    """The hook has failed and the message is committed, while below a stray child another hook goes beyond the room."""
    outcomes: list[Any] = []
    async with kit_with(*channels(), rooms=["a", "b"]) as kit, anyio.create_task_group() as group:
        reached, go_on, ended = anyio.Event(), anyio.Event(), anyio.Event()

        async def child() -> None:
            try:
                await say(kit, "child", room_id="a")
            except ConflictError as error:
                outcomes.append(error.code)
            ended.set()

        async def start(event: RoomEvent, context: RoomContext) -> None:
            group.start_soon(child)
            await reached.wait()
            raise RuntimeError("the hook broke")

        async def reach_beyond(event: RoomEvent, context: RoomContext) -> HookResult:
            if text_of(event) == "child":
                reached.set()
                await go_on.wait()
                await say(kit, "beyond", room_id="b")
            return HookResult.allow()

        room_hook(kit, "a", start)
        kit.add_room_hook("a", BEFORE, HookExecution.SYNC, reach_beyond)

        (result,) = (await all_arrive(kit, "a")).values()
        assert not result.blocked
        go_on.set()
        with anyio.fail_after(PATIENCE):
            await ended.wait()

        assert outcomes == ["hook.ended"]
        assert await texts(kit, "a") == ["to a"]
        assert await texts(kit, "b") == ["beyond"]
        await check_at_rest(kit, "a", "b")


async def test_what_a_unit_that_was_given_up_did_to_its_own_room_is_there_once() -> None:
    async with kit_with(*channels(), rooms=["a", "b"]) as kit:
        meeting = Meeting(2)

        def act_and_send_on(target: str) -> Act:
            async def act(event: RoomEvent, context: RoomContext) -> None:
                await say(kit, "noted", room_id=event.room_id)
                await kit.mute(event.room_id, "sms")
                await meeting.reached()
                await say(kit, f"from {event.room_id}", room_id=target)

            return act

        room_hook(kit, "a", act_and_send_on("b"))
        room_hook(kit, "b", act_and_send_on("a"))

        results = await all_arrive(kit, "a", "b")

        assert not any(result.blocked for result in results.values())
        for room_id in ("a", "b"):
            assert (await texts(kit, room_id)).count("noted") == 1
            events = await kit.get_timeline(room_id, limit=1000)
            assert [event.type for event in events].count("channel_muted") == 1
        await check_at_rest(kit, "a", "b")


async def test_hooks_that_delete_each_others_rooms_do_not_wait_for_each_other() -> None:
    async with kit_with(*channels(), rooms=["a", "b"]) as kit:
        meeting = Meeting(2)

        def delete(target: str) -> Act:
            async def act(event: RoomEvent, context: RoomContext) -> None:
                await meeting.reached()
                await kit.delete_room(target)

            return act

        room_hook(kit, "a", delete("b"))
        room_hook(kit, "b", delete("a"))

        results = await all_arrive(kit, "a", "b")

        # Whoever came second was let in anew, into a room that was made again for it.
        assert not any(result.blocked for result in results.values())
        await check_at_rest(kit, "a", "b")


async def test_a_hook_that_deletes_a_room_whose_hook_sends_here_does_not_deadlock() -> None:
    async with kit_with(*channels(), rooms=["a", "b"]) as kit:
        meeting = Meeting(2)

        async def delete(event: RoomEvent, context: RoomContext) -> None:
            await meeting.reached()
            await kit.delete_room("b")

        async def send(event: RoomEvent, context: RoomContext) -> None:
            await meeting.reached()
            await say(kit, "from b", room_id="a")

        room_hook(kit, "a", delete)
        room_hook(kit, "b", send)

        results = await all_arrive(kit, "a", "b")

        assert not any(result.blocked for result in results.values())
        assert (await texts(kit, "a")).count("to a") == 1
        await check_at_rest(kit, "a", "b")


@pytest.mark.parametrize("verb", ["send_event", "process_inbound", "mute", "attach", "close", "delete"])
async def test_a_chain_that_meets_a_room_it_holds_gets_an_ordinary_error(verb: str) -> None:
    async with kit_with(*channels(), rooms=["a", "b"], spare=[LiveProbe("late")]) as kit:
        errors: list[Any] = []

        async def back(event: RoomEvent, context: RoomContext) -> HookResult:
            if text_of(event) == "down":
                try:
                    if verb == "send_event":
                        await say(kit, "back", room_id="a")
                    elif verb == "process_inbound":
                        await kit.process_inbound(message("back", channel_id="bot"), room_id="a")
                    elif verb == "mute":
                        await kit.mute("a", "sms")
                    elif verb == "attach":
                        await kit.attach_channel("a", "late")
                    elif verb == "close":
                        await kit.close_room("a")
                    else:
                        await kit.delete_room("a")
                except Exception as error:
                    errors.append(error)
            return HookResult.allow()

        async def down(event: RoomEvent, context: RoomContext) -> None:
            assert (await say(kit, "down", room_id="b")).status is EventStatus.DELIVERED

        room_hook(kit, "a", down)
        kit.add_room_hook("b", BEFORE, HookExecution.SYNC, back)

        (result,) = (await all_arrive(kit, "a")).values()

        assert not result.blocked
        (error,) = errors
        assert (error.code, error.retryable) == ("room.delete_inside" if verb == "delete" else "lock.self", False)
        assert await texts(kit, "a") == ["to a"]
        assert await texts(kit, "b") == ["down"]
        await check_at_rest(kit, "a", "b")


async def test_lock_self_that_nobody_catches_is_that_hooks_failure_and_no_more() -> None:
    async with kit_with(*channels(), rooms=["a", "b"]) as kit:
        failed: list[Any] = []
        kit.on("hook_error")(lambda event: failed.append((event.room_id, event.data["hook"])))

        async def down(event: RoomEvent, context: RoomContext) -> None:
            await say(kit, "down", room_id="b")

        async def back(event: RoomEvent, context: RoomContext) -> HookResult:
            await say(kit, "seen by b", room_id="b")
            await say(kit, "back", room_id="a")
            return HookResult.allow()

        room_hook(kit, "a", down)
        kit.add_room_hook("b", BEFORE, HookExecution.SYNC, back, name="back")

        (result,) = (await all_arrive(kit, "a")).values()
        await kit.idle()

        assert not result.blocked
        assert await texts(kit, "a") == ["to a"]
        assert await texts(kit, "b") == ["down"]
        assert failed == [("b", "back")]
        await check_at_rest(kit, "a", "b")


async def test_a_hook_in_two_rooms_is_not_shown_what_it_sent_in_either() -> None:
    async with kit_with(*channels(), rooms=["a", "b"]) as kit:
        shown: list[str] = []

        @kit.hook(BEFORE)
        async def forward(event: RoomEvent, context: RoomContext) -> HookResult:
            shown.append(text_of(event))
            await say(kit, f"{text_of(event)}, forwarded", room_id="b" if event.room_id == "a" else "a")
            return HookResult.allow()

        await all_arrive(kit, "a")

        assert shown == ["to a"]
        assert await texts(kit, "b") == ["to a, forwarded"]
        (forwarded,) = await messages(kit, "b")
        (first,) = await messages(kit, "a")
        assert (forwarded.chain_depth, forwarded.correlation_id) == (1, first.id)
        assert forwarded.routing is not None
        assert (forwarded.routing.origin, forwarded.routing.hops, forwarded.routing.budget) == (first.id, 1, 49)


@every_store
async def test_effects_beyond_the_room_are_at_least_once_and_those_within_it_once(store: str) -> None:
    shared = STORES[store]()
    async with (
        kit_with(*channels(), store=shared, rooms=["a", "b"]) as kit,
        kit_with(*channels(), store=shared, rooms=["a", "b"]) as foreign,
    ):

        async def act(event: RoomEvent, context: RoomContext) -> None:
            await say(kit, "within", room_id="a")
            await say(kit, "beyond", room_id="b")
            await say(kit, "beyond with a key", room_id="b", idempotency_key=f"about {event.idempotency_key}")
            await kit.process_inbound(message("arrived beyond", channel_id="sms"), room_id="b")
            if context.attempt < 3:
                await say(foreign, "foreign", room_id="a", channel_id="live")

        room_hook(kit, "a", act)
        with anyio.fail_after(PATIENCE):
            arrived = message("hi", idempotency_key="m1")
            results = [await kit.process_inbound(arrived, room_id="a") for _ in range(2)]
        for each in (kit, foreign, kit):
            await each.idle()

        assert [result.blocked for result in results] == [False, False]
        assert await texts(kit, "a") == ["foreign", "foreign", "hi", "within"]
        beyond = await texts(kit, "b")
        assert [beyond.count(text) for text in ("beyond", "beyond with a key", "arrived beyond")] == [3, 1, 3]
        await check_at_rest(kit, "a", "b")


async def test_what_a_failing_hook_did_beyond_its_room_stays() -> None:
    async with kit_with(*channels(), rooms=["a", "b"]) as kit:

        async def act(event: RoomEvent, context: RoomContext) -> None:
            await say(kit, "within", room_id="a")
            await say(kit, "beyond", room_id="b")
            raise RuntimeError("the hook broke")

        room_hook(kit, "a", act, on_error="block")

        (result,) = (await all_arrive(kit, "a")).values()

        assert result.reason == "hook_error:hook of a"
        assert await texts(kit, "a") == ["to a"]
        assert await texts(kit, "b") == ["beyond"]


async def test_a_message_to_a_new_room_from_a_hook_makes_the_room() -> None:
    async with kit_with(*channels(), rooms=["a"]) as kit:

        async def act(event: RoomEvent, context: RoomContext) -> None:
            result = await kit.process_inbound(message("escalated", channel_id="sms", sender_id="+1555"))
            assert not result.blocked

        room_hook(kit, "a", act)

        (result,) = (await all_arrive(kit, "a")).values()

        assert not result.blocked
        room_id = await kit.store.find_conversation(("sms", "+1555"))
        assert room_id is not None
        assert await texts(kit, room_id) == ["escalated"]
        await check_at_rest(kit, "a", room_id)


async def test_a_slow_hook_beyond_its_room_holds_up_its_own_rooms_and_no_other() -> None:
    async with kit_with(*channels(), rooms=["a", "b", "c"]) as kit:
        reached, go_on = anyio.Event(), anyio.Event()

        async def down(event: RoomEvent, context: RoomContext) -> None:
            await say(kit, "down", room_id="b")

        async def stand(event: RoomEvent, context: RoomContext) -> HookResult:
            reached.set()
            await go_on.wait()
            return HookResult.allow()

        room_hook(kit, "a", down)
        kit.add_room_hook("b", BEFORE, HookExecution.SYNC, stand)

        async with anyio.create_task_group() as group:
            group.start_soon(all_arrive, kit, "a")
            with anyio.fail_after(PATIENCE):
                await reached.wait()
                (result,) = (await all_arrive(kit, "c")).values()
                assert not result.blocked
                go_on.set()

        assert await texts(kit, "b") == ["down"]
        await check_at_rest(kit, "a", "b", "c")


async def test_a_hook_whose_time_is_over_while_it_waits_for_another_room_is_taken_back_and_leaves_no_trace() -> None:
    async with kit_with(*channels(), rooms=["a", "b"]) as kit:
        reached, go_on = anyio.Event(), anyio.Event()

        async def stand(event: RoomEvent, context: RoomContext) -> None:
            reached.set()
            await go_on.wait()

        async def down(event: RoomEvent, context: RoomContext) -> None:
            await say(kit, "within", room_id="a")
            await say(kit, "down", room_id="b")

        room_hook(kit, "b", stand)
        room_hook(kit, "a", down, timeout=0.02)

        async with anyio.create_task_group() as group:
            group.start_soon(all_arrive, kit, "b")
            with anyio.fail_after(PATIENCE):
                await reached.wait()
            (result,) = (await all_arrive(kit, "a")).values()
            assert not result.blocked
            assert await texts(kit, "a") == ["to a"]
            go_on.set()

        assert await texts(kit, "b") == ["to b"]
        await check_at_rest(kit, "a", "b")


async def test_a_commit_beyond_the_room_that_has_begun_is_not_cut_by_the_end_of_the_hooks_time() -> None:
    """The nested commit is under way when the hook's time is over: it is there, with its deliveries, or not at all."""
    go_on = anyio.Event()

    async def pause() -> None:
        if armed:
            await go_on.wait()

    armed: list[float] = []
    sms = ScriptedChannel("sms")
    async with kit_with(LiveProbe("live"), LiveProbe("bot"), sms, store=SlowStore(pause), rooms=["a", "b"]) as kit:

        async def down(event: RoomEvent, context: RoomContext) -> None:
            armed.append(anyio.current_time())
            await say(kit, "down", room_id="b")

        room_hook(kit, "a", down, timeout=0.02)
        results: list[InboundResult] = []

        async def arrive() -> None:
            results.append(await kit.process_inbound(message("hi"), room_id="a"))

        async with anyio.create_task_group() as group:
            group.start_soon(arrive)
            # The hook's limit passes on the loop's clock while the commit stands still.
            await wait_for(lambda: armed and anyio.current_time() > armed[0] + 0.03)
            go_on.set()

        await kit.idle()
        assert not results[0].blocked
        assert await texts(kit, "b") == ["down"]
        assert sorted(sms.texts) == ["down", "hi"]
        await check_at_rest(kit, "a", "b")


async def test_many_rooms_whose_hooks_send_to_random_others_all_end() -> None:
    rooms = [f"room-{number}" for number in range(6)]
    dice = random.Random(7)
    plan = {room_id: [dice.choice(rooms) for _ in range(2)] for room_id in rooms}
    async with kit_with(*channels(), rooms=rooms) as kit:

        def send_on(targets: list[str]) -> Act:
            async def act(event: RoomEvent, context: RoomContext) -> None:
                for target in targets:
                    await anyio.lowlevel.checkpoint()
                    await say(kit, f"from {event.room_id}", room_id=target)

            return act

        for room_id in rooms:
            room_hook(kit, room_id, send_on(plan[room_id]))

        results = await all_arrive(kit, *rooms)

        assert not any(result.blocked for result in results.values())
        for room_id in rooms:
            said = await texts(kit, room_id)
            assert said.count(f"to {room_id}") == 1
            assert all(f"from {sender}" in said for sender in rooms if room_id in plan[sender])
        await check_at_rest(kit, *rooms)


async def test_five_restarts_end_a_message_with_a_retryable_error() -> None:
    """A room whose every try would close a circle gives up as after five conflicts, and the others go on."""
    async with kit_with(*channels(), rooms=["a", "b"]) as kit:
        tries = 0

        async def here(event: RoomEvent, context: RoomContext) -> None:
            nonlocal tries
            tries += 1
            ports = kit._engine.ports
            # Stand-in for a rival that always gets in between: room b is held by a unit that waits for room a.
            rival = Unit(ports, "b", ports.cache.peek("b") or await ports.cache.load("b"), 50)  # type: ignore[arg-type]
            rival.waits_for = ("a",)
            ports.graph.hold(rival)
            try:
                await say(kit, "over", room_id="b")
            finally:
                ports.graph.release(rival)

        room_hook(kit, "a", here)

        with pytest.raises(ConflictError) as conflict:
            with anyio.fail_after(PATIENCE):
                await kit.process_inbound(message("hi"), room_id="a")

        assert conflict.value.retryable
        assert tries == 5
        assert await texts(kit, "a") == []
        await check_at_rest(kit, "a", "b")
