"""Transitions of work rows in SQL (PROTOCOL 1 and 2); the rules are those of the in-memory store.

Rows are read, changed as :class:`WorkRow` and written back inside one transaction that nobody else can be in, so that
what was decided on what was read holds. ``ready`` is kept with each change: from when the row can be claimed, None for
a row that cannot.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from roomkit_core.builtin.sqlite_receipts import join_early, learn_names
from roomkit_core.builtin.sqlite_rows import (
    CHANGE,
    COLUMNS,
    END,
    INSERT,
    PackedWork,
    Values,
    change_values,
    end_values,
    insert_values,
    pack_lane,
    unpack_row,
)
from roomkit_core.builtin.sqlite_session import Session, as_list
from roomkit_core.models.changes import Withdrawal
from roomkit_core.models.work import GOOD_ENDS, OPEN_STATES, Outcome, WorkRow, WorkState

_PENDING, _IN_FLIGHT, _UNKNOWN = WorkState.PENDING, WorkState.IN_FLIGHT, WorkState.UNKNOWN

_PROMOTE = """UPDATE work SET due = coalesce(due, ?1), ready = coalesce(due, ?1) WHERE seq = (
    SELECT seq FROM work WHERE lane = ?2 AND settled_at IS NULL ORDER BY seq LIMIT 1
)"""
_SEQ = COLUMNS.split(", ").index("seq")
_READY = f"""SELECT {COLUMNS}, ready FROM work WHERE kind = ? AND channel_id = ? AND ready <= ?
    ORDER BY ready, seq LIMIT ?"""
_NEXT_QUEUE = """SELECT kind, channel_id FROM work WHERE ready IS NOT NULL AND (kind, channel_id) > (?, ?)
    ORDER BY kind, channel_id LIMIT 1"""
_LANE_HEAD = f"SELECT {COLUMNS}, ready FROM work WHERE lane = ? AND settled_at IS NULL ORDER BY seq LIMIT 1"
_ATTEMPT = """INSERT INTO attempts (row_id, token, attempt, owner, ended_at, state, code, reason, maybe_sent)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""


class Settlement(NamedTuple):
    """What a holder reports; ``due`` is in microseconds."""

    row_id: str
    token: int
    outcome: Outcome
    due_in: int | None = None
    parts_done: int | None = None


# ------------------------------------------------------------------------------------------------------------- reads


def find_rows(session: Session, row_ids: Iterable[str]) -> dict[str, WorkRow]:
    """The rows of these ids that exist."""
    found = session.all(f"SELECT {COLUMNS} FROM work WHERE id IN (SELECT value FROM json_each(?))", as_list(row_ids))
    return {columns[0]: unpack_row(columns) for columns in found}


def busy_lanes(session: Session, lanes: Iterable[str]) -> set[str]:
    """Those of the lanes that have an open row."""
    statement = """SELECT value FROM json_each(?) WHERE EXISTS (
        SELECT 1 FROM work WHERE lane = value AND settled_at IS NULL
    )"""
    return {lane for (lane,) in session.all(statement, as_list(lanes))}


# ------------------------------------------------------------------------------------------------------------ births


class Birth(NamedTuple):
    """New rows of one batch, and who claims those that ask for it; ``lease`` in microseconds."""

    rows: Sequence[PackedWork]
    owner: str
    lease: int


def insert_work(session: Session, births: Iterable[Birth]) -> list[tuple[WorkRow, ...]]:
    """Take up new rows at the tails of their lanes; for each batch those that were claimed at birth."""
    births = list(births)
    lanes = {packed.lane for birth in births for packed in birth.rows if packed.lane is not None}
    busy = busy_lanes(session, lanes) if lanes else set()
    rows: list[Values] = []
    names: list[tuple[str, str, str]] = []
    claims = []
    for birth in births:
        claimed: tuple[WorkRow, ...] = ()
        for packed in birth.rows:
            row, ready = _born(session, packed, birth, is_head=packed.lane is None or packed.lane not in busy)
            rows.append(insert_values(packed, row, ready))
            if row.provider_key and row.provider_key != row.id:
                names.append((row.provider_key, row.channel_id, row.id))
            names += [(name, row.channel_id, row.id) for name in row.provider_ids]
            if row.settled_at is None and packed.lane is not None:
                busy.add(packed.lane)
            if row.state is _IN_FLIGHT:
                claimed = (*claimed, row)
        claims.append(claimed)
    session.each(INSERT, rows)
    learn_names(session, names)
    return claims


def _born(session: Session, packed: PackedWork, birth: Birth, *, is_head: bool) -> tuple[WorkRow, int | None]:
    """The row as it begins, and from when it can be claimed."""
    given, now = packed.row, session.now
    fresh = given._replace(seq=session.next_seq(), created_at=given.created_at or now)
    if given.state not in OPEN_STATES:
        return fresh._replace(settled_at=now, owner=None, lease_until=None, due=None), None
    if given.state is not _IN_FLIGHT or (is_head and not session.may_claim):
        due = now if is_head and given.due is None else given.due
        state = _PENDING if given.state is _IN_FLIGHT else given.state
        return fresh._replace(state=state, due=due), due if is_head else None
    if not is_head:
        return fresh._replace(state=_PENDING, due=None), None
    until = now + birth.lease
    held = fresh._replace(owner=birth.owner, token=1, attempts=1, due=None, lease_until=until)
    return held, until + given.quiet


# ------------------------------------------------------------------------------------------------------------ claims


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
            attempts.append(_attempt(row, _IN_FLIGHT, None, None, session.now, maybe_sent=True))
        mine = _taken(row, owner, until)
        changes.append(change_values(mine, until + row.quiet))
        taken.append(mine)
    session.each(CHANGE, changes)
    session.each(_ATTEMPT, attempts)
    return taken


def is_anything_ready(wanted: Claim, now: int, db: sqlite3.Connection) -> bool:
    """Whether there is a row to claim; reads only."""
    return bool(ready_rows(db, wanted._replace(limit=min(wanted.limit, 1)), now))


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
    """The (kind, channel) pairs to look at. Those that nobody named are found by one probe each."""
    if wanted.kinds is not None and wanted.channels is not None:
        yield from ((kind, channel_id) for kind in wanted.kinds for channel_id in wanted.channels)
        return
    pair = ("", "")
    while (pair := db.execute(_NEXT_QUEUE, pair).fetchone()) is not None:
        if wanted.takes(*pair):
            yield pair


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
    return [
        row_id
        for row_id, token in claims
        if not session.run(
            "UPDATE work SET lease_until = ?1, ready = ?1 + quiet WHERE id = ?2 AND token = ?3 AND state = 'in_flight'",
            until,
            row_id,
            token,
        )
    ]


# ---------------------------------------------------------------------------------------------------------- outcomes


def settle(session: Session, settlements: Sequence[Settlement]) -> list[bool]:
    """Record what holders report; for each whether the row was still its own."""
    rows = find_rows(session, {settlement.row_id for settlement in settlements})
    ledger = _Ledger(session)
    answers = []
    for settlement in settlements:
        row = rows.get(settlement.row_id)
        is_held = row is not None and row.token == settlement.token and row.state is _IN_FLIGHT
        answers.append(is_held)
        if is_held and row is not None:
            rows[row.id] = ledger.settle(row, settlement)
    ledger.write()
    return answers


class _Ledger:
    """Collects what settlements write, so that each table is written once for all of them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now
        self._changes: list[Values] = []
        self._ends: list[Values] = []
        self._lanes: list[tuple[int, str | None]] = []
        self._attempts: list[Values] = []
        self._names: list[tuple[str, str, str]] = []

    def settle(self, row: WorkRow, report: Settlement) -> WorkRow:
        """The row afterwards."""
        outcome = report.outcome
        if report.parts_done is not None:
            row = row._replace(parts_done=report.parts_done)
        if outcome.provider_ids:
            row = self._learn(row, outcome.provider_ids)
        if outcome.state is _IN_FLIGHT:
            self._change(row, (row.lease_until or 0) + row.quiet)
            return row
        if outcome.state not in OPEN_STATES:
            if outcome.state not in GOOD_ENDS:
                self._note(row, outcome.state, outcome)
            return self._end(row._replace(state=outcome.state, code=outcome.code, reason=outcome.reason))
        return self._hand_back(row, report)

    def _hand_back(self, row: WorkRow, report: Settlement) -> WorkRow:
        """The holder is through with its attempt, the row is not."""
        outcome = report.outcome
        if outcome.state is _UNKNOWN:
            row = row._replace(maybe_sent=True)
        if outcome.untouched:
            row = row._replace(attempts=max(row.attempts - 1, 0))
        else:
            self._note(row, WorkState.SUPPRESSED if row.cancel else outcome.state, outcome)
        if row.cancel:  # code and reason are those of the withdrawal
            return self._end(row._replace(state=WorkState.SUPPRESSED))
        if not outcome.untouched:
            row = row._replace(code=outcome.code, reason=outcome.reason)
        due = None if report.due_in is None else self._now + report.due_in
        row = row._replace(state=outcome.state, owner=None, lease_until=None, due=due)
        self._change(row, due)
        return row

    def _learn(self, row: WorkRow, provider_ids: tuple[str, ...]) -> WorkRow:
        new = [name for name in dict.fromkeys(provider_ids) if name not in row.provider_ids]
        self._names += [(name, row.channel_id, row.id) for name in new]
        rank = join_early(self._session, row.channel_id, new, row.receipt_rank)
        return row._replace(provider_ids=(*row.provider_ids, *new), receipt_rank=rank)

    def _note(self, row: WorkRow, state: WorkState, outcome: Outcome) -> None:
        self._attempts.append(_attempt(row, state, outcome.code, outcome.reason, self._now, maybe_sent=row.maybe_sent))

    def _change(self, row: WorkRow, ready: int | None) -> None:
        self._changes.append(change_values(row, ready))

    def _end(self, row: WorkRow) -> WorkRow:
        row = row._replace(settled_at=self._now, owner=None, lease_until=None, due=None)
        self._ends.append(end_values(row))
        if row.lane:  # whoever is in flight is the head of its lane
            self._lanes.append((self._now, pack_lane(row.lane)))
        return row

    def write(self) -> None:
        session = self._session
        session.each(CHANGE, self._changes)
        session.each(END, self._ends)
        session.each(_PROMOTE, self._lanes)
        session.each(_ATTEMPT, self._attempts)
        learn_names(session, self._names)


def _attempt(
    row: WorkRow, state: WorkState, code: str | None, reason: str | None, now: int, *, maybe_sent: bool
) -> Values:
    return (row.id, row.token, row.attempts, row.owner, now, state._value_, code, reason, maybe_sent)


def withdraw(session: Session, room_id: str | None, withdrawal: Withdrawal) -> None:
    """End the matching rows, or see to it that those in flight get no further attempt."""
    if room_id is None and withdrawal.row_id is None:
        return
    where, values = ["settled_at IS NULL"], []
    fields = {
        "room_id": room_id if withdrawal.row_id is None else None,
        "id": withdrawal.row_id,
        "channel_id": withdrawal.channel_id,
        "kind": None if withdrawal.kind is None else str(withdrawal.kind),
        "event_id": withdrawal.event_id,
    }
    for column, value in fields.items():
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    rows = _open_rows(session, " AND ".join(where), values)
    for row in rows:
        if row.state is _IN_FLIGHT:
            session.run("UPDATE work SET cancel = 1, code = ?1, reason = ?1 WHERE seq = ?2", withdrawal.reason, row.seq)
    end_waiting(
        session,
        [
            row._replace(state=WorkState.SUPPRESSED, code=withdrawal.reason, reason=withdrawal.reason)
            for row in rows
            if row.state is not _IN_FLIGHT
        ],
    )


def expire(session: Session, until: int) -> int:
    """End waiting rows that expire by ``until``; returns how many."""
    over = _open_rows(session, "expires_at <= ? AND settled_at IS NULL AND state <> 'in_flight'", [until])
    ended = []
    for row in over:
        last = f"; last: {row.reason}" if row.reason else ""
        reason = f"its time was over before it was done{last}"
        ended.append(row._replace(state=WorkState.EXPIRED, code="expired", reason=reason))
    end_waiting(session, ended)
    return len(ended)


def end_waiting(session: Session, rows: Sequence[WorkRow]) -> None:
    """End rows that nobody holds, wherever in their lanes they stand; a lane whose head ends goes on."""
    if not rows:
        return
    lanes = {pack_lane(row.lane) for row in rows if row.lane}
    former = {lane: _head(session, lane) for lane in lanes}
    session.each(
        END,
        [end_values(row._replace(settled_at=session.now, owner=None, lease_until=None, due=None)) for row in rows],
    )
    ended = {row.seq for row in rows}
    session.each(_PROMOTE, [(session.now, lane) for lane, head in former.items() if head in ended])


def _head(session: Session, lane: str | None) -> int | None:
    found = session.one("SELECT seq FROM work WHERE lane = ? AND settled_at IS NULL ORDER BY seq LIMIT 1", lane)
    return None if found is None else found[0]


def _open_rows(session: Session, where: str, values: Sequence[object]) -> list[WorkRow]:
    return [unpack_row(columns) for columns in session.all(f"SELECT {COLUMNS} FROM work WHERE {where}", *values)]


def forget_rows(session: Session, row_ids: Iterable[str]) -> None:
    """Remove rows with all that hangs on them, without an outcome."""
    listed = as_list(row_ids)
    for table, column in (("work_names", "row_id"), ("attempts", "row_id"), ("work", "id")):
        session.run(f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", listed)
