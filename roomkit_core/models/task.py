"""Tasks and observations: what hooks and intelligence channels note about a room."""

from __future__ import annotations

from pydantic import Field

from roomkit_core.models.base import EMPTY, Base, Data
from roomkit_core.models.enums import TaskStatus
from roomkit_core.models.ids import new_id
from roomkit_core.models.time import Time, utc_now


class Task(Base):
    """Something to be done about a room."""

    id: str = Field(default_factory=new_id)
    room_id: str
    title: str
    description: str | None = None
    assigned_to: str | None = None
    status: TaskStatus = TaskStatus.PENDING
    created_at: Time = Field(default_factory=utc_now)
    metadata: Data = EMPTY


class Observation(Base):
    """Something noticed in a room; ``confidence`` from 0 to 1."""

    id: str = Field(default_factory=new_id)
    room_id: str
    channel_id: str
    content: str
    category: str | None = None
    confidence: float = Field(default=1.0, ge=0, le=1)
    created_at: Time = Field(default_factory=utc_now)
    metadata: Data = EMPTY
