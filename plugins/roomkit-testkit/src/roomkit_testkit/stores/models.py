"""Every field of every stored model survives (T26)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel

from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.base import evolve
from roomkit_core.models.channel import ChannelBinding, ChannelCapabilities, RateLimit, RetryPolicy, Route
from roomkit_core.models.content import (
    AudioContent,
    CompositeContent,
    CustomContent,
    DeleteContent,
    EditContent,
    LocationContent,
    MediaContent,
    RichContent,
    SystemContent,
    TemplateContent,
    TextContent,
    ToolCallContent,
    VideoContent,
)
from roomkit_core.models.enums import (
    Access,
    ChannelCategory,
    ChannelDirection,
    DeleteType,
    DeliveryMode,
    EventStatus,
    IdentificationStatus,
    ParticipantRole,
    ParticipantStatus,
    RoomStatus,
    TaskStatus,
)
from roomkit_core.models.event import ChannelData, EventSource, RoomEvent, Routing
from roomkit_core.models.kinds import ChannelMediaType, ChannelType, EventType
from roomkit_core.models.participant import Identity, Participant
from roomkit_core.models.room import Room, RoomTimers
from roomkit_core.models.task import Observation, Task
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.makers import Writer, text_event

THEN = datetime(2023, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
ELSEWHERE = THEN.astimezone(timezone(timedelta(hours=5, minutes=45)))
DATA: dict[str, Any] = {
    "text": "Zoë 👩‍👩‍👧‍👦 \x00 \u2028",
    "numbers": [0, -1, 2**63, 10**30, 0.1, 1e-300, -0.5],
    "nothing": None,
    "truths": [True, False],
    "nested": {"list": [{"deep": ["er"]}, []], "empty": {}},
    "": "an empty key",
    "routes": "a name that the store uses itself",
}
TEXT = TextContent(body="Grüße\n\t👋", language="de-AT")
CONTENTS = [
    TEXT,
    RichContent(
        body="<b>x</b>",
        format="html",
        plain_text="x",
        buttons=[{"title": "Yes"}],
        cards=[DATA],
        quick_replies=["a", "b"],
    ),
    MediaContent(url="https://example.org/x.png", mime_type="image/png", filename="x.png", size_bytes=7, caption="x"),
    LocationContent(latitude=-89.5, longitude=0.1, label="Pole", address="nowhere"),
    AudioContent(url="data:audio/ogg;base64,AAAA", mime_type="audio/wav", duration_seconds=0.5, transcript="hm"),
    VideoContent(
        url="https://example.org/x", mime_type="video/webm", duration_seconds=3, thumbnail_url="https://example.org/t"
    ),
    SystemContent(body="closed", code="room_closed", data=DATA),
    TemplateContent(template_id="welcome", language="fr", parameters={"name": "Zoë"}, body="Bonjour"),
    EditContent(target_event_id="e", new_content=TEXT, edit_source="sender"),
    DeleteContent(target_event_id="e", delete_type=DeleteType.ADMIN, reason="spam"),
    ToolCallContent(
        tool_name="search",
        tool_id="t1",
        arguments=DATA,
        result="found",
        status="completed",
        duration_ms=1.5,
        error="none",
        structured_content={"a": 1},
    ),
    CustomContent(type="poll", data=DATA),
    CompositeContent(parts=[TEXT, CompositeContent(parts=[LocationContent(latitude=1, longitude=2)])]),
]


def full_room() -> Room:
    return Room(
        id="room",
        organization_id="acme",
        status=RoomStatus.CLOSED,
        created_at=ELSEWHERE,
        updated_at=THEN + timedelta(microseconds=1),
        closed_at=THEN + timedelta(days=1),
        timers=RoomTimers(inactive_after_seconds=0.5, closed_after_seconds=60, last_activity_at=THEN),
        metadata=DATA,
    )


def full_binding() -> ChannelBinding:
    return ChannelBinding(
        channel_id="sms",
        room_id="room",
        channel_type=ChannelType("carrier_pigeon"),
        category=ChannelCategory.INTELLIGENCE,
        direction=ChannelDirection.INBOUND,
        access=Access.READ_ONLY,
        muted=True,
        output_muted=True,
        visibility="sms,web",
        participant_id="ada",
        last_read_index=3,
        attached_at=ELSEWHERE,
        attached_index=2,
        history="joined",
        capabilities=ChannelCapabilities(
            media_types=[ChannelMediaType.AUDIO, ChannelMediaType("smell")],
            max_length=160,
            **{name: True for name in ChannelCapabilities.model_fields if name.startswith("supports_")},
            max_buttons=3,
            supported_media_types=["image/png"],
            max_media_size_bytes=5_000_000,
            max_audio_duration_seconds=1.5,
            supported_audio_formats=["ogg"],
            max_video_duration_seconds=2.5,
            supported_video_formats=["mp4"],
            delivery_mode=DeliveryMode.ROUND_ROBIN,
            custom=DATA,
        ),
        rate_limit=RateLimit(max_per_second=1.5, max_per_minute=30, max_per_hour=1000),
        retry_policy=RetryPolicy(
            max_retries=9, base_delay_seconds=0.5, max_delay_seconds=9, exponential_base=3, retryable_errors=["busy"]
        ),
        routes={"ada": Route(address="+1", thread="t", account="a", participant_id="ada"), "bob": Route(address="+2")},
        metadata=DATA,
    )


def full_participant() -> Participant:
    return Participant(
        id="ada",
        room_id="room",
        channel_id="sms",
        display_name="Ada",
        role=ParticipantRole.OWNER,
        status=ParticipantStatus.BANNED,
        identification=IdentificationStatus.AMBIGUOUS,
        identity_id="identity",
        candidates=["x", "y"],
        connected_via=["sms", "web"],
        external_id="U1",
        resolved_at=THEN,
        resolved_by="resolver",
        joined_at=ELSEWHERE,
        metadata=DATA,
    )


def full_event(content: Any) -> RoomEvent:
    return RoomEvent(
        id="event",
        room_id="room",
        type=EventType("telepathy"),
        source=EventSource(
            channel_id="sms",
            channel_type=ChannelType("carrier_pigeon"),
            direction=ChannelDirection.OUTBOUND,
            participant_id="ada",
            external_id="U1",
            provider="acme",
            raw_payload=DATA,
            provider_message_id="SM1",
        ),
        content=content,
        status=EventStatus.BLOCKED,
        blocked_by="guard",
        visibility="transport",
        response_visibility="internal",
        chain_depth=2,
        parent_event_id="parent",
        correlation_id="trace",
        idempotency_key="key",
        created_at=ELSEWHERE,
        metadata=DATA,
        channel_data=ChannelData(provider="acme", external_id="x", thread_id="t", extra=DATA),
        delivery_results={"sms": {"state": "sent"}},
        routing=Routing(origin="first", hops=1, budget=9, addressed=["ai"], internal=True),
    )


def full_task() -> Task:
    return Task(
        id="task",
        room_id="room",
        title="call",
        description="soon",
        assigned_to="bob",
        status=TaskStatus.CANCELLED,
        created_at=ELSEWHERE,
        metadata=DATA,
    )


def full_observation() -> Observation:
    return Observation(
        id="seen",
        room_id="room",
        channel_id="ai",
        content="in a hurry",
        category="mood",
        confidence=0.25,
        created_at=ELSEWHERE,
        metadata=DATA,
    )


def full_identity() -> Identity:
    return Identity(
        id="identity",
        organization_id="acme",
        display_name="Ada",
        email="ada@example.org",
        phone="+1",
        channel_addresses={"sms": ["+1", "+2"], "carrier_pigeon": ["roof"]},
        external_id="crm-1",
        external_ids={"crm": "1"},
        metadata=DATA,
    )


def fields_left_out(model: BaseModel, *, counters: frozenset[str]) -> set[str]:
    """Fields of a model, at any depth, that still have their default and would not show a loss."""
    left_out = set()
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if name in counters or info.is_required():
            continue
        if value == info.get_default(call_default_factory=True, validated_data={}):
            left_out.add(f"{type(model).__name__}.{name}")
        if isinstance(value, BaseModel):
            left_out |= fields_left_out(value, counters=counters)
    return left_out


class ModelSuite(StoreContract):
    @pytest.mark.parametrize(
        "model",
        [
            full_room(),
            full_binding(),
            full_participant(),
            full_event(TEXT),
            full_task(),
            full_observation(),
            full_identity(),
            *CONTENTS,
        ],
        ids=lambda model: type(model).__name__,
    )
    def test_the_models_of_these_tests_have_every_field_filled(self, model: BaseModel) -> None:
        counters = frozenset({"event_count", "latest_index", "index", "type", "mime_type", "format"})

        assert fields_left_out(model, counters=counters) == set()

    async def test_a_room_comes_back_as_it_was_stored(self, store: ConversationStore, writer: Writer) -> None:
        room = full_room()
        await writer.create(room)

        snapshot = await store.load_room("room")

        assert snapshot is not None
        assert snapshot.room == await store.get_room("room") == room
        assert (await store.find_rooms())[0] == room

    async def test_a_changed_room_comes_back_as_it_was_changed(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        await writer.write(room=full_room())

        assert await store.get_room("room") == full_room()

    async def test_a_binding_comes_back_as_it_was_stored(self, store: ConversationStore, writer: Writer) -> None:
        plain = ChannelBinding(channel_id="web", room_id="room", channel_type=ChannelType.WEBSOCKET)
        await writer.create(bindings={"sms": full_binding(), "web": plain})

        assert await store.get_binding("room", "sms") == full_binding()
        assert await store.get_binding("room", "web") == plain

    async def test_a_participant_comes_back_as_it_was_stored(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create(participants={"ada": full_participant()})

        assert await store.get_participant("room", "ada") == full_participant()

    @pytest.mark.parametrize("content", CONTENTS, ids=lambda content: type(content).__name__)
    async def test_an_event_comes_back_as_it_was_stored(
        self, store: ConversationStore, writer: Writer, content: Any
    ) -> None:
        event = full_event(content)
        await writer.create(events=(event,))

        timeline = await store.timeline("room", -1, 10)
        snapshot = await store.load_room("room", tail=1)

        assert timeline is not None
        assert snapshot is not None
        assert timeline[1] == await store.list_events("room") == [await store.get_event("event")] == [event]

    async def test_a_patched_event_comes_back_as_it_was_patched(self, store: ConversationStore, writer: Writer) -> None:
        event = text_event(id="event")
        await writer.create(events=(text_event(), event))

        await writer.write(patches=(full_event(TEXT),))

        assert await store.get_event("event") == evolve(full_event(TEXT), index=1)

    async def test_tasks_observations_and_identities_come_back_as_they_were_stored(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        await writer.write(
            expected=None, tasks=(full_task(),), observations=(full_observation(),), identities=(full_identity(),)
        )

        assert await store.get_task("task") == full_task()
        assert await store.list_tasks("room") == [full_task()]
        assert await store.list_observations("room") == [full_observation()]
        assert await store.get_identity("identity") == full_identity()
        assert await store.resolve_identity("carrier_pigeon", "roof") == full_identity()

    async def test_what_comes_back_is_frozen_at_every_depth(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create(full_room(), bindings={"sms": full_binding()}, events=(full_event(TEXT),))

        snapshot = await store.load_room("room")
        event = await store.get_event("event")

        assert snapshot is not None
        assert event is not None
        for data in (snapshot.room.metadata, snapshot.bindings["sms"].metadata, event.metadata):
            with pytest.raises(TypeError):
                data["nested"]["list"].append(1)
        with pytest.raises(TypeError):
            snapshot.bindings["sms"].routes["ada"] = None  # type: ignore[assignment]

    async def test_times_come_back_in_utc_to_the_microsecond(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create(full_room(), bindings={"sms": full_binding()})

        snapshot = await store.load_room("room")

        assert snapshot is not None
        for moment in (snapshot.room.created_at, snapshot.bindings["sms"].attached_at):
            assert (moment, moment.tzinfo) == (THEN, UTC)
