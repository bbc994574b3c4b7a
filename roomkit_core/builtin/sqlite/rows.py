"""Work rows as columns, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from roomkit_core.models.work import WorkKind, WorkRow, WorkState

COLUMNS = (
    "id, kind, channel_id, lane, room_id, event_id, payload, route, provider_key, correlation_id, state, seq, owner, "
    "token, lease_until, attempts, takeovers, maybe_sent, due, expires_at, parts_done, cancel, code, reason, "
    "provider_ids, receipt_rank, retry_of, key_channel, key_sender, key_name, created_at, settled_at, quiet, "
    "receipt_at, loss"
)
"""What :func:`unpack_row` reads: the fields of :class:`WorkRow` in their order, a key in three columns."""

_NAMES = [name.strip() for name in COLUMNS.split(",")]

INSERT = f"INSERT INTO work ({COLUMNS}, ready) VALUES ({', '.join('?' * (len(_NAMES) + 1))})"

JSON_ROW = f"json_array({COLUMNS})"
"""The columns as one value, so that a page of rows is one row of SQLite's."""

CHANGE = (
    "UPDATE work SET state = ?, owner = ?, token = ?, lease_until = ?, attempts = ?, takeovers = ?, maybe_sent = ?, "
    "due = ?, parts_done = ?, cancel = ?, code = ?, reason = ?, provider_ids = ?, receipt_rank = ?, receipt_at = ?, "
    "ready = ? "
    "WHERE seq = ?"
)
"""Another state of an open row; see :func:`change_values`."""

END = (
    "UPDATE work SET state = ?, owner = NULL, token = ?, lease_until = NULL, attempts = ?, takeovers = ?, "
    "maybe_sent = ?, due = NULL, parts_done = ?, cancel = ?, code = ?, reason = ?, provider_ids = ?, "
    "receipt_rank = ?, receipt_at = ?, settled_at = ?, ready = NULL WHERE seq = ?"
)
"""The end of a row; see :func:`end_values`. Apart from :data:`CHANGE`, because it touches every index of open rows."""

Values = tuple[Any, ...]

_new = tuple.__new__
_states = {str(state): state for state in WorkState}
_kinds = {str(kind): kind for kind in WorkKind}


class PackedWork(NamedTuple):
    """A new row with those of its fields that are not plain columns as the text that is written."""

    row: WorkRow
    lane: str | None
    payload: str | None
    loss: str | None


def pack_work(rows: Iterable[WorkRow]) -> tuple[PackedWork, ...]:
    """The rows as they are written.

    Raises:
        TypeError: A lane is not made of strings, or a payload is not made of what JSON can hold.
    """
    return tuple(
        _new(PackedWork, (row, pack_lane(row.lane), pack_payload(row.payload), pack_payload(row.loss))) for row in rows
    )


def pack_lane(lane: tuple[str, ...]) -> str | None:
    """The lane as text; None for work without order."""
    hash(lane)  # a list would be another lane in another store
    return json.dumps(lane) if lane else None


def pack_payload(payload: tuple[Any, ...]) -> str | None:
    return json.dumps(payload) if payload else None


def insert_values(packed: PackedWork, row: WorkRow, ready: int | None) -> Values:
    """The values of :data:`INSERT`: what was handed in as ``packed``, in the state of ``row``."""
    key = row.key or (None, None, None)
    return (
        row.id,
        str(row.kind),
        row.channel_id,
        packed.lane,
        row.room_id,
        row.event_id,
        packed.payload,
        row.route,
        row.provider_key,
        row.correlation_id,
        row.state._value_,
        row.seq,
        row.owner,
        row.token,
        row.lease_until,
        row.attempts,
        row.takeovers,
        row.maybe_sent,
        row.due,
        row.expires_at,
        row.parts_done,
        row.cancel,
        row.code,
        row.reason,
        json.dumps(row.provider_ids) if row.provider_ids else None,
        row.receipt_rank,
        row.retry_of,
        *key,
        row.created_at,
        row.settled_at,
        row.quiet,
        row.receipt_at,
        packed.loss,
        ready,
    )


def change_values(row: WorkRow, ready: int | None) -> Values:
    """The values of :data:`CHANGE`."""
    return (
        row.state._value_,
        row.owner,
        row.token,
        row.lease_until,
        row.attempts,
        row.takeovers,
        row.maybe_sent,
        row.due,
        row.parts_done,
        row.cancel,
        row.code,
        row.reason,
        json.dumps(row.provider_ids) if row.provider_ids else None,
        row.receipt_rank,
        row.receipt_at,
        ready,
        row.seq,
    )


def end_values(row: WorkRow) -> Values:
    """The values of :data:`END`."""
    return (
        row.state._value_,
        row.token,
        row.attempts,
        row.takeovers,
        row.maybe_sent,
        row.parts_done,
        row.cancel,
        row.code,
        row.reason,
        json.dumps(row.provider_ids) if row.provider_ids else None,
        row.receipt_rank,
        row.receipt_at,
        row.settled_at,
        row.seq,
    )


def unpack_row(columns: Iterable[Any]) -> WorkRow:
    """The row that was read as :data:`COLUMNS` or :data:`JSON_ROW`."""
    fields = list(columns)
    channel, sender, name = fields[27:30]
    fields[27:30] = [None if name is None else (channel, sender, name)]
    fields[1], fields[10] = _kinds[fields[1]], _states[fields[10]]
    fields[3] = () if fields[3] is None else tuple(json.loads(fields[3]))
    fields[6] = () if fields[6] is None else _tuples(json.loads(fields[6]))
    fields[17], fields[21] = bool(fields[17]), bool(fields[21])
    fields[32] = () if fields[32] is None else _tuples(json.loads(fields[32]))
    fields[24] = () if fields[24] is None else tuple(json.loads(fields[24]))
    return _new(WorkRow, fields)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if type(value) is list else value
