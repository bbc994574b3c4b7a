"""An operator's retry: copies of a row that ended badly, for the tail of its lane (PROTOCOL 2, 12). Pure."""

from __future__ import annotations

from roomkit_core.engine.pure.lifetimes import lifetime
from roomkit_core.engine.pure.plan import routes_of
from roomkit_core.errors import ConflictError
from roomkit_core.models.channel import ChannelBinding
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.ids import new_id
from roomkit_core.models.work import GOOD_ENDS, WorkKind, WorkRow, WorkState

SHORTEST_LIFE = 60_000_000  # microseconds


def check_retryable(row: WorkRow) -> None:
    """Refuse a row that is not through, ended well, or has nothing left to be done again.

    Raises:
        ConflictError: ``retry.not_final``, ``retry.ended_well`` or ``retry.no_body``.
    """
    if row.is_open:
        raise ConflictError(
            f"row {row.id!r} is {row.state.value} and has no outcome yet",
            code="retry.not_final",
            hint="Wait for it; `why` says for what it waits.",
            retryable=False,
        )
    if row.state in GOOD_ENDS:
        raise ConflictError(
            f"row {row.id!r} ended well: {row.state.value}",
            code="retry.ended_well",
            hint="Send it as a new message to have it sent twice.",
            retryable=False,
        )
    if not row.payload and not is_unrendered(row):
        raise ConflictError(
            f"what row {row.id!r} was to do is not kept any more",
            code="retry.no_body",
            hint="Send it again as a new message.",
            retryable=False,
        )


def is_unrendered(row: WorkRow) -> bool:
    """Whether there never was anything to send: it failed at its birth. What is suppressed may have been stripped."""
    return row.kind is WorkKind.DELIVERY and not row.payload and row.state is not WorkState.SUPPRESSED


def copies(row: WorkRow, event: RoomEvent | None, binding: ChannelBinding | None, now: int) -> tuple[WorkRow, ...]:
    """The rows of a retry: one, or one for each route of a delivery that was never planned route by route.

    A delivery that was never rendered stays without parts; whoever works on it renders it first.

    Args:
        row: A row for which :func:`check_retryable` holds.
        event: What it is about.
        binding: Its channel's place in the room.
        now: The present moment in microseconds.
    """
    again = row._replace(
        id=new_id(),
        state=WorkState.PENDING,
        seq=0,
        owner=None,
        token=0,
        lease_until=None,
        attempts=0,
        takeovers=0,
        due=None,
        expires_at=now + _life(row),
        cancel=False,
        code=None,
        reason=None,
        receipt_rank="none",
        receipt_at=None,
        retry_of=row.id,
        created_at=0,
        settled_at=None,
    )
    if not is_unrendered(row) or row.route is not None or event is None or binding is None or not binding.routes:
        return (again,)
    rows = []
    for route in routes_of(event, binding):
        lane = (event.room_id, binding.channel_id, "" if route is None else route.lane)
        row_id = new_id()
        pinned = None if route is None else route.model_dump_json()
        rows.append(again._replace(id=row_id, provider_key=row_id, lane=lane, route=pinned))
    return tuple(rows)


def _life(row: WorkRow) -> int:
    """As long as the first one had."""
    if row.expires_at is None:
        return lifetime(row.kind, None)
    return max(row.expires_at - row.created_at, SHORTEST_LIFE)
