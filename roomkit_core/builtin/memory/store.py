"""A store in the memory of one process: the reference for what every store does, and the one for tests.

Writes happen at once and as a whole inside :meth:`InMemoryStore.submit`: first a repeat is recognised, then all guards
are asked, then everything that can fail is done, and only then something is written. Nothing in it waits, so it needs
no lock, and two kits over one instance are a fleet in miniature.

What rests is packed (see the modules beside this one); models exist while somebody looks at them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from roomkit_core.builtin.clock import SystemClock
from roomkit_core.builtin.memory.commit import refusal, repeat, write
from roomkit_core.builtin.memory.rooms import RoomRecord
from roomkit_core.builtin.memory.tables import BLOCKED, Tables
from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.store import (
    Accepted,
    Answer,
    ConversationStore,
    Cutoffs,
    DecidedKey,
    Known,
    RoomSnapshot,
    Ticket,
    WorkFilter,
)
from roomkit_core.interfaces.store_types import Report
from roomkit_core.interfaces.store_verbs import inbound_row
from roomkit_core.models.changes import ChangeSet, Committed, Conversation, Key, KeyResult
from roomkit_core.models.enums import ReceiptRank, RoomStatus, TaskStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.packing import CHANNEL_TYPE, CREATED, ID, INDEX, STATUS, SYSTEM, unpack_event
from roomkit_core.models.participant import Identity
from roomkit_core.models.room import Cursor, Room, Version
from roomkit_core.models.task import Observation, Task
from roomkit_core.models.time import to_microseconds
from roomkit_core.models.work import Attempt, Outcome, WorkKind, WorkRow, WorkState

T = TypeVar("T")

_new = tuple.__new__  # a NamedTuple's own constructor costs twice as much, and each message takes two


class DoneTicket(Ticket):
    """A ticket that has its answer as soon as it is handed out; :meth:`InMemoryStore.submit` sets it."""

    # No constructor: it would double the price of something that is made for every message.
    __slots__ = ()

    async def wait(self) -> Answer:
        assert self.answer is not None, "the ticket was handed out before the batch was decided"
        return self.answer


class InMemoryStore(ConversationStore):
    """Rooms, events and work in memory; gone with the process. For one thread, on asyncio and trio.

    Args:
        clock: Where the time comes from; the machine's clock when omitted. Leases run by its monotonic side, so that a
            step of the wall clock ends none.
    """

    is_process_local = True

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = SystemClock() if clock is None else clock
        self._began = to_microseconds(self._clock.now()) - round(self._clock.monotonic() * 1_000_000)
        tables = self._tables = Tables()
        self._rooms, self._records, self._events = tables.rooms, tables.rooms.records, tables.events
        self._keys, self._work = tables.keys, tables.work

    def _now(self) -> int:
        return self._began + round(self._clock.monotonic() * 1_000_000)

    # ------------------------------------------------------------------------------------------------- commit

    def submit(self, changes: ChangeSet) -> Ticket:
        events = changes.events
        ticket = DoneTicket()
        if changes.is_plain and (answer := self._append_plain(changes)) is not None:
            ticket.answer = answer
            return ticket
        if events[0].id in self._events if events else self._keys.has_commit(changes.commit_id):
            ticket.answer = repeat(self._tables, changes)
        else:
            record = None if changes.room_id is None else self._records.get(changes.room_id)
            ticket.answer = refusal(self._tables, changes, record) or write(self._tables, changes, record, self._now)
        return ticket

    def _append_plain(self, changes: ChangeSet) -> Committed | None:
        """One new event and nothing else, for a room at the expected version; None where there is more to say."""
        record = self._records.get(changes.room_id or "")
        expected = changes.expected
        (entry,) = changes.packed
        event_id = entry[ID]
        if record is None or (record.epoch, record.commit_id) != expected or event_id in self._events:
            return None
        index = len(record.timeline)
        if entry[INDEX] != index or entry[STATUS] == BLOCKED:
            return None
        self._events[event_id] = entry
        record.timeline.append(entry)
        record.commit_id = commit_id = changes.commit_id
        moment = entry[CREATED]
        if moment > record.updated:
            record.updated = moment
        if entry[CHANNEL_TYPE] != SYSTEM and moment > (record.active or 0):
            record.active = moment
        return _new(Committed, (_new(Version, (record.epoch, commit_id)), (index,), ()))

    async def delete_room(self, room_id: str) -> bool:
        record = self._records.get(room_id)
        if record is None:
            return False
        self._tables.remove_room(record, self._now())
        return True

    # --------------------------------------------------------------------------------------------------- work

    async def accept(
        self,
        message: InboundMessage,
        lane: tuple[str, ...],
        key: Key | None,
        *,
        room_id: str | None = None,
        owner: str = "",
        lease: float | None = None,
    ) -> Accepted | Known:
        if key is not None:
            row = self._work.accepted(key)
            if row is not None:
                return Known(row.id, row.state)
            result = self._keys.find(key)
            if result is not None:
                return Known(result.event_id or "", WorkState.REFUSED if result.blocked else WorkState.DONE)
        row = inbound_row(message, lane, key, room_id, claim=lease is not None)
        return Accepted(row.id, self._work.insert(row, self._now(), owner, _microseconds(lease or 0)))

    @property
    def journal_is_empty(self) -> bool:
        return not self._work.inbound

    async def claim(
        self,
        owner: str,
        *,
        lease: float,
        limit: int,
        kinds: Iterable[WorkKind] | None = None,
        channels: Iterable[str] | None = None,
        lanes: Iterable[tuple[str, ...]] | None = None,
    ) -> list[WorkRow]:
        return self._work.claim(
            owner,
            self._now(),
            _microseconds(lease),
            limit,
            None if kinds is None else frozenset(kinds),
            None if channels is None else frozenset(channels),
            lanes,
        )

    async def settle(
        self, row_id: str, token: int, outcome: Outcome, *, due_in: float | None = None, parts_done: int | None = None
    ) -> bool:
        now = self._now()
        due = None if due_in is None else now + _microseconds(due_in)
        return self._work.settle(row_id, token, outcome, now, due, parts_done)

    async def renew(self, claims: Sequence[tuple[str, int]], *, lease: float) -> list[str]:
        until = self._now() + _microseconds(lease)
        return [row_id for row_id, token in claims if not self._work.renew(row_id, token, until)]

    async def note_receipt(self, channel_id: str, provider_id: str, rank: str, at: int) -> bool:
        return self._work.note_receipt(channel_id, provider_id, Report(ReceiptRank(rank).value, at), self._now())

    async def expire(self, now: int) -> int:
        return self._work.expire(now, self._now())

    async def purge(self, cutoffs: Cutoffs, *, limit: int = 1_000) -> int:
        gone = self._work.purge(cutoffs, limit)
        if cutoffs.keys is not None:
            gone += self._keys.purge(cutoffs.keys, limit - gone)
        if cutoffs.blocked is not None:
            gone += self._tables.prune_blocked(cutoffs.blocked, limit - gone)
        return gone + self._tables.values.purge(self._now(), limit - gone)

    async def list_work(self, where: WorkFilter, *, limit: int = 100, after: str | None = None) -> list[WorkRow]:
        return self._work.find(where, limit, after)

    async def work_history(self, row_id: str) -> list[Attempt]:
        return self._work.history(row_id)

    async def has_open(self, lane: tuple[str, ...]) -> bool:
        return self._work.has_open(lane)

    # ------------------------------------------------------------------------------------------ rooms and events

    async def load_room(self, room_id: str, *, tail: int = 0) -> RoomSnapshot | None:
        record = self._records.get(room_id)
        if record is None:
            return None
        return RoomSnapshot(
            Version(record.epoch, record.commit_id),
            record.room(),
            record.all_bindings(),
            record.all_participants(),
            len(record.timeline),
            record.timeline[-tail:] if tail > 0 else [],
        )

    async def timeline(self, room_id: str, after: int, limit: int) -> tuple[Cursor, list[RoomEvent]] | None:
        record = self._records.get(room_id)
        if record is None:
            return None
        start = max(after + 1, 0)
        page = record.timeline[start : start + max(limit, 0)]
        return record.head, [unpack_event(entry) for entry in page]

    async def heads(self, room_ids: Iterable[str]) -> dict[str, Cursor]:
        records = (self._records.get(room_id) for room_id in room_ids)
        return {record.id: record.head for record in records if record is not None}

    async def find_key(self, key: Key) -> KeyResult | None:
        return self._keys.find(key)

    async def find_keys(self, name: str) -> list[DecidedKey]:
        return self._keys.called(name)

    async def find_conversation(self, conversation: Conversation) -> str | None:
        return self._tables.conversations.find(conversation)

    async def get_event(self, event_id: str) -> RoomEvent | None:
        entry = self._events.get(event_id)
        return None if entry is None else unpack_event(entry)

    async def list_events(
        self,
        room_id: str,
        offset: int = 0,
        limit: int = 50,
        visibility_filter: str | None = None,
        *,
        after_index: int | None = None,
        before_index: int | None = None,
        newest_first: bool = False,
    ) -> list[RoomEvent]:
        if after_index is not None and before_index is not None:
            raise ValueError("a page has one cursor: after_index or before_index, not both")
        record = self._records.get(room_id)
        if record is None:
            return []
        has_cursor = after_index is not None or before_index is not None
        page = record.page(
            0 if after_index is None else after_index + 1,
            len(record.timeline) if before_index is None else before_index,
            0 if has_cursor else offset,
            limit,
            visibility_filter,
            backwards=before_index is not None or (newest_first and not has_cursor),
        )
        return [unpack_event(entry) for entry in page]

    async def find_rooms(
        self,
        organization_id: str | None = None,
        status: RoomStatus | None = None,
        metadata_filter: dict[str, Any] | None = None,
        *,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Room]:
        records: Iterable[RoomRecord] = self._rooms.find(organization_id, status)
        if metadata_filter:
            records = (record for record in records if record.has_metadata(metadata_filter))
        return [record.room() for record in _page(records, offset, limit)]

    async def find_latest_room(
        self, participant_id: str, channel_type: ChannelType | None = None, status: RoomStatus | None = None
    ) -> Room | None:
        record = next(self._rooms.with_person(participant_id, channel_type, status), None)
        return None if record is None else record.room()

    async def find_room_ids_by_channel(
        self, channel_id: str, status: RoomStatus | None = None, limit: int = 2
    ) -> list[str]:
        return [record.id for record in _page(self._rooms.with_channel(channel_id, status), 0, limit)]

    # --------------------------------------------------------------------------------------------- the rest

    async def get_identity(self, identity_id: str) -> Identity | None:
        return self._tables.identities.get(identity_id)

    async def resolve_identity(self, channel_type: str, address: str) -> Identity | None:
        return self._tables.identities.resolve((channel_type, address))

    async def get_task(self, task_id: str) -> Task | None:
        room_id = self._tables.task_rooms.get(task_id)
        if room_id is None:
            return None
        return Task.model_validate_json(self._records[room_id].tasks[task_id])

    async def list_tasks(self, room_id: str, status: TaskStatus | None = None) -> list[Task]:
        record = self._records.get(room_id)
        tasks = [] if record is None else record.all_tasks()
        return [task for task in tasks if status in (None, task.status)]

    async def list_observations(self, room_id: str) -> list[Observation]:
        record = self._records.get(room_id)
        return [] if record is None else record.all_observations()

    async def list_read_markers(self, room_id: str) -> dict[str, int]:
        record = self._records.get(room_id)
        return {} if record is None else dict(record.markers)

    async def kv_get(self, namespace: str, key: str) -> str | None:
        return self._tables.values.get(namespace, key, self._now())

    async def kv_scan(self, namespace: str, prefix: str = "") -> list[tuple[str, str]]:
        return self._tables.values.scan(namespace, prefix, self._now())


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _page(items: Iterable[T], offset: int, limit: int) -> Iterator[T]:
    return islice(items, max(offset, 0), max(offset, 0) + max(limit, 0))
