"""The tasks that a kit runs on its own account.

On asyncio they are plain tasks, so that a kit that nobody entered can start them with its first verb. Trio has no tasks
without a nursery: there somebody must hold one open, with ``async with kit`` or ``kit.run``.

Every task starts in an empty context: nothing inherits a unit of work, a mark or a lock by accident.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup, TaskStatus

from roomkit_core.background.bounds import Bounds, bounds_of
from roomkit_core.errors import KitStateError

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("roomkit.background")

Job = Callable[..., Awaitable[None]]


class Background:
    """Runs jobs beside the callers of one kit and knows when none is left."""

    def __init__(self) -> None:
        self._loop: object | None = None
        self._here: Callable[[], object | None] = _running_loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._group: TaskGroup | None = None
        self._running = 0
        self._services = 0
        self._quiet: list[anyio.Event] = []
        self._start_up: Callable[[], Awaitable[None]] | None = None
        self.is_started = True
        self.new_bounds: type[Bounds] = Bounds
        self.draining = False
        self.closed = False
        self.last_turn = 0.0

    def on_first_use(self, start_up: Callable[[], Awaitable[None]]) -> None:
        """What has to be done before the first verb of a kit that nobody entered."""
        self._start_up = start_up
        self.is_started = False

    async def started(self) -> None:
        """Do what the start has to do, or wait for whoever does it."""
        if self._start_up is not None:
            await self._start_up()

    def mark_started(self) -> None:
        """The start is through."""
        self._start_up = None
        self.is_started = True

    async def let_others(self, now: float) -> None:
        """Let every other task that is ready take its turn, and remember when that was (by the kit's clock)."""
        self.last_turn = now
        await anyio.lowlevel.cancel_shielded_checkpoint()

    # --- the event loop ---

    def check(self) -> None:
        """Begin on the running event loop, or insist that it is the one on which the kit began.

        Raises:
            KitStateError: ``kit.closed``; ``kit.wrong_loop``; ``kit.not_started`` on trio without an open nursery.
        """
        if self.closed or self._loop is None or self._here() is not self._loop:
            self._check()

    def _check(self) -> None:
        if self.closed:
            raise KitStateError("this kit is closed", code="kit.closed", hint="Make a new RoomKit.")
        self._bind(_running_loop() or _trio_token())

    def _bind(self, loop: object | None) -> None:
        if self._loop is not None:
            raise KitStateError(
                "this kit runs on another event loop",
                code="kit.wrong_loop",
                hint="Use a kit only on the event loop on which it was first used; make one kit per loop.",
            )
        if _running_loop() is None:
            raise KitStateError(
                "this kit is not started, and trio has no background tasks without a nursery",
                code="kit.not_started",
                hint="Use 'async with kit:', or 'await nursery.start(kit.run)'.",
            )
        self._loop = loop
        self._here = sys.modules["asyncio"]._get_running_loop
        self.new_bounds = bounds_of(type(anyio.CancelScope()))

    async def open(self) -> TaskGroup | None:
        """Begin on this loop. On trio, opens the task group that :meth:`close_group` has to end in the same task."""
        if self.closed or self._loop is not None or _running_loop() is not None:
            self.check()
            return None
        self._loop = _trio_token()
        self._here = _trio_token
        self.new_bounds = bounds_of(sys.modules["trio"].CancelScope)
        holder = await anyio.create_task_group().__aenter__()
        # The jobs have a group of their own inside a task of the holder: the holder's scope is around the body of
        # ``async with kit``, which must not be cancelled together with the jobs, nor they with it.
        self._group = await holder.start(_hold)
        return holder

    async def close_group(self, holder: TaskGroup | None) -> None:
        """End what :meth:`open` returned."""
        if holder is not None:
            if self._group is not None:
                self._group.cancel_scope.cancel()
                self._group = None
            await holder.__aexit__(None, None, None)

    # --- jobs ---

    def spawn(self, job: Job, *args: Any) -> None:
        """Start a job in a task of its own. It handles its own errors; one that gets out is logged."""
        if self.closed:
            raise KitStateError("this kit is closed", code="kit.closed")
        context = Context()
        if self._group is not None:
            self._running += 1
            context.run(self._group.start_soon, self._run_and_count, job, args)
            return
        if _running_loop() is None:
            raise KitStateError("no event loop runs", code="kit.not_started")
        self._running += 1
        task: asyncio.Task[None] = context.run(sys.modules["asyncio"].create_task, _run(job, args))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def watch(self, job: Job) -> None:
        """Start a job that is no work: :meth:`quiet` does not wait for it, :meth:`cancel` ends it."""
        self._services += 1
        context = Context()
        if self._group is not None:
            context.run(self._group.start_soon, self._run_service, job)
            return
        task: asyncio.Task[None] = context.run(sys.modules["asyncio"].create_task, _run(job, ()))
        self._tasks.add(task)
        task.add_done_callback(self._service_ended)

    async def _run_service(self, job: Job) -> None:
        try:
            await _run(job, ())
        finally:
            self._count_service()

    def _service_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._count_service()

    def _count_service(self) -> None:
        self._services -= 1
        self._tell_quiet()

    def hold(self) -> None:
        """A caller's passage is under way: the kit is not quiet until :meth:`let_go`."""
        self._running += 1

    def let_go(self) -> None:
        """It is through."""
        self._running -= 1
        if self._quiet and not self._running:
            self._tell_quiet()

    async def _run_and_count(self, job: Job, args: tuple[Any, ...]) -> None:
        try:
            await _run(job, args)
        finally:
            self._count_down()

    def _ended(self, task: asyncio.Task[None]) -> None:
        # A callback and not a ``finally``: a task that is cancelled before its first step never runs its body.
        self._tasks.discard(task)
        self._count_down()

    def _count_down(self) -> None:
        self._running -= 1
        if not self._running and self._quiet:
            self._tell_quiet()

    def _tell_quiet(self) -> None:
        for event in self._quiet:
            event.set()
        self._quiet.clear()

    async def quiet(self) -> None:
        """Return when no job runs."""
        while self._running:
            await self._next_end()

    async def _next_end(self) -> None:
        event = anyio.Event()
        self._quiet.append(event)
        await event.wait()

    async def cancel(self) -> None:
        """Cancel the jobs that are left, wait for them, and take no new ones."""
        self.closed = True
        # On asyncio a task that is cancelled before its first step never runs, not even its ``finally``: let all begin.
        await anyio.lowlevel.checkpoint()
        if self._group is not None:
            self._group.cancel_scope.cancel()
        for task in list(self._tasks):
            task.cancel()
        with anyio.CancelScope(shield=True):
            while self._running or self._services:
                await self._next_end()


async def _hold(*, task_status: TaskStatus[TaskGroup]) -> None:
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as group:
            task_status.started(group)
            await anyio.sleep_forever()


async def _run(job: Job, args: tuple[Any, ...]) -> None:
    try:
        await job(*args)
    except Exception:
        log.exception("a background job failed: %s", getattr(job, "__qualname__", job))


def _running_loop() -> object | None:
    """The running asyncio loop. Where nobody has imported asyncio none runs, and the import would cost 20 ms."""
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


def _trio_token() -> object | None:
    trio = sys.modules.get("trio")
    if trio is None:
        return None
    try:
        token: object = trio.lowlevel.current_trio_token()
    except RuntimeError:
        return None
    return token
