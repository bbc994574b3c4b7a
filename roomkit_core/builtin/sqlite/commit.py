"""How a batch becomes part of a SQLite store: repeats, guards, and the write; the rules of the in-memory store.

Called inside a savepoint of its own: whatever raises here leaves nothing behind.
"""

from __future__ import annotations

from roomkit_core.builtin.memory.batch import pack_events
from roomkit_core.builtin.sqlite.batch import Batch
from roomkit_core.builtin.sqlite.births import Birth, insert_work
from roomkit_core.builtin.sqlite.directory import put_identity, put_value
from roomkit_core.builtin.sqlite.keys import DECIDE, decision, find_key, remember_commit
from roomkit_core.builtin.sqlite.outcomes import Settlement, settle, withdraw
from roomkit_core.builtin.sqlite.rooms import INSERT_EVENT, obstacle, write_parts, write_room
from roomkit_core.builtin.sqlite.rows import COLUMNS, unpack_row
from roomkit_core.builtin.sqlite.session import Session, as_list
from roomkit_core.builtin.sqlite.work import find_rows
from roomkit_core.interfaces.store import Answer
from roomkit_core.models.changes import ABSENT, ChangeSet, Committed, Refused
from roomkit_core.models.packing import CHANNEL_TYPE, CREATED, ID, SYSTEM, Packed
from roomkit_core.models.room import Version
from roomkit_core.models.work import OPEN_STATES, WorkRow, WorkState

_EXISTS, _GONE, _STALE, _LOST = Refused("exists"), Refused("gone"), Refused("stale"), Refused("lost")

Head = tuple[str, str, int]
"""(epoch, commit id, next index) of a room."""

MOVE_HEAD = """UPDATE heads SET commit_id = ?, next_index = ?, updated = max(updated, ?),
    active = nullif(max(ifnull(active, 0), ?), 0) WHERE room_id = ?"""


def commit(session: Session, batch: Batch) -> Answer:
    """Write the batch, or say why not.

    Raises:
        ValueError: The batch contradicts itself.
        EventNotFoundError: A patch is of an event that the room does not have.
    """
    changes = batch.changes
    if _is_written(session, changes):
        return _repeat(session, changes)
    head: Head | None = None
    if changes.room_id is not None:
        head = session.one("SELECT epoch, commit_id, next_index FROM heads WHERE room_id = ?", changes.room_id)
    refused = _refusal(session, changes, head)
    if refused is not None:
        return refused
    if batch.flaw is not None:
        raise batch.flaw
    return _write(session, batch, head)


# ----------------------------------------------------------------------------------------------------------- repeats


def _is_written(session: Session, changes: ChangeSet) -> bool:
    if changes.events:
        return session.one("SELECT 1 FROM events WHERE id = ?", changes.events[0].id) is not None
    return session.one("SELECT 1 FROM commits WHERE commit_id = ?", changes.commit_id) is not None


def _repeat(session: Session, changes: ChangeSet) -> Answer:
    """The first answer to a batch that was written before; its claims as far as the owner still holds them."""
    ids = [event.id for event in changes.events]
    stored = _stored(session, ids)
    if len(stored) < len(ids):
        raise ValueError("the batch mixes new events with events that another commit has written")
    if changes.expected is None:
        version = None
    else:
        if ids:
            room_id = stored[ids[0]][0]
            (epoch,) = session.one("SELECT epoch FROM heads WHERE room_id = ?", room_id)
        else:
            (epoch,) = session.one("SELECT epoch FROM commits WHERE commit_id = ?", changes.commit_id)
        version = Version(epoch, changes.commit_id)
    return Committed(version, tuple(stored[event_id][1] for event_id in ids), _held(session, changes, ids))


def _stored(session: Session, ids: list[str]) -> dict[str, tuple[str, int]]:
    """(room, index) of those of the events that are stored."""
    if not ids:
        return {}
    found = session.all(
        "SELECT id, room_id, place FROM events WHERE id IN (SELECT value FROM json_each(?))", as_list(ids)
    )
    return {event_id: (room_id, place) for event_id, room_id, place in found}


def _held(session: Session, changes: ChangeSet, event_ids: list[str]) -> tuple[WorkRow, ...]:
    """What the owner has in flight of the batch's rows, and of the room's rows about its events."""
    known = find_rows(session, [row.id for row in changes.work]) if changes.work else {}
    rows = {row.id: known[row.id] for row in changes.work if row.id in known}
    if event_ids and changes.room_id is not None:
        about = session.all(
            f"""SELECT {COLUMNS} FROM work WHERE event_id IN (SELECT value FROM json_each(?)) AND room_id = ?
            AND settled_at IS NULL ORDER BY seq""",
            as_list(event_ids),
            changes.room_id,
        )
        for columns in about:
            rows.setdefault(columns[0], unpack_row(columns))
    return tuple(row for row in rows.values() if row.state is WorkState.IN_FLIGHT and row.owner == changes.owner)


# ------------------------------------------------------------------------------------------------------------ guards


def _refusal(session: Session, changes: ChangeSet, head: Head | None) -> Refused | None:
    """The guard that does not hold, if there is one."""
    expected = changes.expected
    if head is None:
        if changes.room_id is not None and expected is not ABSENT:
            return _GONE
    elif expected is ABSENT:
        return _EXISTS
    elif expected is not None and head[:2] != expected:
        return _STALE
    for key, _ in changes.keys:
        result = find_key(session, key)
        if result is not None:
            return Refused("known", key=key, result=result)
    if changes.claims:
        holder = obstacle(session, changes)
        if holder is not None:
            return Refused("taken", room_id=holder)
    for row_id, token, _ in changes.discharges:
        held = session.one("SELECT token FROM work WHERE id = ? AND state = 'in_flight'", row_id)
        if held is None or held[0] != token:
            return _LOST
    return None


def _check_work(session: Session, changes: ChangeSet) -> None:
    """New rows have new ids, what discharges a row ends it, and a key is decided once.

    Raises:
        ValueError: Something else.
    """
    if len({key for key, _ in changes.keys}) < len(changes.keys):
        raise ValueError("the batch decides one idempotency key twice")
    ids = [row.id for row in changes.work]
    if len(set(ids)) < len(ids):
        raise ValueError("the batch holds the id of a work row twice")
    if ids and (known := find_rows(session, ids)):
        raise ValueError(f"there is a work row {next(iter(known))!r} already")
    for discharge in changes.discharges:
        if discharge.outcome.state in OPEN_STATES:
            raise ValueError(f"a discharge ends its row, it cannot leave it {discharge.outcome.state}")


# ------------------------------------------------------------------------------------------------------------- write


def _write(session: Session, batch: Batch, head: Head | None) -> Committed:
    changes, rare = batch.changes, batch.rare
    index = 0 if head is None else head[2]
    events = _place(session, batch, index) if changes.events else ()
    _check_work(session, changes)
    epoch = changes.epoch if head is None else head[0]
    if rare is not None:
        if rare.room is not None:
            write_room(session, changes, rare.room)
        if changes.room_id is not None:
            write_parts(session, changes, rare, changes.room_id)
        for identity_id, text, addresses in rare.identities:
            put_identity(session, identity_id, text, addresses)
        for place, value in rare.values:
            put_value(session, place, value)
    version = None
    if changes.room_id is not None and changes.expected is not None:
        version = Version(epoch or "", changes.commit_id)
        _move_head(session, changes, index, events)
    session.each(INSERT_EVENT, events)
    claims = _write_work(session, batch, version)
    return Committed(version, tuple(range(index, index + len(events))), claims)


def _place(session: Session, batch: Batch, index: int) -> tuple[Packed, ...]:
    """The batch's events at the indexes that they get."""
    known = _stored(session, [entry[ID] for entry in batch.events]) if len(batch.events) > 1 else {}
    return pack_events(batch.changes, index, {event_id: (event_id,) for event_id in known})


def _move_head(session: Session, changes: ChangeSet, index: int, events: tuple[Packed, ...]) -> None:
    if events:
        updated = events[-1][CREATED]
        active = max((event[CREATED] for event in events if event[CHANNEL_TYPE] != SYSTEM), default=0)
        session.run(MOVE_HEAD, changes.commit_id, index + len(events), updated, active, changes.room_id)
    else:
        session.run("UPDATE heads SET commit_id = ? WHERE room_id = ?", changes.commit_id, changes.room_id)


def _write_work(session: Session, batch: Batch, version: Version | None) -> tuple[WorkRow, ...]:
    """Obligations that end, then those that begin: a row may be born into the lane that its cause has just left."""
    changes, now = batch.changes, session.now
    if changes.discharges:
        settle(session, [Settlement(row_id, token, outcome) for row_id, token, outcome in changes.discharges])
    for withdrawal in changes.withdrawals:
        withdraw(session, changes.room_id, withdrawal)
    session.each(DECIDE, [decision(key, result, now) for key, result in changes.keys])
    if not changes.events:
        remember_commit(session, changes.commit_id, "" if version is None else version.epoch)
    if not batch.work:
        return ()
    (claims,) = insert_work(session, [birth_of(batch)])
    return claims


def birth_of(batch: Batch) -> Birth:
    """The batch's new rows."""
    return Birth(batch.work, batch.changes.owner, round(batch.changes.lease * 1_000_000))
