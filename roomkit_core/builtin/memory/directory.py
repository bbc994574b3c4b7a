"""What a store keeps beside rooms and work: who holds a conversation, identities, and the values of plugins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from roomkit_core.builtin.memory.rooms import RoomRecord
from roomkit_core.builtin.memory.shelves import Agenda
from roomkit_core.models.changes import ChangeSet, Conversation
from roomkit_core.models.participant import Identity

Address = tuple[str, str]
"""(channel type, address)."""

Place = tuple[str, str]
"""Where a plugin's value stands: (namespace, key)."""

TimedValue = tuple[str, int | None]
"""(JSON, when it is gone in microseconds)."""


class Conversations:
    """Which room holds a conversation key; each room also knows its own.

    Args:
        rooms: All rooms by id.
    """

    __slots__ = ("_holder", "_rooms")

    def __init__(self, rooms: Mapping[str, RoomRecord]) -> None:
        self._rooms = rooms
        self._holder: dict[Conversation, str] = {}

    def find(self, conversation: Conversation) -> str | None:
        return self._holder.get(conversation)

    def obstacle(self, changes: ChangeSet) -> str | None:
        """The room that holds a key which the batch claims and may not take over; None if nothing is in the way."""
        for conversation in changes.claims:
            holder = self._holder.get(conversation)
            if holder is not None and holder != changes.room_id and conversation not in changes.takeover:
                return holder
        return None

    def take(self, room: RoomRecord, conversation: Conversation) -> None:
        """Give the key to the room, whoever has it."""
        former = self._holder.get(conversation)
        if former == room.id:
            return
        if former is not None:
            loser = self._rooms[former]
            loser.conversations = tuple(held for held in loser.conversations if held != conversation)
        self._holder[conversation] = room.id
        room.conversations = (*room.conversations, conversation)

    def release(self, room: RoomRecord, channel_id: str | None) -> None:
        """Release the room's keys of a channel; None for all."""
        for held in room.conversations:
            if channel_id in (None, held[0]):
                del self._holder[held]
        room.conversations = tuple(held for held in room.conversations if held in self._holder)


class Identities:
    """Identities as JSON, and which of them an address belongs to: the one that named it last."""

    __slots__ = ("_addresses", "_owner", "_packed")

    def __init__(self) -> None:
        self._packed: dict[str, str] = {}
        self._addresses: dict[str, tuple[Address, ...]] = {}
        self._owner: dict[Address, str] = {}

    def put(self, identity_id: str, text: str, addresses: Iterable[Address]) -> None:
        """Take over a packed identity with the addresses that it names."""
        for address in self._addresses.get(identity_id, ()):
            if self._owner.get(address) == identity_id:
                del self._owner[address]
        self._packed[identity_id] = text
        self._addresses[identity_id] = tuple(addresses)
        for address in self._addresses[identity_id]:
            self._owner[address] = identity_id

    def get(self, identity_id: str) -> Identity | None:
        text = self._packed.get(identity_id)
        return None if text is None else Identity.model_validate_json(text)

    def resolve(self, address: Address) -> Identity | None:
        identity_id = self._owner.get(address)
        return None if identity_id is None else self.get(identity_id)


class Values:
    """Plugins' values by namespace and key; a value whose time is over is as good as gone and removed later."""

    __slots__ = ("_agenda", "_spaces")

    def __init__(self) -> None:
        self._spaces: dict[str, dict[str, TimedValue]] = {}
        self._agenda: Agenda[Place] = Agenda()

    def put(self, place: Place, value: TimedValue | None) -> None:
        """Set a value; None deletes it."""
        namespace, key = place
        if value is None:
            self._agenda.drop(place)
            self._remove(place)
            return
        self._spaces.setdefault(namespace, {})[key] = value
        if value[1] is None:
            self._agenda.drop(place)
        else:
            self._agenda.put(place, value[1])

    def get(self, namespace: str, key: str, now: int) -> str | None:
        value = self._spaces.get(namespace, {}).get(key)
        return None if value is None or _is_over(value, now) else value[0]

    def scan(self, namespace: str, prefix: str, now: int) -> list[tuple[str, str]]:
        return sorted(
            (key, value[0])
            for key, value in self._spaces.get(namespace, {}).items()
            if key.startswith(prefix) and not _is_over(value, now)
        )

    def purge(self, now: int, limit: int) -> int:
        """Remove values whose time is over; returns how many."""
        over = self._agenda.take_old(now + 1, limit)
        for place in over:
            self._remove(place)
        return len(over)

    def _remove(self, place: Place) -> None:
        namespace, key = place
        space = self._spaces.get(namespace)
        if space is not None and space.pop(key, None) is not None and not space:
            del self._spaces[namespace]


def _is_over(value: TimedValue, now: int) -> bool:
    return value[1] is not None and value[1] <= now
