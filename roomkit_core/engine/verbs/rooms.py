"""Verbs about rooms: create, get, close, delete, and reading timelines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from anyio import CancelScope

from roomkit_core.background import Bounds, Expired
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.pure.permissions import sees
from roomkit_core.engine.pure.timers import turn
from roomkit_core.engine.state.commit import Births
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Unit, held_units, own_unit
from roomkit_core.engine.steps.bookkeeping import created
from roomkit_core.engine.steps.passage import begin, begin_reading, enter
from roomkit_core.engine.steps.room_life import close_room, timer_row
from roomkit_core.engine.steps.telling import tell
from roomkit_core.engine.steps.tenure import release, take_below, take_inside
from roomkit_core.engine.steps.timers import apply_timers
from roomkit_core.engine.verbs.tenures import change_room, refuse_endless
from roomkit_core.errors import (
    ChannelNotFoundError,
    ConflictError,
    ProcessTimeoutError,
    RoomExistsError,
    RoomNotFoundError,
    UnsupportedError,
)
from roomkit_core.hooks.node import current
from roomkit_core.hooks.observers import Observer
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import ABSENT, ChangeSet, Committed, Withdrawal
from roomkit_core.models.channel import ChannelBinding
from roomkit_core.models.context import RoomContext
from roomkit_core.models.enums import RoomStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.ids import check_id, new_id
from roomkit_core.models.room import Cursor, Page, Room, RoomTimers
from roomkit_core.models.work import OPEN_STATES, WorkKind, WorkState

TIMER_PAGE = 500


class Rooms:
    """The verbs about rooms; ``kit.rooms`` shows some of them to users.

    Args:
        ports: The surroundings.
        runners: Take what a commit owes.
    """

    def __init__(self, ports: Ports, runners: Runners) -> None:
        self._ports = ports
        self._runners = runners

    # --- life of a room ---

    async def create(
        self,
        room_id: str | None,
        metadata: dict[str, Any] | None,
        organization_id: str | None,
        exist_ok: bool,
        timers: RoomTimers | None,
    ) -> Room:
        """A new room; an existing one is left as it is (T3)."""
        ports = self._ports
        enter(ports)
        await begin(ports)
        refuse_endless(ports)
        now = ports.clock.now()
        room = Room(
            id=new_id() if room_id is None else check_id(room_id, "room id"),
            organization_id=organization_id,
            created_at=now,
            updated_at=now,
            timers=_started(timers or RoomTimers(), now),
            metadata=metadata or {},
        )
        changes = ChangeSet(room.id, new_id(), ABSENT, owner=ports.owner, epoch=new_id(), room=room)
        row = timer_row(room, now, ports.time())
        if row is not None:
            changes.work = (Births(ports).admit(row)._replace(state=WorkState.PENDING),)  # nobody here starts a claim
        answer = await ports.store.commit(changes)
        if isinstance(answer, Committed):
            if row is not None:
                self._runners.look_for(row, ports.house)
            self._announce_created(room)
            return room
        if answer.reason != "exists":
            raise ConflictError(f"room {room.id!r} could not be made: {answer.reason}")
        if not exist_ok:
            raise RoomExistsError(f"room {room.id!r} exists already")
        return await self.get(room.id)

    def _announce_created(self, room: Room) -> None:
        tell(self._ports, created(self._ports, room), room.id, lambda: RoomContext(room))

    async def get(self, room_id: str) -> Room:
        """The room as it is; inside a hook of it, as the hook's unit would leave it."""
        await begin_reading(self._ports)
        own = own_unit(self._ports, room_id) if current.get() is not None else None
        if own is not None:
            return own[1].copy().room
        snapshot = await self._ports.store.load_room(room_id)
        if snapshot is None:
            raise _not_found(room_id)
        return snapshot.room

    async def close(self, room_id: str) -> Room:
        """Take no more messages. What is owed goes out, open questions end, conversations are free."""

        async def write(unit: Unit) -> None:
            if unit.room.status in (RoomStatus.CLOSED, RoomStatus.ARCHIVED):
                unit.refusal = "room_closed"  # confirmed by a fresh read
            else:
                close_room(unit)

        unit = await change_room(self._ports, self._runners, room_id, write)
        return unit.room

    # --- timers ---

    async def set_timers(self, room_id: str, timers: RoomTimers) -> Room:
        """Give the room other timers; they begin with its last activity."""

        async def write(unit: Unit) -> None:
            ports, former = unit.ports, unit.room.timers
            now = ports.clock.now()
            since = timers.last_activity_at or former.last_activity_at
            room = evolve(unit.room, timers=_started(evolve(timers, last_activity_at=since), now), updated_at=now)
            row = timer_row(room, now, ports.time())
            kept = tuple(other for other in unit.draft.work if other.kind is not WorkKind.TIMER)
            unit.change(
                room=room,
                withdrawals=(*unit.draft.withdrawals, Withdrawal("timer.replaced", kind=WorkKind.TIMER.value)),
                work=kept if row is None else (*kept, row),
            )

        unit = await change_room(self._ports, self._runners, room_id, write)
        return unit.room

    async def check_timers(self, room_id: str) -> Room:
        """Let the room take the status that its timers say, now and not when the pump comes to it."""

        async def write(unit: Unit) -> None:
            apply_timers(unit)

        unit = await change_room(self._ports, self._runners, room_id, write)
        return unit.room

    async def check_all_timers(self) -> list[Room]:
        """The same for every room with timers; returns those that changed."""
        enter(self._ports)
        await begin(self._ports)
        changed: list[Room] = []
        after: str | None = None
        while True:
            where = WorkFilter(kinds=frozenset({WorkKind.TIMER}), states=OPEN_STATES)
            rows = await self._ports.store.list_work(where, limit=TIMER_PAGE, after=after)
            for row in rows:
                changed += await self._check_one(row.room_id or "")
            if len(rows) < TIMER_PAGE:
                return changed
            after = rows[-1].id

    async def _check_one(self, room_id: str) -> list[Room]:
        snapshot = await self._ports.store.load_room(room_id)
        if snapshot is None or turn(snapshot.room, self._ports.clock.now()).status is None:
            return []
        try:
            room = await self.check_timers(room_id)
        except RoomNotFoundError:
            return []
        return [room] if room.status is not snapshot.room.status else []

    # --- the end of a room ---

    async def delete(self, room_id: str) -> bool:
        """Remove a room with everything that belongs to it; its idempotency keys stay."""
        ports = self._ports
        enter(ports)
        held = held_units(ports) if current.get() is not None else []
        if any(unit.room_id == room_id for unit in held):
            raise UnsupportedError(
                "a room cannot be deleted from inside its own unit of work",
                code="room.delete_inside",
                hint="Delete it from an AFTER_BROADCAST observer.",
            )
        bounds = ports.background.new_bounds(ports.process_timeout)
        try:
            return await bounds.run(self._delete(room_id, held, bounds))
        except Expired:
            raise ProcessTimeoutError(f"room {room_id!r} was not deleted in time") from None

    async def _delete(self, room_id: str, held: list[Unit], bounds: Bounds) -> bool:
        ports = self._ports
        lock = ports.locks.locked(room_id)
        if held:
            await take_below(ports, room_id, held, lock)
        else:
            await take_inside(ports, lock)
        try:
            snapshot = await ports.store.load_room(room_id)
            bound = () if snapshot is None else tuple(snapshot.bindings)
            bounds.is_committing = True
            with CancelScope(shield=True):
                deleted = await ports.store.delete_room(room_id)
            ports.cache.drop((room_id,))
            ports.hooks.forget_room(room_id)
            self._runners.forget(room_id)
        finally:
            bounds.finish()
            await release(lock)
        if deleted:
            ports.handlers.emit("room_deleted", room_id=room_id)
            for channel_id in bound:
                target = ports.channels.get(channel_id)
                if target is not None:
                    call = target.channel.on_room_detached
                    ports.observers.put(Observer(call, (room_id,), "on_room_detached", kind="channel"))
        return deleted

    # --- timelines ---

    async def timeline(
        self,
        room_id: str,
        offset: int,
        limit: int,
        visibility_filter: str | None,
        after_index: int | None,
        before_index: int | None,
        newest_first: bool,
    ) -> list[RoomEvent]:
        """A page of everything that is stored."""
        await begin_reading(self._ports)
        own = own_unit(self._ports, room_id) if current.get() is not None else None
        store = self._ports.store
        if own is not None and (own[1].draft.entries or own[1].draft.patches):
            # A page as it would be after the commit of the unit. Rare, so it may read from the start.
            has_cursor = after_index is not None or before_index is not None
            backwards = before_index is not None or (newest_first and not has_cursor)
            first, end = (0 if has_cursor else max(offset, 0)), max(limit, 0)
            found = await store.list_events(
                room_id,
                0,
                first + end,
                visibility_filter,
                after_index=after_index,
                before_index=before_index,
                newest_first=newest_first,
            )
            patched = {event.id: event for event in own[1].draft.patches}
            found = [patched.get(event.id, event) for event in found]
            found += _of_unit(own[1], visibility_filter, after_index, before_index)
            if backwards:
                return found[max(0, len(found) - first - end) : max(0, len(found) - first)]
            return found[first : first + end]
        stored = await store.list_events(
            room_id,
            offset,
            limit,
            visibility_filter,
            after_index=after_index,
            before_index=before_index,
            newest_first=newest_first,
        )
        if not stored and own is None and not await store.heads((room_id,)):
            raise _not_found(room_id)
        return stored

    async def read(self, room_id: str, *, viewer: str, after: Cursor | None = None, limit: int = 100) -> Page:
        """What a channel may see of the timeline after a cursor, by the predicate of the planner.

        The gap read of live clients: subscribe first, then read until ``more`` is False. The cursor moves over
        events that the viewer may not see.

        Args:
            room_id: The room.
            viewer: The channel through which is read; it must be attached.
            after: The client's cursor; None reads from the beginning.
            limit: How many indexes to look at, at least 1.

        Returns:
            The page. ``reset`` is True if ``after`` belongs to another incarnation of the room; reading began anew
            then.

        Raises:
            RoomNotFoundError: There is no such room.
            ChannelNotFoundError: The viewer is not attached to it.
            ValueError: ``limit`` is below 1.
        """
        if limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        await begin_reading(self._ports)
        binding = await self._viewer(room_id, viewer)
        start = -1 if after is None else after.index
        if binding.history == "joined":
            start = max(start, binding.attached_index - 1)
        found = await self._ports.store.timeline(room_id, start, limit)
        if found is None:
            raise _not_found(room_id)
        head, events = found
        reset = after is not None and after.epoch != head.epoch
        if reset:
            start = binding.attached_index - 1 if binding.history == "joined" else -1
            found = await self._ports.store.timeline(room_id, start, limit)
            if found is None:
                raise _not_found(room_id)
            head, events = found
        last = events[-1].index if events else max(start, -1)
        visible = tuple(event for event in events if sees(event, binding))
        return Page(visible, Cursor(head.epoch, last), reset, last < head.index)

    async def _viewer(self, room_id: str, viewer: str) -> ChannelBinding:
        snapshot = await self._ports.store.load_room(room_id)
        if snapshot is None:
            raise _not_found(room_id)
        binding = snapshot.bindings.get(viewer)
        if binding is None:
            raise ChannelNotFoundError(f"channel {viewer!r} is not attached to room {room_id!r}")
        return binding


def _of_unit(unit: Unit, visibility: str | None, after: int | None, before: int | None) -> list[RoomEvent]:
    """The events of a unit that belong to a page of the timeline."""
    return [
        entry.event
        for entry in unit.entries()
        if (visibility is None or entry.event.visibility == visibility)
        and (after is None or entry.event.index > after)
        and (before is None or entry.event.index < before)
    ]


def _started(timers: RoomTimers, now: datetime) -> RoomTimers:
    """Timers that begin to run now, unless they run already."""
    return timers if timers.last_activity_at is not None else evolve(timers, last_activity_at=now)


def _not_found(room_id: str) -> RoomNotFoundError:
    return RoomNotFoundError(f"room {room_id!r} does not exist")
