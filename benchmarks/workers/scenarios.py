"""What both sides are asked to do, written once: their public names are the same, so the same lines run on both.

Two WebSocket channels with one connected client each, one hook that allows everything, one text message after another;
every call waits until the message is delivered, and that it was is checked.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from benchmarks.workers.measuring import Command, Meter

TEXT = "The parcel arrives on Thursday between two and four."
SENDER, RECEIVER = "desk", "phone"


@dataclass(frozen=True)
class Side:
    """The names of one package, and how its event loop runs functions side by side."""

    RoomKit: Any
    WebSocketChannel: Any
    InboundMessage: Any
    TextContent: Any
    HookTrigger: Any
    HookResult: Any
    together: Callable[[Sequence[Callable[[], Coroutine[Any, Any, None]]]], Coroutine[Any, Any, None]]


class Stage:
    """A kit with its two channels and its hook. Use as an async context manager."""

    def __init__(self, side: Side, *, hook: bool = True) -> None:
        self._side = side
        self.kit = side.RoomKit()
        self._channels = [side.WebSocketChannel(SENDER), side.WebSocketChannel(RECEIVER)]
        self.received = 0
        for channel in self._channels:
            self.kit.register_channel(channel)
        if hook:
            self.kit.hook(side.HookTrigger.BEFORE_BROADCAST)(self._allow)

    async def __aenter__(self) -> Stage:
        await self.kit.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.kit.__aexit__(*error)

    async def open_room(self, room_id: str) -> None:
        """A room with both channels attached and a client on each."""
        await self.kit.create_room(room_id)
        for channel, client in zip(self._channels, (self._ignore, self._count), strict=True):
            await self.kit.attach_channel(room_id, channel.channel_id)
            channel.register_connection(f"{channel.channel_id}-{room_id}", client, room_id=room_id)

    async def send(self, room_id: str, count: int) -> None:
        """Send ``count`` messages one after another, each made by the caller and each delivered before the next."""
        process, message, content = self.kit.process_inbound, self._side.InboundMessage, self._side.TextContent
        for _ in range(count):
            await process(
                message(channel_id=SENDER, sender_id="ada", content=content(body=TEXT)),
                room_id=room_id,
            )

    def check_received(self, count: int) -> None:
        """Raise unless the client of the other channel got exactly ``count`` events since the last check."""
        received, self.received = self.received, 0
        if received != count:
            raise RuntimeError(f"{count} messages were sent and {received} had been delivered when the calls returned")

    async def _allow(self, _event: Any, _context: Any) -> Any:
        return self._side.HookResult.allow()

    async def _count(self, _connection_id: str, _event: Any) -> None:
        self.received += 1

    async def _ignore(self, _connection_id: str, _event: Any) -> None:
        pass


def commands(side: Side, stack: AsyncExitStack) -> dict[str, Command]:
    """The commands that both workers know. ``stack`` keeps what outlives a command."""
    kept: list[Stage] = []
    numbers = count()

    async def fresh(messages: int, rounds: int) -> dict[str, Any]:
        """``messages`` one after another in a new room of a new kit, ``rounds`` times."""
        meter = Meter()
        for _ in range(rounds):
            gc.collect()  # what the kit before left is not this one's to clear
            async with Stage(side) as stage:
                await stage.open_room("room")
                with meter.running():
                    await stage.send("room", messages)
                stage.check_received(messages)
        return meter.report(messages * rounds)

    async def concurrent(rooms: int, messages: int, rounds: int) -> dict[str, Any]:
        """``messages`` in each of ``rooms`` new rooms of a new kit, all rooms at once, ``rounds`` times."""
        meter = Meter()
        for _ in range(rounds):
            gc.collect()
            async with Stage(side) as stage:
                names = [f"room-{number}" for number in range(rooms)]
                await side.together([partial(stage.open_room, name) for name in names])
                tasks = [_sender(stage, name, messages) for name in names]
                with meter.running():
                    await side.together(tasks)
                stage.check_received(rooms * messages)
        return meter.report(rooms * messages * rounds)

    async def crowd(senders: int, messages: int, rounds: int) -> dict[str, Any]:
        """``messages`` from each of ``senders``, all at once, in one new room of a new kit, ``rounds`` times."""
        meter = Meter()
        for _ in range(rounds):
            gc.collect()
            async with Stage(side) as stage:
                await stage.open_room("room")
                with meter.running():
                    await side.together([_sender(stage, "room", messages)] * senders)
                stage.check_received(senders * messages)
        return meter.report(senders * messages * rounds)

    async def prepare(events: int) -> dict[str, Any]:
        """Make a room of a kit that is kept, if there is none yet, and send ``events`` messages to it."""
        if not kept:
            kept.append(await stack.enter_async_context(Stage(side)))
            await kept[0].open_room("room")
        return await standing(events)

    async def standing(messages: int) -> dict[str, Any]:
        """``messages`` one after another in the room that ``prepare`` filled."""
        meter, stage = Meter(), kept[0]
        with meter.running():
            await stage.send("room", messages)
        stage.check_received(messages)
        return meter.report(messages)

    async def new_room(messages: int) -> dict[str, Any]:
        """``messages`` one after another in a new room of the kit that ``prepare`` made."""
        meter, stage = Meter(), kept[0]
        name = f"room-{next(numbers)}"
        await stage.open_room(name)
        with meter.running():
            await stage.send(name, messages)
        stage.check_received(messages)
        return meter.report(messages)

    return {
        "fresh": fresh,
        "concurrent": concurrent,
        "crowd": crowd,
        "prepare": prepare,
        "standing": standing,
        "new_room": new_room,
    }


def _sender(stage: Stage, room_id: str, messages: int) -> Callable[[], Coroutine[Any, Any, None]]:
    async def send() -> None:
        await stage.send(room_id, messages)

    return send
