"""Reads of rooms and their timelines: each of them one statement, and so one consistent moment.

What can be many comes as one JSON array: SQLite makes it without the interpreter's lock, while row after row would ask
for the lock at each.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any, NamedTuple, TypeVar

from roomkit_core.builtin.memory.rooms import unpack_binding
from roomkit_core.builtin.sqlite.rooms import EVENT_COLUMNS
from roomkit_core.interfaces.store import RoomSnapshot
from roomkit_core.models.base import evolve
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.packing import Packed, unpack_event
from roomkit_core.models.participant import Participant
from roomkit_core.models.room import Cursor, Room, Version
from roomkit_core.models.task import Observation, Task
from roomkit_core.models.time import from_microseconds

Reader = sqlite3.Connection
Model = TypeVar("Model", Task, Observation)

_ROOM = "r.body, h.updated, h.active, h.next_index"
_EVENTS = f"json_group_array(json_array({EVENT_COLUMNS}))"
_SNAPSHOT = f"""SELECT h.epoch, h.commit_id, {_ROOM},
    (SELECT json_group_array(json_array(channel_id, body, capabilities))
        FROM (SELECT * FROM bindings WHERE room_id = :room ORDER BY place)),
    (SELECT json_group_array(json_array(participant_id, body))
        FROM (SELECT * FROM participants WHERE room_id = :room ORDER BY place)),
    (SELECT {_EVENTS}
        FROM (SELECT * FROM events WHERE room_id = :room AND place >= h.next_index - :tail ORDER BY place))
    FROM heads h JOIN rooms r ON r.room_id = h.room_id WHERE h.room_id = :room"""
_TIMELINE = f"""SELECT h.epoch, h.next_index, (SELECT {_EVENTS} FROM (
        SELECT * FROM events WHERE room_id = :room AND place > :after ORDER BY place LIMIT :limit
    )) FROM heads h WHERE h.room_id = :room"""
_HEADS = """SELECT json_group_array(json_array(room_id, epoch, next_index)) FROM heads
    WHERE room_id IN (SELECT value FROM json_each(?))"""


def load_room(db: Reader, room_id: str, tail: int) -> RoomSnapshot | None:
    found = db.execute(_SNAPSHOT, {"room": room_id, "tail": max(tail, 0)}).fetchone()
    if found is None:
        return None
    epoch, commit_id, body, updated, active, next_index, bindings, participants, events = found
    return RoomSnapshot(
        Version(epoch, commit_id),
        room_of(body, updated, active, next_index),
        {
            channel_id: unpack_binding((text, capabilities, "", ()))
            for channel_id, text, capabilities in json.loads(bindings)
        },
        {name: Participant.model_validate_json(text) for name, text in json.loads(participants)},
        next_index,
        packed_events(events),
    )


def timeline(db: Reader, room_id: str, after: int, limit: int) -> tuple[Cursor, list[Packed]] | None:
    found = db.execute(_TIMELINE, {"room": room_id, "after": after, "limit": max(limit, 0)}).fetchone()
    if found is None:
        return None
    epoch, next_index, events = found
    return Cursor(epoch, next_index - 1), packed_events(events)


def heads(db: Reader, room_ids: list[str]) -> dict[str, Cursor]:
    (found,) = db.execute(_HEADS, (json.dumps(room_ids),)).fetchone()
    return {room_id: Cursor(epoch, next_index - 1) for room_id, epoch, next_index in json.loads(found)}


def event(db: Reader, event_id: str) -> RoomEvent | None:
    found = db.execute(f"SELECT {EVENT_COLUMNS} FROM events WHERE id = ?", (event_id,)).fetchone()
    return None if found is None else unpack_event(found)


class EventPage(NamedTuple):
    """Which events to read: with an index above ``after`` and below ``before``, ``limit`` of them after ``offset``.

    ``backwards`` counts from the end; the page is ascending all the same.
    """

    room_id: str
    offset: int
    limit: int
    visibility: str | None
    after: int | None
    before: int | None
    backwards: bool


def event_page(db: Reader, page: EventPage) -> list[Packed]:
    room_id, offset, limit, visibility, after, before, backwards = page
    first, order = after, "DESC" if backwards else ""
    offset, limit = max(offset, 0), max(limit, 0)
    if visibility is None and after is None and before is None:
        # No need to walk over what is skipped: places have no gaps.
        found = db.execute("SELECT next_index FROM heads WHERE room_id = ?", (room_id,)).fetchone()
        end = 0 if found is None else found[0]
        first, before, offset = (None, end - offset, 0) if backwards else (offset - 1, None, 0)
    where, values = ["room_id = ?"], [room_id]
    for condition, value in (("place > ?", first), ("place < ?", before), ("visibility = ?", visibility)):
        if value is not None:
            where.append(condition)
            values.append(value)  # type: ignore[arg-type]  # bound, whatever its type
    (found_events,) = db.execute(
        f"""SELECT {_EVENTS} FROM (
            SELECT * FROM events WHERE {" AND ".join(where)} ORDER BY place {order} LIMIT ? OFFSET ?
        )""",
        (*values, limit, offset),
    ).fetchone()
    events = packed_events(found_events)
    return events[::-1] if backwards else events


def tasks(db: Reader, room_id: str) -> list[Task]:
    return _notes(db, "tasks", Task, room_id)


def observations(db: Reader, room_id: str) -> list[Observation]:
    return _notes(db, "observations", Observation, room_id)


def _notes(db: Reader, table: str, model: type[Model], room_id: str) -> list[Model]:
    (found,) = db.execute(
        f"SELECT json_group_array(body) FROM (SELECT body FROM {table} WHERE room_id = ? ORDER BY created, id)",
        (room_id,),
    ).fetchone()
    return [model.model_validate_json(text) for text in json.loads(found)]


def room_of(body: str, updated: int, active: int | None, next_index: int) -> Room:
    """The room with its counters."""
    room = Room.model_validate_json(body)
    return evolve(
        room,
        updated_at=from_microseconds(updated),
        timers=evolve(room.timers, last_activity_at=None if active is None else from_microseconds(active)),
        event_count=next_index,
        latest_index=max(next_index - 1, 0),
    )


def packed_events(text: str) -> list[Packed]:
    """A page that SQLite has made, as packed events."""
    return [tuple(entry) for entry in json.loads(text)]


def array(db: Reader, statement: str, *values: Any) -> list[Any]:
    """What a statement finds that makes one JSON array of it."""
    (found,) = db.execute(statement, values).fetchone()
    rows: list[Any] = json.loads(found)
    return rows
