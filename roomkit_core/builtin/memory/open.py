"""Open rows of the in-memory store: their lanes, whose first row is the head, and who may take which (PROTOCOL L2, L3).

A lane exists while it has an open row. Rows are :class:`WorkRow` tuples that are replaced at each transition.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Any

from roomkit_core.builtin.memory.queue import ClaimQueues
from roomkit_core.builtin.memory.rows import (
    ATTEMPTS,
    DUE,
    LEASE_UNTIL,
    OWNER,
    STATE,
    TOKEN,
    as_row,
    changed,
    ready_at,
    taken,
)
from roomkit_core.models.work import WorkKind, WorkRow, WorkState

_PENDING, _IN_FLIGHT = WorkState.PENDING, WorkState.IN_FLIGHT


class OpenRows:
    """All open rows of a store; times are microseconds by its clock.

    ``rows`` holds them by id, in the order of their ``seq``. A row of it may be replaced by one that differs in what
    nobody looks for it by: neither state, due time, lease nor quiet time.
    """

    __slots__ = ("_expiry_from", "_lanes", "_of_room", "_queues", "inbound", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, WorkRow] = {}
        self._lanes: dict[tuple[str, ...], OrderedDict[str, None]] = {}
        self._queues = ClaimQueues(self.rows)
        self._of_room: dict[str, dict[str, None]] = {}
        self._expiry_from: int | None = None  # no open row expires before this
        self.inbound = 0  # how many of the rows are journaled messages

    # -------------------------------------------------------------------------------------------------- reads

    def is_held(self, row_id: str, token: int) -> bool:
        """Whether this tenure still has the row."""
        row = self.rows.get(row_id)
        return row is not None and row.token == token and row.state is _IN_FLIGHT

    def has_lane(self, lane: tuple[str, ...]) -> bool:
        """Whether the lane has an open row."""
        return lane in self._lanes

    def of_room(self, room_id: str | None) -> list[WorkRow]:
        """The open rows of a room, in the order of their ``seq``."""
        return [self.rows[row_id] for row_id in self._of_room.get(room_id or "", ())]

    # ------------------------------------------------------------------------------------------------- births

    def insert(self, row: WorkRow, fields: list[Any], now: int, owner: str, lease: int) -> WorkRow | None:
        """Take up a new row at the tail of its lane; returns it if it was claimed at birth.

        Args:
            row: The row as it was given. IN_FLIGHT asks for a claim at birth.
            fields: The same with what the store gave to it.
            now: The present moment.
            owner: Who gets the claim.
            lease: How long the claim holds, in microseconds.
        """
        is_head = self._join(row)
        if row.state is not _IN_FLIGHT:
            if is_head and row.due is None:
                fields[DUE] = now
        elif is_head:
            fields[OWNER], fields[TOKEN], fields[ATTEMPTS] = owner, 1, 1
            fields[DUE], fields[LEASE_UNTIL] = None, now + lease
        else:
            fields[STATE], fields[DUE] = _PENDING, None
        born = self.rows[row.id] = as_row(fields)
        if not is_head:
            return None
        if born.state is _IN_FLIGHT:
            self._queues.of(row).hold(born)
            return born
        self._queues.of(row).add(born)
        return None

    def _join(self, row: WorkRow) -> bool:
        """Put the row at the tail of its lane and into the indexes; says whether it is the head."""
        if row.room_id is not None:
            rows = self._of_room.get(row.room_id)
            if rows is None:
                rows = self._of_room[row.room_id] = {}
            rows[row.id] = None
        self.inbound += row.kind is WorkKind.INBOUND
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

    def take_due(
        self,
        now: int,
        limit: int,
        kinds: Collection[WorkKind] | None,
        channels: Collection[str] | None,
        lanes: Iterable[tuple[str, ...]] | None,
        *,
        owner: str,
        lease_until: int,
    ) -> list[tuple[WorkRow, WorkRow]]:
        """Claim up to ``limit`` heads that are ready, those that have waited longest first.

        Returns:
            Each row as it was and as its new holder has it.
        """
        if lanes is None:
            rows = self._queues.pop_due(now, limit, kinds, channels)
        else:
            rows = self._ready_heads(lanes, now, kinds, channels)[: max(limit, 0)]
        claimed = []
        for row in rows:
            mine = self.rows[row.id] = taken(row, owner, lease_until)
            if lanes is None:
                self._queues.of(row).hold(mine)
            else:  # it still stands in the queue
                self._queues.of(row).prolong(mine)
            claimed.append((row, mine))
        return claimed

    def _ready_heads(
        self,
        lanes: Iterable[tuple[str, ...]],
        now: int,
        kinds: Collection[WorkKind] | None,
        channels: Collection[str] | None,
    ) -> list[WorkRow]:
        ready: list[tuple[int, int, WorkRow]] = []
        for lane in dict.fromkeys(lanes):
            if lane not in self._lanes:
                continue
            head = self.rows[next(iter(self._lanes[lane]))]
            at = ready_at(head)
            if at is None or at > now:
                continue
            if (kinds is None or head.kind in kinds) and (channels is None or head.channel_id in channels):
                ready.append((at, head.seq, head))
        return [row for _, _, row in sorted(ready)]

    def renew(self, row_id: str, token: int, lease_until: int) -> bool:
        """Prolong a tenure; False if it is lost."""
        if not self.is_held(row_id, token):
            return False
        row = self.rows[row_id] = changed(self.rows[row_id], LEASE_UNTIL, lease_until)
        self._queues.of(row).prolong(row)
        return True

    # -------------------------------------------------------------------------------------------------- ends

    def hand_back(self, row_id: str, fields: list[Any]) -> None:
        """A row in flight waits again, until its ``due`` if it has one."""
        again = self.rows[row_id] = as_row(fields)
        queue = self._queues.of(again)
        queue.release(row_id)
        if again.due is not None:
            queue.add(again)

    def take_expired(self, until: int) -> list[WorkRow]:
        """Waiting rows that expire by ``until``, from the tail; looks at rows only if the first can be due for it."""
        if self._expiry_from is None or self._expiry_from > until:
            return []
        over: list[WorkRow] = []
        self._expiry_from = None
        for row in self.rows.values():
            at = row.expires_at
            if at is None:
                continue
            if at <= until and row.state is not _IN_FLIGHT:
                over.append(row)
            elif self._expiry_from is None or at < self._expiry_from:
                self._expiry_from = at
        return over[::-1]

    def leave(self, row: WorkRow, now: int) -> None:
        """Take a row out of everything that open rows stand in; its lane goes on.

        Of many rows the last ones leave first, so that a lane looks for its next head once and not once for each.
        """
        row_id = row.id
        del self.rows[row_id]
        self.inbound -= row.kind is WorkKind.INBOUND
        if row.room_id is not None:
            rows = self._of_room[row.room_id]
            del rows[row_id]
            if not rows:
                del self._of_room[row.room_id]
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
        row = self.rows[row_id]
        if row.due is None:
            row = self.rows[row_id] = changed(row, DUE, now)
        self._queues.of(row).add(row)
