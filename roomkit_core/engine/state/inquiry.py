"""Reading what is known about an id that a person has in hand, whatever it is the id of. Bounded reads by index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from roomkit_core.engine.pure.facts import Facts, Obstacle, Queue
from roomkit_core.engine.state.signs import pause_of, read_notices, read_pauses
from roomkit_core.errors import WorkNotFoundError
from roomkit_core.interfaces.store import ConversationStore, DecidedKey, RoomSnapshot, WorkFilter
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.work import OPEN_STATES, Attempt, WorkKind, WorkRow, WorkState

LIMIT = 200
"""How many rows of one kind of question are read, and how many events after the one in question are looked at."""


class Inquiry:
    """One question about one id.

    Args:
        store: Where it is read.
        name: The id.
        now: The present moment in microseconds.
        obstacles: What keeps channels closed as the kit that asks knows it; None if it is no kit that asks.
        registered: The channels of that kit.
    """

    def __init__(
        self,
        store: ConversationStore,
        name: str,
        now: int,
        obstacles: Mapping[str, Obstacle] | None = None,
        registered: frozenset[str] | None = None,
    ) -> None:
        self._store = store
        self._name = name
        self._now = now
        self._given = obstacles
        self._registered = registered
        self._rows: dict[str, WorkRow] = {}
        self._keys: dict[tuple[str, str, str], DecidedKey] = {}

    async def facts(self) -> Facts:
        """What is known.

        Raises:
            WorkNotFoundError: Nothing is.
        """
        name, store = self._name, self._store
        row = await self._row(name)
        event = await store.get_event(name)
        found_as = "event" if event is not None else "row" if row is None else _KINDS.get(row.kind, row.kind.value)
        if event is not None:
            row = None  # what was scheduled has the id of its event
        elif row is None:
            found_as, row, event = await self._by_other_names()
        if event is None and row is not None:
            row = await self._follow_retries(row)
            event = await self._event_of(row)
        if event is not None:
            await self._all_of(event)
        elif row is not None and row.event_id is not None:
            self._take(await store.list_work(WorkFilter(event_id=row.event_id), limit=LIMIT))
        # A key stands for the whole message; every other name that leads to a row asks about that row.
        asked_about = None if found_as == "key" else row
        snapshot = await self._room(event, row)
        linked = await self._linked(event)
        rows = sorted(self._rows.values(), key=lambda one: one.seq)
        shown = [*rows, *(one for _, of_event in linked for one in of_event)]
        return Facts(
            name,
            found_as,
            self._now,
            event,
            await self._root(event),
            None if snapshot is None else snapshot.room,
            {} if snapshot is None else snapshot.bindings,
            sorted(self._keys.values(), key=lambda one: one.at),
            asked_about,
            [one for one in rows if one.kind in BRINGS_IN],
            [one for one in rows if one.kind not in BRINGS_IN],
            linked,
            {one.id: history for one in shown if (history := await self._history(one))},
            {one.id: queue for one in shown if (queue := await self._queue(one)) is not None},
            await self._obstacles(),
            self._registered,
            len(rows) >= LIMIT,
        )

    # ------------------------------------------------------------------------------------------ what it is the id of

    async def _by_other_names(self) -> tuple[str, WorkRow | None, RoomEvent | None]:
        """What a provider, a client or a chain calls by that name."""
        named = await self._store.list_work(WorkFilter(name=self._name), limit=LIMIT)
        keys = await self._store.find_keys(self._name)
        self._take(named)
        self._keys.update((decided.key, decided) for decided in keys)
        deliveries = [row for row in named if self._name in row.provider_ids and row.kind is not WorkKind.INBOUND]
        if deliveries:
            return "provider's id", deliveries[-1], None
        if keys or named:
            for decided in reversed(keys):
                event = await self._store.get_event(decided.result.event_id or "")
                if event is not None:
                    return "key", None, event
            return "key", (named[-1] if named else None), None
        for where in (WorkFilter(event_id=self._name), WorkFilter(correlation_id=self._name)):
            rows = await self._store.list_work(where, limit=LIMIT)
            if rows:
                self._take(rows)
                return ("event that is gone" if where.event_id else "correlation id"), rows[0], None
        raise WorkNotFoundError(f"nothing is known by the id {self._name!r}")

    async def _row(self, row_id: str) -> WorkRow | None:
        found = await self._store.list_work(WorkFilter(row_id=row_id), limit=1)
        self._take(found)
        return found[0] if found else None

    def _take(self, rows: Iterable[WorkRow]) -> None:
        self._rows.update((row.id, row) for row in rows)

    async def _follow_retries(self, row: WorkRow) -> WorkRow:
        """Read what the row is a retry of, and its own retries; returns the row."""
        before = row
        while before.retry_of is not None and before.retry_of not in self._rows:
            found = await self._row(before.retry_of)
            if found is None:
                break
            before = found
        asked: set[str] = set()
        while waiting := [row_id for row_id in self._rows if row_id not in asked]:
            for row_id in waiting:
                asked.add(row_id)
                self._take(await self._store.list_work(WorkFilter(retry_of=row_id), limit=LIMIT))
        return row

    async def _event_of(self, row: WorkRow) -> RoomEvent | None:
        """The event that a row is about, or that the message of a journaled row became."""
        if row.kind is not WorkKind.INBOUND:
            return await self._store.get_event(row.event_id or "")
        names = list(row.provider_ids)
        if row.key is not None:
            for decided in await self._store.find_keys(row.key[2]):
                if decided.key == row.key:
                    self._keys[decided.key] = decided
                    names.append(decided.result.event_id or "")
        for event_id in names:
            event = await self._store.get_event(event_id)
            if event is not None:
                return event
        return None

    # ------------------------------------------------------------------------------------------ what belongs to it

    async def _all_of(self, event: RoomEvent) -> None:
        """What the event is owed, and how it came in."""
        self._take(await self._store.list_work(WorkFilter(event_id=event.id), limit=LIMIT))
        await self._row(event.id)
        self._take(await self._store.list_work(WorkFilter(retry_of=event.id), limit=LIMIT))
        for decided in await self._store.find_keys(event.id):
            self._keys[decided.key] = decided
        for name in {event.id, *(key[2] for key in self._keys)}:
            called = await self._store.list_work(WorkFilter(name=name), limit=LIMIT)
            self._take(row for row in called if row.kind is WorkKind.INBOUND)

    async def _root(self, event: RoomEvent | None) -> RoomEvent | None:
        if event is None or event.correlation_id in (None, event.id):
            return None
        return await self._store.get_event(event.correlation_id or "")

    async def _room(self, event: RoomEvent | None, row: WorkRow | None) -> RoomSnapshot | None:
        room_id = event.room_id if event is not None else row.room_id if row is not None else None
        if room_id is None:
            room_id = next((decided.result.room_id for decided in self._keys.values()), None)
        return None if room_id is None else await self._store.load_room(room_id)

    async def _linked(self, event: RoomEvent | None) -> list[tuple[RoomEvent, list[WorkRow]]]:
        """Later events of the chain with what each is owed: those that follow at once, and all that are owed something.

        An event that is owed nothing (all its channels are live) and stands more than :data:`LIMIT` events later is not
        found: nothing names it by its chain.
        """
        if event is None:
            return []
        chain = event.correlation_id or event.id
        found = await self._store.timeline(event.room_id, event.index, LIMIT)
        later = {one.id: one for one in (found[1] if found else ()) if one.correlation_id == chain}
        rows = await self._store.list_work(WorkFilter(correlation_id=chain), limit=LIMIT)
        for event_id in {row.event_id for row in rows if row.event_id} - {event.id, *later}:
            one = await self._store.get_event(event_id)
            if one is not None and (one.room_id != event.room_id or one.index > event.index):
                later[event_id] = one
        in_order = sorted(later.values(), key=lambda one: (one.created_at, one.index))
        return [(one, [row for row in rows if row.event_id == one.id]) for one in in_order]

    # ------------------------------------------------------------------------------------------ how it stands

    async def _history(self, row: WorkRow) -> list[Attempt]:
        return await self._store.work_history(row.id)

    async def _queue(self, row: WorkRow) -> Queue | None:
        """What stands before a row that waits in its lane."""
        if row.state is not WorkState.PENDING or row.due is not None or not row.lane:
            return None
        lane = await self._store.list_work(WorkFilter(states=OPEN_STATES, lane=row.lane), limit=LIMIT)
        ahead = sorted((one for one in lane if one.seq < row.seq), key=lambda one: one.seq)
        return Queue(ahead[0], len(ahead)) if ahead else None

    async def _obstacles(self) -> dict[str, Obstacle]:
        """What keeps channels closed: what the kit that asks knows, or what kits have told; pauses above all."""
        told = await read_notices(self._store) if self._given is None else dict(self._given)
        return told | pause_of(await read_pauses(self._store))


BRINGS_IN = frozenset({WorkKind.INBOUND, WorkKind.SCHEDULED})
"""Kinds of rows that become an event."""

_KINDS = {WorkKind.INBOUND: "accepted message", WorkKind.HOOK: "durable hook", WorkKind.SCHEDULED: "scheduled message"}

__all__ = ["Inquiry"]
