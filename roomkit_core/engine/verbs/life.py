"""Start, idle and close of a kit."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup, TaskStatus

from roomkit_core.engine.flow.pump import Pump
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.verbs.channels import Channels
from roomkit_core.errors import KitStateError, StoreError
from roomkit_core.hooks.node import inside, is_inside
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.health import Health, HealthProblem
from roomkit_core.models.work import OPEN_STATES

log = logging.getLogger("roomkit.kit")

PAGE = 1_000

SILENT_AFTER = 15.0
"""Seconds without a look after which the pump counts as stuck; it looks every second."""

Plugins = Callable[[], Awaitable[None]]


class Life:
    """The life of a kit.

    Args:
        ports: The surroundings.
        pump: What makes time pass for owed work; runs as long as the kit does.
        runners: What works on it.
        channels: What is started and closed with it.
        start_plugins, stop_plugins: What plugins want done then.
    """

    def __init__(
        self,
        ports: Ports,
        pump: Pump,
        runners: Runners,
        channels: Channels,
        start_plugins: Plugins,
        stop_plugins: Plugins,
    ) -> None:
        self._ports = ports
        self._pump = pump
        self._runners = runners
        self._channels = channels
        self._start_plugins = start_plugins
        self._stop_plugins = stop_plugins
        self._starting: anyio.Event | None = None
        self._group: TaskGroup | None = None
        self._closed = False
        ports.background.on_first_use(self.start)

    async def enter(self) -> None:
        """Open the background and start."""
        self._group = await self._ports.background.open()
        try:
            await self.start()
        except BaseException:
            await self._end_group()
            raise

    async def leave(self, timeout: float) -> None:
        """Close, also if the caller is being cancelled, and end the background."""
        try:
            with anyio.CancelScope(shield=True):
                await self.close(timeout)
        finally:
            await self._end_group()

    async def _end_group(self) -> None:
        group, self._group = self._group, None
        await self._ports.background.close_group(group)

    async def run(self, task_status: TaskStatus[None]) -> None:
        """Keep a kit running until it is cancelled."""
        await self.enter()
        try:
            task_status.started()
            await anyio.sleep_forever()
        finally:
            await self.leave(10.0)

    async def start(self) -> None:
        """Open the store, start plugins and channels, once; whoever comes meanwhile waits."""
        ports = self._ports
        ports.background.check()
        while self._starting is not None:
            await self._starting.wait()
        if ports.background.is_started:
            return
        self._starting = anyio.Event()
        try:
            await ports.store.open()
            await self._pump.begin()
            with inside(ports.kit, "channel"):
                await self._start_plugins()
                await self._channels.start_all()
            ports.background.last_turn = ports.clock.monotonic()
            ports.background.mark_started()
            ports.observers.wake()
            ports.background.watch(self._pump.run)
        finally:
            self._starting.set()
            self._starting = None

    async def idle(self) -> int:
        """Return when no task of the kit runs and nothing is due; how many rows are left for later."""
        self._refuse_inside("idle")
        self._ports.background.check()
        await self._nothing_due()
        count = 0
        after: str | None = None
        while True:
            rows = await self._ports.store.list_work(WorkFilter(states=OPEN_STATES), limit=PAGE, after=after)
            count += len(rows)
            if len(rows) < PAGE:
                return count
            after = rows[-1].id

    async def _nothing_due(self) -> None:
        """Return when no task runs and a look at all pools finds nothing to do."""
        quiet = self._ports.background.quiet
        await quiet()
        while self._ports.background.is_started:
            worked = self._runners.worked
            self._pump.look_at_pools()
            await quiet()
            if self._runners.worked == worked:
                return

    def health(self) -> Health:
        """How the kit is, without asking anybody: what the last writes and the pump's last look tell."""
        background, store = self._ports.background, self._ports.store
        problems: list[HealthProblem] = []
        if background.closed or background.draining:
            problems.append(HealthProblem(code="kit.closing", message="the kit is closing or closed"))
        elif not background.is_started:
            problems.append(HealthProblem(code="kit.not_started", message="the kit has not started yet"))
        if store.failure is not None:
            problems.append(HealthProblem(code=store.failure.code, message=str(store.failure)))
        silence = self._pump.silence()
        if background.is_started and not background.closed and silence > SILENT_AFTER:
            problems.append(HealthProblem(code="pump.silent", message=f"the pump has not looked for {silence:.0f} s"))
        is_alive = not any(problem.code == "pump.silent" for problem in problems)
        return Health(is_alive=is_alive, is_ready=not problems, problems=problems)

    async def close(self, timeout: float) -> None:
        """Stop intake, let what is under way end, close channels, plugins, locks and the store."""
        self._refuse_inside("close")
        background = self._ports.background
        background.draining = True
        is_quiet = False
        try:
            with anyio.move_on_after(timeout):
                await background.quiet()
                is_quiet = True
            if not is_quiet:
                log.warning("what was under way did not end within %g s and is cancelled", timeout)
        finally:
            with anyio.CancelScope(shield=True):
                await self._close_parts(is_quiet)

    async def _close_parts(self, is_quiet: bool) -> None:
        if self._closed:
            return
        self._closed = True
        await self._ports.background.cancel()
        if not is_quiet:
            await self._release()
        failures = await self._channels.close_all()
        for part in (self._stop_plugins, self._ports.locks.close, self._ports.store.close):
            try:
                await part()
            except Exception as error:
                log.exception("closing %s failed", part)
                failures.append(error)
        if failures:
            raise ExceptionGroup("parts of the kit did not close", failures)

    async def _release(self) -> None:
        try:
            await self._runners.release()
        except StoreError:
            log.warning("rows that were being claimed are free when their leases end", exc_info=True)

    def _refuse_inside(self, verb: str) -> None:
        if is_inside(self._ports.kit):
            raise KitStateError(
                f"{verb}() waits for everything that runs, and this runs inside the kit",
                code="kit.reentrant_wait",
                hint="Call it from outside of hooks, observers, handlers and channels.",
            )
