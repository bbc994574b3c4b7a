"""What can be claimed, found without looking at what cannot.

Only heads of lanes stand here, so a hundred thousand rows behind a head in back-off cost a claim nothing. Entries of
the heap are left behind when their row moves on by another way than a claim; they are recognised when they come up, and
swept out before they make up half of the heap.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import heapify, heappop, heappush, heapreplace

from roomkit_core.builtin.memory.rows import ready_at
from roomkit_core.models.work import WorkKind, WorkRow

Entry = tuple[int, int, str]
"""(when the row can be claimed in microseconds, its ``seq``, its id); ``seq`` is unique, so ids are never compared."""

_SWEEP_FROM = 64


class ClaimQueue:
    """Rows of one (kind, channel id): heads by the time at which they are due, and rows in flight.

    Whoever changes a row changes it in ``rows`` first and tells the queue then.

    Args:
        rows: All open rows by id; the queue only reads them.
    """

    __slots__ = ("_due", "_held", "_look_at", "_rows", "_stale")

    def __init__(self, rows: Mapping[str, WorkRow]) -> None:
        self._rows = rows
        self._due: list[Entry] = []
        self._stale = 0
        self._held: set[str] = set()
        # No held row can be taken over before this. Leases move with every renewal, so that they are not kept in order;
        # all held rows are looked at when this moment comes, once per lease and not once per claim.
        self._look_at: int | None = None

    def add(self, row: WorkRow) -> None:
        """A head that has a ``due``."""
        due = row.due
        assert due is not None, "only a row with a due time can be queued by it"
        heappush(self._due, (due, row.seq, row.id))

    def drop(self) -> None:
        """A queued head moved on without being taken from here."""
        self._stale += 1
        if self._stale >= _SWEEP_FROM and self._stale * 2 > len(self._due):
            # A set, because a row that came back at the same microsecond would otherwise stand here twice for good.
            self._due = list({entry for entry in self._due if self._is_current(entry)})
            heapify(self._due)
            self._stale = 0

    def hold(self, row: WorkRow) -> None:
        """A row is in flight."""
        self._held.add(row.id)
        ready = ready_at(row)
        assert ready is not None, "a row in flight has a lease"
        if self._look_at is None or ready < self._look_at:
            self._look_at = ready

    def release(self, row_id: str) -> None:
        """A row is in flight no more."""
        if row_id in self._held:
            self._held.remove(row_id)
        else:  # its lease and its quiet time had ended and it stood ready to be taken over
            self.drop()

    def prolong(self, row: WorkRow) -> None:
        """A row in flight has a new lease."""
        if row.id not in self._held:
            self.drop()
        self.hold(row)

    def peek(self, now: int) -> Entry | None:
        """The entry that can be claimed at ``now`` and has waited longest."""
        if self._look_at is not None and self._look_at <= now:
            self._find_lapsed(now)
        due = self._due
        while due and due[0][0] <= now:
            if self._is_current(due[0]):
                return due[0]
            heappop(due)
            self._stale -= 1
        return None

    def pop(self) -> WorkRow:
        """Take out the row that :meth:`peek` has just shown."""
        due = self._due
        entry = heappop(due)
        while due and due[0] == entry:  # it left by its lane and came back at the same microsecond
            heappop(due)
            self._stale -= 1
        return self._rows[entry[2]]

    def _is_current(self, entry: Entry) -> bool:
        row = self._rows.get(entry[2])
        if row is None:
            return False
        return ready_at(row) == entry[0] and row.id not in self._held

    def _find_lapsed(self, now: int) -> None:
        earliest = None
        lapsed = []
        for row_id in self._held:
            row = self._rows[row_id]
            ready = ready_at(row)
            assert ready is not None, "a row in flight has a lease"
            if ready <= now:
                lapsed.append((ready, row.seq, row_id))
            elif earliest is None or ready < earliest:
                earliest = ready
        for entry in lapsed:
            self._held.remove(entry[2])
            heappush(self._due, entry)
        self._look_at = earliest


class ClaimQueues:
    """The queues of a store.

    Args:
        rows: All open rows by id; the queues only read them.
    """

    __slots__ = ("_queues", "_rows")

    def __init__(self, rows: Mapping[str, WorkRow]) -> None:
        self._rows = rows
        self._queues: dict[tuple[WorkKind, str], ClaimQueue] = {}

    def of(self, row: WorkRow) -> ClaimQueue:
        """The queue in which the row stands when it can be claimed."""
        queue = self._queues.get((row.kind, row.channel_id))
        if queue is None:
            queue = self._queues[row.kind, row.channel_id] = ClaimQueue(self._rows)
        return queue

    def pop_due(
        self, now: int, limit: int, kinds: Collection[WorkKind] | None, channels: Collection[str] | None
    ) -> list[WorkRow]:
        """Take out up to ``limit`` rows that can be claimed at ``now``, those that have waited longest first.

        A head is ready when it is due, one in flight when its lease and its quiet time are over.
        """
        frontier: list[tuple[Entry, ClaimQueue]] = []
        for (kind, channel_id), queue in self._queues.items():
            if (kinds is None or kind in kinds) and (channels is None or channel_id in channels):
                entry = queue.peek(now)
                if entry is not None:
                    frontier.append((entry, queue))
        heapify(frontier)
        rows: list[WorkRow] = []
        while frontier and len(rows) < limit:
            queue = frontier[0][1]
            rows.append(queue.pop())
            entry = queue.peek(now)
            if entry is None:
                heappop(frontier)
            else:
                heapreplace(frontier, (entry, queue))
        return rows
