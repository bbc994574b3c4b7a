"""A terminal as a live channel: somebody types there, and reads what the others say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from roomkit_core.interfaces.channel import Channel
from roomkit_core.models.kinds import ChannelType

if TYPE_CHECKING:
    from roomkit_core.models.event import RoomEvent
    from roomkit_core.models.message import InboundMessage
    from roomkit_core.models.room import Cursor

Show = Callable[["RoomEvent"], None]
"""Shows an event to whoever sits there; it returns at once."""

MAX_WAITING = 1_000


class TerminalChannel(Channel):
    """People at a terminal; ``roomkit chat`` is one. Nothing is owed to it: it shows what is said while it listens."""

    channel_type = ChannelType.CLI
    live = True

    def __init__(self, channel_id: str = "terminal") -> None:
        super().__init__(channel_id)
        self._rooms: dict[str, Show] = {}
        self._waiting: deque[tuple[Show, RoomEvent]] = deque(maxlen=MAX_WAITING)

    def conversation_key(self, message: InboundMessage) -> str | None:
        """None: a terminal names its room."""
        return None

    def listen(self, room_id: str, show: Show) -> None:
        """Show what is said in a room from now on, in the place of whoever listened there before."""
        self._rooms[room_id] = show

    def leave(self, room_id: str) -> None:
        """Show nothing of a room any more."""
        self._rooms.pop(room_id, None)

    def on_hint(self, room_id: str, event: RoomEvent, cursor: Cursor) -> int:
        show = self._rooms.get(room_id)
        if show is None:
            return 0
        self._waiting.append((show, event))
        return 1

    async def drain(self) -> None:
        while self._waiting:
            show, event = self._waiting.popleft()
            show(event)
