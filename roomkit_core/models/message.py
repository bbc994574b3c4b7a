"""A message as it arrives, and what became of it."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from roomkit_core.models.base import EMPTY, Base, Data
from roomkit_core.models.content import EventContent, Strings
from roomkit_core.models.delivery import DeliveryResult
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.kinds import EventType


class InboundMessage(Base):
    """A message that a channel received.

    ``idempotency_key`` (else ``provider_message_id``) makes a repeat from the same sender one event. ``session`` is a
    live connection that came with the message; it is never stored. Nothing in ``metadata`` routes or hides anything
    (T5).
    """

    channel_id: str
    sender_id: str = Field(min_length=1)
    content: EventContent
    event_type: EventType = EventType.MESSAGE
    external_id: str | None = None
    thread_id: str | None = None
    idempotency_key: str | None = None
    metadata: Data = EMPTY
    session: Any = Field(default=None, exclude=True)
    parent_event_id: str | None = None
    raw_payload: Data = EMPTY
    provider_message_id: str | None = None
    visibility: str = "all"
    addressed_to: Strings | None = None
    response_visibility: str | None = None


class Accepted(Base):
    """A message that is in the journal.

    ``id`` is its row, or what became of it if it is known: the id of its event. ``duplicate`` says that it was accepted
    or decided before.
    """

    id: str
    duplicate: bool = False


class InboundResult(Base):
    """What became of a message.

    ``event`` is the stored event; None if nothing was stored. ``blocked`` with its ``reason`` says that it was not
    passed on; a reason of ``queued`` without it, that the message waits in the journal. ``delivery_results`` has an
    entry for each target, keyed by channel id.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    event: RoomEvent | None = None
    blocked: bool = False
    reason: str | None = None
    error: Exception | None = Field(default=None, exclude=True)
    delivery_results: dict[str, DeliveryResult] = EMPTY
