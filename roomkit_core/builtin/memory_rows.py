"""Work rows as lists and tuples of fields: how the in-memory store changes them and lets them rest.

A transition changes a list of the fields and makes one tuple of it, which costs half of ``_replace``. At rest a row is
a plain tuple of atoms, which the garbage collector does not track.
"""

from __future__ import annotations

from typing import Any

from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.work import WorkKind, WorkRow, WorkState

RestingRow = tuple[Any, ...]
"""A settled row: the fields of :class:`WorkRow` in their order, kind and state as plain strings."""

_place = WorkRow._fields.index
ID, KIND, STATE, SEQ, CHANNEL_ID = map(_place, ("id", "kind", "state", "seq", "channel_id"))
ROOM_ID, EVENT_ID, OWNER, TOKEN = map(_place, ("room_id", "event_id", "owner", "token"))
LEASE_UNTIL, ATTEMPTS, TAKEOVERS, DUE = map(_place, ("lease_until", "attempts", "takeovers", "due"))
MAYBE_SENT, PARTS_DONE, CANCEL = map(_place, ("maybe_sent", "parts_done", "cancel"))
CODE, REASON, PROVIDER_IDS = map(_place, ("code", "reason", "provider_ids"))
RECEIPT_RANK, CREATED_AT, SETTLED_AT = map(_place, ("receipt_rank", "created_at", "settled_at"))

_new = tuple.__new__


def as_row(fields: list[Any]) -> WorkRow:
    """The row of these fields, all of them in their order."""
    return _new(WorkRow, fields)


def changed(row: WorkRow, place: int, value: Any) -> WorkRow:
    """The row with one other field."""
    fields = list(row)
    fields[place] = value
    return _new(WorkRow, fields)


def taken(row: WorkRow, owner: str, lease_until: int) -> WorkRow:
    """The row in the hands of its next holder."""
    fields = list(row)
    if row.state is WorkState.IN_FLIGHT:
        fields[TAKEOVERS] = row.takeovers + 1
    else:
        fields[ATTEMPTS] = row.attempts + 1
    if row.state is not WorkState.PENDING:  # a call may have been made, and nobody knows how it ended
        fields[MAYBE_SENT] = True
    fields[STATE], fields[OWNER], fields[TOKEN] = WorkState.IN_FLIGHT, owner, row.token + 1
    fields[LEASE_UNTIL], fields[DUE] = lease_until, None
    return _new(WorkRow, fields)


def matches(row: WorkRow | RestingRow, where: WorkFilter) -> bool:
    """Whether a row, resting or not, passes the filter."""
    # Kinds and states at rest are plain strings, which are equal to the members of their enums.
    return (
        (where.states is None or row[STATE] in where.states)
        and (where.kinds is None or row[KIND] in where.kinds)
        and (where.channel_id is None or row[CHANNEL_ID] == where.channel_id)
        and (where.room_id is None or row[ROOM_ID] == where.room_id)
        and (where.event_id is None or row[EVENT_ID] == where.event_id)
    )


def unpack_row(rest: RestingRow) -> WorkRow:
    """The row that rested."""
    fields = list(rest)
    fields[KIND], fields[STATE] = WorkKind(rest[KIND]), WorkState(rest[STATE])
    return _new(WorkRow, fields)


class SettledRows:
    """Rows that have their outcome, until they are purged or their room is deleted."""

    __slots__ = ("_of_room", "_rows")

    def __init__(self) -> None:
        self._rows: dict[str, RestingRow] = {}  # in the order in which they were settled
        self._of_room: dict[str, set[str]] = {}

    def put(self, fields: list[Any], now: int) -> None:
        """Lay a row to rest; its fields say how it ended."""
        row_id, room_id = fields[ID], fields[ROOM_ID]
        fields[KIND], fields[STATE], fields[SETTLED_AT] = str(fields[KIND]), str(fields[STATE]), now
        fields[OWNER] = fields[LEASE_UNTIL] = fields[DUE] = None
        self._rows[row_id] = tuple(fields)
        if room_id is not None:
            rows = self._of_room.get(room_id)
            if rows is None:
                rows = self._of_room[room_id] = set()
            rows.add(row_id)

    def get(self, row_id: str) -> WorkRow | None:
        rest = self._rows.get(row_id)
        return None if rest is None else unpack_row(rest)

    def all(self, room_id: str | None) -> list[RestingRow]:
        """All rows, or those of one room."""
        if room_id is None:
            return list(self._rows.values())
        return [self._rows[row_id] for row_id in self._of_room.get(room_id, ())]

    def raise_rank(self, row_id: str, rank: str) -> None:
        """The one thing that still changes after the outcome: what the provider reports."""
        rest = self._rows[row_id]
        self._rows[row_id] = (*rest[:RECEIPT_RANK], rank, *rest[RECEIPT_RANK + 1 :])

    def take_room(self, room_id: str) -> list[WorkRow]:
        """Remove and return the rows of a room."""
        return [unpack_row(self._rows.pop(row_id)) for row_id in self._of_room.pop(room_id, ())]

    def take_old(self, before: int) -> list[WorkRow]:
        """Remove and return the rows that were settled before ``before``."""
        old: list[WorkRow] = []
        for rest in self._rows.values():
            if rest[SETTLED_AT] >= before:
                break
            old.append(unpack_row(rest))
        for row in old:
            del self._rows[row.id]
            if row.room_id is not None:
                rows = self._of_room[row.room_id]
                rows.remove(row.id)
                if not rows:
                    del self._of_room[row.room_id]
        return old
