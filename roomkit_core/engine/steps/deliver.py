"""Working on a delivery row: one call to the channel for each part, and whatever happens becomes a recorded outcome.

The claim was durable before this starts and the outcome is recorded after it, so a crash in between leaves a row that
says "in flight": whoever takes it over knows that the person may have it, and does what the channel's guarantee allows.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from random import random
from typing import NamedTuple

import anyio

from roomkit_core.background import is_stray
from roomkit_core.engine.flow.holdings import Holdings
from roomkit_core.engine.flow.settling import settle
from roomkit_core.engine.flow.work import HANDED_BACK, Handler, Verdict, Work
from roomkit_core.engine.pure.lifetimes import quiet
from roomkit_core.engine.pure.permissions import receives
from roomkit_core.engine.pure.plan import rendered
from roomkit_core.engine.pure.verdicts import due_in, part_outcome, spent
from roomkit_core.engine.state.pools import Permit
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.room_state import RoomState
from roomkit_core.engine.steps.notices import why_not_told
from roomkit_core.errors import DeliveryFailedError, StaleLeaseError, StoreError, UnsupportedError
from roomkit_core.hooks.node import Node, current
from roomkit_core.models.changes import ChangeSet, Discharge, Refused
from roomkit_core.models.channel import ChannelBinding, Route
from roomkit_core.models.delivery import Delivery, Receipt
from roomkit_core.models.enums import DeliveryState
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.ids import new_id
from roomkit_core.models.packing import unpack_content
from roomkit_core.models.work import OPEN_STATES, Outcome, WorkRow, WorkState

log = logging.getLogger("roomkit.delivery")

STORE_PAUSE = 1.0
"""Seconds until a row is looked at again about which the store could not be asked."""

PART_PAUSE = 0.05
"""Seconds until a row whose next part found no place is due again; the gate says when it gets through."""

EVENT_GONE = Outcome(WorkState.SUPPRESSED, "event.gone", "the event was deleted")
DETACHED = Outcome(WorkState.SUPPRESSED, "channel.detached", "the channel was detached")
NO_ACCESS = Outcome(WorkState.SUPPRESSED, "channel.access", "the channel may not receive any more")
RENDERED = Outcome(WorkState.SUPPRESSED, "delivery.rendered", "it was rendered into a row of its own")


class Subject(NamedTuple):
    """What a call is about, as of now."""

    event: RoomEvent
    state: RoomState
    binding: ChannelBinding


class Deliver(Handler):
    """The handler of delivery rows.

    Args:
        ports: The surroundings.
        holdings: Say whether a call still fits into the tenure.
    """

    def __init__(self, ports: Ports, holdings: Holdings) -> None:
        self._ports = ports
        self._holdings = holdings

    async def work(self, work: Work) -> Verdict | None:
        """Bring the parts that are left to the provider."""
        row = work.row
        try:
            subject = await self._subject(work)
        except StoreError:
            log.warning("delivery %s waits: the store cannot be read", row.id, exc_info=True)
            return HANDED_BACK._replace(due_in=STORE_PAUSE)
        if isinstance(subject, Outcome):
            return Verdict(subject)
        end = spent(row, subject.binding.retry_policy)
        if end is not None:
            return Verdict(end)
        if not row.payload:
            return await self._render(work, subject)
        wait = work.permit.admit(subject.event.room_id, subject.binding.rate_limit)
        if wait:
            return HANDED_BACK._replace(due_in=wait)
        try:
            return await self._parts(work, subject)
        except StoreError:  # the calls themselves raise none: whether the lease still holds could not be found out
            log.warning("delivery %s waits: its lease cannot be prolonged", row.id, exc_info=True)
            return HANDED_BACK._replace(due_in=STORE_PAUSE)

    async def _subject(self, work: Work) -> Subject | Outcome:
        """What the call is about; or why there will be none."""
        row = work.row
        event = work.event or await self._ports.store.get_event(row.event_id or "")
        state = await self._ports.cache.get(row.room_id or "")
        if state is None or row.channel_id not in state.bindings:
            state = await self._ports.cache.load(row.room_id or "")  # the cached room may be older than the row
        if event is None or state is None:
            return EVENT_GONE
        binding = state.bindings.get(row.channel_id)
        if binding is None:
            return DETACHED
        if not receives(binding):
            return NO_ACCESS
        return await why_not_told(self._ports, row, event) or Subject(event, state, binding)

    async def _render(self, work: Work, subject: Subject) -> Verdict | None:
        """Render what was planned without its channel, and pin it in a row of its own before anything is sent (L10)."""
        row = work.row
        made = rendered(subject.event, work.target.channel)
        if made.failure is not None:
            return Verdict(Outcome(WorkState.FAILED, made.failure.code, str(made.failure)))
        pinned = row._replace(
            id=new_id(),
            state=WorkState.PENDING,
            payload=made.payload,
            loss=made.loss,
            seq=0,
            owner=None,
            token=0,
            lease_until=None,
            attempts=0,
            takeovers=0,
            retry_of=row.id,
            created_at=0,
            quiet=quiet(row.kind, work.target),
        )
        replaced = Discharge(row.id, work.hold.token, RENDERED)
        changes = ChangeSet(row.room_id, f"render {row.id}", None, discharges=(replaced,), work=(pinned,))
        try:
            answer = await self._ports.store.commit(changes)
        except StoreError:
            return HANDED_BACK._replace(due_in=STORE_PAUSE)
        if isinstance(answer, Refused):
            raise StaleLeaseError(f"delivery {row.id!r} or its room is gone: {answer.reason}")
        return None

    async def _parts(self, work: Work, subject: Subject) -> Verdict:
        """One part after the other, each with its own call and its own record."""
        row, channel = work.row, work.target.channel
        done, permit = row.parts_done, work.permit
        asks_first = row.maybe_sent and channel.guarantee == "reconcilable"
        try:
            while True:
                began = self._ports.clock.monotonic()
                receipt = await self._call(work, subject, done, channel.reconcile) if asks_first else None
                if receipt is None:
                    receipt = await self._call(work, subject, done, channel.send) or NO_RECEIPT
                _end(permit, receipt)
                outcome = part_outcome(receipt, done)
                if outcome.state is not WorkState.SENT or done + 1 >= len(row.payload):
                    elapsed = self._ports.clock.monotonic() - began
                    policy = subject.binding.retry_policy
                    return Verdict(outcome, due_in(outcome, row, channel, policy, elapsed, random), done)
                done += 1
                asks_first = False
                following = work.pool.take()  # at once, so that its place is not lost to another row
                permit = following or permit  # from here on it is ended, also where the row is lost
                await self._record_part(work, outcome, done)
                if following is None:  # the rate is waited for without a tenure (PROTOCOL L9)
                    return Verdict(HANDED_BACK.outcome, PART_PAUSE, done)
        finally:
            permit.abandon()

    async def _record_part(self, work: Work, outcome: Outcome, done: int) -> None:
        progress = Outcome(WorkState.IN_FLIGHT, provider_ids=outcome.provider_ids)
        if not await settle(self._ports, work.hold, Verdict(progress, None, done)):
            raise StaleLeaseError("the row was taken over while a part of it was being sent")

    async def _call(
        self, work: Work, subject: Subject, done: int, call: Callable[[Delivery], Awaitable[Receipt | None]]
    ) -> Receipt | None:
        """Make one call inside the tenure; None where the provider was asked and cannot tell."""
        row, hold = work.row, work.hold
        timeout = work.target.channel.send_timeout
        await self._holdings.ensure(hold, timeout)
        node = Node(self._ports.kit, "channel")
        node.depth = subject.event.chain_depth + 1
        node.origin = row.correlation_id
        token = current.set(node)
        hold.has_called = True
        hold.is_calling = True  # and it stays so if this is cancelled: nobody knows then how the call ended
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + timeout) as scope:
                hold.cancel = scope.cancel
                receipt = await _answer(call, _delivery(row, subject, scope.deadline, done))
            if scope.cancelled_caught:
                receipt = Receipt.unknown("delivery.timeout", f"no answer within {timeout:g} s")
        finally:
            hold.cancel = None
            node.die()
            current.reset(token)
        hold.is_calling = False
        return receipt

    async def settled(self, work: Work, verdict: Verdict) -> None:
        """Tell the handlers of framework events."""
        row, outcome = work.row, verdict.outcome
        if outcome.untouched or outcome.state is WorkState.IN_FLIGHT:
            return
        if outcome.state in OPEN_STATES:
            name = "delivery_delayed"
        else:
            name = "delivery_succeeded" if outcome.state in (WorkState.SENT, WorkState.PARTIAL) else "delivery_failed"
        self._ports.handlers.emit(
            name,
            room_id=row.room_id,
            channel_id=row.channel_id,
            event_id=row.event_id,
            data={
                "delivery_id": row.id,
                "state": outcome.state.value,
                "code": outcome.code,
                "error": outcome.reason,
                "due_in": verdict.due_in,
            },
            depth=0 if work.event is None else work.event.chain_depth,
        )


async def _answer(call: Callable[[Delivery], Awaitable[Receipt | None]], delivery: Delivery) -> Receipt | None:
    """What the channel says; whatever it raises is a receipt too."""
    try:
        receipt: object = await call(delivery)
    except (DeliveryFailedError, UnsupportedError) as error:
        return Receipt.failed(error.code, str(error), retryable=error.retryable)
    except BaseException as error:
        if not isinstance(error, Exception) and not is_stray(error):
            raise
        log.exception(
            "a call of channel %r raised", delivery.binding.channel_id, extra={"room_id": delivery.event.room_id}
        )
        return Receipt.unknown("delivery.raised", f"{type(error).__name__}: {error}")
    if receipt is None or isinstance(receipt, Receipt):
        return receipt
    return Receipt.unknown("delivery.no_receipt", f"the channel returned {type(receipt).__name__} and not a Receipt")


NO_RECEIPT = Receipt.unknown("delivery.no_receipt", "send returned None and not a Receipt")


def _end(permit: Permit, receipt: Receipt) -> None:
    """A refusal of one message says nothing about the provider (T17)."""
    if receipt.state is DeliveryState.UNKNOWN:
        permit.failed(retryable=True)
    elif receipt.state is DeliveryState.FAILED:
        permit.failed(retryable=receipt.error is not None and receipt.error.retryable)
    else:
        permit.succeeded()


def _delivery(row: WorkRow, subject: Subject, deadline: float, done: int) -> Delivery:
    parts = tuple(unpack_content(part) for part in row.payload)
    return Delivery(
        id=row.id,
        key=row.provider_key,
        part_keys=tuple(f"{row.provider_key}:{number}" for number in range(len(parts))),
        attempt=row.attempts + row.takeovers,
        maybe_sent=row.maybe_sent,
        route=None if row.route is None else Route.model_validate_json(row.route),
        deadline=deadline,
        parts=parts,
        parts_done=done,
        event=subject.event,
        binding=subject.binding,
        context=subject.state.context(),
    )
