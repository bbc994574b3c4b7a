"""The names that every store shares because they are derived: small batches, planned on what was just read.

Each is a commit of its own. If another writer comes in between, the plan is made anew, five times at most.
"""

# ruff: noqa: D103 - each is described where the class offers it

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from roomkit_core.errors import (
    ChannelNotFoundError,
    ConflictError,
    ConversationTakenError,
    DuplicateError,
    EventNotFoundError,
    IdentityNotFoundError,
    ParticipantNotFoundError,
    RoomExistsError,
    RoomKitError,
    RoomNotFoundError,
    StaleLeaseError,
)
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import ABSENT, ChangeSet, Committed, Refused
from roomkit_core.models.ids import new_id
from roomkit_core.models.work import WorkKind, WorkRow, WorkState

if TYPE_CHECKING:
    from roomkit_core.interfaces.store import ConversationStore
    from roomkit_core.interfaces.store_types import RoomSnapshot
    from roomkit_core.models.changes import Key
    from roomkit_core.models.channel import ChannelBinding
    from roomkit_core.models.event import RoomEvent
    from roomkit_core.models.message import InboundMessage
    from roomkit_core.models.participant import Identity, Participant
    from roomkit_core.models.room import Room
    from roomkit_core.models.task import Observation, Task

ATTEMPTS = 5
"""How often a plan is made before the other writers are found to be too fast."""

Plan = Callable[["RoomSnapshot", ChangeSet], None]
"""Fills in a batch, given the room on which it is planned."""


def refusal_error(refused: Refused, room_id: str | None) -> RoomKitError:
    """What a verb raises when its batch is refused."""
    if refused.reason == "gone":
        return RoomNotFoundError(f"There is no room {room_id!r}.")
    if refused.reason == "exists":
        return RoomExistsError(f"There is a room {room_id!r} already.")
    if refused.reason == "taken":
        return ConversationTakenError(f"The conversation belongs to room {refused.room_id!r}.", room_id=refused.room_id)
    if refused.reason == "known":
        return DuplicateError(f"The key {refused.key!r} was used before.")
    if refused.reason == "lost":
        return StaleLeaseError("A work row of the batch belongs to another holder by now.")
    return ConflictError(f"Room {room_id!r} was changed by others {ATTEMPTS} times in a row.")


async def change(store: ConversationStore, room_id: str, plan: Plan) -> tuple[RoomSnapshot, Committed]:
    """Read the room, let ``plan`` fill in a batch, commit it; again if another writer was faster.

    Returns:
        What the plan was made on, and the store's answer.

    Raises:
        RoomNotFoundError: There is no such room.
        ConflictError: Others were faster five times in a row.
    """
    refused = Refused("stale")
    for _ in range(ATTEMPTS):
        snapshot = await store.load_room(room_id)
        if snapshot is None:
            raise RoomNotFoundError(f"There is no room {room_id!r}.")
        changes = ChangeSet(room_id, new_id(), snapshot.version)
        plan(snapshot, changes)
        answer = await store.commit(changes)
        if isinstance(answer, Committed):
            return snapshot, answer
        refused = answer
        if refused.reason != "stale":
            break
    raise refusal_error(refused, room_id)


async def _commit(store: ConversationStore, changes: ChangeSet) -> None:
    answer = await store.commit(changes)
    if isinstance(answer, Refused):
        raise refusal_error(answer, changes.room_id)


def inbound_row(
    message: InboundMessage, lane: tuple[str, ...], key: Key | None, room_id: str | None, *, claim: bool
) -> WorkRow:
    """The row of a message that is accepted into the journal, the same in every store."""
    text = message.model_dump_json()
    return WorkRow(
        id=new_id(),
        kind=WorkKind.INBOUND,
        channel_id=message.channel_id,
        lane=lane,
        room_id=None,
        event_id=None,
        payload=(text,) if room_id is None else (text, room_id),
        state=WorkState.IN_FLIGHT if claim else WorkState.PENDING,
        key=key,
    )


# ------------------------------------------------------------------------------------------------------------ rooms


async def create_room(store: ConversationStore, room: Room) -> Room:
    await _commit(store, ChangeSet(room.id, new_id(), ABSENT, epoch=new_id(), room=room))
    return evolve(room, event_count=0, latest_index=0)


async def get_room(store: ConversationStore, room_id: str) -> Room | None:
    snapshot = await store.load_room(room_id)
    return None if snapshot is None else snapshot.room


async def update_room(store: ConversationStore, room: Room) -> Room:
    def plan(_: RoomSnapshot, changes: ChangeSet) -> None:
        changes.room = room

    snapshot, _ = await change(store, room.id, plan)
    return evolve(room, event_count=snapshot.room.event_count, latest_index=snapshot.room.latest_index)


async def patch_room_metadata(
    store: ConversationStore, room_id: str, patch: Mapping[str, Any], unset: Iterable[str]
) -> Room | None:
    removed = frozenset(unset)
    patched: list[Room] = []

    def plan(snapshot: RoomSnapshot, changes: ChangeSet) -> None:
        kept = {key: value for key, value in snapshot.room.metadata.items() if key not in removed}
        room = type(snapshot.room).model_validate({**snapshot.room.__dict__, "metadata": {**kept, **patch}})
        changes.room = room
        patched[:] = [room]

    try:
        await change(store, room_id, plan)
    except RoomNotFoundError:
        return None
    return patched[0]


# ------------------------------------------------------------------------------------------- bindings, participants


async def bindings(store: ConversationStore, room_id: str) -> dict[str, ChannelBinding]:
    snapshot = await store.load_room(room_id)
    return {} if snapshot is None else snapshot.bindings


async def put_binding(store: ConversationStore, binding: ChannelBinding, *, must_exist: bool) -> ChannelBinding:
    def plan(snapshot: RoomSnapshot, changes: ChangeSet) -> None:
        if must_exist and binding.channel_id not in snapshot.bindings:
            raise ChannelNotFoundError(f"Channel {binding.channel_id!r} is not attached to {binding.room_id!r}.")
        changes.bindings = {binding.channel_id: binding}

    await change(store, binding.room_id, plan)
    return binding


async def remove_binding(store: ConversationStore, room_id: str, channel_id: str) -> bool:
    def plan(snapshot: RoomSnapshot, changes: ChangeSet) -> None:
        changes.bindings = {channel_id: None}

    if channel_id not in await bindings(store, room_id):
        return False
    snapshot, _ = await change(store, room_id, plan)
    return channel_id in snapshot.bindings


async def participants(store: ConversationStore, room_id: str) -> dict[str, Participant]:
    snapshot = await store.load_room(room_id)
    return {} if snapshot is None else snapshot.participants


async def put_participant(store: ConversationStore, participant: Participant, *, must_exist: bool) -> Participant:
    def plan(snapshot: RoomSnapshot, changes: ChangeSet) -> None:
        if must_exist and participant.id not in snapshot.participants:
            raise ParticipantNotFoundError(f"{participant.id!r} is not in room {participant.room_id!r}.")
        changes.participants = {participant.id: participant}

    await change(store, participant.room_id, plan)
    return participant


# -------------------------------------------------------------------------------------------------- events, reading


async def commit_event(store: ConversationStore, room_id: str, event: RoomEvent) -> RoomEvent:
    def plan(snapshot: RoomSnapshot, changes: ChangeSet) -> None:
        changes.events = (evolve(event, room_id=room_id, index=snapshot.next_index),)

    _, committed = await change(store, room_id, plan)
    return evolve(event, room_id=room_id, index=committed.indexes[0])


async def update_event(store: ConversationStore, event: RoomEvent) -> RoomEvent:
    former = await _event_of(store, event.room_id, event.id)

    def plan(_: RoomSnapshot, changes: ChangeSet) -> None:
        changes.patches = (evolve(event, index=former.index),)

    await change(store, event.room_id, plan)
    return evolve(event, index=former.index)


async def count_events(store: ConversationStore, room_id: str) -> int:
    head = (await store.heads([room_id])).get(room_id)
    return 0 if head is None else head.index + 1


async def mark_read(store: ConversationStore, room_id: str, channel_id: str, event_id: str) -> None:
    event = await _event_of(store, room_id, event_id)
    await _commit(store, ChangeSet(room_id, new_id(), None, read_markers=((channel_id, event.index),)))


async def mark_all_read(store: ConversationStore, room_id: str, channel_id: str) -> None:
    head = (await store.heads([room_id])).get(room_id)
    if head is None:
        raise RoomNotFoundError(f"There is no room {room_id!r}.")
    if head.index >= 0:
        await _commit(store, ChangeSet(room_id, new_id(), None, read_markers=((channel_id, head.index),)))


async def _event_of(store: ConversationStore, room_id: str, event_id: str) -> RoomEvent:
    event = await store.get_event(event_id)
    if event is None or event.room_id != room_id:
        raise EventNotFoundError(f"Room {room_id!r} has no event {event_id!r}.")
    return event


# ------------------------------------------------------------------------------------- identities, tasks, observations


async def put_identity(store: ConversationStore, identity: Identity) -> Identity:
    await _commit(store, ChangeSet(None, new_id(), None, identities=(identity,)))
    return identity


async def link_address(store: ConversationStore, identity_id: str, channel_type: str, address: str) -> None:
    identity = await store.get_identity(identity_id)
    if identity is None:
        raise IdentityNotFoundError(f"There is no identity {identity_id!r}.")
    addresses = {kind: list(names) for kind, names in identity.channel_addresses.items()}
    if address not in addresses.setdefault(str(channel_type), []):
        addresses[str(channel_type)].append(address)
    await put_identity(store, type(identity).model_validate({**identity.__dict__, "channel_addresses": addresses}))


async def put_task(store: ConversationStore, task: Task) -> Task:
    await _commit(store, ChangeSet(task.room_id, new_id(), None, tasks=(task,)))
    return task


async def put_observation(store: ConversationStore, observation: Observation) -> Observation:
    await _commit(store, ChangeSet(observation.room_id, new_id(), None, observations=(observation,)))
    return observation
