"""Who may write, and who may see what: one predicate for the planner and for readers with a cursor."""

from __future__ import annotations

from roomkit_core.models.channel import ChannelBinding
from roomkit_core.models.enums import Access, ChannelDirection, EventStatus, RoomStatus
from roomkit_core.models.event import RoomEvent

_READS = frozenset({Access.READ_WRITE, Access.READ_ONLY})
_WRITES = frozenset({Access.READ_WRITE, Access.WRITE_ONLY})
_CLOSED = frozenset({RoomStatus.CLOSED, RoomStatus.ARCHIVED})


def takes_writes(status: RoomStatus) -> bool:
    """Whether a room of this status lets new messages in."""
    return status not in _CLOSED


def why_not_write(binding: ChannelBinding) -> str | None:
    """Why the channel may not say something in its room; None if it may."""
    if binding.muted:
        return "source_muted"
    if binding.access not in _WRITES:
        return "source_read_only"
    return None


def receives(binding: ChannelBinding) -> bool:
    """Whether events go out to this binding at all."""
    return binding.access in _READS and binding.direction is not ChannelDirection.OUTBOUND


def reaches(visibility: str, binding: ChannelBinding) -> bool:
    """Whether an event of this visibility is meant for this binding.

    ``a,b`` names channels, with or without spaces (T6); ``internal`` and ``none`` reach nobody.
    """
    if visibility == "all" or not visibility:
        return True
    if visibility in ("none", "internal"):
        return False
    if visibility in ("transport", "intelligence"):
        return binding.category == visibility
    if "," in visibility:
        return binding.channel_id in (part.strip() for part in visibility.split(","))
    return visibility.strip() == binding.channel_id


def effective_visibility(event: RoomEvent, source: ChannelBinding) -> str:
    """What is stored with the event: its own word, or where it has none (``all``) that of its source binding."""
    return source.visibility if event.visibility == "all" else event.visibility


def sees(event: RoomEvent, binding: ChannelBinding) -> bool:
    """Whether a reader behind this binding may see a stored event."""
    return (
        event.status is EventStatus.DELIVERED
        and receives(binding)
        and reaches(event.visibility, binding)
        and (binding.history == "all" or event.index >= binding.attached_index)
    )


def is_asked(event: RoomEvent, binding: ChannelBinding) -> bool:
    """Whether an intelligence channel is asked about an event: not its own, not internal, addressed or for all."""
    if binding.channel_id == event.source.channel_id:
        return False
    routing = event.routing
    if routing is None:
        return True
    return not routing.internal and (routing.addressed is None or binding.channel_id in routing.addressed)
