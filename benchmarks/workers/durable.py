"""Messages to a channel whose deliveries are owed: idempotency key, a row at birth, a send, a receipt."""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from benchmarks.workers.measuring import Meter
from benchmarks.workers.scenarios import RECEIVER, SENDER, TEXT
from roomkit_core import (
    Channel,
    ChannelType,
    Delivery,
    HookResult,
    HookTrigger,
    InboundMessage,
    Receipt,
    RoomKit,
    TextContent,
)


class Letters(Channel):
    """Takes everything at once and says so; what a provider takes is not ours to measure."""

    channel_type = ChannelType("letters")
    max_in_flight = 128

    def __init__(self, channel_id: str) -> None:
        super().__init__(channel_id)
        self.sent = 0

    async def send(self, delivery: Delivery) -> Receipt:
        self.sent += 1
        return Receipt.sent(delivery.key)


async def run(new_kit: Callable[[], RoomKit], rooms: int, messages: int, rounds: int) -> dict[str, Any]:
    """``messages`` in each of ``rooms`` new rooms of a new kit, all rooms at once, ``rounds`` times."""
    meter = Meter()
    for _ in range(rounds):
        gc.collect()
        await _round(new_kit(), rooms, messages, meter)
    return meter.report(rooms * messages * rounds)


async def _round(new: RoomKit, rooms: int, messages: int, meter: Meter) -> None:
    receiver = Letters(RECEIVER)
    async with new as kit:

        @kit.hook(HookTrigger.BEFORE_BROADCAST)
        async def allow(event: Any, context: Any) -> HookResult:
            return HookResult.allow()

        for channel in (Letters(SENDER), receiver):
            kit.register_channel(channel)
        names = [f"room-{number}" for number in range(rooms)]
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(open_room, kit, name)
        senders = [_sender(kit, name, messages) for name in names]
        with meter.running():
            async with anyio.create_task_group() as group:
                for sender in senders:
                    group.start_soon(sender)
        if receiver.sent != rooms * messages:
            raise RuntimeError(f"{rooms * messages} messages were sent and {receiver.sent} had been delivered")


async def open_room(kit: RoomKit, room_id: str) -> None:
    """A room with both channels attached."""
    await kit.create_room(room_id)
    for channel_id in (SENDER, RECEIVER):
        await kit.attach_channel(room_id, channel_id)


def _sender(kit: RoomKit, room_id: str, messages: int) -> Callable[[], Coroutine[Any, Any, None]]:
    async def send() -> None:
        for number in range(messages):
            message = InboundMessage(
                channel_id=SENDER,
                sender_id="ada",
                content=TextContent(body=TEXT),
                idempotency_key=f"{room_id}-{number}",
            )
            await kit.process_inbound(message, room_id=room_id)

    return send
