"""Channels in a room: what they can carry, how they are bound, where they deliver to."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from roomkit_core.models.base import EMPTY, Base, Data, freeze
from roomkit_core.models.content import Strings
from roomkit_core.models.enums import Access, ChannelCategory, ChannelDirection, DeliveryMode
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.kinds import ChannelMediaType, ChannelType
from roomkit_core.models.task import Observation, Task
from roomkit_core.models.time import Time, utc_now


class RateLimit(Base):
    """How many messages are let through; all limits that are set apply at once, and none if none is set."""

    max_per_second: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="How many in a second.")
    max_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="How many in a minute.")
    max_per_hour: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="How many in an hour.")


class RetryPolicy(Base):
    """How a failed call is tried again; delays in seconds.

    ``retryable_errors`` are the names of the exception types that are tried again; every one if it is None.
    """

    max_retries: int = Field(default=3, ge=0)
    base_delay_seconds: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    max_delay_seconds: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    exponential_base: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    retryable_errors: Strings | None = None


def _text_only() -> Any:
    return freeze([ChannelMediaType.TEXT])


class ChannelCapabilities(Base):
    """What a channel can carry; lengths in characters, sizes in bytes, durations in seconds."""

    media_types: Annotated[list[ChannelMediaType], AfterValidator(freeze)] = Field(default_factory=_text_only)
    max_length: int | None = Field(default=None, gt=0)
    supports_threading: bool = False
    supports_reactions: bool = False
    supports_edit: bool = False
    supports_delete: bool = False
    supports_read_receipts: bool = False
    supports_typing: bool = False
    supports_templates: bool = False
    supports_rich_text: bool = False
    supports_buttons: bool = False
    supports_cards: bool = False
    supports_quick_replies: bool = False
    supports_media: bool = False
    supports_audio: bool = False
    supports_video: bool = False
    max_buttons: int | None = Field(default=None, ge=0)
    supported_media_types: Strings = Field(default_factory=lambda: freeze([]))
    max_media_size_bytes: int | None = Field(default=None, gt=0)
    max_audio_duration_seconds: float | None = Field(default=None, gt=0)
    supported_audio_formats: Strings = Field(default_factory=lambda: freeze([]))
    max_video_duration_seconds: float | None = Field(default=None, gt=0)
    supported_video_formats: Strings = Field(default_factory=lambda: freeze([]))
    delivery_mode: DeliveryMode = DeliveryMode.BROADCAST
    custom: Data = EMPTY


class Route(Base):
    """Where one participant is reached on a channel: an address, and thread or account where there are such."""

    address: str
    thread: str | None = None
    account: str | None = None
    participant_id: str | None = None

    @property
    def lane(self) -> str:
        """What tells this route from others of the same channel and room."""
        return "\x1f".join((self.address, self.thread or "", self.account or ""))


class ChannelBinding(Base):
    """A channel's place in a room.

    ``routes`` leads from participant to route: several people behind one channel. ``history`` says from where a live
    client may read: ``all``, or ``joined`` for nothing from before ``attached_index``.
    """

    channel_id: str
    room_id: str
    channel_type: ChannelType
    category: ChannelCategory = ChannelCategory.TRANSPORT
    direction: ChannelDirection = ChannelDirection.BIDIRECTIONAL
    access: Access = Access.READ_WRITE
    muted: bool = False
    output_muted: bool = False
    visibility: str = "all"
    participant_id: str | None = None
    last_read_index: int | None = None
    attached_at: Time = Field(default_factory=utc_now)
    attached_index: int = Field(default=0, ge=0)
    history: str = Field(default="all", pattern="^(all|joined)$")
    capabilities: ChannelCapabilities = Field(default_factory=ChannelCapabilities)
    rate_limit: RateLimit | None = None
    retry_policy: RetryPolicy | None = None
    routes: Annotated[dict[str, Route], AfterValidator(freeze)] = EMPTY
    metadata: Data = EMPTY

    @property
    def can_write(self) -> bool:
        """Whether the channel may say something in the room."""
        return self.access in (Access.READ_WRITE, Access.WRITE_ONLY) and not self.muted


class ChannelOutput(Base):
    """What a channel gives back: an intelligence channel its answer, a transport the provider's result.

    ``response_stream`` is an asynchronous iterator of text pieces; it becomes one more event when it has ended.
    """

    responded: bool = False
    response_events: Annotated[list[RoomEvent], AfterValidator(freeze)] = Field(default_factory=lambda: freeze([]))
    response_stream: Any = Field(default=None, exclude=True)
    tasks: Annotated[list[Task], AfterValidator(freeze)] = Field(default_factory=lambda: freeze([]))
    observations: Annotated[list[Observation], AfterValidator(freeze)] = Field(default_factory=lambda: freeze([]))
    metadata_updates: Data = EMPTY
    response_metadata: Data = EMPTY
    provider_result: ProviderResult | None = None

    @classmethod
    def empty(cls) -> ChannelOutput:
        """Nothing to say."""
        return cls()


class ProviderResult(Base):
    """What a provider said to a send."""

    success: bool
    provider_message_id: str | None = None
    error: str | None = None
    metadata: Data = EMPTY
