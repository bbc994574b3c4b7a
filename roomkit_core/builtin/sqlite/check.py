"""Whether a store file is sound: what SQLite can tell, and what only the store knows must hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import NamedTuple

from roomkit_core.builtin.sqlite.connection import connect
from roomkit_core.builtin.sqlite.errors import translated
from roomkit_core.builtin.sqlite.migrations import pending

_OF_ROOMS = ("events", "bindings", "participants", "people", "conversations", "markers", "tasks", "observations")
_OF_ROWS = ("work_names", "attempts")


class _Rule(NamedTuple):
    broken: str
    found_by: str


_RULES = (
    _Rule("rooms without a head", "SELECT room_id FROM rooms WHERE room_id NOT IN (SELECT room_id FROM heads)"),
    _Rule("heads without a room", "SELECT room_id FROM heads WHERE room_id NOT IN (SELECT room_id FROM rooms)"),
    _Rule(
        "rooms whose counter of events is wrong",
        """SELECT h.room_id FROM heads h LEFT JOIN (
            SELECT room_id, count(*) AS events, max(place) AS last FROM events GROUP BY room_id
        ) e ON e.room_id = h.room_id
        WHERE h.next_index <> coalesce(e.events, 0) OR h.next_index <> coalesce(e.last, -1) + 1""",
    ),
    _Rule(
        "rows that are open and settled at once, or neither",
        """SELECT id FROM work WHERE (settled_at IS NULL) <> (state IN ('pending', 'in_flight', 'unknown'))""",
    ),
    _Rule(
        "settled rows that could be claimed", "SELECT id FROM work WHERE settled_at IS NOT NULL AND ready IS NOT NULL"
    ),
    _Rule("rows in flight without a lease", "SELECT id FROM work WHERE state = 'in_flight' AND lease_until IS NULL"),
    _Rule(
        "rows that are worked on, or could be, behind the head of their lane",
        """SELECT id FROM work w WHERE settled_at IS NULL AND lane IS NOT NULL
        AND (ready IS NOT NULL OR state <> 'pending') AND EXISTS (
            SELECT 1 FROM work o WHERE o.lane = w.lane AND o.settled_at IS NULL AND o.seq < w.seq
        )""",
    ),
    _Rule(
        "heads of lanes that wait for a time and cannot be claimed at it",
        """SELECT id FROM work w WHERE settled_at IS NULL AND ready IS NULL
        AND (due IS NOT NULL OR state = 'in_flight') AND (lane IS NULL OR NOT EXISTS (
            SELECT 1 FROM work o WHERE o.lane = w.lane AND o.settled_at IS NULL AND o.seq < w.seq
        ))""",
    ),
    *(
        _Rule(
            f"entries of {table} that belong to no room",
            f"SELECT DISTINCT room_id FROM {table} WHERE room_id NOT IN (SELECT room_id FROM heads)",
        )
        for table in _OF_ROOMS
    ),
    *(
        _Rule(
            f"entries of {table} that belong to no row",
            f"SELECT DISTINCT row_id FROM {table} WHERE row_id NOT IN (SELECT id FROM work)",
        )
        for table in _OF_ROWS
    ),
)


def check(path: str) -> list[str]:
    """What is wrong with a store file, in words; empty for a sound one. Reads all of it, also beside its owner.

    Raises:
        StoreError: It cannot be read, or is no store of this release.
    """
    with closing(connect(path, writes=False)) as db:
        try:
            pending(db, path)
            db.execute("BEGIN")  # one moment for all rules
            return _damage(db) or [line for rule in _RULES if (line := _broken(db, rule))]
        except sqlite3.Error as error:
            raise translated(error, f"cannot check {path}") from error


def _damage(db: sqlite3.Connection) -> list[str]:
    """What SQLite finds; it gives up where it cannot make sense of a page any more."""
    found = []
    try:
        for (text,) in db.execute("PRAGMA integrity_check"):
            found.append(text)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        found.append(str(error))
    return [] if found == ["ok"] else found


def _broken(db: sqlite3.Connection, rule: _Rule) -> str:
    found = [name for (name,) in db.execute(rule.found_by)]
    return f"{len(found)} {rule.broken}, {found[0]!r} for one" if found else ""
