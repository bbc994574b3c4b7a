"""Started kits whose rooms are in place, what is in a timeline afterwards, and whether all is at rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel

from roomkit_core import (
    Channel,
    ChannelCategory,
    ConversationStore,
    EventStatus,
    EventType,
    RoomEvent,
    RoomKit,
    TextContent,
    WorkFilter,
    WorkKind,
    WorkRow,
)
from tests.support.channels import text_of
from tests.support.still import StillClock

PATIENCE = 20.0
"""Seconds after which a test that hangs is ended; no test that passes comes near."""


@asynccontextmanager
async def kit_with(
    *channels: Channel,
    store: ConversationStore | None = None,
    rooms: Sequence[str] = ("room",),
    spare: Sequence[Channel] = (),
    **options: Any,
) -> AsyncIterator[RoomKit]:
    """A started kit; every room has every channel.

    Args:
        channels: Registered and attached; those that answer as INTELLIGENCE.
        store: As for the kit.
        rooms: Made if they do not exist; nothing is attached to those that do.
        spare: Registered and not attached.
        options: As for the kit. Its clock stands still unless it is given one.
    """
    options.setdefault("clock", StillClock())
    kit = RoomKit(store, **options)
    for channel in (*channels, *spare):
        kit.register_channel(channel)
    async with kit:
        for room_id in rooms:
            if not await kit.store.room_exists(room_id):
                await kit.create_room(room_id)
                for channel in channels:
                    await attach(kit, room_id, channel)
        yield kit


async def attach(kit: RoomKit, room_id: str, channel: Channel) -> None:
    """Attach a channel, as INTELLIGENCE if it answers."""
    answers = type(channel).on_event is not Channel.on_event
    category = ChannelCategory.INTELLIGENCE if answers else ChannelCategory.TRANSPORT
    await kit.attach_channel(room_id, channel.channel_id, category)


async def say(kit: RoomKit, text: str, *, room_id: str = "room", channel_id: str = "bot", **options: Any) -> RoomEvent:
    """``send_event`` with a text."""
    return await kit.send_event(room_id, channel_id, TextContent(body=text), **options)


async def timeline(kit: RoomKit, room_id: str = "room") -> list[RoomEvent]:
    """Everything that is stored, checked to have no gap."""
    events = await kit.get_timeline(room_id, limit=1_000_000)
    assert [event.index for event in events] == list(range(len(events)))
    assert len({event.id for event in events}) == len(events)
    return events


async def messages(kit: RoomKit, room_id: str = "room") -> list[RoomEvent]:
    """The messages in the timeline."""
    return [event for event in await timeline(kit, room_id) if event.type == EventType.MESSAGE]


async def texts(kit: RoomKit, room_id: str = "room", *, blocked: bool = True) -> list[str]:
    """The texts of the messages in the timeline, ``blocked`` ones included or left out."""
    return [
        text_of(event) for event in await messages(kit, room_id) if blocked or event.status is not EventStatus.BLOCKED
    ]


async def work(kit: RoomKit, kind: WorkKind | None = None, **fields: Any) -> list[WorkRow]:
    """All work rows in the order of their birth."""
    kinds = None if kind is None else frozenset({kind})
    found = await kit.store.list_work(WorkFilter(kinds=kinds, **fields), limit=1_000_000)
    return sorted(found, key=lambda row: row.seq)


async def check_at_rest(kit: RoomKit, *room_ids: str) -> None:
    """Nothing of the kit runs, and no room is held."""
    with anyio.fail_after(PATIENCE):
        await kit.idle()
    for room_id in room_ids or ("room",):
        take_at_once(kit, room_id)
    assert not kit._engine.ports.graph._holders


def take_at_once(kit: RoomKit, room_id: str) -> None:
    """Take and leave the lock of a room, which must be free."""

    async def take() -> None:
        async with kit.lock_manager.locked(room_id):
            pass

    run_without_waiting(take())


def run_without_waiting(steps: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that must not suspend."""
    try:
        steps.send(None)
    except StopIteration:
        return
    steps.close()
    raise AssertionError("it had to wait")


async def wait_for(condition: Callable[[], object]) -> None:
    """Let the others run until ``condition()`` is true."""
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.lowlevel.checkpoint()
