"""Kits for tests: entered, with channels, and what a test asks of them again and again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from roomkit_core import Channel, ChannelCategory, EventType, RoomEvent, RoomKit, WorkFilter, WorkRow
from tests.support.channels import text_of
from tests.support.still import StillClock


@asynccontextmanager
async def open_kit(*channels: Channel, **options: Any) -> AsyncIterator[RoomKit]:
    """A running kit with these channels registered; ``options`` are those of :class:`RoomKit`.

    Its clock stands still unless it is given one.
    """
    options.setdefault("clock", StillClock())
    async with RoomKit(**options) as kit:
        for channel in channels:
            kit.register_channel(channel)
        yield kit


async def make_room(kit: RoomKit, room_id: str, *channels: str | Channel, ai: Iterable[str] = ("ai",)) -> str:
    """A room with these channels attached in this order; those named in ``ai`` as ones that are asked."""
    await kit.create_room(room_id)
    for channel in channels:
        channel_id = channel if isinstance(channel, str) else channel.channel_id
        category = ChannelCategory.INTELLIGENCE if channel_id in ai else ChannelCategory.TRANSPORT
        await kit.attach_channel(room_id, channel_id, category)
    return room_id


async def whole_timeline(kit: RoomKit, room_id: str) -> list[RoomEvent]:
    """Everything that is stored."""
    return await kit.get_timeline(room_id, limit=1_000_000)


async def messages_of(kit: RoomKit, room_id: str) -> list[RoomEvent]:
    """The messages of a room, without bookkeeping."""
    return [event for event in await whole_timeline(kit, room_id) if event.type == EventType.MESSAGE]


async def texts_of(kit: RoomKit, room_id: str) -> list[str]:
    """The texts of a room's messages."""
    return [text_of(event) for event in await messages_of(kit, room_id)]


async def rows_of(kit: RoomKit, room_id: str | None = None, channel_id: str | None = None) -> list[WorkRow]:
    """The work rows of a room or channel in the order of their birth."""
    rows = await kit.store.list_work(WorkFilter(room_id=room_id, channel_id=channel_id), limit=1_000_000)
    return sorted(rows, key=lambda row: row.seq)
