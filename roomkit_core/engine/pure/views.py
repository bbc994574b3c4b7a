"""Work rows as people are shown them: without what is pinned in them, with moments instead of numbers. Pure."""

from __future__ import annotations

from datetime import datetime

from roomkit_core.models.channel import Route
from roomkit_core.models.delivery import unpack_loss
from roomkit_core.models.enums import ReceiptRank
from roomkit_core.models.story import WorkView
from roomkit_core.models.time import from_microseconds
from roomkit_core.models.work import WorkKind, WorkRow, WorkState


def view_of(row: WorkRow) -> WorkView:
    """The row as a view."""
    return WorkView(
        id=row.id,
        kind=row.kind,
        state=row.state,
        channel_id=row.channel_id,
        room_id=row.room_id,
        event_id=row.event_id,
        name=name_of(row),
        attempts=row.attempts,
        takeovers=row.takeovers,
        maybe_sent=row.maybe_sent,
        parts=len(row.payload) if row.kind is WorkKind.DELIVERY else 0,
        parts_done=row.parts_done,
        is_queued=is_queued(row),
        is_cancelled=row.cancel,
        created_at=from_microseconds(row.created_at),
        due=moment(row.due),
        expires_at=moment(row.expires_at),
        settled_at=moment(row.settled_at),
        code=row.code,
        reason=row.reason,
        provider_ids=row.provider_ids,
        receipt_rank=ReceiptRank(row.receipt_rank),
        receipt_at=moment(row.receipt_at),
        loss=unpack_loss(row.loss),
        retry_of=row.retry_of,
        correlation_id=row.correlation_id,
    )


def is_queued(row: WorkRow) -> bool:
    """Whether it waits for its turn in its lane; what was tried once is the head of it."""
    return row.state is WorkState.PENDING and row.due is None and not (row.attempts or row.takeovers)


def moment(microseconds: int | None) -> datetime | None:
    """The moment, if there is one."""
    return None if microseconds is None else from_microseconds(microseconds)


def name_of(row: WorkRow) -> str:
    """What a row goes to: an address, or the name of a durable hook; empty where its channel says it all."""
    if row.kind is WorkKind.DELIVERY and row.route is not None:
        route = Route.model_validate_json(row.route)
        return "/".join(part for part in (route.address, route.thread, route.account) if part)
    if row.kind is WorkKind.HOOK and row.payload:
        return str(row.payload[0])
    return ""
