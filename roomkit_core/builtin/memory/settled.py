"""Rows of the in-memory store that have their outcome, until they are purged or their room is deleted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import Any

from roomkit_core.builtin.memory.rows import (
    DUE,
    ID,
    KIND,
    LEASE_UNTIL,
    OWNER,
    PAYLOAD,
    ROOM_ID,
    ROUTE,
    SETTLED_AT,
    STATE,
    RestingRow,
    replaced,
    reported,
    unpack_row,
)
from roomkit_core.builtin.memory.shelves import Shelf
from roomkit_core.interfaces.store_types import Report
from roomkit_core.models.work import GOOD_ENDS, OPEN_STATES, WorkRow, WorkState

RETRYABLE = frozenset(set(WorkState) - OPEN_STATES - GOOD_ENDS - {WorkState.SUPPRESSED})
"""How a row ended that an operator may retry: it keeps its payload and is forgotten by a cut-off of its own."""


class SettledRows:
    """Settled rows in the order in which they were settled, by how they ended and whether they have their body yet."""

    __slots__ = ("_bare", "_dead", "_of_room", "_whole")

    def __init__(self) -> None:
        self._whole: Shelf[str, RestingRow] = Shelf(SETTLED_AT)
        self._bare: Shelf[str, RestingRow] = Shelf(SETTLED_AT)  # all of them settled before any of the whole ones
        self._dead: Shelf[str, RestingRow] = Shelf(SETTLED_AT)
        self._of_room: dict[str, set[str]] = {}

    def put(self, fields: list[Any], now: int) -> None:
        """Lay a row to rest; its fields say how it ended."""
        row_id, room_id = fields[ID], fields[ROOM_ID]
        shelf = self._dead if fields[STATE] in RETRYABLE else self._whole
        fields[KIND], fields[STATE], fields[SETTLED_AT] = str(fields[KIND]), str(fields[STATE]), now
        fields[OWNER] = fields[LEASE_UNTIL] = fields[DUE] = None
        shelf[row_id] = tuple(fields)
        if room_id is not None:
            rows = self._of_room.get(room_id)
            if rows is None:
                rows = self._of_room[room_id] = set()
            rows.add(row_id)

    # -------------------------------------------------------------------------------------------------- reads

    def find(self, row_id: str) -> RestingRow | None:
        return self._whole.get(row_id) or self._dead.get(row_id) or self._bare.get(row_id)

    def get(self, row_id: str) -> WorkRow | None:
        rest = self.find(row_id)
        return None if rest is None else unpack_row(rest)

    def all(self, states: Collection[WorkState] | None) -> Iterator[RestingRow]:
        """All rows, but for those that cannot be in one of the states."""
        if states is None:
            return chain(self._whole.values(), self._bare.values(), self._dead.values())
        dead = self._dead.values() if not RETRYABLE.isdisjoint(states) else ()
        good = (self._whole.values(), self._bare.values()) if not RETRYABLE.issuperset(states) else ()
        return chain(*good, dead)

    def of_room(self, room_id: str) -> Iterable[str]:
        return self._of_room.get(room_id, ())

    # ------------------------------------------------------------------------------------------------- writes

    def report(self, row_id: str, report: Report) -> None:
        """The one thing that still changes after the outcome: what the provider reports."""
        shelf = self._shelf_of(row_id)
        shelf[row_id] = reported(shelf[row_id], report)

    def take_room(self, room_id: str) -> list[WorkRow]:
        """Remove and return the rows of a room."""
        rows = []
        for row_id in self._of_room.pop(room_id, ()):
            shelf = self._shelf_of(row_id)
            rows.append(unpack_row(shelf[row_id]))
            shelf.drop((row_id,))
        return rows

    def take_good(self, before: int, limit: int) -> list[WorkRow]:
        """Remove and return rows that need nobody and were settled before ``before``."""
        bare = self._bare.take_old(before, limit)
        return self._gone([*bare, *self._whole.take_old(before, limit - len(bare))])

    def take_dead(self, before: int, limit: int) -> list[WorkRow]:
        """Remove and return rows that may be retried and were settled before ``before``."""
        return self._gone(self._dead.take_old(before, limit))

    def strip(self, before: int, limit: int) -> int:
        """Remove the bodies of rows that need nobody and were settled before ``before``; returns of how many."""
        stripped = 0
        moved = []
        for row_id, rest in self._whole.items():
            if rest[SETTLED_AT] >= before or stripped >= limit:
                break
            stripped += bool(rest[PAYLOAD] or rest[ROUTE] is not None)
            moved.append(row_id)
            self._bare[row_id] = replaced(replaced(rest, PAYLOAD, ()), ROUTE, None)
        self._whole.drop(moved)
        return stripped

    def _shelf_of(self, row_id: str) -> Shelf[str, RestingRow]:
        return next(shelf for shelf in (self._whole, self._dead, self._bare) if row_id in shelf)

    def _gone(self, taken: list[tuple[str, RestingRow]]) -> list[WorkRow]:
        for row_id, rest in taken:
            room_id = rest[ROOM_ID]
            if room_id is not None:
                rows = self._of_room[room_id]
                rows.remove(row_id)
                if not rows:
                    del self._of_room[room_id]
        return [unpack_row(rest) for _, rest in taken]
