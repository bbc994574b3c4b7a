"""How a batch becomes part of an in-memory store: repeats, guards, and the write that cannot fail half-way."""

from __future__ import annotations

from collections.abc import Callable

from roomkit_core.builtin.memory.batch import Prepared, check_work, has_rare_parts, pack_events, prepare
from roomkit_core.builtin.memory.rooms import RoomRecord
from roomkit_core.builtin.memory.tables import BLOCKED, Tables
from roomkit_core.interfaces.store import Answer
from roomkit_core.models.changes import ABSENT, ChangeSet, Committed, Refused
from roomkit_core.models.packing import CHANNEL_TYPE, CREATED, ID, INDEX, ROOM, STATUS, SYSTEM, Packed
from roomkit_core.models.room import Version
from roomkit_core.models.work import WorkRow

_new = tuple.__new__  # a NamedTuple's own constructor costs twice as much, and each message takes two

_EXISTS, _GONE, _STALE, _LOST = Refused("exists"), Refused("gone"), Refused("stale"), Refused("lost")


def repeat(tables: Tables, changes: ChangeSet) -> Answer:
    """The first answer to a batch that was written before; its claims as far as the owner still holds them.

    Raises:
        ValueError: Only some of its events were.
    """
    events = changes.events
    stored = [tables.events[event.id] for event in events if event.id in tables.events]
    if len(stored) < len(events):
        raise ValueError("the batch mixes new events with events that another commit has written")
    if changes.expected is None:
        version = None
    else:
        epoch = tables.rooms.records[stored[0][ROOM]].epoch if stored else tables.keys.epoch_of(changes.commit_id)
        version = Version(epoch, changes.commit_id)
    claims = tables.work.held_by(
        changes.owner, (row.id for row in changes.work), changes.room_id, {event.id for event in events}
    )
    return Committed(version, tuple(entry[INDEX] for entry in stored), claims)


def refusal(tables: Tables, changes: ChangeSet, record: RoomRecord | None) -> Refused | None:
    """The guard that does not hold, if there is one.

    Args:
        tables: The store.
        changes: The batch.
        record: The batch's room, if there is one.
    """
    expected = changes.expected
    if record is None:
        if changes.room_id is not None and expected is not ABSENT:
            return _GONE
    elif expected is ABSENT:
        return _EXISTS
    elif expected is not None and (record.epoch, record.commit_id) != expected:
        return _STALE
    for key, _ in changes.keys:
        result = tables.keys.find(key)
        if result is not None:
            return Refused("known", key=key, result=result)
    if changes.claims and (holder := tables.conversations.obstacle(changes)) is not None:
        return Refused("taken", room_id=holder)
    for row_id, token, _ in changes.discharges:
        if not tables.work.is_held(row_id, token):
            return _LOST
    return None


def write(tables: Tables, changes: ChangeSet, record: RoomRecord | None, now: Callable[[], int]) -> Committed:
    """Write a batch whose guards hold; if this raises, nothing is written.

    Args:
        tables: The store.
        changes: The batch.
        record: The batch's room, if there is one.
        now: Tells the present moment in microseconds; a batch of events alone does not ask.

    Raises:
        ValueError: The batch contradicts itself.
        EventNotFoundError: A patch is of an event that the room does not have.
    """
    rare = prepare(changes, tables.events) if has_rare_parts(changes) else None
    index = 0 if record is None else len(record.timeline)
    events = pack_events(changes, index, tables.events) if changes.events else ()
    has_work = changes.keys or changes.work or changes.discharges or changes.withdrawals or not events
    if has_work:
        check_work(changes, tables.work)
    # From here on nothing can fail.
    if rare is not None:
        record = _write_rare(tables, changes, rare, record)
    version = None
    if record is not None and changes.expected is not None:
        record.commit_id = changes.commit_id
        version = _new(Version, (record.epoch, changes.commit_id))
    if record is not None and events:
        _append(tables, record, events)
    claims = _write_work(tables, changes, version, now()) if has_work else ()
    indexes = (index,) if len(events) == 1 else tuple(range(index, index + len(events)))
    return _new(Committed, (version, indexes, claims))


def _append(tables: Tables, record: RoomRecord, events: tuple[Packed, ...]) -> None:
    record.timeline.extend(events)
    for entry in events:
        tables.events[entry[ID]] = entry
        if entry[STATUS] == BLOCKED:
            tables.note_blocked(entry)
        if entry[CHANNEL_TYPE] != SYSTEM and entry[CREATED] > (record.active or 0):
            record.active = entry[CREATED]
    record.updated = max(record.updated, events[-1][CREATED])


def _write_work(tables: Tables, changes: ChangeSet, version: Version | None, now: int) -> tuple[WorkRow, ...]:
    """Obligations that end, then those that begin: a row may be born into the lane that its cause has just left."""
    work, lease = tables.work, round(changes.lease * 1_000_000)
    for row_id, token, outcome in changes.discharges:
        work.settle(row_id, token, outcome, now)
    for withdrawal in changes.withdrawals:
        work.withdraw(changes.room_id, withdrawal, now)
    for key, result in changes.keys:
        tables.keys.decide(key, result, now)
    if not changes.events:
        tables.keys.remember_commit(changes.commit_id, "" if version is None else version.epoch, now)
    claims: tuple[WorkRow, ...] = ()
    for row in changes.work:
        claimed = work.insert(row, now, changes.owner, lease)
        if claimed is not None:
            claims = (*claims, claimed)
    return claims


def _write_rare(tables: Tables, changes: ChangeSet, rare: Prepared, record: RoomRecord | None) -> RoomRecord | None:
    if rare.room is not None:
        if record is None:
            record = tables.rooms.create(changes.epoch or "", rare.room)
        else:
            tables.rooms.replace(record, rare.room)
    if record is not None:
        _write_room_parts(tables, changes, rare, record)
    for identity_id, text, addresses in rare.identities:
        tables.identities.put(identity_id, text, addresses)
    for place, value in rare.values:
        tables.values.put(place, value)
    return record


def _write_room_parts(tables: Tables, changes: ChangeSet, rare: Prepared, record: RoomRecord) -> None:
    for entry in rare.patches:
        record.timeline[entry[INDEX]] = tables.events[entry[ID]] = entry
        if entry[STATUS] == BLOCKED:
            tables.note_blocked(entry)
    if rare.bindings or rare.participants:
        tables.rooms.change_people(record, rare.bindings, rare.participants)
    for channel_id in changes.releases:
        tables.conversations.release(record, channel_id)
    for conversation in changes.claims:
        tables.conversations.take(record, conversation)
    for task_id, text in rare.tasks:
        former = tables.task_rooms.get(task_id)
        if former is not None and former != record.id:
            tables.rooms.records[former].tasks.pop(task_id)
        tables.task_rooms[task_id] = record.id
        record.tasks[task_id] = text
    record.observations.update(rare.observations)
    record.move_markers(changes.read_markers)
