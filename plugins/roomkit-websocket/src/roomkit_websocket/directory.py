"""Which clients are connected, and which of them get the events of a room."""

from __future__ import annotations

from roomkit_websocket.clients import Client


class Directory:
    """The clients of one channel.

    Attributes:
        clients: All of them, by id.
        rooms: Those who get the events of one room, by room and id.
        everywhere: Those who get the events of every room, by id.
    """

    __slots__ = ("clients", "everywhere", "rooms")

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.rooms: dict[str, dict[str, Client]] = {}
        self.everywhere: dict[str, Client] = {}

    def add(self, client: Client) -> None:
        """Connect a client, in the place of another one of the same id."""
        former = self.clients.get(client.id)
        if former is not None:
            self.remove(former)
        self.clients[client.id] = client
        if client.room_id is None:
            self.everywhere[client.id] = client
        else:
            self.rooms.setdefault(client.room_id, {})[client.id] = client

    def remove(self, client: Client) -> bool:
        """Disconnect a client and forget what waits for it. False if it was not connected."""
        client.queue.clear()
        if self.clients.get(client.id) is not client:
            return False
        del self.clients[client.id]
        if client.room_id is None:
            del self.everywhere[client.id]
            return True
        members = self.rooms[client.room_id]
        del members[client.id]
        if not members:
            del self.rooms[client.room_id]
        return True
