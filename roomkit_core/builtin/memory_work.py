"""The work table of the in-memory store: who may work on what, and what became of it (PROTOCOL 1 and 2).

Open rows are :class:`WorkRow` tuples that are replaced at each transition. A lane exists while it has an open row; its
first one is the head.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Container, Iterable
from heapq import nsmallest
from itertools import chain
from operator import itemgetter
from typing import Any

from roomkit_core.builtin.memory_queue import ClaimQueues
from roomkit_core.builtin.memory_receipts import ReceiptBook, higher_rank
from roomkit_core.builtin.memory_rows import (
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
    RECEIPT_RANK,
    SEQ,
    STATE,
    TOKEN,
    RestingRow,
    SettledRows,
    as_row,
    changed,
    matches,
    taken,
    unpack_row,
)
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.changes import Key, Withdrawal
from roomkit_core.models.work import OPEN_STATES, Outcome, WorkKind, WorkRow, WorkState

_PENDING, _IN_FLIGHT, _UNKNOWN = WorkState.PENDING, WorkState.IN_FLIGHT, WorkState.UNKNOWN


class WorkTable:
    """All rows of a store. Every method does its whole work at once; times are microseconds by the store's clock."""

    __slots__ = (
        "_accepted",
        "_expiry_from",
        "_lanes",
        "_open",
        "_open_of",
        "_queues",
        "_receipts",
        "_seq",
        "_settled",
    )

    def __init__(self) -> None:
        self._seq = 0
        self._open: dict[str, WorkRow] = {}  # in the order of their seq
        self._settled = SettledRows()
        self._lanes: dict[tuple[str, ...], OrderedDict[str, None]] = {}
        self._queues = ClaimQueues(self._open)
        self._open_of: dict[str, dict[str, None]] = {}
        self._accepted: dict[Key, str] = {}
        self._receipts = ReceiptBook()
        self._expiry_from: int | None = None  # no open row expires before this

    # -------------------------------------------------------------------------------------------------- reads

    def get(self, row_id: str) -> WorkRow | None:
        """The row, open or settled."""
        row = self._open.get(row_id)
        return self._settled.get(row_id) if row is None else row

    def accepted(self, key: Key) -> WorkRow | None:
        """The journaled message that was accepted with ``key``."""
        row_id = self._accepted.get(key)
        return None if row_id is None else self.get(row_id)

    def is_held(self, row_id: str, token: int) -> bool:
        """Whether this tenure still has the row."""
        row = self._open.get(row_id)
        return row is not None and row.token == token and row.state is _IN_FLIGHT

    def held_by(
        self, owner: str, row_ids: Iterable[str], room_id: str | None, event_ids: Container[str]
    ) -> tuple[WorkRow, ...]:
        """What ``owner`` has in flight of the given rows, and of the room's rows about the given events."""
        about = (self._open[row_id] for row_id in self._open_of.get(room_id or "", ()))
        of_events = [row.id for row in about if row.event_id is not None and row.event_id in event_ids]
        rows = (self._open.get(row_id) for row_id in dict.fromkeys(chain(row_ids, of_events)))
        return tuple(row for row in rows if row is not None and row.state is _IN_FLIGHT and row.owner == owner)

    def find(self, where: WorkFilter, limit: int, after: str | None) -> list[WorkRow]:
        """Rows that match, ordered by id."""
        rows = (row for row in self._candidates(where) if (after is None or row[ID] > after) and matches(row, where))
        page = nsmallest(limit, rows, key=itemgetter(ID))
        return [row if isinstance(row, WorkRow) else unpack_row(row) for row in page]

    def _candidates(self, where: WorkFilter) -> Iterable[RestingRow]:
        if where.row_id is not None:
            row = self.get(where.row_id)
            return () if row is None else (row,)
        if where.room_id is None:
            waiting = iter(self._open.values())
        else:
            waiting = (self._open[row_id] for row_id in self._open_of.get(where.room_id, ()))
        if where.states is not None and where.states <= OPEN_STATES:
            return waiting
        return chain(waiting, self._settled.all(where.room_id))

    # ------------------------------------------------------------------------------------------------- births

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
        if row.provider_key and row.provider_key != row.id:
            self._receipts.name(row.channel_id, row.provider_key, row.id)
        if row.state not in OPEN_STATES:
            self._settled.put(fields, now)
            return None
        is_head = self._join(row)
        if row.state is not _IN_FLIGHT:
            if is_head and row.due is None:
                fields[DUE] = now
        elif is_head:
            fields[OWNER], fields[TOKEN], fields[ATTEMPTS] = owner, 1, 1
            fields[DUE], fields[LEASE_UNTIL] = None, now + lease
        else:
            fields[STATE], fields[DUE] = _PENDING, None
        born = self._open[row.id] = as_row(fields)
        if not is_head:
            return None
        if born.state is _IN_FLIGHT:
            self._queues.of(row).hold(row.id, now + lease)
            return born
        self._queues.of(row).add(born)
        return None

    def _join(self, row: WorkRow) -> bool:
        """Put the row at the tail of its lane and into the indexes; says whether it is the head."""
        if row.room_id is not None:
            rows = self._open_of.get(row.room_id)
            if rows is None:
                rows = self._open_of[row.room_id] = {}
            rows[row.id] = None
        if row.expires_at is not None and (self._expiry_from is None or row.expires_at < self._expiry_from):
            self._expiry_from = row.expires_at
        if not row.lane:
            return True
        lane = self._lanes.get(row.lane)
        if lane is not None:
            lane[row.id] = None
            return False
        lane = self._lanes[row.lane] = OrderedDict()
        lane[row.id] = None
        return True

    # ------------------------------------------------------------------------------------------------- claims

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
        """Take up to ``limit`` heads that are due or whose lease is over, those that have waited longest first."""
        if lanes is None:
            rows = self._queues.pop_due(now, limit, kinds, channels)
        else:
            rows = self._due_heads(lanes, now, kinds, channels)[: max(limit, 0)]
        claimed = []
        for row in rows:
            queue = self._queues.of(row)
            mine = self._open[row.id] = taken(row, owner, now + lease)
            if lanes is None:
                queue.hold(row.id, now + lease)
            else:  # it still stands in the queue
                queue.prolong(row.id, now + lease)
            claimed.append(mine)
        return claimed

    def _due_heads(
        self,
        lanes: Iterable[tuple[str, ...]],
        now: int,
        kinds: Collection[WorkKind] | None,
        channels: Collection[str] | None,
    ) -> list[WorkRow]:
        due: list[tuple[int, int, WorkRow]] = []
        for lane in dict.fromkeys(lanes):
            if lane not in self._lanes:
                continue
            head = self._open[next(iter(self._lanes[lane]))]
            at = head.lease_until if head.state is _IN_FLIGHT else head.due
            if at is None or at > now:
                continue
            if (kinds is None or head.kind in kinds) and (channels is None or head.channel_id in channels):
                due.append((at, head.seq, head))
        return [row for _, _, row in sorted(due)]

    def renew(self, row_id: str, token: int, lease_until: int) -> bool:
        """Prolong a tenure; False if it is lost."""
        if not self.is_held(row_id, token):
            return False
        row = self._open[row_id] = changed(self._open[row_id], LEASE_UNTIL, lease_until)
        self._queues.of(row).prolong(row_id, lease_until)
        return True

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
        row = self._open.get(row_id)
        if row is None or row.token != token or row.state is not _IN_FLIGHT:
            return False
        fields = list(row)
        if parts_done is not None:
            fields[PARTS_DONE] = parts_done
        if outcome.provider_ids:
            self._learn_provider_ids(row, fields, outcome.provider_ids)
        if outcome.state is _IN_FLIGHT:
            self._open[row_id] = as_row(fields)
        elif outcome.state not in OPEN_STATES:
            fields[STATE], fields[CODE], fields[REASON] = outcome.state, outcome.code, outcome.reason
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
        if row.cancel:  # code and reason are those of the withdrawal
            fields[STATE] = WorkState.SUPPRESSED
            self._end(row, fields, now)
            return
        if not outcome.untouched:
            fields[CODE], fields[REASON] = outcome.code, outcome.reason
        fields[STATE], fields[OWNER], fields[LEASE_UNTIL], fields[DUE] = outcome.state, None, None, due
        again = self._open[row.id] = as_row(fields)
        queue = self._queues.of(row)
        queue.release(row.id)
        if due is not None:
            queue.add(again)

    def _learn_provider_ids(self, row: WorkRow, fields: list[Any], provider_ids: tuple[str, ...]) -> None:
        known = row.provider_ids
        new = [name for name in dict.fromkeys(provider_ids) if name not in known] if known else provider_ids
        fields[PROVIDER_IDS] = (*known, *new)
        for name in new:
            self._receipts.name(row.channel_id, name, row.id)
        fields[RECEIPT_RANK] = self._receipts.join(row.channel_id, new, row.receipt_rank)

    def withdraw(self, room_id: str, withdrawal: Withdrawal, now: int) -> None:
        """End the room's matching rows, or see to it that those in flight get no further attempt."""
        _, channel_id, kind, event_id = withdrawal
        rows = [self._open[row_id] for row_id in self._open_of.get(room_id, ())]
        # From the tail, so that a lane looks for its next head once and not once per row.
        for row in reversed(rows):
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
            self._open[row.id] = as_row(fields)
        else:
            fields[STATE] = WorkState.SUPPRESSED
            self._end(row, fields, now)

    def expire(self, until: int, now: int) -> int:
        """End waiting rows that expire by ``until``; looks at them only if the first of them can be due for it."""
        if self._expiry_from is None or self._expiry_from > until:
            return 0
        over: list[WorkRow] = []
        self._expiry_from = None
        for row in self._open.values():
            at = row.expires_at
            if at is None:
                continue
            if at <= until and row.state is not _IN_FLIGHT:
                over.append(row)
            elif self._expiry_from is None or at < self._expiry_from:
                self._expiry_from = at
        # From the tail, for the reason given in withdraw().
        for row in reversed(over):
            fields = list(row)
            last = f"; last: {row.reason}" if row.reason else ""
            fields[STATE], fields[CODE] = WorkState.EXPIRED, "expired"
            fields[REASON] = f"its time was over before it was done{last}"
            self._end(row, fields, now)
        return len(over)

    def _end(self, row: WorkRow, fields: list[Any], now: int) -> None:
        self._leave(row, now)
        self._settled.put(fields, now)

    def _leave(self, row: WorkRow, now: int) -> None:
        """Take an open row out of everything that open rows stand in; its lane goes on."""
        row_id = row.id
        del self._open[row_id]
        if row.room_id is not None:
            rows = self._open_of[row.room_id]
            del rows[row_id]
            if not rows:
                del self._open_of[row.room_id]
        lane = self._lanes[row.lane] if row.lane else None
        is_head = lane is None or next(iter(lane)) == row_id
        if row.state is _IN_FLIGHT:
            self._queues.of(row).release(row_id)
        elif is_head and row.due is not None:
            self._queues.of(row).drop()
        if lane is not None:
            del lane[row_id]
            if not lane:
                del self._lanes[row.lane]
            elif is_head:
                self._promote(next(iter(lane)), now)

    def _promote(self, row_id: str, now: int) -> None:
        row = self._open[row_id]
        if row.due is None:
            row = self._open[row_id] = changed(row, DUE, now)
        self._queues.of(row).add(row)

    # ----------------------------------------------------------------------------------------------- receipts

    def note_receipt(self, channel_id: str, name: str, rank: str, now: int) -> bool:
        """Raise the rank of the delivery that goes by ``name``; True if that changed it."""
        row = self.get(self._receipts.find(channel_id, name) or name)
        if row is None or row.channel_id != channel_id:
            self._receipts.keep(channel_id, name, rank, now)
            return False
        if higher_rank(row.receipt_rank, rank) == row.receipt_rank:
            return False
        if row.id in self._open:
            self._open[row.id] = changed(row, RECEIPT_RANK, rank)
        else:
            self._settled.raise_rank(row.id, rank)
        return True

    # ---------------------------------------------------------------------------------------------- forgetting

    def forget_room(self, room_id: str, now: int) -> None:
        """Remove all rows of a room without an outcome; whoever holds one finds that it is not theirs any more."""
        for row_id in reversed(list(self._open_of.get(room_id, ()))):
            row = self._open[row_id]
            self._leave(row, now)
            self._forget(row)
        for row in self._settled.take_room(room_id):
            self._forget(row)

    def purge(self, before: int) -> int:
        """Forget rows that were settled before ``before``; returns how many."""
        old = self._settled.take_old(before)
        for row in old:
            self._forget(row)
        self._receipts.purge(before)
        return len(old)

    def _forget(self, row: WorkRow) -> None:
        self._receipts.forget(row)
        if row.key is not None and self._accepted.get(row.key) == row.id:
            del self._accepted[row.key]
