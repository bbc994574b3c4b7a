"""Channels for tests: a durable one with switches for what can go wrong, a live one, and one that answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from roomkit_core import (
    Channel,
    ChannelBinding,
    ChannelOutput,
    ChannelType,
    Cursor,
    Delivery,
    EventSource,
    InboundMessage,
    Receipt,
    RoomContext,
    RoomEvent,
    TextContent,
)


class ScriptedChannel(Channel):
    """A durable channel: every send is a real work row, and what the "provider" does is set by ``behave``.

    ``sent`` is the provider's log: each request that reached it, in order of arrival, also one whose reply was lost.

    Behaviours: ``send`` (takes it), ``fail`` (refuses for good), ``later`` (refuses for now), ``raise`` (raises before
    anything is sent), ``lose`` (takes it, and the reply is lost), ``hang`` (takes it and never answers), ``wait``
    (takes it when :attr:`gate` is set). A callable decides for each delivery.
    """

    channel_type = ChannelType("scripted")
    failure_threshold = 1_000_000  # the breaker has tests of its own

    def __init__(self, channel_id: str = "scripted", behave: str | Callable[[Delivery], str] = "send") -> None:
        super().__init__(channel_id)
        self.behave = behave
        self.sent: list[Delivery] = []
        self.started = 0
        self.running = 0
        self.most_running = 0
        self.gate = anyio.Event()
        self.called = anyio.Event()

    @property
    def texts(self) -> list[str]:
        """The texts that reached the provider."""
        return [delivery.parts[0].body for delivery in self.sent]

    async def send(self, delivery: Delivery) -> Receipt:
        behaviour = self.behave if isinstance(self.behave, str) else self.behave(delivery)
        self.started += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.called.set()
        try:
            return await self._send(behaviour, delivery)
        finally:
            self.running -= 1

    async def _send(self, behaviour: str, delivery: Delivery) -> Receipt:
        if behaviour == "fail":
            return Receipt.failed("provider.refused", "no such number")
        if behaviour == "later":
            return Receipt.failed("provider.busy", "come back later", retryable=True, retry_after=30)
        if behaviour == "raise":
            raise RuntimeError("the channel broke")
        if behaviour == "wait":
            await self.gate.wait()
        self.sent.append(delivery)
        if behaviour == "hang":
            await anyio.sleep_forever()
        if behaviour == "lose":
            raise ConnectionResetError("the reply was lost")
        return Receipt.sent(f"{self.channel_id}-{len(self.sent)}")


class LiveProbe(Channel):
    """A live channel with one client in every room: ``seen`` is what was hinted, ``got`` what was drained."""

    channel_type = ChannelType.WEBSOCKET
    live = True

    def __init__(self, channel_id: str = "live") -> None:
        super().__init__(channel_id)
        self.seen: list[tuple[RoomEvent, Cursor]] = []
        self.waiting: list[RoomEvent] = []
        self.got: list[RoomEvent] = []
        self.slow: Callable[[], Awaitable[Any]] | None = None

    def conversation_key(self, message: InboundMessage) -> str | None:
        return None

    def on_hint(self, room_id: str, event: RoomEvent, cursor: Cursor) -> int:
        self.seen.append((event, cursor))
        self.waiting.append(event)
        return 1

    async def drain(self) -> None:
        if self.slow is not None:
            await self.slow()
        self.got += self.waiting
        self.waiting.clear()


class Answering(Channel):
    """A channel that answers: ``reply`` makes the texts of the answer; by default it echoes."""

    channel_type = ChannelType.AI

    def __init__(self, channel_id: str = "ai", reply: Callable[[RoomEvent], Any] | None = None) -> None:
        super().__init__(channel_id)
        self.reply = reply or (lambda event: [f"echo {text_of(event)}"])
        self.asked: list[RoomEvent] = []

    async def on_event(self, event: RoomEvent, binding: ChannelBinding, context: RoomContext) -> ChannelOutput:
        self.asked.append(event)
        replies = self.reply(event)
        if hasattr(replies, "__await__"):
            replies = await replies
        events = [
            RoomEvent(
                room_id=event.room_id,
                source=EventSource(channel_id=self.channel_id, channel_type=self.channel_type),
                content=TextContent(body=text),
            )
            for text in replies
        ]
        return ChannelOutput(responded=bool(events), response_events=events)


def text_of(event: RoomEvent) -> str:
    """The text of an event."""
    return str(getattr(event.content, "body", ""))


def message(text: str = "hi", *, channel_id: str = "live", sender_id: str = "ann", **fields: Any) -> InboundMessage:
    """A text message."""
    return InboundMessage(channel_id=channel_id, sender_id=sender_id, content=TextContent(body=text), **fields)
