"""Rooms at rest in the in-memory store, and the indexes by which they are found.

Ten thousand idle rooms must be small and give the garbage collector nothing to follow: what a room consists of rests as
JSON and tuples of strings, and becomes models when somebody looks. Counters stand beside the packed room, so that a
message rewrites three integers and a string.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from sys import intern
from typing import Any

from pydantic_core import from_json

from roomkit_core.models.base import evolve
from roomkit_core.models.channel import ChannelBinding, ChannelCapabilities
from roomkit_core.models.enums import RoomStatus
from roomkit_core.models.packing import VISIBILITY, Packed
from roomkit_core.models.participant import Participant
from roomkit_core.models.room import Cursor, Room
from roomkit_core.models.task import Observation, Task
from roomkit_core.models.time import from_microseconds, to_microseconds

Order = tuple[int, str]
"""By what rooms are sorted: (creation in microseconds, id)."""

PackedBinding = tuple[str, str, str, tuple[str, ...]]
"""(the binding without its capabilities, these, the channel's type, the participants to whom it leads)."""

PackedRoom = tuple[str, Order, str | None, RoomStatus, int, int | None]
"""(the room, its place in the order, organization, status, last update and last activity in microseconds)."""


def pack_room(room: Room) -> PackedRoom:
    """Everything of a room but its counters of events."""
    active = room.timers.last_activity_at
    return (
        room.model_dump_json(),
        (to_microseconds(room.created_at), room.id),
        room.organization_id,
        room.status,
        to_microseconds(room.updated_at),
        None if active is None else to_microseconds(active),
    )


def pack_binding(binding: ChannelBinding) -> PackedBinding:
    """The binding; most bindings have the capabilities of their channel, which is why those are kept once."""
    people = {person for person in (binding.participant_id, *binding.routes) if person is not None}
    return (
        binding.model_dump_json(exclude={"capabilities"}),
        intern(binding.capabilities.model_dump_json()),
        intern(str(binding.channel_type)),
        tuple(sorted(people)),
    )


def unpack_binding(packed: PackedBinding) -> ChannelBinding:
    """A binding equal to the one that was packed."""
    return evolve(ChannelBinding.model_validate_json(packed[0]), capabilities=_capabilities(packed[1]))


@lru_cache(maxsize=256)
def _capabilities(text: str) -> ChannelCapabilities:
    return ChannelCapabilities.model_validate_json(text)


class RoomRecord:
    """One room. ``timeline`` holds its events, packed: the place in it is the index."""

    __slots__ = (
        "active",
        "bindings",
        "body",
        "commit_id",
        "conversations",
        "epoch",
        "id",
        "markers",
        "observations",
        "order",
        "organization_id",
        "participants",
        "status",
        "tasks",
        "timeline",
        "updated",
    )

    def __init__(self, epoch: str, room: PackedRoom) -> None:
        self.epoch = epoch
        self.commit_id = ""
        self.timeline: list[Packed] = []
        self.bindings: dict[str, PackedBinding] = {}
        self.participants: dict[str, str] = {}
        self.conversations: tuple[tuple[str, str], ...] = ()
        self.markers: dict[str, int] = {}
        self.tasks: dict[str, str] = {}
        self.observations: dict[str, str] = {}
        self.take_over(room)

    def take_over(self, room: PackedRoom) -> None:
        """Become ``room`` in everything but the counters of events."""
        self.body, self.order, self.organization_id, self.status, self.updated, self.active = room
        self.id = self.order[1]

    @property
    def head(self) -> Cursor:
        """How far the timeline goes."""
        return Cursor(self.epoch, len(self.timeline) - 1)

    def page(
        self, start: int, end: int, offset: int, limit: int, visibility: str | None, *, backwards: bool
    ) -> list[Packed]:
        """Events from ``start`` up to ``end``, ascending: the first ``limit`` after ``offset``, or the last ones."""
        timeline = self.timeline
        start, end, skip, limit = max(start, 0), min(end, len(timeline)), max(offset, 0), max(limit, 0)
        if visibility is None:  # no need to look at what is skipped
            start, end, skip = (start, end - skip, 0) if backwards else (start + skip, end, 0)
        places: Iterable[int] = range(end - 1, start - 1, -1) if backwards else range(start, end)
        if visibility is not None:
            places = (place for place in places if timeline[place][VISIBILITY] == visibility)
        page = [timeline[place] for place in islice(places, skip, skip + limit)]
        return page[::-1] if backwards else page

    def move_markers(self, markers: Iterable[tuple[str, int]]) -> None:
        """Move read markers forward, never back."""
        for channel_id, index in markers:
            if index > self.markers.get(channel_id, -1):
                self.markers[channel_id] = index

    def has_metadata(self, wanted: Mapping[str, Any]) -> bool:
        """Whether the room's metadata has these values under these keys."""
        metadata = from_json(self.body)["metadata"]
        return all(key in metadata and metadata[key] == value for key, value in wanted.items())

    def room(self) -> Room:
        """The room with its counters."""
        room = Room.model_validate_json(self.body)
        active = None if self.active is None else from_microseconds(self.active)
        count = len(self.timeline)
        return evolve(
            room,
            updated_at=from_microseconds(self.updated),
            timers=evolve(room.timers, last_activity_at=active),
            event_count=count,
            latest_index=max(count - 1, 0),
        )

    def all_bindings(self) -> dict[str, ChannelBinding]:
        return {channel_id: unpack_binding(packed) for channel_id, packed in self.bindings.items()}

    def all_participants(self) -> dict[str, Participant]:
        return {key: Participant.model_validate_json(text) for key, text in self.participants.items()}

    def all_tasks(self) -> list[Task]:
        """The room's tasks, oldest first."""
        return sorted(map(Task.model_validate_json, self.tasks.values()), key=_age)

    def all_observations(self) -> list[Observation]:
        """The room's observations, oldest first."""
        return sorted(map(Observation.model_validate_json, self.observations.values()), key=_age)

    def leads_to(self, person: str, channel_type: str | None) -> bool:
        """Whether the participant is in the room, or a binding (of that type) leads to them."""
        return person in self.participants or any(
            person in people and channel_type in (None, kind) for _, _, kind, people in self.bindings.values()
        )

    def people(self) -> set[str]:
        """All for whom :meth:`leads_to` is true."""
        return {*self.participants, *(person for binding in self.bindings.values() for person in binding[3])}


def _age(model: Task | Observation) -> tuple[datetime, str]:
    return model.created_at, model.id


class _Sorted:
    """Rooms by one of their properties, each list in the order of creation."""

    __slots__ = ("_lists",)

    def __init__(self) -> None:
        self._lists: dict[str, list[Order]] = {}

    def of(self, key: str) -> Sequence[Order]:
        return self._lists.get(key, ())

    def add(self, key: str, order: Order) -> None:
        rooms = self._lists.get(key)
        if rooms is None:
            self._lists[key] = [order]
        elif rooms[-1] < order:  # nearly always: rooms come in the order in which they were made
            rooms.append(order)
        elif rooms[bisect_left(rooms, order)] != order:
            insort(rooms, order)

    def discard(self, key: str, order: Order) -> None:
        rooms = self._lists.get(key, [])
        place = bisect_left(rooms, order)
        if place < len(rooms) and rooms[place] == order:
            del rooms[place]
            if not rooms:
                del self._lists[key]


_EVERY = "every"


class RoomTable:
    """All rooms of a store. Writes cannot fail: what can has been packed before."""

    __slots__ = ("_by_channel", "_by_organization", "_by_person", "_by_status", "_every", "records")

    def __init__(self) -> None:
        self.records: dict[str, RoomRecord] = {}
        self._every = _Sorted()
        self._by_organization = _Sorted()
        self._by_status = _Sorted()
        self._by_channel = _Sorted()
        self._by_person = _Sorted()

    # ------------------------------------------------------------------------------------------------- writes

    def create(self, epoch: str, room: PackedRoom) -> RoomRecord:
        record = self.records[room[1][1]] = RoomRecord(epoch, room)
        self._enter(record)
        return record

    def replace(self, record: RoomRecord, room: PackedRoom) -> None:
        _, order, organization_id, status, _, _ = room
        moved = order != record.order
        if moved or organization_id != record.organization_id or status != record.status:
            self._leave(record, everywhere=moved)
            record.take_over(room)
            self._enter(record, everywhere=moved)
        else:
            record.take_over(room)

    def change_people(
        self,
        record: RoomRecord,
        bindings: Iterable[tuple[str, PackedBinding | None]],
        participants: Iterable[tuple[str, str | None]],
    ) -> None:
        """Change bindings and participants; None removes."""
        touched: set[str] = set()
        for channel_id, binding in bindings:
            former = record.bindings.get(channel_id)
            if former is not None:
                touched.update(former[3])
            if binding is not None:
                record.bindings[channel_id] = binding
                touched.update(binding[3])
                self._by_channel.add(channel_id, record.order)
            elif former is not None:
                del record.bindings[channel_id]
                self._by_channel.discard(channel_id, record.order)
        for key, text in participants:
            touched.add(key)
            if text is not None:
                record.participants[key] = text
            else:
                record.participants.pop(key, None)
        for person in touched:
            if record.leads_to(person, None):
                self._by_person.add(person, record.order)
            else:
                self._by_person.discard(person, record.order)

    def remove(self, record: RoomRecord) -> None:
        self._leave(record)
        del self.records[record.id]

    def _enter(self, record: RoomRecord, *, everywhere: bool = True) -> None:
        order = record.order
        self._by_status.add(record.status, order)
        if record.organization_id is not None:
            self._by_organization.add(record.organization_id, order)
        if everywhere:
            self._every.add(_EVERY, order)
            for channel_id in record.bindings:
                self._by_channel.add(channel_id, order)
            for person in record.people():
                self._by_person.add(person, order)

    def _leave(self, record: RoomRecord, *, everywhere: bool = True) -> None:
        order = record.order
        self._by_status.discard(record.status, order)
        if record.organization_id is not None:
            self._by_organization.discard(record.organization_id, order)
        if everywhere:
            self._every.discard(_EVERY, order)
            for channel_id in record.bindings:
                self._by_channel.discard(channel_id, order)
            for person in record.people():
                self._by_person.discard(person, order)

    # -------------------------------------------------------------------------------------------------- reads

    def find(self, organization_id: str | None, status: RoomStatus | None) -> Iterator[RoomRecord]:
        """Rooms that match, oldest first, by way of the shortest list."""
        lists = [self._every.of(_EVERY)]
        if organization_id is not None:
            lists.append(self._by_organization.of(organization_id))
        if status is not None:
            lists.append(self._by_status.of(status))
        for _, room_id in min(lists, key=len):
            record = self.records[room_id]
            if organization_id in (None, record.organization_id) and status in (None, record.status):
                yield record

    def with_channel(self, channel_id: str, status: RoomStatus | None) -> Iterator[RoomRecord]:
        """Rooms to which the channel is attached, oldest first."""
        for _, room_id in self._by_channel.of(channel_id):
            record = self.records[room_id]
            if status in (None, record.status):
                yield record

    def with_person(self, person: str, channel_type: str | None, status: RoomStatus | None) -> Iterator[RoomRecord]:
        """Rooms that lead to the participant, newest first."""
        for _, room_id in reversed(self._by_person.of(person)):
            record = self.records[room_id]
            if status in (None, record.status) and record.leads_to(person, channel_type):
                yield record
