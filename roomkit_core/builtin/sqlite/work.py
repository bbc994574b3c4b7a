"""What the transitions of work rows share: reading rows, letting a lane go on, noting a tenure, forgetting.

Rows are read, changed as :class:`WorkRow` and written back inside one transaction that nobody else can be in, so that
what was decided on what was read holds. ``ready`` is kept with each change: from when the row can be claimed, None for
a row that cannot. The rules are those of the in-memory store (PROTOCOL 1 and 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roomkit_core.builtin.sqlite.rows import COLUMNS, Values, unpack_row
from roomkit_core.builtin.sqlite.session import Session, as_list
from roomkit_core.models.work import WorkRow, WorkState

_HEAD = "SELECT seq FROM work WHERE lane = ? AND settled_at IS NULL ORDER BY seq LIMIT 1"

PROMOTE = """UPDATE work SET due = coalesce(due, ?), ready = coalesce(due, ?) WHERE seq = (
    SELECT seq FROM work WHERE lane = ? AND settled_at IS NULL ORDER BY seq LIMIT 1
)"""
"""Makes the head of a lane ready whose former head has ended; given the present moment, twice, and the lane."""

NOTE_ATTEMPT = """INSERT INTO attempts (row_id, token, attempt, owner, ended_at, state, code, reason, maybe_sent)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
"""Remembers a tenure; see :func:`attempt`."""


def find_rows(session: Session, row_ids: Iterable[str]) -> dict[str, WorkRow]:
    """The rows of these ids that exist."""
    found = session.all(f"SELECT {COLUMNS} FROM work WHERE id IN (SELECT value FROM json_each(?))", as_list(row_ids))
    return {columns[0]: unpack_row(columns) for columns in found}


def open_rows(session: Session, where: str, values: Sequence[object]) -> list[WorkRow]:
    """The rows for which a condition holds that bounds them by an index."""
    return [unpack_row(columns) for columns in session.all(f"SELECT {COLUMNS} FROM work WHERE {where}", *values)]


def heads_of(session: Session, lanes: Iterable[str]) -> dict[str, int]:
    """The ``seq`` of the head of each lane, all of which have an open row."""
    return {lane: session.one(_HEAD, lane)[0] for lane in lanes}


def let_go_on(session: Session, former: dict[str, int]) -> None:
    """Let the lanes go on whose head is not open any more; the others wait as they did."""
    over = [
        lane
        for lane, seq in former.items()
        if session.one("SELECT 1 FROM work WHERE seq = ? AND settled_at IS NULL", seq) is None
    ]
    promote(session, over)


def promote(session: Session, lanes: Iterable[str | None]) -> None:
    """Make the heads of lanes ready whose former heads have ended; lanes that are through have none."""
    now = session.now
    if session.each(PROMOTE, [(now, now, lane) for lane in lanes]):
        session.makes_ready = True


def attempt(
    row: WorkRow, state: WorkState, code: str | None, reason: str | None, now: int, *, maybe_sent: bool
) -> Values:
    """The values of :data:`NOTE_ATTEMPT`: how the tenure of ``row`` ended."""
    return (row.id, row.token, row.attempts, row.owner, now, state._value_, code, reason, maybe_sent)


def forget_rows(session: Session, row_ids: Iterable[str]) -> None:
    """Remove rows with all that hangs on them, without an outcome."""
    listed = as_list(row_ids)
    for table, column in (("work_names", "row_id"), ("attempts", "row_id"), ("work", "id")):
        session.run(f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", listed)
