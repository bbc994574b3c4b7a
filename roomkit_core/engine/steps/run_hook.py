"""Working on the row of a durable observer: the hook is called with its event until it returns, also after a crash.

At least once: a kit that dies after the hook and before the record calls it again. What the hook sends itself is keyed
by the row, so that it is said once; other effects are the hook's to make repeatable, by the event's id.
"""

from __future__ import annotations

import logging
from inspect import isawaitable
from random import random

import anyio

from roomkit_core.background import is_stray
from roomkit_core.engine.flow.work import HANDED_BACK, Handler, Verdict, Work
from roomkit_core.engine.pure.backoff import retry_delay
from roomkit_core.engine.pure.verdicts import MAX_TAKEOVERS
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.steps.deliver import EVENT_GONE, STORE_PAUSE
from roomkit_core.errors import StaleLeaseError, StoreError
from roomkit_core.hooks.node import Node, current
from roomkit_core.hooks.registration import HookRegistration
from roomkit_core.models.context import RoomContext
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.work import Outcome, WorkRow, WorkState

log = logging.getLogger("roomkit.hooks")

MAX_ATTEMPTS = 15
"""With the pauses between them about an hour; then the row is dead, and an operator can send it again."""

UNKNOWN_HOOK_PAUSE = 60.0
"""Seconds until a row is looked at again whose hook is not registered here."""

DONE = Verdict(Outcome(WorkState.DONE))


class RunHook(Handler):
    """The handler of durable hooks.

    Args:
        ports: The surroundings.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def work(self, work: Work) -> Verdict | None:
        """Call the hook."""
        row, ports = work.row, self._ports
        hook = ports.hooks.find_durable(row.payload[0], row.room_id)
        if hook is None:
            what = f"no durable hook {row.payload[0]!r} is registered with this kit"
            log.warning("row %s waits: %s", row.id, what, extra={"room_id": row.room_id})
            return Verdict(Outcome(WorkState.PENDING, "hook.not_registered", what, untouched=True), UNKNOWN_HOOK_PAUSE)
        try:
            event = work.event or await ports.store.get_event(row.event_id or "")
            state = await ports.cache.get(row.room_id or "")
        except StoreError:
            return HANDED_BACK._replace(due_in=STORE_PAUSE)
        if event is None or state is None:
            return Verdict(EVENT_GONE)
        failure = await self._call(work, hook, event, state.context(attempt=row.attempts + row.takeovers))
        return DONE if failure is None else _failed(row, failure)

    async def _call(
        self, work: Work, hook: HookRegistration, event: RoomEvent, context: RoomContext
    ) -> tuple[str, str] | None:
        """(code, reason) of a failure; None if the hook returned."""
        row = work.row
        node = Node(self._ports.kit, "hook_row")
        node.hooks = hook.chain
        node.depth = event.chain_depth + 1
        node.budget = int(row.payload[1])
        node.row_id = row.id
        node.follow = lambda: work.following
        node.origin = row.correlation_id
        token = current.set(node)
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + hook.timeout) as scope:
                work.hold.cancel = scope.cancel
                result = hook.fn(event, context)
                if isawaitable(result):
                    await result
                return None
        except BaseException as error:
            if not isinstance(error, Exception) and not is_stray(error):
                raise
            log.warning("durable hook %r failed", hook.name, exc_info=error, extra={"room_id": row.room_id})
            return "hook.failed", f"{type(error).__name__}: {error}"
        finally:
            work.hold.cancel = None
            node.die()
            current.reset(token)
        if work.hold.is_lost:
            raise StaleLeaseError(f"hook {hook.name!r} was taken over while it ran")
        return "hook.timeout", f"no end within {hook.timeout:g} s"

    async def settled(self, work: Work, verdict: Verdict) -> None:
        """Tell the handlers of framework events about what went wrong."""
        row, outcome = work.row, verdict.outcome
        if outcome.code is None or outcome.state is WorkState.SUPPRESSED:
            return
        self._ports.handlers.emit(
            "hook_error",
            room_id=row.room_id,
            event_id=row.event_id,
            data={"hook": row.payload[0], "error": outcome.reason, "state": outcome.state.value},
        )


def _failed(row: WorkRow, failure: tuple[str, str]) -> Verdict:
    code, reason = failure
    if row.attempts >= MAX_ATTEMPTS or row.takeovers >= MAX_TAKEOVERS:
        return Verdict(Outcome(WorkState.DEAD, code, f"{row.attempts + row.takeovers} attempts; last: {reason}"))
    return Verdict(Outcome(WorkState.PENDING, code, reason), retry_delay(max(1, row.attempts), random=random))
