"""What an in-memory store remembers so that a repeat is recognised: decided keys, and ids of commits without events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roomkit_core.builtin.memory.rooms import RoomRecord
from roomkit_core.builtin.memory.shelves import Index, Shelf
from roomkit_core.interfaces.store import DecidedKey
from roomkit_core.models.changes import Key, KeyResult


class KeyBook:
    """Decided idempotency keys and remembered commits; both outlive the room that they are about.

    Args:
        rooms: All rooms by id; the book only reads them.
    """

    __slots__ = ("_commits", "_decided", "_named", "_rooms")

    def __init__(self, rooms: Mapping[str, RoomRecord]) -> None:
        self._rooms = rooms
        # Each entry with its moment at the end.
        self._decided: Shelf[Key, tuple[Any, ...]] = Shelf(-1)
        self._commits: Shelf[str, tuple[str, int]] = Shelf(-1)
        self._named: Index[Key] = Index()  # keys by their id and by the event that their message became

    def decide(self, key: Key, result: KeyResult, now: int) -> None:
        """Remember what became of the message with this key."""
        room = self._rooms.get(result.room_id)
        # The epoch says later whether the room is still the same, so that deleting a room need not look for its keys.
        self._decided[key] = (*result, None if room is None else room.epoch, now)
        self._named.add(key[2], key)
        if result.event_id is not None:
            self._named.add(result.event_id, key)

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

    def called(self, name: str) -> list[DecidedKey]:
        """Keys of that id, or whose message became the event of that id; oldest first, the key breaking ties."""
        found = []
        for key in self._named.of(name):
            result = self.find(key)
            assert result is not None, "a key leaves the index when it is forgotten"
            found.append(DecidedKey(key, result, self._decided[key][-1]))
        return sorted(found, key=lambda decided: (decided.at, decided.key))

    def remember_commit(self, commit_id: str, epoch: str, now: int) -> None:
        """Remember a commit that no event id tells of; ``epoch`` is of the version that it made, if it made one."""
        self._commits[commit_id] = (epoch, now)

    def has_commit(self, commit_id: str) -> bool:
        return commit_id in self._commits

    def epoch_of(self, commit_id: str) -> str:
        return self._commits[commit_id][0]

    def purge(self, before: int, limit: int) -> int:
        """Forget keys and commits from before ``before``; returns how many."""
        old = self._decided.take_old(before, limit)
        for key, rest in old:
            self._named.remove(key[2], key)
            if rest[1] is not None:
                self._named.remove(rest[1], key)
        return len(old) + len(self._commits.take_old(before, limit - len(old)))
