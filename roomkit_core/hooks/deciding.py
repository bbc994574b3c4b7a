"""A run of hooks that decide about one event, one after the other, each with its own time and its own savepoint.

A hook may let the event pass, change it or block it; what it does to its room joins the unit of work. What a hook did
before it raised, hung or answered nonsense is taken back. Whether the event then passes is the hook's ``on_error``
(T22).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from inspect import isawaitable
from types import CoroutineType
from typing import Any, Protocol

from roomkit_core.background import Bounds, Late
from roomkit_core.hooks.node import Chain, Node, enter_node, leave_node
from roomkit_core.hooks.registration import HookRegistration
from roomkit_core.models.base import evolve
from roomkit_core.models.context import RoomContext
from roomkit_core.models.enums import HookAction
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.hook import HookResult, InjectedEvent, plain_allow
from roomkit_core.models.task import Observation, Task

log = logging.getLogger("roomkit.hooks")

HOOK_ERROR = "hook_error:"
"""With this begins the reason of an event that is blocked because a guard failed."""


class Stage(Protocol):
    """What a run needs of the unit of work: a savepoint is reading ``draft``, taking back is assigning it."""

    @property
    def draft(self) -> Any:
        """The effects so far."""
        ...

    @property
    def doomed(self) -> BaseException | None:
        """Why the unit is to be thrown away, if it is."""
        ...

    def context(self) -> RoomContext:
        """The room as the unit would leave it."""
        ...

    def budget_left(self) -> int:
        """How many events the unit may still bring."""
        ...

    def restore(self, draft: Any) -> None:
        """Take back what was done since ``draft`` was the draft."""
        ...


class Decision:
    """What a run of hooks came to.

    Attributes:
        event: The event, as the last hook left it.
        reason: Why it is blocked; None if it passes.
        blocked_by: The name of the hook that blocked it.
        has_extras: Whether there is any of the following.
        errors: (hook, what went wrong) for each hook that failed.
        injected: (hook, event) for each event that hooks add, the blocking one included.
        tasks, observations: What else the hooks asked for, the blocking one included.
    """

    errors: tuple[tuple[str, str], ...] = ()
    injected: tuple[tuple[str, InjectedEvent], ...] = ()
    tasks: tuple[Task, ...] = ()
    observations: tuple[Observation, ...] = ()

    def __init__(self, event: RoomEvent) -> None:
        self.event = event
        self.reason: str | None = None
        self.blocked_by: str | None = None
        self.has_extras = False


async def decide(
    kit: object, hooks: Sequence[HookRegistration], event: RoomEvent, stage: Stage, bounds: Bounds, chain: Chain
) -> Decision | None:
    """Run the hooks in their order until one blocks.

    Returns:
        What they came to; None if all let the event pass as it is and say nothing else.
    """
    decision: Decision | None = None
    shown = event
    share = len(hooks) + 1
    for hook in hooks:
        saved = stage.draft
        node = Node(kit, "hook", stage)
        node.bounds = bounds
        node.hooks = (*chain, hook) if chain else hook.chain
        node.cause = event
        bounds.limit = (hook.timeout, share)
        share -= 1
        suspensions = bounds.suspensions
        failure: Exception | None = None
        token = enter_node(node)
        try:
            answer = hook.fn(shown, stage.context())
            if type(answer) is CoroutineType or isawaitable(answer):
                answer = await answer
            if node.is_busy:
                await node.quiet()
        except BaseException as error:
            node.die()
            stage.restore(saved)
            answer = None
            if stage.doomed is not None and isinstance(error, BaseExceptionGroup):
                raise stage.doomed from None  # a task group of the hook has wrapped what ends the unit
            failure = bounds.failure(error)
            if failure is None:
                raise
        else:
            node.die()
            if bounds.suspensions != suspensions and bounds.overran():
                failure = Late()
        finally:
            leave_node(token)
            bounds.limit = None
        if stage.doomed is not None:
            failure = None
            raise stage.doomed
        if failure is None:
            if answer is plain_allow():  # what nearly every hook says of nearly every message
                continue
            failure = _what_is_wrong(answer, event)
        if decision is None:
            decision = Decision(event)
        if failure is None:
            _apply(decision, hook, answer)
        else:
            stage.restore(saved)
            _note_failure(decision, hook, failure)
            failure = None  # its traceback leads to this frame: a cycle
        if decision.reason is not None:
            break
        shown = decision.event
    return decision


def _what_is_wrong(answer: Any, event: RoomEvent) -> Exception | None:
    """Why an answer cannot be followed; None if it can."""
    if type(answer) is not HookResult:
        return TypeError(f"a deciding hook returns a HookResult, not {type(answer).__name__}")
    if answer.action is HookAction.MODIFY and not isinstance(answer.event, RoomEvent):
        return TypeError(f"modify needs a RoomEvent, not {type(answer.event).__name__}")
    if answer.tasks or answer.observations:
        rooms = {task.room_id for task in answer.tasks} | {seen.room_id for seen in answer.observations}
        if rooms != {event.room_id}:
            return ValueError(f"a hook in room {event.room_id!r} notes something about {', '.join(sorted(rooms))}")
    return None


def _apply(decision: Decision, hook: HookRegistration, answer: HookResult) -> None:
    if answer.injected_events or answer.tasks or answer.observations:
        decision.has_extras = True
        decision.injected += tuple((hook.name, injected) for injected in answer.injected_events)
        decision.tasks += tuple(answer.tasks)
        decision.observations += tuple(answer.observations)
    if answer.action is HookAction.BLOCK:
        decision.reason = answer.reason
        decision.blocked_by = hook.name
    elif answer.action is HookAction.MODIFY:
        _replace(decision, answer.event)


def _replace(decision: Decision, event: RoomEvent) -> None:
    before = decision.event
    # What identifies the event is not the hook's to change.
    decision.event = evolve(
        event,
        id=before.id,
        room_id=before.room_id,
        index=before.index,
        source=before.source,
        idempotency_key=before.idempotency_key,
        chain_depth=before.chain_depth,
        created_at=before.created_at,
    )


def _note_failure(decision: Decision, hook: HookRegistration, failure: Exception) -> None:
    what = f"no answer within {hook.timeout:g} s or its share" if isinstance(failure, Late) else _describe(failure)
    log.warning(
        "hook %r failed: %s; the event is %s",
        hook.name,
        what,
        "blocked" if hook.on_error == "block" else "let through",
        exc_info=None if isinstance(failure, Late) else failure,
        extra={"room_id": decision.event.room_id, "event_id": decision.event.id},
    )
    decision.errors += ((hook.name, what),)
    decision.has_extras = True
    if hook.on_error == "block":
        decision.reason = f"{HOOK_ERROR}{hook.name}"
        decision.blocked_by = hook.name


def _describe(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}"
