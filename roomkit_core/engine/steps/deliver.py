"""Working on a delivery row: one call to the channel, whatever happens becomes a recorded outcome.

The claim was durable before this starts and the outcome is recorded after it, so a crash in between leaves a row that
says "in flight": recovery knows that the person may have it.
"""

from __future__ import annotations

import logging

import anyio

from roomkit_core.engine.flow.runners import Work
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.room_state import RoomState
from roomkit_core.errors import DeliveryFailedError, StoreError, UnsupportedError
from roomkit_core.hooks.node import Node, current
from roomkit_core.models.channel import ChannelBinding, Route
from roomkit_core.models.context import RoomContext
from roomkit_core.models.delivery import Delivery, DeliveryError, Receipt
from roomkit_core.models.enums import DeliveryState
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.packing import unpack_content
from roomkit_core.models.work import Outcome, WorkRow, WorkState

log = logging.getLogger("roomkit.delivery")

SETTLE_TRIES = 5
UNTOUCHED = Outcome(WorkState.PENDING, untouched=True)
INTERRUPTED = Outcome(WorkState.UNKNOWN, "delivery.interrupted", "the kit was closed during the call")

_ACCEPTED = {
    DeliveryState.SENT: WorkState.SENT,
    DeliveryState.PARTIAL: WorkState.PARTIAL,
    DeliveryState.SUPPRESSED: WorkState.SUPPRESSED,
    DeliveryState.UNKNOWN: WorkState.UNKNOWN,
}


class Deliver:
    """The handler of delivery rows.

    Args:
        ports: The surroundings.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def __call__(self, work: Work) -> None:
        """Send, and settle the row."""
        row = work.row
        outcome = UNTOUCHED
        depth = 0
        try:
            known = await self._look(work)
            if isinstance(known, Receipt):
                outcome = _outcome(known)
            else:
                depth = known[0].chain_depth
                outcome = INTERRUPTED
                outcome = _outcome(await self._send(work, known))
        finally:
            with anyio.CancelScope(shield=True):
                is_settled = await self._settle(work, outcome)
            if work.following is not None and is_settled and outcome is not UNTOUCHED:
                work.following.outcomes[row.id] = outcome
        if is_settled:
            self._tell(row, outcome, depth)

    async def _look(self, work: Work) -> tuple[RoomEvent, RoomState, ChannelBinding] | Receipt:
        """What the call is about, as of now; or why there will be none."""
        row = work.row
        event = work.event or await self._ports.store.get_event(row.event_id or "")
        state = await self._ports.cache.get(row.room_id or "")
        if state is None or row.channel_id not in state.bindings:
            state = await self._ports.cache.load(row.room_id or "")  # the cached room may be older than the row
        if event is None or state is None:
            return _suppressed("event.gone", "the event was deleted")
        binding = state.bindings.get(row.channel_id)
        if binding is None:
            return _suppressed("channel.detached", "the channel was detached")
        return event, state, binding

    async def _send(self, work: Work, known: tuple[RoomEvent, RoomState, ChannelBinding]) -> Receipt:
        row, channel = work.row, work.target.channel
        event, state, binding = known
        deadline = anyio.current_time() + channel.send_timeout
        node = Node(self._ports.kit, "channel")
        node.depth = event.chain_depth + 1
        node.origin = row.correlation_id
        token = current.set(node)
        try:
            with anyio.CancelScope(deadline=deadline) as scope:
                receipt: object = await channel.send(_delivery(row, event, binding, deadline, state.context()))
            if scope.cancelled_caught:
                return Receipt.unknown("delivery.timeout", f"no answer within {channel.send_timeout:g} s")
        except (DeliveryFailedError, UnsupportedError) as error:
            return Receipt.failed(error.code, str(error), retryable=error.retryable)
        except Exception as error:
            log.exception("send of channel %r raised", row.channel_id, extra={"room_id": row.room_id})
            return Receipt.unknown("delivery.raised", f"{type(error).__name__}: {error}")
        finally:
            node.die()
            current.reset(token)
        if not isinstance(receipt, Receipt):
            return Receipt.unknown("delivery.no_receipt", f"send returned {type(receipt).__name__} and not a Receipt")
        return receipt

    async def _settle(self, work: Work, outcome: Outcome) -> bool:
        """Record the outcome, False if the row is not ours; after an error of the store the record is tried again."""
        row = work.row
        clock = self._ports.clock
        for tries in range(SETTLE_TRIES):
            try:
                if await self._ports.store.settle(row.id, row.token, outcome):
                    return True
                log.info("delivery %s is not ours any more", row.id, extra={"room_id": row.room_id})
                return False
            except StoreError:
                log.warning("the outcome of delivery %s could not be recorded", row.id, exc_info=True)
                await clock.sleep_until(clock.monotonic() + 0.1 * 2**tries)
        log.error("the outcome of delivery %s is lost; its lease will run out and recovery takes over", row.id)
        return False

    def _tell(self, row: WorkRow, outcome: Outcome, depth: int) -> None:
        name = "delivery_succeeded" if outcome.state in (WorkState.SENT, WorkState.PARTIAL) else "delivery_failed"
        self._ports.handlers.emit(
            name,
            room_id=row.room_id,
            channel_id=row.channel_id,
            event_id=row.event_id,
            data={"delivery_id": row.id, "state": outcome.state.value, "code": outcome.code, "error": outcome.reason},
            depth=depth,
        )


def _delivery(
    row: WorkRow, event: RoomEvent, binding: ChannelBinding, deadline: float, context: RoomContext
) -> Delivery:
    parts = tuple(unpack_content(part) for part in row.payload)
    return Delivery(
        id=row.id,
        key=row.provider_key,
        part_keys=tuple(f"{row.provider_key}:{number}" for number in range(len(parts))),
        attempt=row.attempts,
        maybe_sent=row.maybe_sent,
        route=None if row.route is None else Route.model_validate_json(row.route),
        deadline=deadline,
        parts=parts,
        parts_done=row.parts_done,
        event=event,
        binding=binding,
        context=context,
    )


def _suppressed(code: str, message: str) -> Receipt:
    return Receipt(DeliveryState.SUPPRESSED, error=DeliveryError(code=code, message=message, retryable=False))


def _outcome(receipt: Receipt) -> Outcome:
    """What a receipt means for the row. "Not now" and "nobody knows" park it: nothing tries again by time yet."""
    code = None if receipt.error is None else receipt.error.code
    reason = None if receipt.error is None else receipt.error.message
    if receipt.state is DeliveryState.FAILED:
        if receipt.error is not None and receipt.error.retryable:
            return Outcome(WorkState.PENDING, code, reason, retry_after=receipt.retry_after)
        return Outcome(WorkState.FAILED, code or "delivery.failed", reason)
    state = _ACCEPTED.get(receipt.state)
    if state is None:
        return Outcome(WorkState.UNKNOWN, "delivery.bad_receipt", f"send answered {receipt.state.value}")
    return Outcome(state, code, reason, receipt.provider_ids)
