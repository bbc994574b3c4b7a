"""What an in-memory store remembers so that a repeat is recognised: decided keys, and ids of commits without events."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from roomkit_core.builtin.memory_rooms import RoomRecord
from roomkit_core.models.changes import Key, KeyResult


class KeyBook:
    """Decided idempotency keys and remembered commits; both outlive the room that they are about.

    Args:
        rooms: All rooms by id; the book only reads them.
    """

    __slots__ = ("_commits", "_decided", "_rooms")

    def __init__(self, rooms: Mapping[str, RoomRecord]) -> None:
        self._rooms = rooms
        # Both in the order of time, each entry with its moment at the end.
        self._decided: dict[Key, tuple[Any, ...]] = {}
        self._commits: dict[str, tuple[str, int]] = {}

    def decide(self, key: Key, result: KeyResult, now: int) -> None:
        """Remember what became of the message with this key."""
        room = self._rooms.get(result.room_id)
        # The epoch says later whether the room is still the same, so that deleting a room need not look for its keys.
        self._decided[key] = (*result, None if room is None else room.epoch, now)

    def find(self, key: Key) -> KeyResult | None:
        """What was decided, or None; ``deleted`` if the room is no more."""
        rest = self._decided.get(key)
        if rest is None:
            return None
        room_id, event_id, blocked, reason, epoch, _ = rest
        if epoch is not None:
            room = self._rooms.get(room_id)
            if room is None or room.epoch != epoch:
                return KeyResult(room_id, None, True, "deleted")
        return KeyResult(room_id, event_id, blocked, reason)

    def remember_commit(self, commit_id: str, epoch: str, now: int) -> None:
        """Remember a commit that no event id tells of; ``epoch`` is of the version that it made, if it made one."""
        self._commits[commit_id] = (epoch, now)

    def has_commit(self, commit_id: str) -> bool:
        return commit_id in self._commits

    def epoch_of(self, commit_id: str) -> str:
        return self._commits[commit_id][0]

    def purge(self, before: int) -> int:
        """Forget what is from before ``before``; returns how many keys that were."""
        decided, commits = self._decided, self._commits
        old_keys = list(takewhile(lambda key: decided[key][-1] < before, decided))
        for key in old_keys:
            del decided[key]
        for commit_id in list(takewhile(lambda commit_id: commits[commit_id][1] < before, commits)):
            del commits[commit_id]
        return len(old_keys)
