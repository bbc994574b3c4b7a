"""When an idle room pauses and closes. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from roomkit_core.models.enums import RoomStatus
from roomkit_core.models.room import Room


class Turn(NamedTuple):
    """What a room's timers say at one moment.

    Attributes:
        status: The status that the room takes now; None for the one that it has.
        due: When they have something to say next; None for never.
    """

    status: RoomStatus | None
    due: datetime | None


NEVER = Turn(None, None)


def turn(room: Room, now: datetime) -> Turn:
    """What the room's timers say. Closing wins over pausing; a moment that is just reached is not over yet."""
    timers = room.timers
    since = timers.last_activity_at
    if since is None or room.status not in (RoomStatus.ACTIVE, RoomStatus.PAUSED):
        return NEVER
    closes = _at(since, timers.closed_after_seconds)
    if closes is not None and now > closes:
        return Turn(RoomStatus.CLOSED, None)
    pauses = _at(since, timers.inactive_after_seconds) if room.status is RoomStatus.ACTIVE else None
    if pauses is not None and now > pauses:
        return Turn(RoomStatus.PAUSED, closes)
    return Turn(None, min((moment for moment in (closes, pauses) if moment is not None), default=None))


def _at(since: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else since + timedelta(seconds=seconds)
