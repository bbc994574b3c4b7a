"""Rooms in SQL: what a batch changes of them beside new events, and their removal."""

from __future__ import annotations

from roomkit_core.builtin.memory.batch import Prepared
from roomkit_core.builtin.memory.rooms import PackedBinding, PackedRoom
from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.builtin.sqlite.work import forget_rows, heads_of, let_go_on
from roomkit_core.errors import EventNotFoundError
from roomkit_core.models.changes import ChangeSet
from roomkit_core.models.packing import ID, INDEX, Packed, with_index
from roomkit_core.models.time import to_microseconds

EVENT_COLUMNS = (
    "id, room_id, type, place, status, visibility, created, channel_id, participant_id, content_type, body, language, "
    "channel_type, direction, external_id, provider, provider_message_id, raw_payload, blocked_by, "
    "response_visibility, chain_depth, parent_event_id, correlation_id, idempotency_key, metadata, channel_data, "
    "delivery_results, routing"
)
"""A packed event, field by field."""

INSERT_EVENT = f"INSERT INTO events ({EVENT_COLUMNS}) VALUES ({', '.join('?' * len(EVENT_COLUMNS.split(',')))})"

_REPLACE_EVENT = f"""UPDATE events SET ({EVENT_COLUMNS}) = ({", ".join("?" * len(EVENT_COLUMNS.split(",")))})
    WHERE id = ?"""


def write_room(session: Session, changes: ChangeSet, packed: PackedRoom) -> None:
    """Create the batch's room, or replace all of it but the counters of events."""
    body, (created, room_id), organization_id, status, updated, active = packed
    former = session.one("SELECT created FROM rooms WHERE room_id = ?", room_id)
    if former is None:
        session.run(
            "INSERT INTO rooms (room_id, created, organization_id, status, body) VALUES (?, ?, ?, ?, ?)",
            room_id,
            created,
            organization_id,
            str(status),
            body,
        )
        session.run(
            "INSERT INTO heads (room_id, epoch, commit_id, next_index, updated, active) VALUES (?, ?, '', 0, ?, ?)",
            room_id,
            changes.epoch,
            updated,
            active,
        )
        return
    session.run(
        "UPDATE rooms SET created = ?, organization_id = ?, status = ?, body = ? WHERE room_id = ?",
        created,
        organization_id,
        str(status),
        body,
        room_id,
    )
    session.run("UPDATE heads SET updated = ?, active = ? WHERE room_id = ?", updated, active, room_id)
    if former[0] != created:
        for table in ("bindings", "people"):
            session.run(f"UPDATE {table} SET created = ? WHERE room_id = ?", created, room_id)


def write_parts(session: Session, changes: ChangeSet, rare: Prepared, room_id: str) -> None:
    """Write what belongs to the room beside its events and work."""
    for entry in rare.patches:
        patch_event(session, room_id, entry)
    if rare.bindings or rare.participants:
        (created,) = session.one("SELECT created FROM rooms WHERE room_id = ?", room_id)
        for channel_id, binding in rare.bindings:
            _write_binding(session, room_id, created, channel_id, binding)
        for participant_id, text in rare.participants:
            _write_participant(session, room_id, created, participant_id, text)
    for released in changes.releases:
        release(session, room_id, released)
    for channel_id, address in changes.claims:
        session.run(
            "INSERT OR REPLACE INTO conversations (channel_id, address, room_id) VALUES (?, ?, ?)",
            channel_id,
            address,
            room_id,
        )
    _write_notes(session, changes, rare, room_id)


def patch_event(session: Session, room_id: str, packed: Packed) -> None:
    """Replace an event where it stands.

    Raises:
        EventNotFoundError: The room does not have it.
    """
    found = session.one("SELECT room_id, place FROM events WHERE id = ?", packed[ID])
    if found is None or found[0] != room_id:
        raise EventNotFoundError(f"room {room_id!r} has no event {packed[ID]!r} that could be changed")
    entry = packed if packed[INDEX] == found[1] else with_index(packed, found[1])
    session.run(_REPLACE_EVENT, *entry, packed[ID])


def _write_binding(
    session: Session, room_id: str, created: int, channel_id: str, binding: PackedBinding | None
) -> None:
    session.run("DELETE FROM people WHERE room_id = ? AND via = ?", room_id, channel_id)
    if binding is None:
        session.run("DELETE FROM bindings WHERE room_id = ? AND channel_id = ?", room_id, channel_id)
        return
    body, capabilities, channel_type, people = binding
    session.run(
        """INSERT INTO bindings (room_id, channel_id, created, body, capabilities) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (room_id, channel_id) DO UPDATE SET body = excluded.body, capabilities = excluded.capabilities""",
        room_id,
        channel_id,
        created,
        body,
        capabilities,
    )
    session.each(
        "INSERT INTO people (person, created, room_id, via, channel_type) VALUES (?, ?, ?, ?, ?)",
        [(person, created, room_id, channel_id, channel_type) for person in people],
    )


def _write_participant(session: Session, room_id: str, created: int, participant_id: str, text: str | None) -> None:
    if text is None:
        session.run("DELETE FROM participants WHERE room_id = ? AND participant_id = ?", room_id, participant_id)
        session.run(
            "DELETE FROM people WHERE person = ? AND created = ? AND room_id = ? AND via = ''",
            participant_id,
            created,
            room_id,
        )
        return
    session.run(
        """INSERT INTO participants (room_id, participant_id, body) VALUES (?, ?, ?)
        ON CONFLICT (room_id, participant_id) DO UPDATE SET body = excluded.body""",
        room_id,
        participant_id,
        text,
    )
    session.run(
        "INSERT OR IGNORE INTO people (person, created, room_id, via) VALUES (?, ?, ?, '')",
        participant_id,
        created,
        room_id,
    )


def _write_notes(session: Session, changes: ChangeSet, rare: Prepared, room_id: str) -> None:
    session.each(
        "INSERT OR REPLACE INTO tasks (id, room_id, created, body) VALUES (?, ?, ?, ?)",
        [
            (task_id, room_id, to_microseconds(task.created_at), text)
            for task, (task_id, text) in zip(changes.tasks, rare.tasks, strict=True)
        ],
    )
    session.each(
        "INSERT OR REPLACE INTO observations (room_id, id, created, body) VALUES (?, ?, ?, ?)",
        [
            (room_id, seen_id, to_microseconds(seen.created_at), text)
            for seen, (seen_id, text) in zip(changes.observations, rare.observations, strict=True)
        ],
    )
    session.each(
        """INSERT INTO markers (room_id, channel_id, place) VALUES (?, ?, ?)
        ON CONFLICT (room_id, channel_id) DO UPDATE SET place = excluded.place WHERE excluded.place > place""",
        [(room_id, channel_id, index) for channel_id, index in changes.read_markers if index > -1],
    )


def obstacle(session: Session, changes: ChangeSet) -> str | None:
    """The room that holds a key which the batch claims and may not take over; None if nothing is in the way."""
    for conversation in changes.claims:
        holder = session.one("SELECT room_id FROM conversations WHERE channel_id = ? AND address = ?", *conversation)
        if holder is not None and holder[0] != changes.room_id and conversation not in changes.takeover:
            found: str = holder[0]
            return found
    return None


def release(session: Session, room_id: str, channel_id: str | None) -> None:
    """Release the room's conversation keys of a channel; None for all."""
    if channel_id is None:
        session.run("DELETE FROM conversations WHERE room_id = ?", room_id)
    else:
        session.run("DELETE FROM conversations WHERE room_id = ? AND channel_id = ?", room_id, channel_id)


def delete_room(session: Session, room_id: str) -> bool:
    """Remove a room with all that belongs to it; its keys find out by themselves."""
    if not session.run("DELETE FROM heads WHERE room_id = ?", room_id):
        return False
    open_lanes = "SELECT DISTINCT lane FROM work WHERE room_id = ? AND settled_at IS NULL AND lane IS NOT NULL"
    former = heads_of(session, [lane for (lane,) in session.all(open_lanes, room_id)])
    forget_rows(session, [row_id for (row_id,) in session.all("SELECT id FROM work WHERE room_id = ?", room_id)])
    let_go_on(session, former)
    for table in (
        "rooms",
        "events",
        "bindings",
        "participants",
        "people",
        "conversations",
        "markers",
        "tasks",
        "observations",
    ):
        session.run(f"DELETE FROM {table} WHERE room_id = ?", room_id)
    return True
