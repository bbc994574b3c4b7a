"""What providers report later about messages that they took: a rank that only grows, and who is told about it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.steps.passage import begin, enter
from roomkit_core.hooks.observers import Observer
from roomkit_core.hooks.registration import HookRegistration
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.context import RoomContext
from roomkit_core.models.delivery import DeliveryStatus
from roomkit_core.models.enums import HookExecution, ReceiptRank
from roomkit_core.models.event import EventSource
from roomkit_core.models.kinds import HookTrigger
from roomkit_core.models.time import to_microseconds
from roomkit_core.models.work import WorkRow

log = logging.getLogger("roomkit.delivery")

RANKS = {
    "queued": ReceiptRank.ACCEPTED,
    "accepted": ReceiptRank.ACCEPTED,
    "sending": ReceiptRank.ACCEPTED,
    "sent": ReceiptRank.ACCEPTED,
    "delivered": ReceiptRank.DELIVERED,
    "read": ReceiptRank.READ,
    "seen": ReceiptRank.READ,
    "undelivered": ReceiptRank.UNDELIVERED,
    "failed": ReceiptRank.UNDELIVERED,
    "bounced": ReceiptRank.UNDELIVERED,
}
"""The providers' words for it; a channel that knows others translates them."""


def status_hook(fn: Callable[..., Any]) -> HookRegistration:
    """A hook that calls ``fn`` with the status alone."""

    async def call(status: DeliveryStatus, _: RoomContext) -> None:
        result = fn(status)
        if isawaitable(result):
            await result

    name = getattr(fn, "__name__", type(fn).__name__)
    return HookRegistration(HookTrigger.ON_DELIVERY_STATUS, HookExecution.ASYNC, call, name=name)


class Statuses:
    """The verb about delivery statuses.

    Args:
        ports: The surroundings.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def process(self, status: DeliveryStatus) -> bool:
        """Record a report and tell who waits for such; whether the rank of a known delivery grew."""
        ports = self._ports
        enter(ports)
        await begin(ports)
        grew = False
        rank = RANKS.get(status.status.lower())
        if rank is None:
            log.warning("provider %s reports %r, which says nothing about delivery", status.provider, status.status)
        elif status.channel_id is not None:
            at = ports.time() if status.timestamp is None else to_microseconds(status.timestamp)
            grew = await ports.store.note_receipt(status.channel_id, status.message_id, rank.value, at)
        row = await self._row(status)
        await self._tell(status, row, grew)
        return grew

    async def _row(self, status: DeliveryStatus) -> WorkRow | None:
        where = WorkFilter(name=status.message_id, channel_id=status.channel_id)
        rows = await self._ports.store.list_work(where, limit=1)
        return rows[0] if rows else None

    async def _tell(self, status: DeliveryStatus, row: WorkRow | None, grew: bool) -> None:
        ports = self._ports
        room_id = status.room_id or (None if row is None else row.room_id)
        if grew and row is not None:
            data = {"delivery_id": row.id, "rank": row.receipt_rank, "status": status.status}
            ports.handlers.emit(
                "delivery_status", room_id=room_id, channel_id=row.channel_id, event_id=row.event_id, data=data
            )
        state = None if room_id is None else await ports.cache.get(room_id)
        if room_id is None or state is None:
            log.warning("a status of message %r belongs to no room that is known here", status.message_id)
            return
        binding = state.bindings.get(status.channel_id or "")
        source = None
        if binding is not None:
            source = EventSource(channel_id=binding.channel_id, channel_type=binding.channel_type)
        for hook in ports.hooks.select(HookTrigger.ON_DELIVERY_STATUS, room_id):
            if not hook.is_filtered or (source is not None and hook.matches(source)):
                call = Observer(hook.fn, (status, state.context()), hook.name, hook.timeout, hook.chain, depth=1)
                ports.observers.put(call)
