"""Events at rest: flat tuples of strings, integers and None.

A timeline of a million model objects makes the garbage collector pause for seconds; tuples of atoms are not tracked by
it at all, take a fifth of the memory, and are unpacked when somebody looks. Whatever is rare is one JSON string.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from sys import intern
from typing import Any, cast

from pydantic import TypeAdapter

from roomkit_core.models.base import EMPTY, build, freeze
from roomkit_core.models.content import EventContent, SystemContent, TextContent
from roomkit_core.models.enums import ChannelDirection, EventStatus
from roomkit_core.models.event import ChannelData, EventSource, RoomEvent, Routing
from roomkit_core.models.kinds import ChannelType, EventType
from roomkit_core.models.time import from_microseconds, to_microseconds

Packed = tuple[Any, ...]
"""An event as :func:`pack_event` leaves it: atoms only, in the order of the constants below."""

ID, ROOM, TYPE, INDEX, STATUS, VISIBILITY, CREATED, CHANNEL, PARTICIPANT, CONTENT_TYPE, BODY = range(11)
CHANNEL_TYPE, RAW, METADATA, CHANNEL_DATA, DELIVERY_RESULTS = 12, 17, 24, 25, 26

SYSTEM = str(ChannelType.SYSTEM)
"""The channel type of what the system itself says about a room; it is no activity in it."""

PackedContent = tuple[str, str, str | None]


@lru_cache(1024)
def _plain(kind: str) -> str:
    """A kind's name as a plain string: a subclass of ``str`` would keep the tuple tracked by the garbage collector."""
    return intern("".join(kind))


def pack_content(content: Any) -> PackedContent:
    """(type, text or JSON, language)."""
    if type(content) is TextContent:
        return ("text", content.body, content.language)
    return (content.type, content.model_dump_json(), None)


def unpack_content(packed: PackedContent) -> Any:
    """The content that :func:`pack_content` packed."""
    kind, body, language = packed
    if kind == "text":
        return build(TextContent, {"type": "text", "body": body, "language": language})
    return _content().validate_json(body)


def pack_event(event: RoomEvent) -> Packed:
    """The event as a flat tuple of atoms."""
    source = event.source
    content = event.content
    if type(content) is TextContent:
        kind, body, language = "text", content.body, content.language
    else:
        kind, body, language = pack_content(content)
    metadata = event.metadata
    raw = source.raw_payload
    data = event.channel_data
    routing = event.routing
    return (
        event.id,
        event.room_id,
        _plain(event.type),
        event.index,
        event.status._value_,
        event.visibility,
        to_microseconds(event.created_at),
        source.channel_id,
        source.participant_id,
        kind,
        body,
        language,
        _plain(source.channel_type),
        source.direction._value_,
        source.external_id,
        source.provider,
        source.provider_message_id,
        json.dumps(raw) if raw else None,
        event.blocked_by,
        event.response_visibility,
        event.chain_depth,
        event.parent_event_id,
        event.correlation_id,
        event.idempotency_key,
        json.dumps(metadata) if metadata else None,
        None if data is no_channel_data() or data == no_channel_data() else data.model_dump_json(),
        json.dumps(event.delivery_results) if event.delivery_results else None,
        None if routing is None else routing.model_dump_json(),
    )


def unpack_event(packed: Packed) -> RoomEvent:
    """An event equal to the one that was packed."""
    (
        event_id,
        room_id,
        event_type,
        index,
        status,
        visibility,
        created,
        channel_id,
        participant_id,
        kind,
        body,
        language,
        channel_type,
        direction,
        external_id,
        provider,
        provider_message_id,
        raw,
        blocked_by,
        response_visibility,
        chain_depth,
        parent_event_id,
        correlation_id,
        idempotency_key,
        metadata,
        channel_data,
        delivery_results,
        routing,
    ) = packed
    source = build(
        EventSource,
        {
            "channel_id": channel_id,
            "channel_type": _channel_type(channel_type),
            "direction": ChannelDirection(direction),
            "participant_id": participant_id,
            "external_id": external_id,
            "provider": provider,
            "raw_payload": _data(raw),
            "provider_message_id": provider_message_id,
        },
    )
    return build(
        RoomEvent,
        {
            "id": event_id,
            "room_id": room_id,
            "type": _event_type(event_type),
            "source": source,
            "content": unpack_content((kind, body, language)),
            "status": EventStatus(status),
            "blocked_by": blocked_by,
            "visibility": visibility,
            "response_visibility": response_visibility,
            "index": index,
            "chain_depth": chain_depth,
            "parent_event_id": parent_event_id,
            "correlation_id": correlation_id,
            "idempotency_key": idempotency_key,
            "created_at": from_microseconds(created),
            "metadata": _data(metadata),
            "channel_data": (
                no_channel_data() if channel_data is None else ChannelData.model_validate_json(channel_data)
            ),
            "delivery_results": _data(delivery_results),
            "routing": None if routing is None else Routing.model_validate_json(routing),
        },
    )


def with_index(packed: Packed, index: int) -> Packed:
    """The packed event at another index."""
    return (*packed[:INDEX], index, *packed[INDEX + 1 :])


def tombstone(packed: Packed, code: str) -> Packed:
    """The packed event without what it said: its place, its source and its time stay.

    Args:
        packed: The event.
        code: Why it is gone: ``event.deleted`` or ``event.pruned``.
    """
    fields = list(packed)
    fields[CONTENT_TYPE : CONTENT_TYPE + 3] = pack_content(SystemContent(body="", code=code))
    fields[RAW], fields[CHANNEL_DATA], fields[DELIVERY_RESULTS] = None, None, None
    fields[METADATA] = '{"deleted": true}'
    return tuple(fields)


def _data(text: str | None) -> dict[str, Any]:
    return EMPTY if text is None else cast("dict[str, Any]", freeze(json.loads(text)))


@cache
def _content() -> TypeAdapter[Any]:
    return TypeAdapter(EventContent)


_event_type = lru_cache(1024)(EventType)
_channel_type = lru_cache(1024)(ChannelType)


@cache
def no_channel_data() -> ChannelData:
    """The one ChannelData that says nothing, shared by all events without any."""
    return ChannelData()
