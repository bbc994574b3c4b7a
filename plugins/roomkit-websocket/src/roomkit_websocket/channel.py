"""The WebSocket channel: hints for connected clients, bounded queues, and one sender per client."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from roomkit_core.interfaces.channel import Channel
from roomkit_core.models.channel import ChannelCapabilities
from roomkit_core.models.kinds import ChannelMediaType, ChannelType
from roomkit_websocket.clients import Client, Hint, Item, Notice
from roomkit_websocket.directory import Directory
from roomkit_websocket.sending import Sending

if TYPE_CHECKING:
    from roomkit_core.background import Bounds
    from roomkit_core.interfaces.auth import AuthCallback
    from roomkit_core.interfaces.kit import KitProtocol
    from roomkit_core.models.event import RoomEvent
    from roomkit_core.models.message import InboundMessage
    from roomkit_core.models.room import Cursor
    from roomkit_websocket.admission import Authenticate, OpenRoom
    from roomkit_websocket.app import Host, WebSocketApp

log = logging.getLogger("roomkit.websocket")

SendFn = Callable[[str, "RoomEvent"], Coroutine[Any, Any, object]]
"""Brings an event to a connection: ``await send(connection_id, event)``."""

StreamSendFn = Callable[[str, Any], Coroutine[Any, Any, object]]
"""Brings a piece of a stream to a connection: ``await send(connection_id, message)``."""

PATIENCE = 3


class WebSocketChannel(Channel):
    """People in browsers, and any program that speaks the protocol of ``docs/reference/websocket.md``.

    Nothing is owed to a socket: each client keeps a cursor and reads what it missed. :meth:`app` makes the ASGI
    application that serves such clients; :meth:`register_connection` is for those who bring sockets of their own.

    Args:
        channel_id: As in :class:`Channel`.
        send_timeout: Seconds that one send to one client may take. A client that needs longer is dropped.
        queue_size: How many messages may wait for one client. A client that has more waiting is dropped.
    """

    channel_type = ChannelType.WEBSOCKET
    live = True

    def __init__(
        self,
        channel_id: str,
        *,
        send_timeout: float = 5.0,
        queue_size: int = 256,
        open_rooms: bool = False,
        attach: Collection[str] = (),
        history: int = 200,
        origins: Collection[str] = (),
        auth: AuthCallback | None = None,
    ) -> None:
        super().__init__(channel_id)
        if send_timeout <= 0 or queue_size < 1:
            raise ValueError("send_timeout must be positive and queue_size at least 1")
        self.send_timeout = send_timeout
        self.queue_size = queue_size
        self.open_rooms = open_rooms
        self.attach = tuple(attach)
        self.history = history
        self.origins = frozenset(origins)
        self.auth = auth
        self._directory = Directory()
        self._sending = Sending(send_timeout, self._too_slow, self._failed)
        self._dropped = 0

    # ------------------------------------------------------------------------------------------------ what it is

    def capabilities(self) -> ChannelCapabilities:
        kinds = ChannelMediaType
        return ChannelCapabilities(
            media_types=[kinds.TEXT, kinds.RICH, kinds.MEDIA, kinds.AUDIO, kinds.VIDEO, kinds.LOCATION],
            supports_reactions=True,
            supports_edit=True,
            supports_delete=True,
            supports_read_receipts=True,
            supports_typing=True,
            supports_rich_text=True,
            supports_buttons=True,
            supports_cards=True,
            supports_quick_replies=True,
            supports_media=True,
            supports_audio=True,
            supports_video=True,
        )

    def conversation_key(self, message: InboundMessage) -> str | None:
        """None: a client names its room."""
        return None

    @property
    def connection_count(self) -> int:
        """How many clients are connected."""
        return len(self._directory.clients)

    @property
    def info(self) -> dict[str, Any]:
        return {
            "connection_count": len(self._directory.clients),
            "room_count": len(self._directory.rooms),
            "dropped_count": self._dropped,
        }

    async def start(self, kit: KitProtocol) -> None:
        self._sending.spawn = kit.spawn

    async def close(self) -> None:
        self._sending.spawn = None
        for client in list(self._directory.clients.values()):
            self._drop(client, "server.stopping")

    async def on_room_detached(self, room_id: str) -> None:
        for client in list(self._directory.rooms.get(room_id, {}).values()):
            self._drop(client, "channel.not_attached")

    def app(
        self,
        kit: Host,
        *,
        open_room: OpenRoom | None = None,
        authenticate: Authenticate | None = None,
        **options: Any,
    ) -> WebSocketApp:
        """The ASGI application for clients of this channel; see :class:`roomkit_websocket.app.WebSocketApp`."""
        from roomkit_websocket.app import WebSocketApp

        return WebSocketApp(kit, self, open_room=open_room, authenticate=authenticate, **options)

    # ------------------------------------------------------------------------------------------------ clients

    def register_connection(
        self,
        connection_id: str,
        send_fn: SendFn,
        *,
        stream_send_fn: StreamSendFn | None = None,
        room_id: str | None = None,
    ) -> None:
        """Connect a client. An id that is connected already gets the new functions and a clean record.

        Args:
            connection_id: Unique in this channel.
            send_fn: Brings one event to the client. It is called for one event at a time, in order. If it is cancelled
                the same event comes again later; the client tells a repeat by the event's index. A raise skips the
                event; three in a row drop the client.
            stream_send_fn: Brings pieces of an answer that is still being made. This version sends an answer as one
                event when it is committed, to everybody.
            room_id: The room whose events the client gets; None for every room of the channel.
        """

        def send(item: Item) -> Coroutine[Any, Any, object]:
            return send_fn(connection_id, item.event)  # type: ignore[union-attr]  # it gets hints only, never notices

        self.add_client(Client(connection_id, room_id, send, _nobody_to_tell, patience=PATIENCE))

    def unregister_connection(self, connection_id: str) -> None:
        """Disconnect a client; an unknown id is fine. What waits for it is forgotten."""
        client = self._directory.clients.get(connection_id)
        if client is not None:
            self._directory.remove(client)

    def add_client(self, client: Client) -> None:
        """Connect a client that brings its own queue, in the place of another one of the same id."""
        self._directory.add(client)

    def remove_client(self, client: Client) -> None:
        """Disconnect a client, unless another one has taken its id."""
        self._directory.remove(client)

    # ------------------------------------------------------------------------------------------------ sending

    def on_hint(self, room_id: str, event: RoomEvent, cursor: Cursor) -> int:
        directory = self._directory
        members = directory.rooms.get(room_id)
        clients: Iterable[Client]
        if directory.everywhere:
            clients = [*directory.everywhere.values(), *(members or {}).values()]
        elif members is None:
            return 0
        else:
            clients = members.values()
        hint = Hint(event, cursor)
        most, ready = self.queue_size, self._sending.ready
        told = 0
        full: list[Client] | None = None
        for client in clients:
            queue = client.queue
            if len(queue) >= most:
                full = [*(full or ()), client]
                continue
            queue.append(hint)
            told += 1
            if not client.listed:
                client.listed = True
                ready.append(client)
        if full is not None:
            for client in full:
                self._too_slow(client)
        return told

    def drain(self) -> Coroutine[Any, Any, None]:
        return self._sending.drain()

    def drain_within(self, bounds: Bounds | None) -> Coroutine[Any, Any, None] | None:
        """As :meth:`drain`, called by the kit; in the scope of a message its bounds limit the sends meanwhile.

        It starts at once; None says that nothing had to be waited for.
        """
        return self._sending.begin(bounds)

    async def notify(self, client: Client, message: dict[str, Any]) -> None:
        """Send a message of the protocol to one client, behind what waits for it already."""
        if len(client.queue) >= self.queue_size:
            self._too_slow(client)
            return
        client.queue.append(Notice(message))
        await self._sending.flush(client)

    async def flush(self, client: Client) -> None:
        """Send what waits for one client, unless somebody is sending to it already."""
        await self._sending.flush(client)

    # ------------------------------------------------------------------------------------------------ letting go

    def _too_slow(self, client: Client) -> None:
        self._drop(client, "connection.too_slow")

    def _failed(self, client: Client, error: Exception) -> None:
        client.failures += 1
        where = {"channel_id": self.channel_id, "room_id": client.room_id}
        log.warning("a send failed, %d in a row", client.failures, exc_info=error, extra=where)
        if client.failures >= client.patience:
            self._drop(client, "connection.failed")

    def _drop(self, client: Client, code: str) -> None:
        if not self._directory.remove(client):
            return
        self._dropped += 1
        log.info("client dropped: %s", code, extra={"channel_id": self.channel_id, "room_id": client.room_id})
        client.dropped(code)


def _nobody_to_tell(code: str) -> None:
    """A connection that was registered with functions has nobody to tell that it was dropped."""
