"""Claims and renewals: heads of lanes only, each by one winner (PROTOCOL L3, L5, L6)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from roomkit_core.builtin.sqlite.rows import CHANGE, COLUMNS, Values, change_values, unpack_row
from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.builtin.sqlite.work import NOTE_ATTEMPT, attempt
from roomkit_core.models.work import WorkKind, WorkRow, WorkState

_PENDING, _IN_FLIGHT = WorkState.PENDING, WorkState.IN_FLIGHT

_KINDS = sorted(WorkKind)
_SEQ = COLUMNS.split(", ").index("seq")
_READY = f"""SELECT {COLUMNS}, ready FROM work WHERE kind = ? AND channel_id = ? AND ready <= ?
    ORDER BY ready, seq LIMIT ?"""
_SOONEST = "SELECT ready FROM work WHERE kind = ? AND channel_id = ? AND ready IS NOT NULL ORDER BY ready LIMIT 1"
_FIRST_CHANNEL = "SELECT channel_id FROM work WHERE kind = ? AND ready IS NOT NULL ORDER BY channel_id LIMIT 1"
_NEXT_CHANNEL = """SELECT channel_id FROM work WHERE kind = ? AND channel_id > ? AND ready IS NOT NULL
    ORDER BY channel_id LIMIT 1"""
_LANE_HEAD = f"SELECT {COLUMNS}, ready FROM work WHERE lane = ? AND settled_at IS NULL ORDER BY seq LIMIT 1"


class Claim(NamedTuple):
    """What a claim asks for: at most ``limit`` rows of these kinds, channels and lanes; None for all of them."""

    limit: int
    kinds: Sequence[str] | None
    channels: Sequence[str] | None
    lanes: Sequence[str] | None

    def takes(self, kind: str, channel_id: str) -> bool:
        return (self.kinds is None or kind in self.kinds) and (self.channels is None or channel_id in self.channels)


def claim(wanted: Claim, owner: str, lease: int, session: Session) -> list[WorkRow]:
    """Take the heads that are ready, those that have waited longest first."""
    until = session.now + lease
    taken, changes, attempts = [], [], []
    for columns in ready_rows(session.db, wanted, session.now):
        row = unpack_row(columns)
        if row.state is _IN_FLIGHT:
            attempts.append(attempt(row, _IN_FLIGHT, None, None, session.now, maybe_sent=True))
        mine = _taken(row, owner, until)
        session.note_ready(until + row.quiet)
        changes.append(change_values(mine, until + row.quiet))
        taken.append(mine)
    session.each(CHANGE, changes)
    session.each(NOTE_ATTEMPT, attempts)
    return taken


def is_anything_ready(wanted: Claim, now: int, db: sqlite3.Connection) -> bool:
    """Whether there is a row to claim; reads only."""
    return bool(ready_rows(db, wanted._replace(limit=min(wanted.limit, 1)), now))


def soonest_ready(queue: tuple[str, str], db: sqlite3.Connection) -> int | None:
    """From when the first row of a (kind, channel) can be claimed; None if it has none."""
    found = db.execute(_SOONEST, queue).fetchone()
    return None if found is None else int(found[0])


def ready_rows(db: sqlite3.Connection, wanted: Claim, now: int) -> list[Values]:
    """The columns of the rows that can be claimed now, those that have waited longest first."""
    if wanted.limit <= 0:
        return []
    found = _by_time(db, wanted, now) if wanted.lanes is None else _by_lane(db, wanted, wanted.lanes, now)
    found.sort(key=lambda columns: (columns[-1], columns[_SEQ]))
    return [columns[:-1] for columns in found[: wanted.limit]]


def _by_time(db: sqlite3.Connection, wanted: Claim, now: int) -> list[Values]:
    found: list[Values] = []
    for kind, channel_id in _queues(db, wanted):
        found += db.execute(_READY, (kind, channel_id, now, wanted.limit))
    return found


def _queues(db: sqlite3.Connection, wanted: Claim) -> Iterable[tuple[str, str]]:
    """The (kind, channel) pairs to look at. Channels that nobody named are found by one probe each.

    Not by ``(kind, channel_id) > (?, ?)``: SQLite would walk over every row that is equal to the pair.
    """
    for kind in _KINDS if wanted.kinds is None else wanted.kinds:
        if wanted.channels is not None:
            yield from ((kind, channel_id) for channel_id in wanted.channels)
            continue
        found = db.execute(_FIRST_CHANNEL, (kind,)).fetchone()
        while found is not None:
            yield kind, found[0]
            found = db.execute(_NEXT_CHANNEL, (kind, found[0])).fetchone()


def _by_lane(db: sqlite3.Connection, wanted: Claim, lanes: Sequence[str], now: int) -> list[Values]:
    heads = (db.execute(_LANE_HEAD, (lane,)).fetchone() for lane in lanes)
    return [
        head
        for head in heads
        if head is not None and head[-1] is not None and head[-1] <= now and wanted.takes(head[1], head[2])
    ]


def _taken(row: WorkRow, owner: str, until: int) -> WorkRow:
    """The row in the hands of its next holder."""
    is_takeover = row.state is _IN_FLIGHT
    return row._replace(
        state=_IN_FLIGHT,
        owner=owner,
        token=row.token + 1,
        lease_until=until,
        due=None,
        attempts=row.attempts + (not is_takeover),
        takeovers=row.takeovers + is_takeover,
        maybe_sent=row.maybe_sent or row.state is not _PENDING,  # a call may have been made, nobody knows how it ended
    )


def renew(session: Session, claims: Sequence[tuple[str, int]], lease: int) -> list[str]:
    """Prolong tenures; the ids of those that are lost."""
    until = session.now + lease
    session.note_ready(until)
    return [
        row_id
        for row_id, token in claims
        if not session.run(
            "UPDATE work SET lease_until = ?, ready = ? + quiet WHERE id = ? AND token = ? AND state = 'in_flight'",
            until,
            until,
            row_id,
            token,
        )
    ]
