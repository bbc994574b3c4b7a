"""The work table of the in-memory store: who may work on what, and what became of it (PROTOCOL 1 and 2).

Where open rows stand is told in ``memory_open``, how settled ones rest in ``memory_settled``.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from heapq import nsmallest
from itertools import chain
from operator import itemgetter
from typing import Any

from roomkit_core.builtin.memory.history import History
from roomkit_core.builtin.memory.index import RowIndexes
from roomkit_core.builtin.memory.open import OpenRows
from roomkit_core.builtin.memory.receipts import ReceiptBook
from roomkit_core.builtin.memory.rows import (
    ATTEMPTS,
    CANCEL,
    CODE,
    CREATED_AT,
    DUE,
    ID,
    LEASE_UNTIL,
    MAYBE_SENT,
    OWNER,
    PARTS_DONE,
    PROVIDER_IDS,
    REASON,
    RECEIPT_AT,
    RECEIPT_RANK,
    SEQ,
    STATE,
    RestingRow,
    as_row,
    matches,
    reported,
    unpack_row,
)
from roomkit_core.builtin.memory.settled import SettledRows
from roomkit_core.interfaces.store import Cutoffs, WorkFilter
from roomkit_core.interfaces.store_types import Report, farther
from roomkit_core.models.changes import Key, Withdrawal
from roomkit_core.models.work import GOOD_ENDS, OPEN_STATES, Attempt, Outcome, WorkKind, WorkRow, WorkState

_IN_FLIGHT, _UNKNOWN = WorkState.IN_FLIGHT, WorkState.UNKNOWN


class WorkTable:
    """All rows of a store. Every method does its whole work at once; times are microseconds by the store's clock."""

    __slots__ = ("_accepted", "_history", "_indexes", "_open", "_receipts", "_rows", "_seq", "_settled")

    def __init__(self) -> None:
        self._seq = 0
        self._open = OpenRows()
        self._rows = self._open.rows
        self._settled = SettledRows()
        self._history = History()
        self._receipts = ReceiptBook()
        self._indexes = RowIndexes(self._receipts)
        self._accepted: dict[Key, str] = {}

    # -------------------------------------------------------------------------------------------------- reads

    def get(self, row_id: str) -> WorkRow | None:
        """The row, open or settled."""
        return self._rows.get(row_id) or self._settled.get(row_id)

    def accepted(self, key: Key) -> WorkRow | None:
        """The journaled message that was accepted with ``key``."""
        row_id = self._accepted.get(key)
        return None if row_id is None else self.get(row_id)

    def is_held(self, row_id: str, token: int) -> bool:
        """Whether this tenure still has the row."""
        return self._open.is_held(row_id, token)

    @property
    def inbound(self) -> int:
        """How many journaled messages are open."""
        return self._open.inbound

    def has_open(self, lane: tuple[str, ...]) -> bool:
        """Whether the lane has an open row."""
        return self._open.has_lane(lane)

    def history(self, row_id: str) -> list[Attempt]:
        """The row's tenures that did not bring it to a good end, oldest first."""
        return self._history.of(row_id)

    def held_by(
        self, owner: str, row_ids: Iterable[str], room_id: str | None, event_ids: Container[str]
    ) -> tuple[WorkRow, ...]:
        """What ``owner`` has in flight of the given rows, and of the room's rows about the given events."""
        about = self._open.of_room(room_id)
        of_events = [row.id for row in about if row.event_id is not None and row.event_id in event_ids]
        rows = (self._rows.get(row_id) for row_id in dict.fromkeys(chain(row_ids, of_events)))
        return tuple(row for row in rows if row is not None and row.state is _IN_FLIGHT and row.owner == owner)

    def find(self, where: WorkFilter, limit: int, after: str | None) -> list[WorkRow]:
        """Rows that match, ordered by id."""
        rows = (row for row in self._candidates(where) if (after is None or row[ID] > after) and matches(row, where))
        page = nsmallest(limit, rows, key=itemgetter(ID))
        return [row if isinstance(row, WorkRow) else unpack_row(row) for row in page]

    def _candidates(self, where: WorkFilter) -> Iterable[RestingRow]:
        row_ids: Iterable[str] | None = self._indexes.narrow(where)
        if row_ids is not None:
            return self._those(row_ids)
        if where.room_id is not None:
            return chain(self._open.of_room(where.room_id), self._those(self._settled.of_room(where.room_id)))
        if where.states is not None and where.states <= OPEN_STATES:
            return self._rows.values()
        return chain(self._rows.values(), self._settled.all(where.states))

    def _those(self, row_ids: Iterable[str]) -> Iterable[RestingRow]:
        rows = (self._rows.get(row_id) or self._settled.find(row_id) for row_id in row_ids)
        return (row for row in rows if row is not None)

    # ----------------------------------------------------------------------------------------- births, claims

    def insert(self, row: WorkRow, now: int, owner: str, lease: int) -> WorkRow | None:
        """Take up a new row at the tail of its lane; returns it if it was claimed at birth.

        Args:
            row: The row; its id must be new. IN_FLIGHT asks for a claim at birth.
            now: The present moment.
            owner: Who gets the claim.
            lease: How long the claim holds, in microseconds.
        """
        fields = list(row)
        self._seq = fields[SEQ] = self._seq + 1
        if not row.created_at:
            fields[CREATED_AT] = now
        if row.key is not None:
            self._accepted[row.key] = row.id
        self._indexes.add(row)
        if row.state not in OPEN_STATES:
            self._settled.put(fields, now)
            return None
        return self._open.insert(row, fields, now, owner, lease)

    def claim(
        self,
        owner: str,
        now: int,
        lease: int,
        limit: int,
        kinds: Collection[WorkKind] | None,
        channels: Collection[str] | None,
        lanes: Iterable[tuple[str, ...]] | None,
    ) -> list[WorkRow]:
        """Take up to ``limit`` heads that are ready, those that have waited longest first."""
        claimed = []
        for former, mine in self._open.take_due(
            now, limit, kinds, channels, lanes, owner=owner, lease_until=now + lease
        ):
            if former.state is _IN_FLIGHT:
                self._history.note(former, now, _IN_FLIGHT, maybe_sent=True)
            claimed.append(mine)
        return claimed

    def renew(self, row_id: str, token: int, lease_until: int) -> bool:
        """Prolong a tenure; False if it is lost."""
        return self._open.renew(row_id, token, lease_until)

    # ----------------------------------------------------------------------------------------------- outcomes

    def settle(
        self,
        row_id: str,
        token: int,
        outcome: Outcome,
        now: int,
        due: int | None = None,
        parts_done: int | None = None,
    ) -> bool:
        """Record what a holder reports; False if the row is not its own any more."""
        row = self._rows.get(row_id)
        if row is None or row.token != token or row.state is not _IN_FLIGHT:
            return False
        fields = list(row)
        if parts_done is not None:
            fields[PARTS_DONE] = parts_done
        if outcome.provider_ids:
            self._learn_provider_ids(row, fields, outcome.provider_ids)
        if outcome.state is _IN_FLIGHT:
            self._rows[row_id] = as_row(fields)
        elif outcome.state not in OPEN_STATES:
            fields[STATE], fields[CODE], fields[REASON] = outcome.state, outcome.code, outcome.reason
            if outcome.state not in GOOD_ENDS:
                self._note(row, fields, outcome, now)
            self._end(row, fields, now)
        else:
            self._hand_back(row, fields, outcome, now, due)
        return True

    def _hand_back(self, row: WorkRow, fields: list[Any], outcome: Outcome, now: int, due: int | None) -> None:
        """The holder is through with its attempt, the row is not."""
        if outcome.untouched:
            fields[ATTEMPTS] = max(row.attempts - 1, 0)
        if outcome.state is _UNKNOWN:
            fields[MAYBE_SENT] = True
        fields[STATE] = WorkState.SUPPRESSED if row.cancel else outcome.state
        if not outcome.untouched:
            self._note(row, fields, outcome, now)
        if row.cancel:  # code and reason are those of the withdrawal
            self._end(row, fields, now)
            return
        if not outcome.untouched or outcome.code is not None:
            fields[CODE], fields[REASON] = outcome.code, outcome.reason
        fields[OWNER], fields[LEASE_UNTIL], fields[DUE] = None, None, due
        self._open.hand_back(row.id, fields)

    def _note(self, row: WorkRow, fields: list[Any], outcome: Outcome, now: int) -> None:
        self._history.note(row, now, fields[STATE], outcome.code, outcome.reason, maybe_sent=fields[MAYBE_SENT])

    def _learn_provider_ids(self, row: WorkRow, fields: list[Any], provider_ids: tuple[str, ...]) -> None:
        known = row.provider_ids
        new = [name for name in dict.fromkeys(provider_ids) if name not in known] if known else provider_ids
        fields[PROVIDER_IDS] = (*known, *new)
        for name in new:
            self._receipts.name(row.channel_id, name, row.id)
        former = Report(row.receipt_rank, row.receipt_at)
        fields[RECEIPT_RANK], fields[RECEIPT_AT] = self._receipts.join(row.channel_id, new, former)

    def withdraw(self, room_id: str | None, withdrawal: Withdrawal, now: int) -> None:
        """End matching rows, or see to it that those in flight get no further attempt."""
        _, channel_id, kind, event_id, row_id = withdrawal
        if row_id is None:
            rows = self._open.of_room(room_id)
        else:
            rows = [self._rows[row_id]] if row_id in self._rows else []
        for row in reversed(rows):  # see OpenRows.leave()
            if (
                (channel_id is None or row.channel_id == channel_id)
                and (kind is None or row.kind == kind)
                and (event_id is None or row.event_id == event_id)
            ):
                self._withdraw(row, withdrawal.reason, now)

    def _withdraw(self, row: WorkRow, reason: str, now: int) -> None:
        fields = list(row)
        fields[CODE] = fields[REASON] = reason
        if row.state is _IN_FLIGHT:
            fields[CANCEL] = True
            self._rows[row.id] = as_row(fields)
        else:
            fields[STATE] = WorkState.SUPPRESSED
            self._end(row, fields, now)

    def expire(self, until: int, now: int) -> int:
        """End waiting rows that expire by ``until``; returns how many."""
        over = self._open.take_expired(until)
        for row in over:
            fields = list(row)
            last = f"; last: {row.reason}" if row.reason else ""
            fields[STATE], fields[CODE] = WorkState.EXPIRED, "expired"
            fields[REASON] = f"its time was over before it was done{last}"
            self._end(row, fields, now)
        return len(over)

    def _end(self, row: WorkRow, fields: list[Any], now: int) -> None:
        self._open.leave(row, now)
        self._settled.put(fields, now)

    # ----------------------------------------------------------------------------------------------- receipts

    def note_receipt(self, channel_id: str, name: str, report: Report, now: int) -> bool:
        """Raise the rank of the delivery that goes by ``name``; True if that changed it."""
        row = self.get(self._receipts.find(channel_id, name) or name)
        if row is None or row.channel_id != channel_id:
            self._receipts.keep(channel_id, name, report, now)
            return False
        former = Report(row.receipt_rank, row.receipt_at)
        if farther(former, report) is former:
            return False
        if row.id in self._rows:
            self._rows[row.id] = as_row(reported(row, report))
        else:
            self._settled.report(row.id, report)
        return True

    # ---------------------------------------------------------------------------------------------- forgetting

    def forget_room(self, room_id: str, now: int) -> None:
        """Remove all rows of a room without an outcome; whoever holds one finds that it is not theirs any more."""
        rows = self._open.of_room(room_id)
        for row in reversed(rows):
            self._open.leave(row, now)
        self._forget([*rows, *self._settled.take_room(room_id)])

    def purge(self, cutoffs: Cutoffs, limit: int) -> int:
        """Forget what the cutoffs say about rows and receipts, at most ``limit`` pieces; returns how many."""
        gone = 0
        if cutoffs.settled is not None:
            gone += self._forget(self._settled.take_good(cutoffs.settled, limit))
            gone += self._receipts.purge(cutoffs.settled, limit - gone)
        if cutoffs.dead is not None:
            gone += self._forget(self._settled.take_dead(cutoffs.dead, limit - gone))
        if cutoffs.bodies is not None:
            gone += self._settled.strip(cutoffs.bodies, limit - gone)
        return gone

    def _forget(self, rows: list[WorkRow]) -> int:
        for row in rows:
            self._indexes.remove(row)
            self._history.forget(row.id)
            if row.key is not None and self._accepted.get(row.key) == row.id:
                del self._accepted[row.key]
        return len(rows)
