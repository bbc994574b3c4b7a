"""Deleting an event: its place in the timeline stays, what it said goes, and what is owed for it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.pure.plan import Plan, plan
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Announcement, Entry, Unit
from roomkit_core.engine.steps.bookkeeping import announce
from roomkit_core.engine.verbs.tenures import change_room
from roomkit_core.errors import EventNotFoundError
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.changes import Withdrawal
from roomkit_core.models.content import DeleteContent
from roomkit_core.models.enums import DeleteType, EventStatus
from roomkit_core.models.event import EventSource, RoomEvent
from roomkit_core.models.kinds import ChannelType, EventType
from roomkit_core.models.packing import pack_event, tombstone, unpack_event
from roomkit_core.models.triggers import HookTrigger
from roomkit_core.models.work import OPEN_STATES, WorkKind, WorkRow, WorkState

DELETED = "event.deleted"
PAGE = 1_000


class Erasure:
    """The verbs that take content away.

    Args:
        ports: The surroundings.
        runners: Take what a commit owes.
    """

    def __init__(self, ports: Ports, runners: Runners) -> None:
        self._ports = ports
        self._runners = runners

    async def delete_event(self, room_id: str, event_id: str, reason: str | None) -> RoomEvent:
        """Turn an event into a tombstone, and append the event that says so; returns that one."""
        notice: RoomEvent | None = None

        async def write(unit: Unit) -> None:
            nonlocal notice
            former = await self._stored(unit, event_id)
            notice = await self._delete(unit, former, reason)

        await change_room(self._ports, self._runners, room_id, write)
        assert notice is not None
        return notice

    async def _stored(self, unit: Unit, event_id: str) -> RoomEvent:
        event = await self._ports.store.get_event(event_id)
        if event is None or event.room_id != unit.room_id:
            raise EventNotFoundError(f"room {unit.room_id!r} has no event {event_id!r}")
        return event

    async def _delete(self, unit: Unit, former: RoomEvent, reason: str | None) -> RoomEvent:
        grave = unpack_event(tombstone(pack_event(former), DELETED))
        notice = RoomEvent(
            room_id=unit.room_id,
            type=EventType.DELETE,
            source=EventSource(channel_id="system", channel_type=ChannelType.SYSTEM),
            content=DeleteContent(target_event_id=former.id, delete_type=DeleteType.SYSTEM, reason=reason),
            status=EventStatus.DELIVERED,
            visibility=former.visibility if former.status is EventStatus.DELIVERED else "internal",
            index=unit.take_index(),
            created_at=unit.ports.clock.now(),
        )
        others = tuple(patch for patch in unit.draft.patches if patch.id != former.id)
        unit.change(
            patches=(*others, grave),
            withdrawals=(*unit.draft.withdrawals, Withdrawal(DELETED, event_id=former.id)),
        )
        unit.add(Entry(notice, await self._owed(unit, former, notice), observed=False))
        told = Announcement("event_deleted", former.source.channel_id, former.id, event=notice, source=former.source)
        announce(unit, told._replace(trigger=HookTrigger.ON_EVENT_DELETED))
        return notice

    async def _owed(self, unit: Unit, former: RoomEvent, notice: RoomEvent) -> Plan:
        """Live clients learn of it; a channel that can delete is told where the event may have been, or may be, sent.

        Whether it was is known when it is the notice's turn: a row that waits now may be sent before this commits.
        """
        owed = plan(notice, unit.readers, self._ports.channels)
        lanes = {row.lane async for row in self._deliveries(former) if row.maybe_sent or row.state in MAY_BE_THERE}
        can_delete = {channel_id for channel_id, bound in unit.bindings.items() if bound.capabilities.supports_delete}
        told = tuple(row for row in owed.rows if row.channel_id in can_delete and row.lane in lanes)
        return Plan(owed.live, told, ())

    async def _deliveries(self, event: RoomEvent) -> AsyncIterator[WorkRow]:
        where = WorkFilter(room_id=event.room_id, event_id=event.id, kinds=frozenset({WorkKind.DELIVERY}))
        after: str | None = None
        while True:
            rows = await self._ports.store.list_work(where, limit=PAGE, after=after)
            for row in rows:
                yield row
            if len(rows) < PAGE:
                return
            after = rows[-1].id


MAY_BE_THERE = OPEN_STATES | {WorkState.SENT, WorkState.PARTIAL}
"""States of a delivery that the recipient may see something of."""
