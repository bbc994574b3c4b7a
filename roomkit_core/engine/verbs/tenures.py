"""What the verbs that change a room share: a tenure that waits for its commit only, and bookkeeping events."""

from __future__ import annotations

from typing import Any

from roomkit_core.background import Expired
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Announcement, Entry, Unit
from roomkit_core.engine.steps.aftermath import Aftermath
from roomkit_core.engine.steps.passage import begin, enter
from roomkit_core.engine.steps.tenure import Write, tenure
from roomkit_core.errors import ConflictError, ProcessTimeoutError
from roomkit_core.hooks.node import current, innermost
from roomkit_core.models.channel import ChannelBinding
from roomkit_core.models.content import SystemContent
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.event import EventSource, RoomEvent
from roomkit_core.models.kinds import ChannelType, EventType, HookTrigger


async def change_room(ports: Ports, runners: Runners, room_id: str, write: Write) -> Unit:
    """Run a tenure, or join that of the hook that calls; returns when it is committed or joined.

    Raises:
        ProcessTimeoutError: It was not committed in time.
        RoomNotFoundError, ConflictError: As in :func:`tenure`.
    """
    enter(ports)
    await begin(ports)
    node = innermost(ports.kit) if current.get() is not None else None
    if node is not None and node.depth > ports.max_events:
        raise ConflictError(
            "hooks and handlers of this chain bring each other about without end",
            code="loop",
            hint="Let them ignore what they have done themselves.",
            retryable=False,
        )
    bounds = ports.background.new_bounds(
        ports.process_timeout, node.bounds if node is not None and node.alive else None
    )
    aftermath = Aftermath(ports, runners, inline=False)
    ports.background.hold()
    try:
        return await bounds.run(tenure(ports, room_id, write, bounds, aftermath))
    except Expired:
        raise ProcessTimeoutError(f"room {room_id!r} could not be changed within {ports.process_timeout:g} s") from None
    finally:
        ports.background.let_go()


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
