"""What providers report later about messages that they took: a rank that only grows, and who is told about it."""

from __future__ import annotations

import logging
from functools import partial

from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.steps.bookkeeping import source_of
from roomkit_core.engine.steps.passage import begin, enter
from roomkit_core.engine.steps.telling import chain_here
from roomkit_core.hooks.observers import Observer
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.delivery import DeliveryStatus
from roomkit_core.models.enums import ReceiptRank
from roomkit_core.models.time import to_microseconds
from roomkit_core.models.triggers import HookTrigger
from roomkit_core.models.work import WorkKind, WorkRow

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

MAX_NAMESAKES = 100
"""So many deliveries are looked at that go by one name; providers count anew, and retries keep their key."""


class Statuses:
    """The verb about delivery statuses.

    Args:
        ports: The surroundings.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def process(self, status: DeliveryStatus) -> bool:
        """Record a report; whether the rank of a known delivery grew."""
        ports = self._ports
        enter(ports)
        await begin(ports)
        ports.background.hold()
        try:
            row = await self._row(status) if status.channel_id is None else None
            grew = await self._record(status, status.channel_id or (None if row is None else row.channel_id))
            row = row or await self._row(status)
            if grew and row is not None:
                self._tell_handlers(status, row)
            await self._tell_hooks(status, row)
        finally:
            ports.background.let_go()
        return grew

    async def _record(self, status: DeliveryStatus, channel_id: str | None) -> bool:
        rank = RANKS.get(status.status.lower())
        if rank is None:
            log.warning("provider %s reports %r, which says nothing about delivery", status.provider, status.status)
        if rank is None or channel_id is None:
            return False
        at = self._ports.time() if status.timestamp is None else to_microseconds(status.timestamp)
        return await self._ports.store.note_receipt(channel_id, status.message_id, rank.value, at)

    async def _row(self, status: DeliveryStatus) -> WorkRow | None:
        """The delivery that is meant: the newest of this name; None if several channels have one."""
        where = WorkFilter(kinds=frozenset({WorkKind.DELIVERY}), name=status.message_id, channel_id=status.channel_id)
        rows = await self._ports.store.list_work(where, limit=MAX_NAMESAKES)
        is_clear = len({row.channel_id for row in rows}) == 1
        return max(rows, key=lambda row: row.seq) if is_clear else None

    def _tell_handlers(self, status: DeliveryStatus, row: WorkRow) -> None:
        self._ports.handlers.emit(
            "delivery_status",
            room_id=row.room_id,
            channel_id=row.channel_id,
            event_id=row.event_id,
            data={"delivery_id": row.id, "rank": RANKS[status.status.lower()].value, "status": status.status},
        )

    async def _tell_hooks(self, status: DeliveryStatus, row: WorkRow | None) -> None:
        """Filters look at the channel of the delivery (T25)."""
        ports = self._ports
        room_id = status.room_id or (None if row is None else row.room_id)
        state = None if room_id is None else await ports.cache.get(room_id)
        if room_id is None or state is None:
            log.warning("a status of message %r belongs to no room that is known here", status.message_id)
            return
        channel_id = status.channel_id or (None if row is None else row.channel_id)
        binding = state.bindings.get(channel_id or "")
        source = None if binding is None else source_of(binding)
        above, depth = chain_here(ports)
        for hook in ports.hooks.select(HookTrigger.ON_DELIVERY_STATUS, room_id):
            if hook in above or (hook.is_filtered and (source is None or not hook.matches(source))):
                continue
            failed = partial(self._hook_failed, room_id, None if row is None else row.event_id)
            args, chain = (status, state.context()), (*above, hook)
            ports.observers.put(Observer(hook.fn, args, hook.name, hook.timeout, chain, depth=depth + 1, failed=failed))

    def _hook_failed(self, room_id: str, event_id: str | None, observer: Observer, what: str) -> None:
        data = {"hook": observer.name, "error": what}
        self._ports.handlers.emit("hook_error", room_id=room_id, event_id=event_id, data=data, depth=observer.depth)
