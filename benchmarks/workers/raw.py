"""The floor under a durable message: its SQL statements, with nothing around them.

They run on a file that a kit has made, with the values of a message that a kit has stored, so many rooms at a time in
one transaction.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from benchmarks.workers.files import Files
from benchmarks.workers.measuring import Meter
from benchmarks.workers.scenarios import Side, Stage
from roomkit_core.builtin.sqlite.connection import connect
from roomkit_core.builtin.sqlite.messages import APPEND
from roomkit_core.builtin.sqlite.rooms import EVENT_COLUMNS, INSERT_EVENT
from roomkit_core.models.packing import CREATED, ID, INDEX, ROOM

Rows = list[tuple[Any, ...]]


async def run(side: Side, files: Files, batch: int, batches: int) -> dict[str, Any]:
    """``batches`` transactions of ``batch`` messages, each in a room of its own."""
    async with Stage(side) as stage:
        for number in range(batch):
            await stage.open_room(f"room-{number}")
            await stage.send(f"room-{number}", 1)
    db = connect(files.newest, writes=True, synchronous=files.synchronous)
    try:
        statements = _values(db, batches)
        meter = Meter()
        with meter.running():
            for heads, events in statements:
                db.execute("BEGIN IMMEDIATE")
                db.execute("SAVEPOINT member")
                db.executemany(APPEND, heads)
                db.executemany(INSERT_EVENT, events)
                db.execute("RELEASE member")
                db.execute("COMMIT")
        (counted,) = db.execute("SELECT sum(next_index) FROM heads").fetchone()
        (stored,) = db.execute("SELECT count(*) FROM events").fetchone()
    finally:
        db.close()
    if not counted == stored >= batch * (batches + 1):
        raise RuntimeError(f"{batch * batches} messages were written; {stored} are there and {counted} are counted")
    return meter.report(batch * batches)


def _values(db: sqlite3.Connection, batches: int) -> list[tuple[Rows, Rows]]:
    """For each transaction the values of both statements: copies of what is stored, each at its next place."""
    rooms = db.execute("SELECT room_id, epoch, next_index FROM heads").fetchall()
    message = list(db.execute(f"SELECT {EVENT_COLUMNS} FROM events LIMIT 1").fetchone())
    commits: dict[str, str] = dict(db.execute("SELECT room_id, commit_id FROM heads"))
    made = []
    for number in range(batches):
        heads, events = [], []
        for room_id, epoch, following in rooms:
            index = following + number
            message[ID], message[ROOM], message[INDEX] = f"{message[ID][:20]}-{number:06}-{room_id}", room_id, index
            message[CREATED] += 1
            commit_id = f"{commits[room_id][:20]}-{number:06}"
            moment = message[CREATED]
            heads.append((commit_id, moment, moment, room_id, epoch, commits[room_id], index))
            events.append(tuple(message))
            commits[room_id] = commit_id
        made.append((heads, events))
    return made
