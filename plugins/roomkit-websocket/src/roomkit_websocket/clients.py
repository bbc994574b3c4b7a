"""Connected clients: a bounded queue for each, and what lies in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roomkit_websocket.protocol import event_message

if TYPE_CHECKING:
    from roomkit_core.models.event import RoomEvent
    from roomkit_core.models.room import Cursor
    from roomkit_websocket.stepping import Sending


class ClientGone(Exception):
    """The client closed its end of the connection."""


class Hint:
    """A committed event on its way to any number of clients; put into words once, when the first of them needs it."""

    __slots__ = ("_message", "cursor", "event")

    def __init__(self, event: RoomEvent, cursor: Cursor) -> None:
        self.event = event
        self.cursor = cursor
        self._message: dict[str, Any] | None = None

    @property
    def message(self) -> dict[str, Any]:
        """The event as an ASGI message."""
        if self._message is None:
            self._message = event_message(self.event, self.cursor)
        return self._message


class Notice:
    """A message of the protocol that is not an event; it keeps its place in one client's queue."""

    __slots__ = ("message",)

    def __init__(self, message: dict[str, Any]) -> None:
        self.message = message


Item = Hint | Notice


class Client:
    """One client of a live channel.

    Args:
        client_id: Its connection id.
        room_id: The room whose events it gets; None for every room of the channel.
        send: Makes the coroutine that brings one item to the client.
        dropped: Called once, with a code, when the channel lets the client go.
        patience: How many sends in a row may fail before that.

    Attributes:
        queue: What waits to be sent.
        listed: Whether it stands in the channel's list of clients with something to send.
        busy: Whether somebody is sending from its queue.
        held: Whether its own task is the only one that sends for now.
        failures: How many sends in a row have failed.
    """

    __slots__ = ("busy", "dropped", "failures", "held", "id", "listed", "patience", "queue", "room_id", "send")

    def __init__(
        self,
        client_id: str,
        room_id: str | None,
        send: Callable[[Item], Sending],
        dropped: Callable[[str], None],
        *,
        patience: int = 1,
    ) -> None:
        self.id = client_id
        self.room_id = room_id
        self.send = send
        self.dropped = dropped
        self.patience = patience
        self.queue: deque[Item] = deque()
        self.listed = False
        self.busy = False
        self.held = False
        self.failures = 0
