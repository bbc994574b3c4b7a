"""The ASGI application for clients of a WebSocket channel.

One ``websocket`` scope is one client in one room; :mod:`roomkit_websocket.session` is its life. There is no web
framework here: any ASGI server can serve it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from roomkit_core.interfaces.auth import ORIGIN_CHECKED
from roomkit_websocket.session import Session

if TYPE_CHECKING:
    from roomkit_core.interfaces.kit import RoomsProtocol, Wait
    from roomkit_core.models.message import InboundMessage, InboundResult
    from roomkit_core.models.room import Room
    from roomkit_websocket.admission import Authenticate, OpenRoom, Scope
    from roomkit_websocket.channel import WebSocketChannel

log = logging.getLogger("roomkit.websocket")

# The shapes of ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html#websocket
Receive = Callable[[], Awaitable[dict[str, Any]]]
Sender = Callable[[dict[str, Any]], Awaitable[None]]


class Host(Protocol):
    """What the application needs of a kit; each as in :class:`RoomKit`."""

    @property
    def rooms(self) -> RoomsProtocol: ...

    async def get_room(self, room_id: str) -> Room: ...

    async def process_inbound(
        self, message: InboundMessage, *, room_id: str | None = None, wait: Wait = "settled"
    ) -> InboundResult: ...

    def emit(
        self,
        event_type: str,
        *,
        room_id: str | None = None,
        channel_id: str | None = None,
        event_id: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> None: ...


class WebSocketApp:
    """Serves the clients of one channel.

    Args:
        kit: The kit on which the channel is registered.
        channel: The channel.
        open_room: Called when somebody joins a room. Without it only rooms that exist and have the channel can be
            joined.
        authenticate: Says who a client is. Without it everybody is let in, under an id derived from the secret that
            their client chose; serve that on the loopback interface only.
        history: How many of a room's newest indexes a client without a cursor begins with.
        join_timeout: Seconds in which a client must have joined.
        origins: Web origins (``https://chat.example``) besides the server's own whose pages may connect. Programs that
            send no ``Origin`` are not concerned.
    """

    def __init__(
        self,
        kit: Host,
        channel: WebSocketChannel,
        *,
        open_room: OpenRoom | None = None,
        authenticate: Authenticate | None = None,
        history: int = 200,
        join_timeout: float = 10.0,
        origins: Collection[str] = (),
    ) -> None:
        if history < 0 or join_timeout <= 0:
            raise ValueError("history must not be negative and join_timeout must be positive")
        self.kit = kit
        self.channel = channel
        self.open_room = open_room
        self.authenticate = authenticate
        self.history = history
        self.join_timeout = join_timeout
        self.origins = frozenset(origins)

    @property
    def authenticated(self) -> bool:
        """Whether clients are asked who they are; a server refuses to listen to the world without."""
        return self.authenticate is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Sender) -> None:
        if scope["type"] != "websocket":
            raise ValueError(f"this application serves websockets, not {scope['type']!r}")
        if not scope.get(ORIGIN_CHECKED) and self._comes_from_elsewhere(scope):
            log.warning("a page of another origin was turned away", extra={"channel_id": self.channel.channel_id})
            await send({"type": "websocket.close", "code": 1008})
            return
        await Session(self, {**scope, ORIGIN_CHECKED: True}, receive, send).run()

    def _comes_from_elsewhere(self, scope: Scope) -> bool:
        """Whether a browser says that a page of another site opened the connection; such a page must not read rooms."""
        headers: dict[bytes, str] = {name: value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get(b"origin")
        if origin is None or origin in self.origins:
            return False
        try:
            return urlsplit(origin).netloc.lower() != headers.get(b"host", "").lower()
        except ValueError:
            return True  # no browser says that
