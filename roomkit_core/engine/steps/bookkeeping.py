"""Bookkeeping of a room: events that say what was done to it, and who is told about it."""

from __future__ import annotations

from typing import Any

from roomkit_core.engine.state.unit_of_work import Announcement, Entry, Unit
from roomkit_core.hooks.node import current, innermost
from roomkit_core.models.channel import ChannelBinding
from roomkit_core.models.content import SystemContent
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.event import EventSource, RoomEvent
from roomkit_core.models.kinds import ChannelType, EventType, HookTrigger


def note(unit: Unit, event_type: EventType, code: str, body: str, data: dict[str, Any]) -> RoomEvent:
    """Put a bookkeeping event into the unit: stored, internal, for no deciding hook and no observer."""
    event = system_event(unit.room_id, event_type, code, body, data, unit.take_index())
    unit.add(Entry(event, observed=False))
    return event


def system_event(
    room_id: str, event_type: EventType, code: str, body: str, data: dict[str, Any], index: int = 0
) -> RoomEvent:
    """What the system says about a room."""
    return RoomEvent(
        room_id=room_id,
        type=event_type,
        source=EventSource(channel_id="system", channel_type=ChannelType.SYSTEM),
        content=SystemContent(body=body, code=code, data=data),
        status=EventStatus.DELIVERED,
        visibility="internal",
        index=index,
    )


def announce(
    unit: Unit,
    name: str | None,
    event: RoomEvent,
    binding: ChannelBinding | None = None,
    trigger: HookTrigger | None = None,
) -> None:
    """Tell handlers and hooks once the unit is committed. Filters look at the channel that it is about (T25)."""
    source = None
    if binding is not None:
        source = EventSource(
            channel_id=binding.channel_id, channel_type=binding.channel_type, direction=binding.direction
        )
    channel_id = None if binding is None else binding.channel_id
    caller = innermost(unit.ports.kit) if current.get() is not None else None
    hooks, depth = ((), 0) if caller is None else (caller.hooks, caller.depth)
    unit.draft = unit.draft.announce(
        Announcement(name, channel_id, event.id, None, trigger, event, source, hooks, depth)
    )
