"""What the caller is told about rows: one result for each channel, the worst of its routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.targets import delivery_result
from roomkit_core.models.base import FrozenDict, evolve
from roomkit_core.models.channel import Route
from roomkit_core.models.delivery import DeliveryError, DeliveryResult
from roomkit_core.models.enums import DeliveryState
from roomkit_core.models.work import Outcome, WorkRow, WorkState

# From worst to best; a channel's result is the worst of its routes.
_WORST_FIRST = (
    DeliveryState.FAILED,
    DeliveryState.DEAD,
    DeliveryState.EXPIRED,
    DeliveryState.SUPPRESSED,
    DeliveryState.UNKNOWN,
    DeliveryState.PENDING,
    DeliveryState.IN_FLIGHT,
    DeliveryState.QUEUED,
    DeliveryState.PARTIAL,
    DeliveryState.SENT,
    DeliveryState.LIVE,
)
_RANK = {state: rank for rank, state in enumerate(_WORST_FIRST)}


def by_channel(rows: Iterable[WorkRow], outcomes: Mapping[str, Outcome]) -> dict[str, DeliveryResult]:
    """Results of an event's rows; a row without an outcome is queued."""
    routes: dict[str, dict[str, DeliveryResult]] = {}
    for row in rows:
        results = routes.setdefault(row.channel_id, {})
        results[_name(row, results)] = _result(row, outcomes.get(row.id))
    return {channel_id: _worst(results) for channel_id, results in routes.items()}


def _name(row: WorkRow, taken: Mapping[str, object]) -> str:
    """The route's address; with its thread or account where the address alone stands for several."""
    if row.route is None:
        return ""
    route = Route.model_validate_json(row.route)
    return route.address if route.address not in taken else route.lane.replace("\x1f", "/")


def _worst(results: dict[str, DeliveryResult]) -> DeliveryResult:
    worst = min(results.values(), key=lambda result: _RANK[result.state])
    return worst if len(results) == 1 else evolve(worst, routes=FrozenDict(results))


def _result(row: WorkRow, outcome: Outcome | None) -> DeliveryResult:
    if outcome is None and row.state is not WorkState.FAILED:
        return delivery_result(row.channel_id, DeliveryState.QUEUED, delivery_id=row.id, loss=row.loss)
    state, code, reason = (row.state, row.code, row.reason) if outcome is None else outcome[:3]
    error = None
    if code is not None:
        retryable = state in (WorkState.PENDING, WorkState.UNKNOWN)
        error = DeliveryError(code=code, message=reason or code, retryable=retryable)
    return delivery_result(
        row.channel_id,
        DeliveryState(state.value),
        delivery_id=row.id,
        maybe_sent=state is WorkState.UNKNOWN,
        provider_ids=() if outcome is None else outcome.provider_ids,
        error=error,
        retry_after=None if outcome is None else outcome.retry_after,
        loss=row.loss,
    )


def failed_at_birth(ports: Ports, row: WorkRow) -> None:
    """Tell that a delivery failed before it was tried: the channel cannot carry the content."""
    ports.handlers.emit(
        "delivery_failed",
        room_id=row.room_id,
        channel_id=row.channel_id,
        event_id=row.event_id,
        data={
            "delivery_id": row.id,
            "state": row.state.value,
            "code": row.code,
            "error": row.reason,
            "due_in": None,
        },
    )
