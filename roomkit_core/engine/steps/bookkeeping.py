"""Bookkeeping of a room: events that say what was done to it, and who is told about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Announcement, Entry, Unit
from roomkit_core.engine.steps.telling import chain_here
from roomkit_core.models.channel import ChannelBinding
from roomkit_core.models.content import SystemContent
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.event import EventSource, RoomEvent
from roomkit_core.models.kinds import ChannelType, EventType
from roomkit_core.models.room import Room
from roomkit_core.models.triggers import HookTrigger


def note(unit: Unit, event_type: EventType, code: str, body: str, data: dict[str, Any]) -> RoomEvent:
    """Put a bookkeeping event into the unit: stored, internal, for no deciding hook and no observer."""
    event = system_event(unit.room_id, event_type, code, body, data, unit.ports.clock.now(), unit.take_index())
    unit.add(Entry(event, observed=False))
    return event


def system_event(
    room_id: str,
    event_type: EventType,
    code: str,
    body: str,
    data: dict[str, Any],
    now: datetime,
    index: int = 0,
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
        created_at=now,
    )


def created(ports: Ports, room: Room) -> Announcement:
    """That a room was made; the event is for hooks alone."""
    event = system_event(room.id, EventType.SYSTEM, "room_created", "The room was created", {}, room.created_at)
    hooks, depth = chain_here(ports)
    return Announcement("room_created", trigger=HookTrigger.ON_ROOM_CREATED, event=event, hooks=hooks, depth=depth)


def attachment(binding: ChannelBinding) -> tuple[EventType, str, str, dict[str, Any]]:
    """What the timeline says about a channel that was attached: type, code, body and data of the event."""
    data = {"channel_id": binding.channel_id, "access": binding.access.value, "visibility": binding.visibility}
    return EventType.CHANNEL_ATTACHED, "channel_attached", f"{binding.channel_id} joined", data


def attached(event: RoomEvent, binding: ChannelBinding) -> Announcement:
    """That a channel was attached; ``event`` says so in the timeline."""
    return about_channel("room_channel_attached", event, binding, HookTrigger.ON_CHANNEL_ATTACHED)


def about_channel(
    name: str | None, event: RoomEvent, binding: ChannelBinding, trigger: HookTrigger | None = None
) -> Announcement:
    """What was done to a channel of a room. Filters look at that channel (T25)."""
    return Announcement(name, binding.channel_id, event.id, None, trigger, event, source_of(binding))


def source_of(binding: ChannelBinding) -> EventSource:
    """What filters see of a channel."""
    return EventSource(channel_id=binding.channel_id, channel_type=binding.channel_type, direction=binding.direction)


def announce(unit: Unit, about: Announcement) -> None:
    """Tell handlers and hooks once the unit is committed; not the hooks below which it is done."""
    hooks, depth = chain_here(unit.ports)
    unit.draft = unit.draft.announce(about._replace(hooks=hooks, depth=depth))
