"""Steps 7 to 11 for one event, the same for a message, a send and an answer: gate, hooks, permission, plan."""

from __future__ import annotations

from typing import NamedTuple

from roomkit_core.background import Bounds
from roomkit_core.engine.pure.permissions import effective_visibility, takes_writes, why_not_write
from roomkit_core.engine.pure.plan import plan
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Announcement, Entry, Unit
from roomkit_core.hooks.deciding import Decision, applicable, decide
from roomkit_core.hooks.node import Chain, innermost
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import Key, KeyResult
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.event import RoomEvent, Routing
from roomkit_core.models.kinds import HookTrigger
from roomkit_core.models.task import Observation

CLOSED = "room_closed"


class Written(NamedTuple):
    """What became of an event in its unit: stored as ``event``, not passed on if there is a ``reason``."""

    event: RoomEvent | None
    reason: str | None = None


async def write_event(unit: Unit, event: RoomEvent, bounds: Bounds, key: Key | None = None) -> Written:
    """Bring an event into the unit. Its source must be bound to the room.

    Raises:
        ConflictError: ``loop``: the unit is full.
    """
    if not takes_writes(unit.room if unit.draft.room is not None else unit.state.base):  # 7
        if key is not None:
            unit.change(keys=(*unit.draft.keys, (key, KeyResult(unit.room_id, None, True, CLOSED))))
        unit.refusal = CLOSED
        return Written(None, CLOSED)
    ports = unit.ports
    saved = unit.draft
    index = unit.take_index()
    try:
        caller = innermost(ports.kit)
        chain: Chain = () if caller is None else caller.hooks
        reason = blocked_by = None
        hooks = ports.hooks.select(HookTrigger.BEFORE_BROADCAST, unit.room_id)
        if event.chain_depth >= ports.max_chain_depth:
            reason = blocked_by = _too_deep(unit, event)
        elif hooks:  # 9
            hooks = applicable(hooks, event, chain)
            event = evolve(event, index=index)
            decision = await decide(ports.kit, hooks, event, unit, bounds, chain)
            event, reason, blocked_by = decision.event, decision.reason, decision.blocked_by
            _keep_extras(unit, decision)
        binding = unit.bindings[event.source.channel_id]
        if reason is None:  # 10
            reason = blocked_by = why_not_write(binding)
        visibility = event.visibility if binding.visibility == "all" else effective_visibility(event, binding)
        if reason is None:
            event = evolve(event, index=index, status=EventStatus.DELIVERED, visibility=visibility)
            owed = plan(event, unit.bindings.values(), ports.channels)  # 11
            entry = Entry(event, owed, chain)
        else:
            event = evolve(
                event, index=index, status=EventStatus.BLOCKED, visibility=visibility, blocked_by=blocked_by or reason
            )
            entry = Entry(event, chain=chain)
        unit.add(entry, key, KeyResult(unit.room_id, event.id, reason is not None, reason))
    except BaseException:
        unit.restore(saved)
        raise
    return Written(event, reason)


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
    for injected in decision.injected:
        targets = injected.target_channel_ids
        add_unseen(unit, injected.event, "none" if targets is None else ",".join(targets), decision.event)


def add_unseen(unit: Unit, event: RoomEvent, visibility: str, trigger: RoomEvent) -> None:
    """Add an event that no hook sees: injected by one, delivered to the channels that it names."""
    index = unit.take_index()
    event = evolve(
        event,
        room_id=unit.room_id,
        index=index,
        status=EventStatus.DELIVERED,
        visibility=visibility,
        chain_depth=trigger.chain_depth + 1,
        correlation_id=trigger.correlation_id or trigger.id,
    )
    unit.add(Entry(event, plan(event, unit.bindings.values(), unit.ports.channels), observed=False))


def in_chain(event: RoomEvent, ports: Ports, depth: int = 0) -> RoomEvent:
    """The event as part of the chain in which the running code stands: depth, root and hops (T44)."""
    caller = innermost(ports.kit)
    if caller is None:
        return event if depth == 0 else evolve(event, chain_depth=depth)
    depth = max(depth, caller.depth)
    if depth == 0:
        return event
    return evolve(
        event,
        chain_depth=depth,
        correlation_id=caller.origin,
        routing=Routing(
            origin=caller.origin, hops=depth, budget=None if caller.budget is None else max(0, caller.budget)
        ),
    )
