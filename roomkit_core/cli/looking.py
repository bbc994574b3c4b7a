"""Commands that only look: ``why``, ``rooms``, ``timeline``."""

from __future__ import annotations

from typing import Annotated

import typer

from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.cli.output import print_json, print_table
from roomkit_core.cli.session import DEFAULT_STORE, AsJson, StorePath, beside, command
from roomkit_core.engine.verbs.desk import Desk
from roomkit_core.errors import RoomNotFoundError
from roomkit_core.interfaces.channel import Channel
from roomkit_core.models.enums import RoomStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.room import Room
from roomkit_core.models.story import Story


@command
def why(
    name: Annotated[
        str, typer.Argument(metavar="ID", help="Of an event, a row, a provider's message, a key, a chain.")
    ],
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Tell the story behind an id: what happened, how it stands, why, and what to do."""

    async def ask(opened: SQLiteStore, desk: Desk) -> Story:
        return await desk.why(name)

    story = beside(store, "reader", ask)
    if as_json:
        print_json({**story.model_dump(mode="json"), "cause": story.cause, "hint": story.hint})
    else:
        typer.echo(str(story))


@command
def rooms(
    status: Annotated[RoomStatus | None, typer.Option(help="Only rooms of this status.")] = None,
    organization: Annotated[str | None, typer.Option(help="Only rooms of this organization.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    offset: Annotated[int, typer.Option(min=0, help="How many to skip.")] = 0,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """List rooms, oldest first."""

    async def find(opened: SQLiteStore, desk: Desk) -> list[Room]:
        return await opened.find_rooms(organization, status, limit=limit, offset=offset)

    found = beside(store, "reader", find)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "status", "events", "created", "last activity"),
        ((room.id, room.status, room.event_count, room.created_at, room.timers.last_activity_at) for room in found),
    )


@command
def timeline(
    room_id: Annotated[str, typer.Argument(metavar="ROOM", help="The room.")],
    after: Annotated[
        int | None, typer.Option(min=-1, help="Only events with a higher index; the newest if omitted.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Show a room's timeline, ascending: everything that is stored, blocked and bookkeeping events included."""

    async def read(opened: SQLiteStore, desk: Desk) -> list[RoomEvent]:
        if not await opened.room_exists(room_id):
            raise RoomNotFoundError(f"room {room_id!r} does not exist")
        return await opened.list_events(room_id, limit=limit, after_index=after, newest_first=after is None)

    events = beside(store, "reader", read)
    if as_json:
        print_json(events)
        return
    print_table(
        ("#", "at", "type", "channel", "who", "status", "text", "id"),
        (
            (
                event.index,
                event.created_at,
                event.type,
                event.source.channel_id,
                event.source.participant_id,
                f"{event.status} by {event.blocked_by}" if event.blocked_by else event.status,
                Channel.extract_text(event) or f"({event.content.type})",
                event.id,
            )
            for event in events
        ),
    )
