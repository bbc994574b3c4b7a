"""Rooms, their version, and cursors into their timelines."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import Field

from roomkit_core.models.base import EMPTY, Base, Data
from roomkit_core.models.enums import RoomStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.ids import new_id
from roomkit_core.models.time import CENTURY, Time, utc_now


class RoomTimers(Base):
    """When an idle room pauses and closes, in seconds since ``last_activity_at``, up to a hundred years.

    Activity is what somebody says in the room. What the system notes about it, who comes and goes, is none.
    """

    inactive_after_seconds: float | None = Field(default=None, ge=0, le=CENTURY)
    closed_after_seconds: float | None = Field(default=None, ge=0, le=CENTURY)
    last_activity_at: Time | None = None


class Room(Base):
    """A place where people and bots meet; ``event_count`` events, the last one at ``latest_index``."""

    id: str = Field(default_factory=new_id)
    organization_id: str | None = None
    status: RoomStatus = RoomStatus.ACTIVE
    created_at: Time = Field(default_factory=utc_now)
    updated_at: Time = Field(default_factory=utc_now)
    closed_at: Time | None = None
    timers: RoomTimers = Field(default_factory=RoomTimers)
    metadata: Data = EMPTY
    event_count: int = Field(default=0, ge=0)
    latest_index: int = Field(default=0, ge=0)


class Version(NamedTuple):
    """The state of a room on which a plan is made; compared for equality only (PROTOCOL C5).

    ``epoch`` is new for each incarnation of a room id, ``commit_id`` for each commit that moves the version.
    """

    epoch: str
    commit_id: str


class Cursor(NamedTuple):
    """How far a client has read: everything up to ``index`` of that ``epoch``; -1 is before the first event."""

    epoch: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs on a cursor


class Page(NamedTuple):
    """A piece of a timeline as one viewer may see it.

    ``cursor`` stands after the last index that was looked at, visible or not. ``reset`` says that the cursor passed in
    belonged to another incarnation of the room and reading began anew. ``more`` says that there is more to read.
    """

    events: tuple[RoomEvent, ...]
    cursor: Cursor
    reset: bool
    more: bool
