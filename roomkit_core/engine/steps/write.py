"""Steps 7 to 11 for one event, the same for a message, a send and an answer: gate, hooks, permission, plan."""

from __future__ import annotations

import logging
from typing import Any

from roomkit_core.background import Bounds
from roomkit_core.engine.pure.permissions import effective_visibility, takes_writes, why_not_write
from roomkit_core.engine.pure.plan import NOTHING, Plan, hook_row
from roomkit_core.engine.pure.refusals import ERROR, REASON
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Announcement, Entry, Unit
from roomkit_core.hooks.deciding import Decision, decide
from roomkit_core.hooks.node import Chain, innermost, running
from roomkit_core.models.base import FrozenDict, build, evolve
from roomkit_core.models.changes import Key, KeyResult
from roomkit_core.models.enums import EventStatus, RoomStatus
from roomkit_core.models.event import RoomEvent, Routing
from roomkit_core.models.ids import new_id
from roomkit_core.models.task import Observation

CLOSED = "room_closed"
DETACHED = "channel_detached"

log = logging.getLogger("roomkit.engine")

# Members of an enum are looked up the long way; these are needed for every message.
_ACTIVE, _DELIVERED = RoomStatus.ACTIVE, EventStatus.DELIVERED

_NOTES = frozenset({REASON, ERROR})

Written = tuple[RoomEvent | None, str | None]
"""What became of an event in its unit: stored as that event, and not passed on if there is a reason."""


async def write_event(
    unit: Unit, event: RoomEvent, bounds: Bounds, key: Key | None = None, fresh: bool = False
) -> Written:
    """Bring an event into the unit. Its source must be bound to the room.

    Args:
        unit: The unit.
        event: The event; its index, status and visibility are decided here.
        bounds: Bound the hooks.
        key: Its idempotency key.
        fresh: Nobody else has seen the event yet, so that it can be completed in place.

    Raises:
        ConflictError: ``loop``: the unit is full.
    """
    ports, saved = unit.ports, unit.draft
    source = event.source
    status = (saved.room or unit.state.base).status
    if status is not _ACTIVE and not takes_writes(status):  # 7
        return refuse(unit, key, CLOSED)
    index = unit.take_index()
    own = unit.draft
    try:
        chain = () if running() is None else chain_of_caller(ports)
        reason = blocked_by = None
        notes: dict[str, str] | None = None
        if event.chain_depth >= ports.max_chain_depth:
            reason = blocked_by = _too_deep(unit, event)
        else:
            hooks = ports.hooks.deciding(unit.room_id, source, chain)
            if hooks:  # 9
                if key is not None:
                    own.deciding = (*own.deciding, key)
                if fresh:
                    event.__dict__["index"] = index
                    fresh = False
                else:
                    event = evolve(event, index=index)
                decision = await decide(ports.kit, hooks, event, unit, bounds, chain)
                if decision is not None:
                    event, reason, blocked_by = decision.event, decision.reason, decision.blocked_by
                    if reason is not None:
                        notes = _why(decision)
                    if decision.has_extras:
                        _keep_extras(unit, decision)
        binding = unit.bindings.get(source.channel_id)
        if reason is None:  # 10
            reason = blocked_by = DETACHED if binding is None else why_not_write(binding)
        changes: dict[str, Any] = {"index": index, "status": _DELIVERED}
        if binding is not None and binding.visibility != "all":
            changes["visibility"] = effective_visibility(event, binding)
        if reason is None:
            event = _changed(event, fresh and len(changes) == 2, changes)  # never the visibility: a re-run decides anew
            owed = unit.plan(event)  # 11
            if ports.hooks.has_durable:
                owed = _with_hooks(unit, event, owed, chain)
            entry = Entry(event, owed, chain)
        else:
            changes.update(status=EventStatus.BLOCKED, blocked_by=blocked_by or reason)
            if notes or not _NOTES.isdisjoint(event.metadata):  # the sender does not say why (T5)
                said = {key: value for key, value in event.metadata.items() if key not in _NOTES}
                changes["metadata"] = FrozenDict({**said, **(notes or {})})
            event = _changed(event, False, changes)
            entry = Entry(event, NOTHING, chain)
        if unit.draft is own:  # no hook did anything: the draft is this function's own, and nobody else holds it
            own.entries = (*own.entries, entry)
        else:
            unit.add(entry)
        if key is not None:
            unit.decide_key(key, KeyResult(unit.room_id, event.id, reason is not None, reason))
    except BaseException:
        unit.restore(saved)
        raise
    return event, reason


def chain_of_caller(ports: Ports) -> Chain:
    """The hooks that the running code is below; an event that it sends is shown to none of them."""
    caller = innermost(ports.kit)
    return () if caller is None else caller.hooks


def _changed(event: RoomEvent, in_place: bool, changes: dict[str, Any]) -> RoomEvent:
    if in_place:
        event.__dict__.update(changes)
        return event
    return build(RoomEvent, {**event.__dict__, **changes})


def refuse(unit: Unit, key: Key | None, reason: str) -> Written:
    """The verdict that rests on the room alone: nothing is stored but what was decided about the key."""
    unit.refusal = reason
    if key is not None:
        unit.decide_key(key, KeyResult(unit.room_id, None, True, reason))
    return None, reason


def _why(decision: Decision) -> dict[str, str]:
    """What a blocked event carries so that it can be told later why."""
    notes = {REASON: decision.reason or ""}
    if decision.errors and decision.errors[-1][0] == decision.blocked_by:
        notes[ERROR] = decision.errors[-1][1]
    return notes


def _with_hooks(unit: Unit, event: RoomEvent, owed: Plan, chain: Chain) -> Plan:
    """The plan with what durable observers are owed."""
    budget = max(0, unit.budget_left() - 1)
    hooks = unit.ports.hooks.durable(unit.room_id, event.source, chain)
    return owed._replace(rows=(*owed.rows, *(hook_row(event, hook.name, budget) for hook in hooks)))


def _too_deep(unit: Unit, event: RoomEvent) -> str:
    observation = Observation(
        room_id=unit.room_id,
        channel_id=event.source.channel_id,
        content=f"answer {event.chain_depth} deep was not passed on",
        category="event_chain_depth_exceeded",
    )
    note = Announcement(
        "chain_depth_exceeded",
        event.source.channel_id,
        event.id,
        {"chain_depth": event.chain_depth, "max_chain_depth": unit.ports.max_chain_depth},
    )
    unit.change(observations=(*unit.draft.observations, observation), announcements=(*unit.draft.announcements, note))
    return "event_chain_depth_limit"


def _keep_extras(unit: Unit, decision: Decision) -> None:
    """What the hooks asked for beside their verdict; it stays in the commit whatever the verdict is."""
    if decision.errors:
        source = decision.event.source.channel_id
        unit.draft = unit.draft.announce(
            *(
                Announcement("hook_error", source, decision.event.id, {"hook": hook, "error": error})
                for hook, error in decision.errors
            )
        )
    if decision.tasks or decision.observations:
        unit.change(
            tasks=(*unit.draft.tasks, *decision.tasks),
            observations=(*unit.draft.observations, *decision.observations),
        )
    for position, (hook, injected) in enumerate(decision.injected):
        if unit.draft.taken >= unit.ports.max_events:
            _drop_injected(unit, decision, hook, len(decision.injected) - position)
            return
        targets = injected.target_channel_ids
        add_unseen(unit, injected.event, ",".join(targets) if targets else "none", decision.event)


def _drop_injected(unit: Unit, decision: Decision, hook: str, count: int) -> None:
    """The unit is full: the message goes on without the rest of what hooks wanted to add, and handlers are told."""
    what = f"{count} injected events were dropped: a unit of work holds at most {unit.ports.max_events} events"
    log.warning("hook %r: %s", hook, what, extra={"room_id": unit.room_id, "event_id": decision.event.id})
    source = decision.event.source.channel_id
    note = Announcement("hook_error", source, decision.event.id, {"hook": hook, "error": what})
    unit.draft = unit.draft.announce(note)


def add_unseen(unit: Unit, event: RoomEvent, visibility: str, trigger: RoomEvent) -> None:
    """Add an event that no hook sees: injected by one, delivered to the channels that it names."""
    index = unit.take_index()
    event = evolve(
        event,
        id=new_id(),  # the hook may use one event again and again
        room_id=unit.room_id,
        index=index,
        status=_DELIVERED,
        visibility=visibility,
        chain_depth=trigger.chain_depth + 1,
        correlation_id=trigger.correlation_id or trigger.id,
    )
    unit.add(Entry(event, unit.plan(event), observed=False))


def in_chain(event: RoomEvent, ports: Ports) -> RoomEvent:
    """The event as part of the chain in which the running code stands: depth, root, hops and budget (T44)."""
    caller = innermost(ports.kit) if running() is not None else None
    if caller is None:
        return event
    depth = max(event.chain_depth, caller.depth)
    if depth == 0:
        return event
    budget = caller.budget if caller.unit is None else caller.unit.budget_left() - 1
    return evolve(
        event,
        chain_depth=depth,
        correlation_id=caller.origin,
        routing=Routing(
            origin=caller.origin,
            hops=depth,
            budget=None if budget is None else max(0, budget),
            addressed=None if event.routing is None else event.routing.addressed,
        ),
    )
