"""What a SQLite store remembers so that a repeat is recognised: decided keys, and ids of commits without events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.interfaces.store import DecidedKey
from roomkit_core.models.changes import Key, KeyResult

FIND_KEY = """SELECT k.room_id, k.event_id, k.blocked, k.reason, k.epoch, h.epoch
    FROM keys k LEFT JOIN heads h ON h.room_id = k.room_id
    WHERE k.channel_id = ? AND k.sender = ? AND k.name = ?"""

FIND_KEYS = """SELECT json_group_array(json_array(
        k.channel_id, k.sender, k.name, k.at, k.room_id, k.event_id, k.blocked, k.reason, k.epoch, h.epoch
    ))
    FROM (SELECT * FROM keys WHERE name = ? UNION SELECT * FROM keys WHERE event_id = ?) k
    LEFT JOIN heads h ON h.room_id = k.room_id"""

DECIDE = """INSERT INTO keys (channel_id, sender, name, room_id, event_id, blocked, reason, epoch, at)
    VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT epoch FROM heads WHERE room_id = ?), ?)"""
"""The epoch tells later whether the room is still the same, so that deleting a room need not look for its keys."""


def result_of(found: Sequence[Any] | None) -> KeyResult | None:
    """What :data:`FIND_KEY` found; ``deleted`` if the room is no more."""
    if found is None:
        return None
    room_id, event_id, blocked, reason, epoch, present = found
    if epoch is not None and epoch != present:
        return KeyResult(room_id, None, True, "deleted")
    return KeyResult(room_id, event_id, bool(blocked), reason)


def find_key(session: Session, key: Key) -> KeyResult | None:
    return result_of(session.one(FIND_KEY, *key))


def decision(key: Key, result: KeyResult, now: int) -> tuple[Any, ...]:
    """The values of :data:`DECIDE`."""
    return (*key, *result, result.room_id, now)


def decided_keys(rows: Sequence[Any]) -> list[DecidedKey]:
    """What :data:`FIND_KEYS` found; oldest first, the key breaking ties."""
    found = []
    for channel_id, sender, name, at, *result in rows:
        known = result_of(result)
        if known is not None:
            found.append(DecidedKey((channel_id, sender, name), known, at))
    return sorted(found, key=lambda decided: (decided.at, decided.key))


def remember_commit(session: Session, commit_id: str, epoch: str) -> None:
    """Remember a commit that no event id tells of; ``epoch`` is of the version that it made, if it made one."""
    session.run("INSERT INTO commits (commit_id, epoch, at) VALUES (?, ?, ?)", commit_id, epoch, session.now)
