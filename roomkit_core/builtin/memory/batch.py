"""A batch before it is written: everything that can fail happens here, so that the write itself is all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import NamedTuple

from roomkit_core.builtin.memory.directory import Address, Place, TimedValue
from roomkit_core.builtin.memory.rooms import PackedBinding, PackedRoom, pack_binding, pack_room
from roomkit_core.builtin.memory.work import WorkTable
from roomkit_core.errors import EventNotFoundError
from roomkit_core.models.changes import ABSENT, ChangeSet
from roomkit_core.models.packing import ID as EVENT_ID
from roomkit_core.models.packing import INDEX, ROOM, Packed, pack_event, with_index
from roomkit_core.models.work import OPEN_STATES


class Prepared(NamedTuple):
    """The seldom parts of a batch in the form in which they rest; None and empty where the batch has none."""

    room: PackedRoom | None
    bindings: tuple[tuple[str, PackedBinding | None], ...]
    participants: tuple[tuple[str, str | None], ...]
    patches: tuple[Packed, ...]
    tasks: tuple[tuple[str, str], ...]
    observations: tuple[tuple[str, str], ...]
    identities: tuple[tuple[str, str, tuple[Address, ...]], ...]
    values: tuple[tuple[Place, TimedValue | None], ...]


def has_rare_parts(changes: ChangeSet) -> bool:
    """Whether there is something for :func:`prepare`; most batches have new events and work only."""
    return bool(
        changes.expected is ABSENT
        or changes.room is not None
        or changes.patches
        or changes.bindings
        or changes.participants
        or changes.claims
        or changes.releases
        or changes.withdrawals
        or changes.tasks
        or changes.observations
        or changes.identities
        or changes.read_markers
        or changes.kv
    )


def prepare(changes: ChangeSet, events: Mapping[str, Packed]) -> Prepared:
    """Check and pack everything but the new events and the work.

    Raises:
        ValueError: The batch contradicts itself.
        EventNotFoundError: A patch is of an event that the room does not have.
    """
    room_id = changes.room_id
    if changes.expected is ABSENT and (changes.room is None or changes.epoch is None):
        raise ValueError(f"the batch that creates room {room_id!r} brings the room and its epoch")
    if changes.room is not None and changes.room.id != room_id:
        raise ValueError(f"a batch of room {room_id!r} brings room {changes.room.id!r}")
    if changes.expected is None and (
        changes.room is not None
        or changes.patches
        or changes.bindings
        or changes.participants
        or changes.claims
        or changes.releases
        or any(withdrawal.row_id is None for withdrawal in changes.withdrawals)
    ):
        raise ValueError("a batch that changes the room names the version on which it was planned")
    if ({task.room_id for task in changes.tasks} | {seen.room_id for seen in changes.observations}) - {room_id}:
        raise ValueError(f"a batch of room {room_id!r} brings a task or an observation of another room")
    if room_id is None and changes.read_markers:
        raise ValueError("read markers belong to a room, and the batch names none")
    return Prepared(
        None if changes.room is None else pack_room(changes.room),
        _pack_bindings(changes) if changes.bindings else (),
        _pack_participants(changes) if changes.participants else (),
        tuple(_pack_patch(changes, patch.id, pack_event(patch), events) for patch in changes.patches),
        tuple((task.id, task.model_dump_json()) for task in changes.tasks),
        tuple((seen.id, seen.model_dump_json()) for seen in changes.observations),
        tuple(
            (
                identity.id,
                identity.model_dump_json(),
                tuple((str(kind), address) for kind, names in identity.channel_addresses.items() for address in names),
            )
            for identity in changes.identities
        ),
        tuple(
            (place, None if value is None else (value.text, value.expires_at)) for place, value in changes.kv.items()
        ),
    )


def _pack_bindings(changes: ChangeSet) -> tuple[tuple[str, PackedBinding | None], ...]:
    for channel_id, binding in changes.bindings.items():
        if binding is not None and (binding.channel_id, binding.room_id) != (channel_id, changes.room_id):
            raise ValueError(
                f"the binding of {binding.channel_id!r} to room {binding.room_id!r} stands in a batch of room "
                f"{changes.room_id!r} under {channel_id!r}"
            )
    return tuple(
        (intern(str(channel_id)), None if binding is None else pack_binding(binding))
        for channel_id, binding in changes.bindings.items()
    )


def _pack_participants(changes: ChangeSet) -> tuple[tuple[str, str | None], ...]:
    for key, person in changes.participants.items():
        if person is not None and (person.id, person.room_id) != (key, changes.room_id):
            raise ValueError(
                f"participant {person.id!r} of room {person.room_id!r} stands in a batch of room "
                f"{changes.room_id!r} under {key!r}"
            )
    return tuple(
        (key, None if person is None else person.model_dump_json()) for key, person in changes.participants.items()
    )


def _pack_patch(changes: ChangeSet, event_id: str, packed: Packed, events: Mapping[str, Packed]) -> Packed:
    former = events.get(event_id)
    if former is None or former[ROOM] != changes.room_id:
        raise EventNotFoundError(f"room {changes.room_id!r} has no event {event_id!r} that could be changed")
    return packed if packed[INDEX] == former[INDEX] else with_index(packed, former[INDEX])


def pack_events(changes: ChangeSet, index: int, known: Mapping[str, Packed]) -> tuple[Packed, ...]:
    """The batch's events as they are written, the first one at ``index``.

    Raises:
        ValueError: The batch contradicts itself or holds an event id that is taken.
    """
    packed = changes.packed or tuple(map(pack_event, changes.events))
    if changes.expected is None:
        raise ValueError("a batch with events names the version on which it was planned")
    if len(packed) != len(changes.events):
        raise ValueError(f"the batch has {len(changes.events)} events and {len(packed)} packed ones")
    first = packed[0]
    if len(packed) == 1 and first[INDEX] == index and first[ROOM] == changes.room_id:
        return packed
    ids = {entry[EVENT_ID] for entry in packed}
    if len(ids) < len(packed) or not known.keys().isdisjoint(ids):
        raise ValueError("the batch holds an event id twice, or one that another commit has written")
    if any(entry[ROOM] != changes.room_id for entry in packed):
        raise ValueError(f"the batch of room {changes.room_id!r} holds an event of another room")
    return tuple(
        entry if entry[INDEX] == place else with_index(entry, place) for place, entry in enumerate(packed, index)
    )


def check_work(changes: ChangeSet, table: WorkTable) -> None:
    """New rows have new ids, what discharges a row ends it, and a key is decided once.

    Raises:
        ValueError: Something else.
    """
    if len(changes.keys) > 1 and len({key for key, _ in changes.keys}) < len(changes.keys):
        raise ValueError("the batch decides one idempotency key twice")
    if len(changes.work) > 1 and len({row.id for row in changes.work}) < len(changes.work):
        raise ValueError("the batch holds the id of a work row twice")
    for row in changes.work:
        hash(row.lane)  # a list would fail half-way through the write
        if table.get(row.id) is not None:
            raise ValueError(f"there is a work row {row.id!r} already")
    for discharge in changes.discharges:
        if discharge.outcome.state in OPEN_STATES:
            raise ValueError(f"a discharge ends its row, it cannot leave it {discharge.outcome.state}")
