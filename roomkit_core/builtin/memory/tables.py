"""All that an in-memory store holds, in one place."""

from __future__ import annotations

from roomkit_core.builtin.memory.directory import Conversations, Identities, Values
from roomkit_core.builtin.memory.keys import KeyBook
from roomkit_core.builtin.memory.rooms import RoomRecord, RoomTable
from roomkit_core.builtin.memory.shelves import Agenda
from roomkit_core.builtin.memory.work import WorkTable
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.packing import CREATED, ID, INDEX, ROOM, STATUS, Packed, tombstone

BLOCKED = EventStatus.BLOCKED.value


class Tables:
    """Rooms, their events, what is owed, and what is remembered beside them."""

    __slots__ = ("_blocked", "conversations", "events", "identities", "keys", "rooms", "task_rooms", "values", "work")

    def __init__(self) -> None:
        self.rooms = RoomTable()
        self.events: dict[str, Packed] = {}  # what the timelines hold, by event id
        self.conversations = Conversations(self.rooms.records)
        self.task_rooms: dict[str, str] = {}
        self.keys = KeyBook(self.rooms.records)
        self.work = WorkTable()
        self.identities = Identities()
        self.values = Values()
        self._blocked: Agenda[str] = Agenda()  # events whose content is to be pruned, by their own time

    def note_blocked(self, entry: Packed) -> None:
        """A blocked event was written; its content is pruned one day."""
        self._blocked.put(entry[ID], entry[CREATED])

    def prune_blocked(self, before: int, limit: int) -> int:
        """Leave tombstones of blocked events from before ``before``; returns how many."""
        pruned = 0
        for event_id in self._blocked.take_old(before, limit):
            entry = self.events[event_id]
            if entry[STATUS] == BLOCKED:  # a later patch may have let it through
                rest = tombstone(entry, "event.pruned")
                self.events[event_id] = self.rooms.records[entry[ROOM]].timeline[entry[INDEX]] = rest
                pruned += 1
        return pruned

    def remove_room(self, record: RoomRecord, now: int) -> None:
        """Remove a room with all that belongs to it; its keys find out by themselves."""
        self.conversations.release(record, None)
        self.rooms.remove(record)
        for entry in record.timeline:
            del self.events[entry[ID]]
            if entry[STATUS] == BLOCKED:
                self._blocked.drop(entry[ID])
        for task_id in record.tasks:
            del self.task_rooms[task_id]
        self.work.forget_room(record.id, now)
