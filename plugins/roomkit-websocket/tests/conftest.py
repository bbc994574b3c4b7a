"""What the tests of the WebSocket channel share: events without an engine, and peers on real sockets with one."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from anyio import fail_after
from websockets.asyncio.client import ClientConnection, connect

from roomkit_core import RoomKit
from roomkit_core.background import Background
from roomkit_core.models.content import TextContent
from roomkit_core.models.event import EventSource, RoomEvent
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.room import Cursor
from roomkit_websocket.app import WebSocketApp
from roomkit_websocket.channel import WebSocketChannel

Committed = tuple[RoomEvent, Cursor]


@pytest.fixture
def committed() -> Callable[..., Committed]:
    """``committed(index, room_id="room")``: an event as the engine hints it, with its cursor."""

    def make(index: int, room_id: str = "room", **fields: Any) -> Committed:
        given = {
            "id": f"{room_id}-{index}",
            "room_id": room_id,
            "index": index,
            "source": EventSource(channel_id="ws", channel_type=ChannelType.WEBSOCKET, participant_id="ann"),
            "content": TextContent(body=f"text {index}"),
        }
        return RoomEvent(**{**given, **fields}), Cursor("epoch", index)

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


class Peer:
    """A client on a real socket, and all that it was told."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[dict[str, Any]] = []

    async def put(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def next(self, *types: str) -> dict[str, Any]:
        """The next message of one of these types (or of any); what is skipped is in ``heard``."""
        with fail_after(10):
            while True:
                message = json.loads(await self.connection.recv())
                self.heard.append(message)
                if not types or message["type"] in types:
                    return message

    async def join(self, who: str = "ann", room: str = "room", **fields: Any) -> dict[str, Any]:
        """Come in and catch up; the welcome."""
        await self.put(type="join", room=room, client=f"{who}-has-a-secret-of-their-own", name=who, **fields)
        welcome = await self.next("welcome", "error")
        while welcome["type"] == "welcome" and (await self.next("cursor"))["more"]:
            pass
        return welcome

    async def say(self, message_id: str, text: str) -> dict[str, Any]:
        """Send a text; the answer to it."""
        await self.put(type="send", id=message_id, text=text)
        while True:
            answer = await self.next("ack", "error")
            if answer.get("id") == message_id:
                return answer

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait for the end of the connection; its close code and reason."""
        with fail_after(10):
            await self.connection.wait_closed()
        return self.connection.close_code, self.connection.close_reason

    def cut(self) -> None:
        """Lose the connection, as when somebody pulls the cable."""
        self.connection.transport.abort()

    @property
    def events(self) -> list[tuple[int, str]]:
        """(index, text) of the events it was told."""
        return [
            (message["event"]["index"], message["event"]["content"].get("body"))
            for message in self.heard
            if message["type"] == "event"
        ]


@pytest.fixture
async def kit() -> AsyncIterator[RoomKit]:
    """A kit with the channels ``web`` and ``desk``, both attached to ``room``."""
    async with RoomKit() as kit:
        kit.register_channel(WebSocketChannel("web"))
        kit.register_channel(WebSocketChannel("desk"))
        await kit.create_room("room")
        await kit.attach_channel("room", "web")
        await kit.attach_channel("room", "desk")
        yield kit


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[WebSocketApp], Awaitable[Callable[..., Awaitable[Peer]]]]]:
    """Makes an application listen on a free port, and gives what connects peers to it."""
    async with AsyncExitStack() as stack:

        async def start(app: WebSocketApp) -> Callable[..., Awaitable[Peer]]:
            listener = socket.create_server(("127.0.0.1", 0))
            config = uvicorn.Config(
                app, lifespan="off", log_config=None, ws_max_size=2**20, timeout_graceful_shutdown=1
            )
            server = uvicorn.Server(config)
            task = asyncio.create_task(server._serve([listener]))

            async def stop() -> None:
                server.should_exit = True
                await task

            stack.push_async_callback(stop)
            url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"

            async def call(**options: Any) -> Peer:
                connection = connect(url, **{"compression": None, "ping_interval": None, "max_queue": None, **options})
                return Peer(await stack.enter_async_context(connection))

            return call

        yield start


@pytest.fixture
async def call(kit: RoomKit, serve: Any) -> Callable[..., Awaitable[Peer]]:
    """Connects peers to the channel ``web`` of the kit."""
    web = kit.get_channel("web")
    assert isinstance(web, WebSocketChannel)
    caller: Callable[..., Awaitable[Peer]] = await serve(web.app(kit))
    return caller
