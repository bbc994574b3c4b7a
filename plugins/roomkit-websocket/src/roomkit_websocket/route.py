"""Where a server finds the clients of a kit's WebSocket channels: ``/ws``, or ``/ws/ID`` where there are several."""

from __future__ import annotations

from functools import partial
from typing import Any

from roomkit_core import RoomKit
from roomkit_websocket.admission import Visitor, ask, check_organization
from roomkit_websocket.app import Receive, Sender, WebSocketApp
from roomkit_websocket.channel import WebSocketChannel


def serve(kit: RoomKit) -> WebSocketDoors | None:
    """The ASGI application for the channels of a kit; None if it has none."""
    channels = [channel for channel in kit.channels.values() if isinstance(channel, WebSocketChannel)]
    return WebSocketDoors({channel.channel_id: _door(kit, channel) for channel in channels}) if channels else None


class WebSocketDoors:
    """Leads each client to the channel that it asks for.

    Args:
        doors: The applications of the channels.
    """

    def __init__(self, doors: dict[str, WebSocketApp]) -> None:
        self._doors = doors

    @property
    def authenticated(self) -> bool:
        """Whether clients of all channels are asked who they are."""
        return all(door.authenticated for door in self._doors.values())

    @property
    def origins(self) -> frozenset[str]:
        """Origins besides the server's own whose pages may connect to one of the channels."""
        return frozenset(origin for door in self._doors.values() for origin in door.origins)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Sender) -> None:
        """One client."""
        mounted = scope.get("root_path", "")
        rest = scope["path"].removeprefix(mounted)
        channel_id = (rest if mounted.endswith("/ws") else rest.removeprefix("/ws")).strip("/")
        door = self._doors.get(channel_id)
        if door is None and not channel_id and len(self._doors) == 1:
            [door] = self._doors.values()
        if scope["type"] != "websocket":
            await _not_found(send)
        elif door is None:
            await send({"type": "websocket.close", "code": 1008})
        else:
            await door(scope, receive, send)


def _door(kit: RoomKit, channel: WebSocketChannel) -> WebSocketApp:
    async def open_room(room_id: str, visitor: Visitor) -> None:
        room = await kit.create_room(room_id, organization_id=visitor.organization_id, exist_ok=True)
        check_organization(visitor, room)
        bound = {binding.channel_id for binding in await kit.list_bindings(room_id)}
        for channel_id in (channel.channel_id, *channel.attach):
            if channel_id not in bound:
                await kit.attach_channel(room_id, channel_id)

    return channel.app(
        kit,
        open_room=open_room if channel.open_rooms else None,
        authenticate=None if channel.auth is None else partial(ask, channel.auth),
        history=channel.history,
        origins=channel.origins,
    )


async def _not_found(send: Sender) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"There are only WebSockets here.\n"})
