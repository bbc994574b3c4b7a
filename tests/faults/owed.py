"""A store file in which very much is owed, written in SQL: what a long outage of a provider leaves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from roomkit_core.builtin.sqlite.rows import INSERT, insert_values, pack_work
from roomkit_core.models.work import WorkKind, WorkRow


def owe(path: Path, *, room_id: str, event_id: str, channel_id: str, lanes: int, rows: int, now: int) -> None:
    """Add deliveries of one event: so many rows in all, in so many lanes, due since ``now`` and never expiring.

    Args:
        path: The file of a store that is closed.
        room_id: The room.
        event_id: The event.
        channel_id: To whom it is owed.
        lanes: How many lanes.
        rows: How many rows, the same number in each lane.
        now: The present moment of the store, in microseconds.
    """
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("BEGIN")
        (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM work").fetchone()
        db.executemany(INSERT, _values(last, room_id, event_id, channel_id, lanes, rows, now))
        db.execute("COMMIT")
    finally:
        db.close()


def _values(
    last: int, room_id: str, event_id: str, channel_id: str, lanes: int, rows: int, now: int
) -> Iterator[tuple[Any, ...]]:
    for number in range(rows):
        is_head = number < lanes
        row = WorkRow(
            id=f"owed-{number}",
            kind=WorkKind.DELIVERY,
            channel_id=channel_id,
            lane=(room_id, channel_id, f"route-{number % lanes}"),
            room_id=room_id,
            event_id=event_id,
            payload=(("text", f"number {number}", None),),
            provider_key=f"owed-{number}",
            seq=last + number + 1,
            due=now if is_head else None,
            created_at=now,
        )
        (packed,) = pack_work((row,))
        yield insert_values(packed, row, row.due)
