"""What is known about a case: its history, and what the file says."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from roomkit_core import WorkRow
from roomkit_core.builtin.sqlite.rows import COLUMNS, unpack_row
from tests.faults.history import History

Line = dict[str, Any]


class Event(NamedTuple):
    """A stored event, as far as it is judged."""

    id: str
    room: str
    index: int
    status: str
    text: str
    type: str
    key: str | None
    metadata: dict[str, Any]


class Case(NamedTuple):
    """Everything that is known about a case when it is over."""

    history: list[Line]
    events: dict[str, Event]
    rows: dict[str, WorkRow]
    rooms: dict[str, int]

    def lines(self, *kinds: str) -> list[Line]:
        return [line for line in self.history if line["kind"] in kinds]


def read_case(folder: Path) -> Case:
    """What is in the history and in the file."""
    db = sqlite3.connect(f"file:{folder / 'rooms.db'}?mode=ro", uri=True)
    try:
        found = db.execute(
            "SELECT id, room_id, place, status, body, type, idempotency_key, metadata FROM events ORDER BY place"
        )
        events = {e[0]: Event(*e[:7], json.loads(e[7] or "{}")) for e in found}
        rows = [unpack_row(columns) for columns in db.execute(f"SELECT {COLUMNS} FROM work ORDER BY seq")]
        rooms = dict(db.execute("SELECT room_id, next_index FROM heads"))
    finally:
        db.close()
    return Case(History(folder / "history").read(), events, {row.id: row for row in rows}, rooms)
