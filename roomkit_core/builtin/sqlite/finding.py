"""Finding rooms and rows of work by their properties, always by way of an index."""

from __future__ import annotations

import json
from typing import Any

from roomkit_core.builtin.memory.settled import RETRYABLE
from roomkit_core.builtin.sqlite.reads import Reader, room_of
from roomkit_core.builtin.sqlite.rows import JSON_ROW, pack_lane, unpack_row
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.room import Room
from roomkit_core.models.work import OPEN_STATES, Attempt, WorkRow, WorkState

_BATCH = 200
"""How many rooms are looked at at a time where SQLite cannot decide by itself which match."""

# ------------------------------------------------------------------------------------------------------------- rooms


def rooms(
    db: Reader,
    organization_id: str | None,
    status: str | None,
    metadata: dict[str, Any] | None,
    limit: int,
    offset: int,
) -> list[Room]:
    """Rooms that match, oldest first, the id breaking ties."""
    limit, offset = max(limit, 0), max(offset, 0)
    if not metadata:
        return _room_page(db, organization_id, status, limit, offset)
    found: list[Room] = []
    start = 0
    while len(found) < offset + limit:
        page = _room_page(db, organization_id, status, _BATCH, start)
        found += [room for room in page if _has(room.metadata, metadata)]
        start += len(page)
        if len(page) < _BATCH:
            break
    return found[offset : offset + limit]


def _has(metadata: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(key in metadata and metadata[key] == value for key, value in wanted.items())


def _room_page(db: Reader, organization_id: str | None, status: str | None, limit: int, offset: int) -> list[Room]:
    where, values = ["1"], []
    for column, value in (("organization_id", organization_id), ("status", status)):
        if value is not None:
            where.append(f"r.{column} = ?")
            values.append(value)
    (found,) = db.execute(
        f"""SELECT json_group_array(json_array(body, updated, active, next_index)) FROM (
            SELECT r.body, h.updated, h.active, h.next_index FROM rooms r JOIN heads h ON h.room_id = r.room_id
            WHERE {" AND ".join(where)} ORDER BY r.created, r.room_id LIMIT ? OFFSET ?
        )""",
        (*values, limit, offset),
    ).fetchone()
    return [room_of(*columns) for columns in json.loads(found)]


def latest_room(db: Reader, person: str, channel_type: str | None, status: str | None) -> Room | None:
    """The newest room in which the participant is, or to which a binding of theirs leads."""
    found = db.execute(
        """SELECT r.body, h.updated, h.active, h.next_index
        FROM people p JOIN rooms r ON r.room_id = p.room_id JOIN heads h ON h.room_id = p.room_id
        WHERE p.person = :person AND (p.via = '' OR :type IS NULL OR p.channel_type = :type)
        AND (:status IS NULL OR r.status = :status)
        ORDER BY p.created DESC, p.room_id DESC LIMIT 1""",
        {"person": person, "type": channel_type, "status": status},
    ).fetchone()
    return None if found is None else room_of(*found)


def rooms_of_channel(db: Reader, channel_id: str, status: str | None, limit: int) -> list[str]:
    """Rooms to which the channel is attached, oldest first."""
    found = db.execute(
        """SELECT b.room_id FROM bindings b JOIN rooms r ON r.room_id = b.room_id
        WHERE b.channel_id = :channel AND (:status IS NULL OR r.status = :status)
        ORDER BY b.created, b.room_id LIMIT :limit""",
        {"channel": channel_id, "status": status, "limit": max(limit, 0)},
    )
    return [room_id for (room_id,) in found]


# -------------------------------------------------------------------------------------------------------------- work


def work(db: Reader, where: WorkFilter, limit: int, after: str | None) -> list[WorkRow]:
    """Rows that match, ordered by id."""
    conditions, values = _conditions(where)
    if after is not None:
        conditions.append("id > ?")
        values.append(after)
    by_state = "INDEXED BY work_settled" if _is_by_bad_ends(where) else ""
    (found,) = db.execute(
        f"""SELECT json_group_array({JSON_ROW}) FROM (
            SELECT * FROM work {by_state} WHERE {" AND ".join(conditions or ["1"])} ORDER BY id LIMIT ?
        )""",
        (*values, max(limit, 0)),
    ).fetchone()
    return [unpack_row(columns) for columns in json.loads(found)]


def _conditions(where: WorkFilter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    for column, value in (
        ("id", where.row_id),
        ("retry_of", where.retry_of),
        ("event_id", where.event_id),
        ("correlation_id", where.correlation_id),
        ("room_id", where.room_id),
        ("channel_id", where.channel_id),
    ):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if where.lane is not None:
        lane = pack_lane(where.lane)
        conditions.append("lane IS NULL" if lane is None else "lane = ?")
        values += [] if lane is None else [lane]
    if where.name is not None:
        conditions.append(_NAMED)
        values += [where.name] * 4
    for column, members in (("state", where.states), ("kind", where.kinds)):
        if members is not None:
            conditions.append(f"{column} IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(sorted(map(str, members))))
    if where.states is not None and where.states <= OPEN_STATES:
        conditions.append("settled_at IS NULL")
    elif where.states is not None and where.states.isdisjoint(OPEN_STATES):
        conditions.append("settled_at IS NOT NULL")
    return conditions, values


def _is_by_bad_ends(where: WorkFilter) -> bool:
    """Whether rows are asked for by nothing but how they ended, and that badly.

    There are few of them: they are found by their states and sorted, rather than met among all others in order.
    """
    return where == WorkFilter(states=where.states, kinds=where.kinds, channel_id=where.channel_id) and bool(
        where.states and where.states <= RETRYABLE
    )


_NAMED = """id IN (
    SELECT id FROM work WHERE id = ? AND provider_key = id AND id <> '' UNION ALL
    SELECT row_id FROM work_names WHERE name = ? AND name <> '' UNION ALL
    SELECT id FROM work WHERE key_name = ? AND ? <> ''
)"""


def history(db: Reader, row_id: str) -> list[Attempt]:
    """The row's tenures that did not bring it to a good end, oldest first."""
    (found,) = db.execute(
        """SELECT json_group_array(json_array(row_id, token, attempt, owner, ended_at, state, code, reason, maybe_sent))
        FROM (SELECT * FROM attempts WHERE row_id = ? ORDER BY place)""",
        (row_id,),
    ).fetchone()
    return [
        Attempt(name, token, attempt, owner, ended_at, WorkState(state), code, reason, bool(maybe_sent))
        for name, token, attempt, owner, ended_at, state, code, reason, maybe_sent in json.loads(found)
    ]
