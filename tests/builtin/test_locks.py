"""The room locks of one process: exclusive, fair, reentrant, and nothing leaks."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup

from roomkit_core.builtin import locks
from roomkit_core.builtin.locks import InMemoryLockManager
from roomkit_core.interfaces.locks import RoomLockManager

pytestmark = pytest.mark.anyio

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class Visitor:
    """A task that enters a room, says so, and stays until it is told to leave."""

    def __init__(self, manager: RoomLockManager, room_id: str = "room", log: list[str] | None = None, name: str = ""):
        self.manager, self.room_id, self.log, self.name = manager, room_id, [] if log is None else log, name
        self.scope = anyio.CancelScope()
        self.entered, self.leave, self.ended = anyio.Event(), anyio.Event(), anyio.Event()

    async def run(self) -> None:
        with self.scope:
            async with self.manager.locked(self.room_id):
                self.log.append(self.name)
                self.entered.set()
                await self.leave.wait()
        self.ended.set()

    def start_as_child(self, group: TaskGroup) -> Visitor:
        """Start with the context of the caller, and so with the locks that the caller holds."""
        group.start_soon(self.run)
        return self

    def start_as_stranger(self, group: TaskGroup) -> Visitor:
        """Start in an empty context."""
        Context().run(group.start_soon, self.run)
        return self

    @property
    def is_inside(self) -> bool:
        return self.entered.is_set() and not self.ended.is_set()


async def settle() -> None:
    await anyio.wait_all_tasks_blocked()


def finish_without_suspending(awaitable: Awaitable[Any]) -> None:
    """Run a coroutine to its end; a suspension is a failure."""
    with pytest.raises(StopIteration):
        awaitable.__await__().send(None)


async def is_free(manager: RoomLockManager, room_id: str = "room") -> bool:
    """Whether a stranger would get the room at once."""
    async with anyio.create_task_group() as group:
        probe = Visitor(manager, room_id).start_as_stranger(group)
        await settle()
        free = probe.entered.is_set()
        group.cancel_scope.cancel()
    return free


# --- one lock per room ---


async def test_a_second_holder_of_a_room_waits_until_the_first_has_left() -> None:
    manager = InMemoryLockManager()
    async with anyio.create_task_group() as group:
        first = Visitor(manager).start_as_stranger(group)
        await settle()
        second = Visitor(manager).start_as_stranger(group)
        await settle()
        assert first.is_inside
        assert not second.is_inside

        first.leave.set()
        await second.entered.wait()
        assert first.ended.is_set()
        second.leave.set()
    assert await is_free(manager)


async def test_different_rooms_do_not_wait_for_each_other() -> None:
    manager = InMemoryLockManager()
    async with anyio.create_task_group() as group:
        visitors = [Visitor(manager, f"room {n}").start_as_stranger(group) for n in range(5)]
        await settle()
        assert all(visitor.is_inside for visitor in visitors)
        group.cancel_scope.cancel()


async def test_waiters_get_the_room_in_the_order_in_which_they_asked() -> None:
    manager = InMemoryLockManager()
    log: list[str] = []
    async with anyio.create_task_group() as group:
        visitors = []
        for n in range(10):
            visitors.append(Visitor(manager, log=log, name=str(n)).start_as_stranger(group))
            await settle()
        for visitor in visitors:
            visitor.leave.set()
    assert log == [str(n) for n in range(10)]


async def test_a_newcomer_does_not_slip_in_between_a_release_and_the_waiter_it_wakes() -> None:
    manager = InMemoryLockManager()
    async with anyio.create_task_group() as group:
        held = manager.locked("room")
        await held.__aenter__()
        waiter = Visitor(manager).start_as_stranger(group)
        await settle()
        await held.__aexit__(None, None, None)  # does not suspend: the waiter has not run yet

        newcomer = manager.locked("room").__aenter__()
        newcomer.__await__().send(None)  # suspends, so it waits
        newcomer.close()
        waiter.leave.set()
    assert waiter.ended.is_set()


async def test_a_free_lock_is_taken_and_released_without_suspending_or_making_an_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = InMemoryLockManager()
    monkeypatch.setattr(anyio, "Event", lambda: pytest.fail("an event was made although nobody waits"))

    for _ in range(3):
        token = manager.locked("room")
        finish_without_suspending(token.__aenter__())
        nested = manager.locked("room")
        finish_without_suspending(nested.__aenter__())
        finish_without_suspending(nested.__aexit__(None, None, None))
        finish_without_suspending(token.__aexit__(None, None, None))


async def test_the_token_is_small() -> None:
    assert not hasattr(InMemoryLockManager().locked("room"), "__dict__")


async def test_a_free_lock_can_be_taken_in_a_cancelled_scope() -> None:
    manager = InMemoryLockManager()
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with manager.locked("room"):
            inside = True
    assert inside
    assert await is_free(manager)


async def test_an_exception_in_the_body_releases_the_lock_and_goes_on() -> None:
    manager = InMemoryLockManager()
    with pytest.raises(LookupError):
        async with manager.locked("room"):
            raise LookupError
    assert await is_free(manager)


async def test_a_token_serves_once() -> None:
    manager = InMemoryLockManager()
    token = manager.locked("room")
    async with token:
        pass

    with pytest.raises(RuntimeError, match="entered twice"):
        await token.__aenter__()
    with pytest.raises(RuntimeError, match="without being held"):
        await token.__aexit__(None, None, None)


async def test_leaving_a_lock_that_was_never_entered_does_not_release_that_of_another() -> None:
    manager = InMemoryLockManager()
    async with manager.locked("room"):
        with pytest.raises(RuntimeError, match="without being held"):
            await manager.locked("room").__aexit__(None, None, None)
        assert not await is_free(manager)


async def test_a_manager_can_be_written_with_a_generator_function_and_has_a_close() -> None:
    class Custom(RoomLockManager):
        @asynccontextmanager
        async def locked(self, room_id: str) -> AsyncIterator[None]:
            yield

    manager = Custom()
    async with manager.locked("room"):
        pass
    await manager.close()
    await InMemoryLockManager().close()
    with pytest.raises(TypeError):
        RoomLockManager()  # type: ignore[abstract]


# --- cancellation ---


async def test_t8_a_cancelled_waiter_leaves_no_trace() -> None:
    manager = InMemoryLockManager()
    async with anyio.create_task_group() as group:
        holder = Visitor(manager).start_as_stranger(group)
        await settle()
        first, middle, last = [Visitor(manager).start_as_stranger(group) for _ in range(3)]
        await settle()
        middle.scope.cancel()
        await middle.ended.wait()
        holder.leave.set()
        first.leave.set()
        last.leave.set()
    assert not middle.entered.is_set()
    assert first.entered.is_set()
    assert last.entered.is_set()
    assert await is_free(manager)


async def test_t8_a_room_is_free_after_its_only_waiter_was_cancelled() -> None:
    manager = InMemoryLockManager()
    async with anyio.create_task_group() as group:
        holder = Visitor(manager).start_as_stranger(group)
        await settle()
        waiter = Visitor(manager).start_as_stranger(group)
        await settle()
        waiter.scope.cancel()
        await waiter.ended.wait()
        holder.leave.set()
    assert await is_free(manager)


@pytest.mark.parametrize("cancelled_first", [True, False])
@pytest.mark.parametrize("nested", [True, False])
async def test_t8_a_waiter_that_is_granted_the_lock_and_cancelled_at_once_passes_it_on(
    cancelled_first: bool, nested: bool
) -> None:
    manager = InMemoryLockManager()
    async with anyio.create_task_group() as group:
        outer = manager.locked("room")
        held = outer
        await outer.__aenter__()
        if nested:
            held = manager.locked("room")
            # Entered in a context of its own, so that the waiters below are its siblings.
            copy_context().run(finish_without_suspending, held.__aenter__())
        start = Visitor.start_as_child if nested else Visitor.start_as_stranger
        granted = start(Visitor(manager), group)
        await settle()
        next_in_line = start(Visitor(manager), group)
        await settle()

        if cancelled_first:
            granted.scope.cancel()
        finish_without_suspending(held.__aexit__(None, None, None))
        granted.scope.cancel()

        await next_in_line.entered.wait()
        if cancelled_first:
            assert not granted.entered.is_set()
        next_in_line.leave.set()
        await next_in_line.ended.wait()
        if nested:
            await outer.__aexit__(None, None, None)
    assert await is_free(manager)


@asyncio_only
@pytest.mark.parametrize("when", ["before the grant", "with the grant, cancel first", "with the grant, grant first"])
async def test_t8_a_waiter_that_asyncio_itself_cancels_passes_the_lock_on(when: str) -> None:
    manager = InMemoryLockManager()
    held = manager.locked("room")
    await held.__aenter__()
    waiter = asyncio.create_task(Visitor(manager).run(), context=Context())
    await settle()

    if when == "before the grant":
        waiter.cancel()
        await settle()
        await held.__aexit__(None, None, None)
    elif when == "with the grant, cancel first":
        waiter.cancel()
        await held.__aexit__(None, None, None)
    else:
        await held.__aexit__(None, None, None)
        waiter.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert await is_free(manager)


@asyncio_only
async def test_t8_a_waiter_under_wait_for_that_runs_out_of_time_leaves_no_trace() -> None:
    manager = InMemoryLockManager()
    async with manager.locked("room"):
        waiter = asyncio.create_task(asyncio.wait_for(Visitor(manager).run(), timeout=0.001), context=Context())
        with pytest.raises(TimeoutError):
            await waiter
    assert await is_free(manager)


async def test_t8_a_waiting_coroutine_that_is_thrown_away_leaves_no_trace() -> None:
    manager = InMemoryLockManager()
    async with manager.locked("room"):
        waiting = Context().run(manager.locked("room").__aenter__().__await__)
        Context().run(waiting.send, None)
        del waiting
    assert await is_free(manager)


# --- eviction ---


@pytest.mark.parametrize("max_locks", [0, -1])
async def test_max_locks_below_one_is_refused(max_locks: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        InMemoryLockManager(max_locks)


async def test_t8_idle_rooms_are_remembered_up_to_max_locks_and_the_oldest_is_forgotten_first() -> None:
    manager = InMemoryLockManager(max_locks=3)
    assert manager.size == 0
    for room_id in ["a", "b", "c", "a", "d"]:
        async with manager.locked(room_id):
            pass
    assert manager.size == 3
    assert list(manager._idle) == ["c", "a", "d"]


async def test_t8_the_map_shrinks_again_when_a_burst_is_released() -> None:
    manager = InMemoryLockManager(max_locks=4)
    async with anyio.create_task_group() as group:
        visitors = [Visitor(manager, f"room {n}").start_as_stranger(group) for n in range(50)]
        await settle()
        assert manager.size == 50
        for left, visitor in enumerate(visitors, start=1):
            visitor.leave.set()
            await visitor.ended.wait()
            assert manager.size == max(4, 50 - left)


async def test_t8_idle_rooms_make_place_for_taken_ones() -> None:
    manager = InMemoryLockManager(max_locks=2)
    async with manager.locked("a"), manager.locked("b"):
        pass
    async with manager.locked("c"):
        assert manager.size == 2
        async with manager.locked("d"):
            assert manager.size == 2
            async with manager.locked("e"):
                assert manager.size == 3
    assert manager.size == 2


async def test_t8_a_room_that_is_held_or_waited_for_is_never_evicted() -> None:
    manager = InMemoryLockManager(max_locks=1)
    async with anyio.create_task_group() as group:
        holder = Visitor(manager).start_as_stranger(group)
        await settle()
        waiter = Visitor(manager).start_as_stranger(group)
        await settle()
        for n in range(20):
            async with manager.locked(f"other {n}"):
                pass
        assert not await is_free(manager)

        holder.leave.set()
        await waiter.entered.wait()
        for n in range(20):
            async with manager.locked(f"other {n}"):
                pass
        assert not await is_free(manager)
        waiter.leave.set()
    assert await is_free(manager)


async def test_t8_cancelled_waiters_of_many_rooms_leave_the_map_as_small_as_before() -> None:
    manager = InMemoryLockManager(max_locks=2)
    async with anyio.create_task_group() as group:
        for n in range(20):
            Visitor(manager, f"room {n}").start_as_stranger(group)
        await settle()
        for n in range(20):
            Visitor(manager, f"room {n}").start_as_stranger(group)
        await settle()
        group.cancel_scope.cancel()
    assert manager.size == 2


# --- reentrancy ---


async def test_a_holder_can_enter_its_room_again() -> None:
    manager = InMemoryLockManager()
    async with manager.locked("room"):
        async with manager.locked("room"), manager.locked("room"):
            assert not await is_free(manager)
        assert not await is_free(manager)
        async with manager.locked("room"):
            pass
        assert not await is_free(manager)
    assert await is_free(manager)


async def test_a_holder_can_enter_its_room_again_from_inside_another_room() -> None:
    manager = InMemoryLockManager()
    async with manager.locked("a"), manager.locked("b"), manager.locked("a"), manager.locked("b"):
        assert not await is_free(manager, "a")
        assert not await is_free(manager, "b")
    assert await is_free(manager, "a")
    assert await is_free(manager, "b")


async def test_t7_child_tasks_of_a_holder_enter_one_at_a_time_and_no_stranger_between_them() -> None:
    manager = InMemoryLockManager()
    log: list[str] = []
    async with anyio.create_task_group() as strangers, manager.locked("room"):
        Visitor(manager, log=log, name="stranger").start_as_stranger(strangers).leave.set()
        await settle()
        async with anyio.create_task_group() as group:
            visitors = []
            for n in range(3):
                visitors.append(Visitor(manager, log=log, name=str(n)).start_as_child(group))
                await settle()
            for n, visitor in enumerate(visitors):
                assert [other.is_inside for other in visitors] == [n == m for m in range(3)]
                visitor.leave.set()
                await settle()
        log.append("holder")
    assert log == ["0", "1", "2", "holder", "stranger"]


async def test_t7_children_of_a_nested_holder_exclude_each_other_too() -> None:
    manager = InMemoryLockManager()
    async with manager.locked("room"), manager.locked("room"), anyio.create_task_group() as group:
        first = Visitor(manager).start_as_child(group)
        await settle()
        second = Visitor(manager).start_as_child(group)
        await settle()
        assert first.is_inside
        assert not second.is_inside
        first.leave.set()
        await second.entered.wait()
        second.leave.set()
    assert await is_free(manager)


async def test_the_holder_itself_waits_for_a_child_that_is_nested_in_it() -> None:
    manager = InMemoryLockManager()
    log: list[str] = []
    async with anyio.create_task_group() as group, manager.locked("room"):
        child = Visitor(manager, log=log, name="child").start_as_child(group)
        await child.entered.wait()
        child.leave.set()
        async with manager.locked("room"):
            log.append("holder")
            assert child.ended.is_set()
    assert log == ["child", "holder"]


async def test_t7_a_task_that_outlives_the_holder_waits_like_a_stranger() -> None:
    manager = InMemoryLockManager()
    async with anyio.create_task_group() as group:
        go = anyio.Event()
        survivor = Visitor(manager)

        async def outlive() -> None:
            await go.wait()
            await survivor.run()

        async with manager.locked("room"):
            group.start_soon(outlive)
            await settle()
        stranger = Visitor(manager).start_as_stranger(group)
        await stranger.entered.wait()

        go.set()
        await settle()
        assert stranger.is_inside
        assert not survivor.is_inside

        stranger.leave.set()
        await survivor.entered.wait()
        assert not await is_free(manager)
        survivor.leave.set()
    assert await is_free(manager)


async def test_t7_a_task_that_outlives_a_nested_holder_is_still_inside_the_outer_one() -> None:
    manager = InMemoryLockManager()
    async with anyio.create_task_group() as group, manager.locked("room"):
        go = anyio.Event()
        survivor = Visitor(manager)

        async def outlive() -> None:
            await go.wait()
            await survivor.run()

        async with manager.locked("room"):
            group.start_soon(outlive)
            await settle()
        go.set()
        await survivor.entered.wait()
        survivor.leave.set()
    assert await is_free(manager)


async def test_t7_two_managers_do_not_share_ownership() -> None:
    mine, other = InMemoryLockManager(), InMemoryLockManager()
    async with anyio.create_task_group() as group:
        async with mine.locked("room"):
            holder = Visitor(other).start_as_stranger(group)
            await holder.entered.wait()
            intruder = Visitor(other).start_as_child(group)
            await settle()
            assert not intruder.is_inside
            holder.leave.set()
            await intruder.entered.wait()
            assert not await is_free(other)
            intruder.leave.set()
        assert await is_free(mine)
    assert await is_free(other)


async def test_t7_leaving_does_not_wait_for_a_nested_holder_but_the_room_does() -> None:
    manager = InMemoryLockManager()
    async with anyio.create_task_group() as group:
        async with manager.locked("room"):
            nested = Visitor(manager).start_as_child(group)
            await nested.entered.wait()
        stranger = Visitor(manager).start_as_stranger(group)
        await settle()
        assert nested.is_inside
        assert not stranger.is_inside

        nested.leave.set()
        await stranger.entered.wait()
        stranger.leave.set()
    assert await is_free(manager)


async def test_t7_nobody_new_gets_in_through_a_holder_that_left_while_a_nested_one_is_inside() -> None:
    manager = InMemoryLockManager()
    log: list[str] = []
    async with anyio.create_task_group() as group:
        go = anyio.Event()
        late = Visitor(manager, log=log, name="late")

        async def come_late() -> None:
            await go.wait()
            await late.run()

        async with manager.locked("room"):
            group.start_soon(come_late)
            nested = Visitor(manager, log=log, name="nested").start_as_child(group)
            await nested.entered.wait()
        stranger = Visitor(manager, log=log, name="stranger").start_as_stranger(group)
        await settle()
        go.set()
        await settle()
        for visitor in (nested, stranger, late):
            visitor.leave.set()
    assert log == ["nested", "stranger", "late"]
    assert await is_free(manager)


async def test_a_nested_task_that_waited_before_its_holder_left_keeps_its_place() -> None:
    manager = InMemoryLockManager()
    log: list[str] = []
    async with anyio.create_task_group() as group:
        async with manager.locked("room"):
            stranger = Visitor(manager, log=log, name="stranger").start_as_stranger(group)
            await settle()
            first = Visitor(manager, log=log, name="first").start_as_child(group)
            await settle()
            second = Visitor(manager, log=log, name="second").start_as_child(group)
            await settle()
        first.leave.set()
        await second.entered.wait()
        await settle()
        assert not stranger.is_inside
        second.leave.set()
        stranger.leave.set()
    assert log == ["first", "second", "stranger"]
    assert await is_free(manager)


async def test_t8_a_nested_waiter_cancelled_after_its_holder_left_does_not_keep_the_room() -> None:
    manager = InMemoryLockManager()
    async with anyio.create_task_group() as group:
        async with manager.locked("room"):
            first = Visitor(manager).start_as_child(group)
            await settle()
            second = Visitor(manager).start_as_child(group)
            await settle()
        second.scope.cancel()
        await second.ended.wait()
        first.leave.set()
    assert await is_free(manager)


async def test_a_whole_tower_of_nested_locks_may_be_left_from_the_bottom() -> None:
    manager = InMemoryLockManager()
    tower = [manager.locked("room") for _ in range(2000)]
    for token in tower:
        await token.__aenter__()
    for token in tower[:-1]:
        await token.__aexit__(None, None, None)
    assert not await is_free(manager)
    await tower[-1].__aexit__(None, None, None)
    assert await is_free(manager)


async def test_locks_of_two_rooms_may_be_left_in_any_order() -> None:
    manager = InMemoryLockManager()
    first, second = manager.locked("a"), manager.locked("b")
    await first.__aenter__()
    await second.__aenter__()
    await first.__aexit__(None, None, None)
    assert await is_free(manager, "a")
    assert not await is_free(manager, "b")
    async with manager.locked("a"), manager.locked("b"):
        assert not await is_free(manager, "a")
    await second.__aexit__(None, None, None)
    assert await is_free(manager, "a")
    assert await is_free(manager, "b")


async def test_a_lock_may_be_left_in_another_task_than_it_was_entered_in() -> None:
    manager = InMemoryLockManager()

    async def numbers() -> AsyncGenerator[int, None]:
        async with manager.locked("room"):
            yield 1
            yield 2

    generator = numbers()

    async def start() -> None:
        assert await anext(generator) == 1

    async def close() -> None:
        await generator.aclose()

    for step in (start, close):
        assert await is_free(manager) == (step is start)
        async with anyio.create_task_group() as group:
            Context().run(group.start_soon, step)
    assert await is_free(manager)


async def test_t7_a_context_whose_lock_was_left_elsewhere_owns_nothing() -> None:
    manager = InMemoryLockManager()
    token = manager.locked("room")
    await token.__aenter__()
    Context().run(finish_without_suspending, token.__aexit__(None, None, None))

    async with anyio.create_task_group() as group:
        stranger = Visitor(manager).start_as_stranger(group)
        await stranger.entered.wait()
        former = Visitor(manager).start_as_child(group)
        await settle()
        assert not former.is_inside
        group.cancel_scope.cancel()


# --- nothing is left behind ---


@contextmanager
def no_cycles() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
        assert gc.collect() == 0
    finally:
        gc.enable()


async def test_a_thousand_uncontended_uses_leave_no_reference_cycle() -> None:
    manager = InMemoryLockManager(max_locks=10)
    with no_cycles():
        for n in range(1000):
            async with manager.locked(f"room {n % 20}"), manager.locked(f"room {n % 20}"):
                pass


async def run_in_line(job: Callable[[], Coroutine[Any, Any, None]], count: int, group: TaskGroup) -> None:
    for _ in range(count):
        group.start_soon(job)
    await settle()


async def test_a_thousand_contended_uses_leave_no_reference_cycle() -> None:
    manager = InMemoryLockManager()

    async def use() -> None:
        async with manager.locked("room"):
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        with no_cycles():
            await run_in_line(use, 1000, group)


async def test_a_thousand_cancelled_waiters_leave_no_reference_cycle() -> None:
    manager = InMemoryLockManager()
    scopes: list[anyio.CancelScope] = []

    async def wait() -> None:
        scope = anyio.CancelScope()
        scopes.append(scope)
        with scope:
            async with manager.locked("room"):
                raise AssertionError("the room is taken")

    holder = manager.locked("room")
    Context().run(finish_without_suspending, holder.__aenter__())
    async with anyio.create_task_group() as group:
        with no_cycles():
            await run_in_line(wait, 1000, group)
            for scope in scopes:
                scope.cancel()
            scopes.clear()
            await settle()
    await holder.__aexit__(None, None, None)
    assert await is_free(manager)


async def test_a_context_that_was_inside_does_not_keep_the_manager_alive() -> None:
    manager = InMemoryLockManager()
    gone = weakref.ref(manager)
    async with manager.locked("a"), manager.locked("b"), manager.locked("a"):
        pass
    del manager
    assert gone() is None


def count_tokens() -> int:
    """How many tokens of whatever manager are in memory."""
    return sum(isinstance(thing, locks._Tenure) for thing in gc.get_objects())


async def test_tasks_that_start_one_another_while_they_hold_a_lock_do_not_pile_up_tokens() -> None:
    manager = InMemoryLockManager()

    async def relay(number: int, group: TaskGroup, before: anyio.Event) -> None:
        async with manager.locked(f"room {number}"):
            before.set()  # only now does the task that started this one leave its room
            if number < 300:
                inside = anyio.Event()
                group.start_soon(relay, number + 1, group, inside)
                await inside.wait()
            else:
                assert count_tokens() - others < 10

    gc.collect()
    others = count_tokens()
    async with anyio.create_task_group() as group:
        group.start_soon(relay, 0, group, anyio.Event())


# --- at random ---


class Crowd:
    """Tasks that enter, nest, start children and are cancelled at random, and a model of who may be inside.

    The model: whoever enters a room must have inherited (or hold) every tenure that is inside it. To keep the crowd
    itself free of deadlock, a task asks only for rooms not below the highest of those on its path.
    """

    ROOMS = 4

    def __init__(self, manager: RoomLockManager, seed: int) -> None:
        self.manager, self.random = manager, random.Random(seed)
        self.path: ContextVar[tuple[tuple[int, object], ...]] = ContextVar("path", default=())
        self.inside: list[set[object]] = [set() for _ in range(self.ROOMS)]
        self.scopes: list[anyio.CancelScope] = []
        self.entries = self.cancelled = 0

    async def pause(self) -> None:
        for _ in range(self.random.randrange(4)):
            await anyio.lowlevel.checkpoint()

    async def enter(self, depth: int, outer_group: TaskGroup) -> None:
        path = self.path.get()
        room = self.random.randrange(max((number for number, _ in path), default=0), self.ROOMS)
        with anyio.CancelScope() as scope:
            self.scopes.append(scope)
            async with self.manager.locked(f"room {room}"):
                me = object()
                strangers = self.inside[room] - {tenure for _, tenure in path}
                assert not strangers, f"{len(strangers)} tenures inside that the newcomer is no part of"
                self.inside[room].add(me)
                self.path.set((*path, (room, me)))
                self.entries += 1
                try:
                    await self.body(depth, outer_group)
                finally:
                    self.inside[room].discard(me)
                    self.path.set(path)
        self.cancelled += scope.cancelled_caught
        self.scopes.remove(scope)

    async def body(self, depth: int, outer_group: TaskGroup) -> None:
        await self.pause()
        if depth:
            async with anyio.create_task_group() as group:
                for _ in range(self.random.randrange(3)):
                    group.start_soon(self.enter, depth - 1, outer_group)
                if self.random.random() < 0.3:
                    outer_group.start_soon(self.enter, depth - 1, outer_group)
                if self.random.random() < 0.5:
                    await self.enter(depth - 1, outer_group)
        await self.pause()

    async def cancel_some(self) -> None:
        for _ in range(60):
            await anyio.lowlevel.checkpoint()
            if self.scopes and self.random.random() < 0.5:
                self.random.choice(self.scopes).cancel()

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(12):
                Context().run(group.start_soon, self.enter, 2, group)
            Context().run(group.start_soon, self.cancel_some)


@pytest.mark.parametrize("seed", range(25))
async def test_t7_t8_a_crowd_with_cancellations_stays_exclusive_and_leaks_nothing(seed: int) -> None:
    manager = InMemoryLockManager(max_locks=2)
    crowd = Crowd(manager, seed)
    with anyio.fail_after(20):
        await crowd.run()
    assert crowd.entries > 0
    assert crowd.cancelled > 0
    assert not any(crowd.inside)
    assert manager.size <= 2
    for number in range(Crowd.ROOMS):
        finish_without_suspending(Context().run(manager.locked(f"room {number}").__aenter__))


@asyncio_only
@pytest.mark.parametrize("seed", range(10))
async def test_t8_a_queue_under_cancellation_by_asyncio_itself_leaks_nothing(seed: int) -> None:
    manager, chance = InMemoryLockManager(), random.Random(seed)
    inside: list[int] = []

    async def use(number: int) -> None:
        async with manager.locked("room"):
            assert not inside
            inside.append(number)
            try:
                await asyncio.sleep(0)
            finally:
                inside.remove(number)

    tasks = [asyncio.create_task(use(number)) for number in range(100)]
    while not all(task.done() for task in tasks):
        chance.choice(tasks).cancel()
        await asyncio.sleep(0)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
    assert None in results
    assert any(isinstance(result, asyncio.CancelledError) for result in results)
    assert await is_free(manager)
