"""What the steps of a message cost by themselves, as far as a step can be called from outside.

The names are those of the budget in ``docs/explanation/hot-path.md``. Everything here goes through interfaces and
models, not through the engine, so that the engine may be rearranged without this file.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from benchmarks.workers.scenarios import RECEIVER, SENDER, TEXT, Side, Stage
from roomkit_core import InboundMessage, TextContent
from roomkit_core.background import Bounds
from roomkit_core.models.base import build, evolve
from roomkit_core.models.changes import ChangeSet, Committed
from roomkit_core.models.context import RoomContext
from roomkit_core.models.delivery import DeliveryResult
from roomkit_core.models.enums import DeliveryState, EventStatus, ReceiptRank
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.ids import new_id
from roomkit_core.models.message import InboundResult
from roomkit_core.models.packing import pack_event
from roomkit_core.models.room import Cursor, Version
from roomkit_core.models.time import utc_now

Piece = Callable[[int], Awaitable[None]]
"""Prepares that many passes when it is called, and makes them when what it returned is awaited."""

REPEATS = 9


async def run(side: Side, messages: int) -> dict[str, Any]:
    """Microseconds of the thread for each step and for the whole message, medians of several blocks of ``messages``."""
    async with Stage(side) as stage, Stage(side, hook=False) as bare:
        await stage.open_room("room")
        await bare.open_room("room")
        await stage.send("room", messages)
        await bare.send("room", messages)
        whole, without_hook = await _in_turn(messages, _whole(stage), _whole(bare))
        answer = {"whole": whole, "one hook": whole - without_hook}
        for name, piece in (await _pieces(stage)).items():
            answer[name] = (await _in_turn(messages, piece))[0]
        return answer


async def _in_turn(count: int, *pieces: Piece) -> list[float]:
    """Median thread time of one pass of each piece, in microseconds; the pieces take turns, block by block."""
    took: list[list[float]] = [[] for _ in pieces]
    for number in range(REPEATS + 1):
        for piece, blocks in zip(pieces, took, strict=True):
            passes = piece(count)
            began = time.thread_time()
            await passes
            if number:
                blocks.append((time.thread_time() - began) / count * 1e6)
    return [median(blocks) for blocks in took]


def _whole(stage: Stage) -> Piece:
    async def piece(count: int) -> None:
        await stage.send("room", count)

    return piece


async def _pieces(stage: Stage) -> dict[str, Piece]:
    kit = stage.kit
    room = await kit.get_room("room")
    context = RoomContext(room)
    channel = kit.channels[SENDER]
    message = InboundMessage(channel_id=SENDER, sender_id="ada", content=TextContent(body=TEXT))
    event: RoomEvent = await channel.handle_inbound(message, context)

    async def construct(count: int) -> None:
        for _ in range(count):
            InboundMessage(channel_id=SENDER, sender_id="ada", content=TextContent(body=TEXT))

    async def nothing() -> None:
        pass

    async def scope(count: int) -> None:
        for _ in range(count):
            await Bounds(30.0).run(nothing())

    async def handle(count: int) -> None:
        for _ in range(count):
            await channel.handle_inbound(message, context)

    async def lock(count: int) -> None:
        for _ in range(count):
            async with kit.lock_manager.locked("another room"):
                pass

    async def copies(count: int) -> None:
        for number in range(count):
            now = utc_now()
            evolve(event, index=number, status=EventStatus.DELIVERED)
            timers = evolve(room.timers, last_activity_at=now)
            evolve(room, timers=timers, updated_at=now, event_count=number, latest_index=number)

    async def result(count: int) -> None:
        for _ in range(count):
            build(
                DeliveryResult,
                {
                    "channel_id": RECEIVER,
                    "state": DeliveryState.LIVE,
                    "delivery_id": None,
                    "maybe_sent": False,
                    "receipt_rank": ReceiptRank.NONE,
                    "provider_message_id": None,
                    "error": None,
                    "retry_after": None,
                    "clients": 1,
                    "provider_result": None,
                    "routes": {},
                },
            )
            build(
                InboundResult,
                {"event": event, "blocked": False, "reason": None, "error": None, "delivery_results": {}},
            )

    return {
        "the caller's InboundMessage(TextContent)": construct,
        "one cancel scope": scope,
        "handle_inbound": handle,
        "room lock": lock,
        "event copies; room and timers copied": copies,
        "packing and commit in memory": await _commit(kit, event),
        "lane, delivery, result": _deliver([kit.channels[SENDER], kit.channels[RECEIVER]], event),
        "the result": result,
    }


async def _commit(kit: Any, event: RoomEvent) -> Piece:
    """Pack an event and commit it, in a room of its own; making the events is not measured."""
    await kit.create_room("ledger")
    snapshot = await kit.store.load_room("ledger")
    version: Version = snapshot.version
    index = snapshot.next_index

    async def commit(events: list[RoomEvent]) -> None:
        nonlocal version
        store = kit.store
        for each in events:
            changes = ChangeSet.__new__(ChangeSet)  # as the engine makes it
            changes.room_id, changes.commit_id, changes.expected = "ledger", new_id(), version
            changes.events, changes.packed, changes.is_plain = (each,), (pack_event(each),), True
            answer = store.submit(changes).answer
            if type(answer) is not Committed or answer.version is None:
                raise RuntimeError(f"the store answered {answer!r}")
            version = answer.version

    def piece(count: int) -> Awaitable[None]:
        nonlocal index
        events = [evolve(event, id=new_id(), room_id="ledger", index=index + number) for number in range(count)]
        index += count
        return commit(events)

    return piece


def _deliver(channels: list[Any], event: RoomEvent) -> Piece:
    """The hint to the connected client of each channel, and the queues drained by the caller, who lends its bounds."""

    async def piece(count: int) -> None:
        bounds = Bounds(30.0)
        await bounds.run(deliver(count, bounds))

    async def deliver(count: int, bounds: Bounds) -> None:
        for index in range(count):
            cursor = Cursor("epoch", index)
            for channel in channels:
                channel.on_hint("room", event, cursor)
            for channel in channels:
                rest = channel.drain_within(bounds)
                if rest is not None:
                    await rest

    return piece
