"""What the tests of the WebSocket channel share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import pytest

from roomkit_core.background import Background
from roomkit_core.models.content import TextContent
from roomkit_core.models.event import EventSource, RoomEvent
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.room import Cursor
from roomkit_websocket.channel import WebSocketChannel

Committed = tuple[RoomEvent, Cursor]


@pytest.fixture
def committed() -> Callable[..., Committed]:
    """``committed(index, room_id="room")``: an event as the engine hints it, with its cursor."""

    def make(index: int, room_id: str = "room", **fields: object) -> Committed:
        event = RoomEvent(
            id=f"{room_id}-{index}",
            room_id=room_id,
            index=index,
            source=EventSource(channel_id="ws", channel_type=ChannelType.WEBSOCKET, participant_id="ann"),
            content=TextContent(body=f"text {index}"),
            **fields,
        )
        return event, Cursor("epoch", index)

    return make


@pytest.fixture
async def channel() -> AsyncIterator[WebSocketChannel]:
    """A channel that was started by a kit of which there is only what runs its tasks."""
    background = Background()
    group = await background.open()
    channel = WebSocketChannel("ws", send_timeout=5.0, queue_size=8)
    await channel.start(SimpleNamespace(spawn=background.spawn))  # type: ignore[arg-type]
    yield channel
    await background.cancel()
    await background.close_group(group)
