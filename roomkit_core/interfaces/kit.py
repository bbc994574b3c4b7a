"""The verbs that a plugin may call on the kit that runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from roomkit_core.interfaces.channel import Channel
    from roomkit_core.models.delivery import DeliveryStatus
    from roomkit_core.models.event import RoomEvent
    from roomkit_core.models.kinds import EventType
    from roomkit_core.models.message import Accepted, InboundMessage, InboundResult
    from roomkit_core.models.room import Cursor, Page

Wait = Literal["settled", "attempted", "committed"]
"""Until when a verb waits: the commit, the first attempt of all that is owed, or the end of all that follows."""


class RoomsProtocol(Protocol):
    """``kit.rooms``, as far as plugins may use it."""

    async def read(self, room_id: str, *, viewer: str, after: Cursor | None = None, limit: int = 100) -> Page:
        """What ``viewer`` (a channel id) may see of the timeline after a cursor; see :meth:`RoomKit.rooms`."""
        ...


class KeyValueProtocol(Protocol):
    """``kit.state(namespace)``, as far as plugins may use it."""

    async def get(self, key: str, default: Any = None) -> Any:
        """The value, or ``default``."""
        ...

    async def put(self, key: str, value: Any, *, ttl: float | None = None) -> None:
        """Set a value; ``ttl`` in seconds."""
        ...

    async def delete(self, key: str) -> None:
        """Remove a value."""
        ...

    async def scan(self, prefix: str = "") -> list[tuple[str, Any]]:
        """All keys that begin with ``prefix`` with their values, ordered by key."""
        ...


class KitProtocol(Protocol):
    """What :meth:`Channel.start` and lifecycle hooks receive."""

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The registered channels by id, to look at."""
        ...

    @property
    def rooms(self) -> RoomsProtocol:
        """Newer verbs about rooms."""
        ...

    async def process_inbound(
        self, message: InboundMessage, *, room_id: str | None = None, wait: Wait = "settled"
    ) -> InboundResult:
        """Bring a message in; see :meth:`RoomKit.process_inbound`."""
        ...

    async def accept_inbound(self, message: InboundMessage, *, room_id: str | None = None) -> Accepted:
        """Write a message into the journal; see :meth:`RoomKit.accept_inbound`."""
        ...

    async def process_delivery_status(self, status: DeliveryStatus) -> bool:
        """Record a provider's report; see :meth:`RoomKit.process_delivery_status`."""
        ...

    def state(self, namespace: str) -> KeyValueProtocol:
        """Small values in the store; see :meth:`RoomKit.state`."""
        ...

    async def send_event(
        self,
        room_id: str,
        channel_id: str,
        content: Any,
        event_type: EventType = ...,
        chain_depth: int = 0,
        participant_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        visibility: str = "all",
        provider: str | None = None,
        response_visibility: str | None = None,
        *,
        wait: Wait = "settled",
        idempotency_key: str | None = None,
        at: datetime | None = None,
    ) -> RoomEvent:
        """Say something through an attached channel; see :meth:`RoomKit.send_event`."""
        ...

    def spawn(self, job: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run a job in a task of the kit; see :meth:`RoomKit.spawn`."""
        ...

    def emit(
        self,
        event_type: str,
        *,
        room_id: str | None = None,
        channel_id: str | None = None,
        event_id: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        """Tell the handlers of ``kit.on(event_type)``; at most once, never waits."""
        ...
