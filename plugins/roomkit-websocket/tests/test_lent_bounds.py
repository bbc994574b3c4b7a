"""Sends of a caller that drains for its own message: they are limited in the cancel scope of that message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from anyio import CancelScope, Event, fail_after, move_on_after, sleep
from anyio.lowlevel import checkpoint

from roomkit_core import InboundMessage, RoomEvent, RoomKit, TextContent
from roomkit_websocket.channel import WebSocketChannel

SendFn = Callable[[str, RoomEvent], Awaitable[None]]


class Reader:
    """A client that reads at once."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.has_read = Event()

    async def __call__(self, connection_id: str, event: RoomEvent) -> None:
        self.got.append(event.index)
        self.has_read.set()


@asynccontextmanager
async def room_with(*senders: SendFn, send_timeout: float = 5.0) -> AsyncIterator[tuple[RoomKit, WebSocketChannel]]:
    """A kit with one room and one channel in it, with a client for each of ``senders``."""
    async with RoomKit() as kit:
        channel = WebSocketChannel("ws", send_timeout=send_timeout)
        kit.register_channel(channel)
        await kit.create_room("room")
        await kit.attach_channel("room", "ws")
        for number, send in enumerate(senders):
            channel.register_connection(str(number), send, room_id="room")  # type: ignore[arg-type]
        with fail_after(10):
            yield kit, channel


def hello() -> InboundMessage:
    return InboundMessage(channel_id="ws", sender_id="ann", content=TextContent(body="hello"))


async def forever(connection_id: str, event: RoomEvent) -> None:
    with CancelScope():  # a scope of its own, which has to close inside that of the message
        await Event().wait()


async def test_a_late_send_drops_its_client_and_the_call_goes_on() -> None:
    reader = Reader()
    async with room_with(forever, reader, send_timeout=0.05) as (kit, channel):
        first = await kit.process_inbound(hello(), room_id="room")
        second = await kit.process_inbound(hello(), room_id="room")

        assert not first.blocked
        assert (first.delivery_results["ws"].clients, second.delivery_results["ws"].clients) == (2, 1)
        assert reader.got == [1, 2]
        assert channel.info["dropped_count"] == 1


async def test_a_send_that_swallows_its_cancellation_drops_its_client_too() -> None:
    async def stubborn(connection_id: str, event: RoomEvent) -> None:
        with move_on_after(5):
            try:
                await Event().wait()
            except BaseException:
                return

    async with room_with(stubborn, send_timeout=0.05) as (kit, channel):
        await kit.process_inbound(hello(), room_id="room")
        assert channel.connection_count == 0


async def test_what_a_send_shields_is_not_cut_off() -> None:
    ended: list[str] = []

    async def tidy(connection_id: str, event: RoomEvent) -> None:
        try:
            await Event().wait()
        finally:
            with CancelScope(shield=True):
                await sleep(0.01)
                ended.append("tidied up")

    async with room_with(tidy, send_timeout=0.05) as (kit, channel):
        await kit.process_inbound(hello(), room_id="room")
        assert ended == ["tidied up"]
        assert channel.connection_count == 0


async def test_a_send_that_fails_after_it_waited_is_a_failed_send(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(connection_id: str, event: RoomEvent) -> None:
        await checkpoint()
        raise OSError("gone")

    async with room_with(broken) as (kit, channel):
        for left in (1, 1, 0):
            await kit.process_inbound(hello(), room_id="room")
            assert channel.connection_count == left
    assert "OSError: gone" in caplog.text


async def test_the_time_of_a_send_ends_with_it() -> None:
    async def quick(connection_id: str, event: RoomEvent) -> None:
        await checkpoint()

    answered = Event()

    async def answer(event: Any, context: Any) -> None:
        await sleep(0.15)
        answered.set()

    async with room_with(quick, send_timeout=0.05) as (kit, channel):
        kit.hook("after_broadcast", "async")(answer)
        await kit.process_inbound(hello(), room_id="room")  # waits for the observer, longer than a send may take
        assert answered.is_set()
        assert channel.connection_count == 1


async def test_a_caller_that_is_cancelled_in_a_send_leaves_it_to_the_kit() -> None:
    reader = Reader()
    waiting = Event()

    async def slow_at_first(connection_id: str, event: RoomEvent) -> None:
        if not waiting.is_set():
            waiting.set()
            scope.cancel()
            await Event().wait()
        await reader(connection_id, event)

    async with room_with(slow_at_first) as (kit, _):
        with CancelScope() as scope:
            await kit.process_inbound(hello(), room_id="room")
        assert scope.cancelled_caught
        await reader.has_read.wait()
        assert reader.got == [1]
