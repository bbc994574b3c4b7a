"""What becomes of work rows: settling, withdrawing, expiring (PROTOCOL 2; L5, L7, L12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from roomkit_core.builtin.sqlite.receipts import join_early, learn_names
from roomkit_core.builtin.sqlite.rows import CHANGE, END, Values, change_values, end_values, pack_lane
from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.builtin.sqlite.work import NOTE_ATTEMPT, attempt, find_rows, heads_of, let_go_on, open_rows, promote
from roomkit_core.interfaces.store_types import Report
from roomkit_core.models.changes import Withdrawal
from roomkit_core.models.work import GOOD_ENDS, OPEN_STATES, Outcome, WorkRow, WorkState

_CANCEL = "UPDATE work SET cancel = 1, code = ?, reason = ? WHERE seq = ?"

_IN_FLIGHT, _UNKNOWN = WorkState.IN_FLIGHT, WorkState.UNKNOWN


class Settlement(NamedTuple):
    """What a holder reports; ``due`` is in microseconds."""

    row_id: str
    token: int
    outcome: Outcome
    due_in: int | None = None
    parts_done: int | None = None


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
        self._lanes: list[str | None] = []
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
        if not outcome.untouched or outcome.code is not None:
            row = row._replace(code=outcome.code, reason=outcome.reason)
        due = None if report.due_in is None else self._now + report.due_in
        row = row._replace(state=outcome.state, owner=None, lease_until=None, due=due)
        self._change(row, due)
        return row

    def _learn(self, row: WorkRow, provider_ids: tuple[str, ...]) -> WorkRow:
        new = [name for name in dict.fromkeys(provider_ids) if name not in row.provider_ids]
        self._names += [(name, row.channel_id, row.id) for name in new]
        former = Report(row.receipt_rank, row.receipt_at)
        rank, at = join_early(self._session, row.channel_id, new, former)
        return row._replace(provider_ids=(*row.provider_ids, *new), receipt_rank=rank, receipt_at=at)

    def _note(self, row: WorkRow, state: WorkState, outcome: Outcome) -> None:
        self._attempts.append(attempt(row, state, outcome.code, outcome.reason, self._now, maybe_sent=row.maybe_sent))

    def _change(self, row: WorkRow, ready: int | None) -> None:
        self._session.note_ready(ready)
        self._changes.append(change_values(row, ready))

    def _end(self, row: WorkRow) -> WorkRow:
        row = row._replace(settled_at=self._now, owner=None, lease_until=None, due=None)
        self._ends.append(end_values(row))
        if row.lane:  # whoever is in flight is the head of its lane
            self._lanes.append(pack_lane(row.lane))
        return row

    def write(self) -> None:
        session = self._session
        session.each(CHANGE, self._changes)
        session.each(END, self._ends)
        promote(session, self._lanes)
        session.each(NOTE_ATTEMPT, self._attempts)
        learn_names(session, self._names)


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
    rows = open_rows(session, " AND ".join(where), values)
    for row in rows:
        if row.state is _IN_FLIGHT:
            session.run(_CANCEL, withdrawal.reason, withdrawal.reason, row.seq)
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
    over = open_rows(session, "expires_at <= ? AND settled_at IS NULL AND state <> 'in_flight'", [until])
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
    former = heads_of(session, {lane for row in rows if (lane := pack_lane(row.lane)) is not None})
    session.each(
        END,
        [end_values(row._replace(settled_at=session.now, owner=None, lease_until=None, due=None)) for row in rows],
    )
    let_go_on(session, former)
