"""Events: the entries of a room's timeline."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from roomkit_core.models.base import EMPTY, Base, Data, freeze
from roomkit_core.models.content import EventContent
from roomkit_core.models.enums import ChannelDirection, EventStatus
from roomkit_core.models.ids import new_id
from roomkit_core.models.kinds import ChannelType, EventType
from roomkit_core.models.time import Time, utc_now


class ChannelData(Base):
    """What the channel knows about an event beyond its content."""

    provider: str | None = None
    external_id: str | None = None
    thread_id: str | None = None
    extra: Data = EMPTY


class EventSource(Base):
    """Where an event comes from; ``participant_id`` is who said it, ``external_id`` how the provider calls them."""

    channel_id: str
    channel_type: ChannelType
    direction: ChannelDirection = ChannelDirection.INBOUND
    participant_id: str | None = None
    external_id: str | None = None
    provider: str | None = None
    raw_payload: Data = EMPTY
    provider_message_id: str | None = None


class Routing(Base):
    """How an event travels; only hooks and the engine write it, senders cannot (T5).

    ``origin`` is the id of the event that began the chain, ``hops`` how many steps led here, ``budget`` how many events
    the chain may still bring. ``addressed`` names the intelligence channels that are asked, None means all of them.
    ``internal`` events ask nobody.
    """

    origin: str | None = None
    hops: int = Field(default=0, ge=0)
    budget: int | None = Field(default=None, ge=0)
    addressed: Annotated[list[str], AfterValidator(freeze)] | None = None
    internal: bool = False


class RoomEvent(Base):
    """One entry of a timeline.

    ``index`` counts from 0 without gaps per room and is never used again. ``visibility`` is who may see the event
    (``all``, ``none``, ``transport``, ``intelligence``, ``internal``, or channel ids joined by commas),
    ``response_visibility`` the same for the answers of intelligence channels. ``routing`` is None for an event that
    began its chain.
    """

    id: str = Field(default_factory=new_id)
    room_id: str
    type: EventType = EventType.MESSAGE
    source: EventSource
    content: EventContent
    status: EventStatus = EventStatus.PENDING
    blocked_by: str | None = None
    visibility: str = "all"
    response_visibility: str | None = None
    index: int = Field(default=0, ge=0)
    chain_depth: int = Field(default=0, ge=0)
    parent_event_id: str | None = None
    correlation_id: str | None = None
    idempotency_key: str | None = None
    created_at: Time = Field(default_factory=utc_now)
    metadata: Data = EMPTY
    channel_data: ChannelData = Field(default_factory=ChannelData)
    delivery_results: Data = EMPTY
    routing: Routing | None = None
