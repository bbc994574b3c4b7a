"""Work rows as lists and tuples of fields: how the in-memory store changes them and lets them rest.

A transition changes a list of the fields and makes one tuple of it, which costs half of ``_replace``. At rest a row is
a plain tuple of atoms, which the garbage collector does not track.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.interfaces.store_types import Report
from roomkit_core.models.work import WorkKind, WorkRow, WorkState

RestingRow = tuple[Any, ...]
"""A settled row: the fields of :class:`WorkRow` in their order, kind and state as plain strings."""

_place = WorkRow._fields.index
ID, KIND, STATE, SEQ, CHANNEL_ID = map(_place, ("id", "kind", "state", "seq", "channel_id"))
ROOM_ID, EVENT_ID, OWNER, TOKEN = map(_place, ("room_id", "event_id", "owner", "token"))
LEASE_UNTIL, ATTEMPTS, TAKEOVERS, DUE = map(_place, ("lease_until", "attempts", "takeovers", "due"))
PAYLOAD, ROUTE = map(_place, ("payload", "route"))
MAYBE_SENT, PARTS_DONE, CANCEL = map(_place, ("maybe_sent", "parts_done", "cancel"))
CODE, REASON, PROVIDER_IDS = map(_place, ("code", "reason", "provider_ids"))
RECEIPT_RANK, RECEIPT_AT, CREATED_AT, SETTLED_AT = map(
    _place, ("receipt_rank", "receipt_at", "created_at", "settled_at")
)
LANE, CORRELATION_ID, RETRY_OF, PROVIDER_KEY, KEY = map(
    _place, ("lane", "correlation_id", "retry_of", "provider_key", "key")
)

_new = tuple.__new__


def as_row(fields: Sequence[Any]) -> WorkRow:
    """The row of these fields, all of them in their order."""
    return _new(WorkRow, fields)


def changed(row: WorkRow, place: int, value: Any) -> WorkRow:
    """The row with one other field."""
    fields = list(row)
    fields[place] = value
    return _new(WorkRow, fields)


def replaced(rest: RestingRow, place: int, value: Any) -> RestingRow:
    """The resting row with one other field."""
    return (*rest[:place], value, *rest[place + 1 :])


def reported(rest: RestingRow, report: Report) -> RestingRow:
    """The row, resting or not, with what the provider said last; as a plain tuple."""
    fields = list(rest)
    fields[RECEIPT_RANK], fields[RECEIPT_AT] = report
    return tuple(fields)


def ready_at(row: WorkRow) -> int | None:
    """From when a head can be claimed; None if it waits for somebody to look at it."""
    if row.state is WorkState.IN_FLIGHT:
        assert row.lease_until is not None, "a row in flight has a lease"
        return row.lease_until + row.quiet
    return row.due


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
        and (where.row_id is None or row[ID] == where.row_id)
        and (where.correlation_id is None or row[CORRELATION_ID] == where.correlation_id)
        and (where.retry_of is None or row[RETRY_OF] == where.retry_of)
        and (where.lane is None or row[LANE] == where.lane)
        and (where.name is None or is_called(row, where.name))
    )


def is_called(row: RestingRow, name: str) -> bool:
    """Whether a provider or a client knows the row by this name."""
    key = row[KEY]
    return name != "" and (
        name in row[PROVIDER_IDS] or name == row[PROVIDER_KEY] or (key is not None and name == key[2])
    )


def unpack_row(rest: RestingRow) -> WorkRow:
    """The row that rested."""
    fields = list(rest)
    fields[KIND], fields[STATE] = WorkKind(rest[KIND]), WorkState(rest[STATE])
    return _new(WorkRow, fields)
