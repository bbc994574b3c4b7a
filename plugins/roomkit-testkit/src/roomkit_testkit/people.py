"""Somebody in a room of a test: a channel of their own, what they said, and what they heard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from roomkit_core import Channel, ChannelType, Cursor, EventType, InboundMessage, InboundResult, RoomEvent, TextContent

Say = Callable[[InboundMessage], Awaitable[InboundResult]]


class Person(Channel):
    """Somebody who says something and hears what the others say. :meth:`BotRoom.person` makes one.

    Args:
        name: Who it is; also the id of the channel.
        say: Brings a message in, and returns when everything is done that follows from it.
        note: Told of every message that reaches them.

    Attributes:
        events: Every message that reached them, their own included, in order.
    """

    channel_type = ChannelType("test_person")
    live = True

    def __init__(self, name: str, say: Say, note: Callable[[RoomEvent], None] | None = None) -> None:
        super().__init__(name)
        self.name = name
        self.events: list[RoomEvent] = []
        self._say = say
        self._note = note
        self._heard = 0

    def conversation_key(self, message: InboundMessage) -> str | None:
        """None: people name their room."""
        return None

    async def say(self, content: Any, **fields: Any) -> InboundResult:
        """Say something, and return when everything is done that follows from it: answers and durable hooks too.

        Args:
            content: A text, or any content.
            fields: Further fields of :class:`InboundMessage`, such as ``metadata``.

        Returns:
            What became of it; ``blocked`` with a ``reason`` if it was blocked.
        """
        if isinstance(content, str):
            content = TextContent(body=content)
        return await self._say(
            InboundMessage(channel_id=self.channel_id, sender_id=self.name, content=content, **fields)
        )

    def heard(self) -> list[str]:
        """What the others have said since this was asked last: the texts, in order."""
        new = self.events[self._heard :]
        self._heard = len(self.events)
        return [text_of(event) for event in new if event.source.channel_id != self.channel_id]

    def on_hint(self, room_id: str, event: RoomEvent, cursor: Cursor) -> int:
        """Keeps what is said."""
        if event.type == EventType.MESSAGE:
            self.events.append(event)
            if self._note is not None:
                self._note(event)
        return 1


def text_of(event: RoomEvent) -> str:
    """The text of an event; the kind of its content if it has none."""
    return Channel.extract_text(event) or f"[{event.content.type}]"
