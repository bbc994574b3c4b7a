"""A channel: where messages come in and go out. What a channel author implements.

The least that is needed is a ``channel_type`` and :meth:`Channel.send` (a transport), :meth:`Channel.on_event`
(something that answers), or ``live = True`` with :meth:`Channel.on_hint` (connected clients). Everything else has a
default.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from roomkit_core.errors import DeliveryFailedError
from roomkit_core.models.base import EMPTY, build, evolve
from roomkit_core.models.channel import ChannelCapabilities, ChannelOutput, RateLimit, Route
from roomkit_core.models.content import TextContent
from roomkit_core.models.delivery import Delivery, Receipt, Rendering
from roomkit_core.models.enums import ChannelCategory, ChannelDirection, EventStatus
from roomkit_core.models.event import EventSource, RoomEvent, Routing
from roomkit_core.models.ids import check_id, new_id
from roomkit_core.models.kinds import ChannelMediaType, ChannelType
from roomkit_core.models.packing import no_channel_data
from roomkit_core.models.time import utc_now

if TYPE_CHECKING:
    from roomkit_core.interfaces.kit import KitProtocol
    from roomkit_core.models.channel import ChannelBinding, RateLimit
    from roomkit_core.models.context import RoomContext
    from roomkit_core.models.message import InboundMessage
    from roomkit_core.models.room import Cursor

_PENDING = EventStatus.PENDING  # members of an enum are looked up the long way

Guarantee = Literal["at_least_once", "idempotent", "reconcilable"]


class Channel:
    """Base of every channel.

    Args:
        channel_id: Unique per kit: 1 to 128 of letters, digits and ``._:@+-``, not a visibility word.

    Raises:
        ValueError: The id is not usable.

    Attributes:
        channel_type: What kind of channel it is; any valid name, see :class:`ChannelType`.
        category: How bindings of it are attached unless told otherwise.
        direction: Which way it works.
        guarantee: What the provider can be trusted with when a call's outcome is unknown: ``idempotent`` (it remembers
            keys for ``key_ttl`` seconds), ``reconcilable`` (it can be asked, see :meth:`reconcile`), or
            ``at_least_once`` (send again, marked).
        key_ttl: Seconds for which the provider remembers idempotency keys.
        quiet_time: Seconds after a call's timeout in which its request may still land at the provider.
        send_timeout: Seconds that one :meth:`send` may take.
        ask_timeout: Seconds that one :meth:`on_event` may take, its response stream included.
        live: Nothing is owed to this channel; its clients have cursors and read what they missed.
        delivery_lifetime: Seconds for which an owed delivery is tried; what is not through by then ends as expired.
        failure_threshold: How many calls in a row may fail before the provider is left alone; see
            :class:`CircuitBreaker`.
        recovery_timeout: Seconds until it is tried again with one call.
        max_in_flight: How many sends run at once, all rooms together.
        rate_limit: How many sends the provider takes, all rooms together; read when the channel is registered. What is
            above it waits. A binding may have a narrower limit of its own.
        recent_events_window: How many recent messages this channel wants to see in a context; 50 at least, 2000 at
            most.
    """

    channel_type: ChannelType = ChannelType.SYSTEM
    category: ChannelCategory = ChannelCategory.TRANSPORT
    direction: ChannelDirection = ChannelDirection.BIDIRECTIONAL
    guarantee: Guarantee = "at_least_once"
    key_ttl: float = 86400.0
    quiet_time: float = 0.0
    send_timeout: float = 15.0
    ask_timeout: float = 300.0
    live: bool = False
    delivery_lifetime: float = 3600.0
    failure_threshold: int = 5
    recovery_timeout: float = 60.0
    max_in_flight: int = 32
    rate_limit: RateLimit | None = None
    recent_events_window: int = 0

    def __init__(self, channel_id: str) -> None:
        self.channel_id = check_id(channel_id, "channel id")

    # ------------------------------------------------------------------------------------------------ what it is

    def capabilities(self) -> ChannelCapabilities:
        """What the channel can carry; text only unless overridden. Copied into the binding when it is attached."""
        return ChannelCapabilities()

    @property
    def info(self) -> dict[str, Any]:
        """Facts about the channel for people and dashboards; no secrets."""
        return {}

    @property
    def provider_name(self) -> str | None:
        """Who carries the messages, or None."""
        return None

    @staticmethod
    def extract_text(event: RoomEvent) -> str:
        """The text of an event, empty if it has none."""
        content = event.content
        return getattr(content, "body", None) or getattr(content, "plain_text", None) or ""

    # ------------------------------------------------------------------------------------------------ its life

    async def start(self, kit: KitProtocol) -> None:
        """Open connections. Called once, when the kit starts or the channel is registered with a started kit."""

    async def ready(self) -> bool:
        """Whether sends make sense now; overridden by channels whose connection or credentials may be missing.

        What is owed waits while it is not, spending no attempt. Asked every few seconds, never on the way of a message;
        a raise or a long silence is a no.
        """
        return True

    async def close(self) -> None:
        """Close connections. Called once; no send is under way any more."""

    async def on_room_attached(self, room_id: str, binding: ChannelBinding) -> None:
        """The channel was attached to a room; a raise is logged and changes nothing."""

    async def on_room_detached(self, room_id: str) -> None:
        """The channel was detached from a room."""

    def update_binding(self, room_id: str, binding: ChannelBinding) -> None:
        """The channel's binding changed (mute, access, visibility); synchronous, after the commit."""

    # ------------------------------------------------------------------------------------------------ inbound

    def conversation_key(self, message: InboundMessage) -> str | None:
        """What tells one conversation of this channel from another: the provider's thread or the sender's address.

        Pure. None for a channel whose messages always name their room.
        """
        return message.thread_id or message.sender_id

    def reply_route(self, message: InboundMessage) -> Route:
        """Where an answer to this message goes; the binding's route once the message makes or joins a room."""
        return Route(address=message.sender_id, thread=message.thread_id, participant_id=message.sender_id)

    async def handle_inbound(self, message: InboundMessage, context: RoomContext) -> RoomEvent:
        """The event for a message. Runs before the room lock and may be repeated.

        A raise ends the call with that error and nothing is stored.
        """
        return event_from_message(self, message, context.room_id)

    # ------------------------------------------------------------------------------------------------ outbound

    def render(self, content: Any) -> Rendering:
        """The content in the form in which :meth:`send` wants it. Pure; called while the plan is made.

        By default what the channel's :meth:`capabilities` carry stays as it is and everything else becomes text (see
        :func:`transcode <roomkit_core.content.transcode.transcode>`).

        Returns:
            One part for each call to the provider, and what was converted or dropped: it stands in the result of the
            delivery and in its story.

        Raises:
            UnsupportedError: The channel cannot carry it; the delivery fails at birth with this error's code and text.
        """
        able = self.capabilities()
        if (
            type(content) is TextContent
            and able.max_length is None
            and ChannelMediaType.TEXT in able.media_types  # what nearly everything is, and needs no report
        ):
            return Rendering((content,))
        from roomkit_core.content.transcode import transcode  # with the parser of HTML; many kits never need it

        return transcode(content, able, f"channel {self.channel_id!r}")

    async def send(self, delivery: Delivery) -> Receipt:
        """Bring one part of a delivery, ``delivery.part``, to the provider; a content of one part is one call.

        Sends of one lane never overlap; those of different lanes do. ``delivery.part_key`` stays the same on every
        attempt.

        The default calls :meth:`deliver`. Whatever happens becomes a recorded outcome: :class:`DeliveryFailedError` is
        a certain refusal, and so is a receipt that says FAILED; a timeout, a cancellation and any other exception leave
        the outcome *unknown*, because the request may have been written. Return FAILED where you are certain.
        """
        output = await self.deliver(delivery.event, delivery.binding, delivery.context)
        result = output.provider_result
        if result is None:
            return Receipt.sent()
        if result.success:
            return Receipt.sent(result.provider_message_id) if result.provider_message_id else Receipt.sent()
        return Receipt.failed("provider.refused", result.error or "the provider refused without a reason")

    async def deliver(self, event: RoomEvent, binding: ChannelBinding, context: RoomContext) -> ChannelOutput:
        """Bring one event to the provider; the simpler form of :meth:`send`, without key, parts and route.

        ``provider_result`` with ``success=False`` is a failure.
        """
        raise DeliveryFailedError(
            f"channel {self.channel_id!r} implements neither send nor deliver", code="channel.cannot_send"
        )

    async def reconcile(self, delivery: Delivery) -> Receipt | None:
        """What became of an earlier call, or None if the provider cannot tell; for ``reconcilable`` channels."""
        return None

    async def on_event(self, event: RoomEvent, binding: ChannelBinding, context: RoomContext) -> ChannelOutput:
        """Answer an event. Asked of INTELLIGENCE bindings, and of every channel that overrides this method.

        Runs outside the room lock, one event of a room at a time. All that is returned is committed together, or
        nothing.
        """
        return ChannelOutput.empty()

    # ------------------------------------------------------------------------------------------------ live clients

    def on_hint(self, room_id: str, event: RoomEvent, cursor: Cursor) -> int:
        """Tell connected clients about a committed event; for ``live`` channels.

        Synchronous: fill bounded queues and return. Called in the order of the room's indexes.

        Returns:
            How many clients were told.
        """
        return 0

    async def drain(self) -> None:
        """Send what :meth:`on_hint` queued. Many tasks may call it at once; one client has one sender at a time."""


def event_from_message(
    channel: Channel,
    message: InboundMessage,
    room_id: str,
    source: EventSource | None = None,
    created_at: datetime | None = None,
) -> RoomEvent:
    """The plain translation of a message: same content, the sender as participant.

    Args:
        channel: The channel on which it arrived.
        message: The message.
        room_id: Its room.
        source: The source, if the caller has one already; see :func:`source_from_message`.
        created_at: When it was said; now if omitted.
    """
    if message.thread_id is None and message.external_id is None:
        data = no_channel_data()
    else:
        data = evolve(no_channel_data(), external_id=message.external_id, thread_id=message.thread_id)
    return build(
        RoomEvent,
        {
            "id": new_id(),
            "room_id": room_id,
            "type": message.event_type,
            "source": source or source_from_message(channel, message),
            "content": message.content,
            "status": _PENDING,
            "blocked_by": None,
            "visibility": message.visibility,
            "response_visibility": message.response_visibility,
            "index": 0,
            "chain_depth": 0,
            "parent_event_id": message.parent_event_id,
            "correlation_id": None,
            "idempotency_key": message.idempotency_key or message.provider_message_id,
            "created_at": created_at or utc_now(),
            "metadata": message.metadata,
            "channel_data": data,
            "delivery_results": EMPTY,
            "routing": None if message.addressed_to is None else Routing(addressed=message.addressed_to),
        },
    )


def source_from_message(channel: Channel, message: InboundMessage) -> EventSource:
    """Where a message comes from."""
    return build(
        EventSource,
        {
            "channel_id": message.channel_id,
            "channel_type": channel.channel_type,
            "direction": ChannelDirection.INBOUND,
            "participant_id": message.sender_id or None,
            "external_id": message.external_id,
            "provider": channel.provider_name,
            "raw_payload": message.raw_payload,
            "provider_message_id": message.provider_message_id,
        },
    )


__all__ = ["Channel", "Guarantee", "event_from_message", "source_from_message"]
