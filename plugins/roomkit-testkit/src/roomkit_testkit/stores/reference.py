"""The work table as the protocol describes it: one list of rows, read from front to back for every question.

It is written from PROTOCOL 1 and 2 and from the docstrings of the interface, without any store's code, and there is not
an index in it. Times are microseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from roomkit_core.interfaces.store import Accepted, Cutoffs, Known
from roomkit_core.models.changes import Key, KeyResult, Withdrawal
from roomkit_core.models.enums import ReceiptRank
from roomkit_core.models.work import GOOD_ENDS, Attempt, Outcome, WorkKind, WorkRow, WorkState

PENDING, IN_FLIGHT, UNKNOWN = WorkState.PENDING, WorkState.IN_FLIGHT, WorkState.UNKNOWN
SUPPRESSED, EXPIRED = WorkState.SUPPRESSED, WorkState.EXPIRED
RETRYABLE = {WorkState.FAILED, WorkState.DEAD, EXPIRED, WorkState.PARTIAL, WorkState.QUARANTINED}
SECOND = 1_000_000


Reported = tuple[str, int | None]
"""A rank, and when it was reached."""


def farther(one: Reported, other: Reported) -> Reported:
    return max(one, other, key=lambda report: list(ReceiptRank).index(ReceiptRank(report[0])))  # the first of equals


def ready_at(row: WorkRow) -> int | None:
    """From when the row can be claimed, if it is the head of its lane."""
    if row.state is IN_FLIGHT:
        assert row.lease_until is not None
        return row.lease_until + row.quiet
    return row.due


class Reference:
    """Rows in the order of their birth, and what is remembered beside them."""

    def __init__(self) -> None:
        self.now = 0
        self.rooms: set[str] = set()
        self.rows: list[WorkRow] = []
        self.attempts: list[Attempt] = []
        self.holders: dict[Key, str] = {}  # the row of the journal that a key leads to
        self.decided: dict[Key, tuple[KeyResult, int]] = {}
        self.early: dict[tuple[str, str], tuple[Reported, int]] = {}

    # -------------------------------------------------------------------------------------------------- looking

    def get(self, row_id: str) -> WorkRow | None:
        return next((row for row in self.rows if row.id == row_id), None)

    def has_open(self, lane: tuple[str, ...]) -> bool:
        return bool(lane) and any(row.is_open and row.lane == lane for row in self.rows)

    def is_head(self, row: WorkRow) -> bool:
        return not row.lane or row.id == next(one.id for one in self.rows if one.is_open and one.lane == row.lane)

    def held(self, row_id: str, token: int) -> WorkRow | None:
        row = self.get(row_id)
        return row if row is not None and row.state is IN_FLIGHT and row.token == token else None

    def find_key(self, key: Key) -> KeyResult | None:
        if key not in self.decided:
            return None
        return self.decided[key][0]

    # -------------------------------------------------------------------------------------------------- changing

    def put(self, row: WorkRow) -> WorkRow:
        """The row in its new form, at its place."""
        self.rows = [row if one.id == row.id else one for one in self.rows]
        return row

    def end(self, row: WorkRow) -> None:
        """The row is final; the next one of its lane is due if it waited for this one."""
        was_head = self.is_head(row._replace(state=PENDING))
        self.put(row._replace(settled_at=self.now, owner=None, lease_until=None, due=None))
        self.promote(row.lane, was_head=was_head)

    def promote(self, lane: tuple[str, ...], *, was_head: bool) -> None:
        head = next((one for one in self.rows if one.is_open and one.lane == lane), None)
        if lane and was_head and head is not None and head.due is None and head.state is PENDING:
            self.put(head._replace(due=self.now))

    def note(self, row: WorkRow, state: WorkState, outcome: Outcome | None, *, maybe_sent: bool) -> None:
        code, reason = (None, None) if outcome is None else (outcome.code, outcome.reason)
        self.attempts.append(
            Attempt(row.id, row.token, row.attempts, row.owner, self.now, state, code, reason, maybe_sent)
        )

    def history(self, row_id: str) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.row_id == row_id]

    # -------------------------------------------------------------------------------------------------- births

    def bear(self, row: WorkRow, owner: str, lease: float) -> WorkRow | None:
        """A row is born; returns it if it was claimed."""
        is_head = not self.has_open(row.lane)
        row = row._replace(created_at=self.now)
        if row.key is not None:
            self.holders[row.key] = row.id
        if row.state is not IN_FLIGHT:
            self.rows.append(row._replace(due=self.now) if is_head and row.due is None else row)
            return None
        if not is_head:
            self.rows.append(row._replace(state=PENDING))
            return None
        claimed = row._replace(owner=owner, token=1, attempts=1, lease_until=self.now + round(lease * SECOND))
        self.rows.append(claimed)
        return claimed

    def known(self, key: Key | None) -> Known | None:
        """What the store says to a message that it has seen before."""
        if key is None:
            return None
        if key in self.holders:
            row = self.get(self.holders[key])
            assert row is not None
            return Known(row.id, row.state)
        if key in self.decided:
            result = self.decided[key][0]
            return Known(result.event_id or "", WorkState.REFUSED if result.blocked else WorkState.DONE)
        return None

    def adopt(self, accepted: Accepted, message: WorkRow, owner: str, lease: float | None) -> WorkRow | None:
        """A message was accepted, and the store has chosen its id."""
        state = PENDING if lease is None else IN_FLIGHT
        return self.bear(message._replace(id=accepted.id, state=state), owner, lease or 0)

    # -------------------------------------------------------------------------------------------------- claims

    def claim(
        self,
        owner: str,
        lease: float,
        limit: int,
        kinds: Collection[WorkKind] | None = None,
        channels: Collection[str] | None = None,
        lanes: Collection[tuple[str, ...]] | None = None,
    ) -> list[WorkRow]:
        ready: list[tuple[int, int, WorkRow]] = []
        for place, row in enumerate(self.rows):
            at = ready_at(row) if row.is_open and self.is_head(row) else None
            if (
                at is not None
                and at <= self.now
                and (kinds is None or row.kind in kinds)
                and (channels is None or row.channel_id in channels)
                and (lanes is None or (row.lane and row.lane in lanes))
            ):
                ready.append((at, place, row))
        return [self.take(row, owner, lease) for _, _, row in sorted(ready)[:limit]]

    def take(self, row: WorkRow, owner: str, lease: float) -> WorkRow:
        if row.state is IN_FLIGHT:
            self.note(row, IN_FLIGHT, None, maybe_sent=True)
            row = row._replace(takeovers=row.takeovers + 1, maybe_sent=True)
        else:
            row = row._replace(attempts=row.attempts + 1, maybe_sent=row.maybe_sent or row.state is UNKNOWN)
        lease_until = self.now + round(lease * SECOND)
        return self.put(
            row._replace(state=IN_FLIGHT, owner=owner, token=row.token + 1, lease_until=lease_until, due=None)
        )

    def renew(self, claims: Iterable[tuple[str, int]], lease: float) -> list[str]:
        lost = []
        for row_id, token in claims:
            row = self.held(row_id, token)
            if row is None:
                lost.append(row_id)
            else:
                self.put(row._replace(lease_until=self.now + round(lease * SECOND)))
        return lost

    # ------------------------------------------------------------------------------------------------- outcomes

    def settle(
        self, row_id: str, token: int, outcome: Outcome, due_in: float | None = None, parts_done: int | None = None
    ) -> bool:
        row = self.held(row_id, token)
        if row is None:
            return False
        held = row
        if parts_done is not None:
            row = row._replace(parts_done=parts_done)
        for name in outcome.provider_ids:
            if name not in row.provider_ids:
                rank, at = row.receipt_rank, row.receipt_at
                if (row.channel_id, name) in self.early:
                    rank, at = farther(self.early.pop((row.channel_id, name))[0], (rank, at))
                row = row._replace(provider_ids=(*row.provider_ids, name), receipt_rank=rank, receipt_at=at)
        if outcome.state is IN_FLIGHT:
            self.put(row)
            return True
        if outcome.state is UNKNOWN:
            row = row._replace(maybe_sent=True)
        again = outcome.state in (PENDING, UNKNOWN)
        state = SUPPRESSED if again and row.cancel else outcome.state
        if state not in GOOD_ENDS and not outcome.untouched:
            self.note(held, state, outcome, maybe_sent=row.maybe_sent)
        if outcome.untouched:
            row = row._replace(attempts=max(row.attempts - 1, 0))
        if not (again and row.cancel) and (outcome.code is not None or not outcome.untouched):
            row = row._replace(code=outcome.code, reason=outcome.reason)
        row = row._replace(state=state)
        if row.is_open:
            due = None if due_in is None else self.now + round(due_in * SECOND)
            self.put(row._replace(owner=None, lease_until=None, due=due))
        else:
            self.end(row)
        return True

    def withdraw(self, room_id: str | None, withdrawal: Withdrawal) -> None:
        reason, channel_id, kind, event_id, row_id = withdrawal
        for row in list(self.rows):
            of_room = row.room_id == room_id if row_id is None else row.id == row_id
            if (
                row.is_open
                and of_room
                and channel_id in (None, row.channel_id)
                and kind in (None, row.kind)
                and event_id in (None, row.event_id)
            ):
                self.withdraw_row(row.id, reason)

    def withdraw_row(self, row_id: str, reason: str) -> None:
        row = self.get(row_id)
        assert row is not None
        row = row._replace(code=reason, reason=reason)
        if row.state is IN_FLIGHT:
            self.put(row._replace(cancel=True))
        else:
            self.end(row._replace(state=SUPPRESSED))

    def expire(self) -> int:
        over = [
            row.id
            for row in self.rows
            if row.state in (PENDING, UNKNOWN) and row.expires_at is not None and row.expires_at <= self.now
        ]
        for row_id in over:
            row = self.get(row_id)
            assert row is not None
            self.end(row._replace(state=EXPIRED, code="expired", reason=None))
        return len(over)

    def report(self, channel_id: str, name: str, rank: str, at: int) -> bool:
        """A provider's report about a delivery."""
        called = [
            row
            for row in self.rows
            if row.channel_id == channel_id
            and row.kind is not WorkKind.INBOUND
            and (name == row.provider_key or name in row.provider_ids)
        ]
        if not called:
            former, _ = self.early.pop((channel_id, name), ((rank, at), 0))
            self.early[channel_id, name] = (farther(former, (rank, at)), self.now)
            return False
        newest = called[-1]
        grown, since = farther((newest.receipt_rank, newest.receipt_at), (rank, at))
        self.put(newest._replace(receipt_rank=grown, receipt_at=since))
        return grown != newest.receipt_rank

    # ----------------------------------------------------------------------------------------------- forgetting

    def delete_room(self, room_id: str) -> bool:
        if room_id not in self.rooms:
            return False
        self.rooms.remove(room_id)
        for key, (result, at) in self.decided.items():
            if result.room_id == room_id:
                self.decided[key] = (KeyResult(room_id, None, True, "deleted"), at)
        for row in [row for row in self.rows if row.room_id == room_id]:
            was_head = row.is_open and self.is_head(row)
            self.forget(row.id)
            self.promote(row.lane, was_head=was_head)
        return True

    def purge(self, cutoffs: Cutoffs) -> None:
        for row in list(self.rows):
            if row.settled_at is None:
                continue
            if row.state in RETRYABLE:
                if cutoffs.dead is not None and row.settled_at < cutoffs.dead:
                    self.forget(row.id)
                continue
            if cutoffs.settled is not None and row.settled_at < cutoffs.settled:
                self.forget(row.id)
            elif cutoffs.bodies is not None and row.settled_at < cutoffs.bodies:
                self.put(row._replace(payload=(), route=None))
        if cutoffs.settled is not None:
            self.early = {name: early for name, early in self.early.items() if early[1] >= cutoffs.settled}
        if cutoffs.keys is not None:
            self.decided = {key: decided for key, decided in self.decided.items() if decided[1] >= cutoffs.keys}

    def forget(self, row_id: str) -> None:
        self.rows = [row for row in self.rows if row.id != row_id]
        self.attempts = [attempt for attempt in self.attempts if attempt.row_id != row_id]
        self.holders = {key: holder for key, holder in self.holders.items() if holder != row_id}
