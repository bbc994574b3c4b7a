"""The store: seven writing primitives, six reads of the protocol, and the plain reads and names built on them.

A store author implements the abstract methods. Every ``create_``, ``add_``, ``update_`` and ``mark_`` name is derived
(in ``store_verbs``) from :meth:`ConversationStore.commit`, so that there is one place where the guards of the protocol
hold: the version check, unique keys, tokens. The rules are in ``docs/explanation/durability.md``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roomkit_core.errors import StoreError, UnsupportedError
from roomkit_core.interfaces import store_verbs as verbs
from roomkit_core.interfaces.store_types import (
    Accepted,
    Answer,
    Cutoffs,
    DecidedKey,
    Known,
    RoomSnapshot,
    Ticket,
    WorkFilter,
)
from roomkit_core.models.changes import ChangeSet, Conversation, Key, KeyResult
from roomkit_core.models.room import Cursor
from roomkit_core.models.work import Attempt, Outcome, WorkKind, WorkRow

if TYPE_CHECKING:
    from roomkit_core.models.channel import ChannelBinding
    from roomkit_core.models.enums import RoomStatus, TaskStatus
    from roomkit_core.models.event import RoomEvent
    from roomkit_core.models.kinds import ChannelType
    from roomkit_core.models.message import InboundMessage
    from roomkit_core.models.participant import Identity, Participant
    from roomkit_core.models.room import Room
    from roomkit_core.models.task import Observation, Task

__all__ = [
    "Accepted",
    "Answer",
    "ConversationStore",
    "Cutoffs",
    "DecidedKey",
    "Known",
    "RoomSnapshot",
    "Ticket",
    "WorkFilter",
]


class ConversationStore(ABC):
    """Where rooms, events and owed work live.

    Any number of tasks may call any method at once. Returned models are frozen; what a caller does to its own objects
    afterwards does not reach the store.
    """

    is_process_local: bool = False
    """Whether only this process sees the store."""

    is_durable: bool = False
    """Whether what is committed outlives the process."""

    # ------------------------------------------------------------------------------------------------ life

    async def open(self) -> None:
        """Make ready for use; the kit calls it when it starts. Calling it again does nothing.

        Raises:
            StoreBusyError: The store belongs to another process.
            StoreError: It cannot be used; the code says why (``store.newer_schema``, ``store.not_a_database``,
                ``store.read_only``, ``store.disk_full``, ``store.io``).
        """

    @property
    def journal_is_empty(self) -> bool:
        """Whether the store knows, without being asked, that no inbound row is open; False where it would have to look.

        Spares each message a question about its conversation.
        """
        return False

    @property
    def failure(self) -> StoreError | None:
        """Why the last write failed; None if it went through. A kit whose store has one is not ready."""
        return None

    async def close(self) -> None:
        """Flush and release everything; the kit calls it last. Calling it again does nothing."""

    # ------------------------------------------------------------------------------------------------ writes

    @abstractmethod
    def submit(self, changes: ChangeSet) -> Ticket:
        """Hand in a batch; synchronous and never blocks. See :class:`ChangeSet` and :class:`Refused`.

        All guards hold together or nothing is written, also if this raises. Safe to repeat: event ids, or for a batch
        without events its commit id, are looked up before the version, and a hit returns the first answer with the
        claims that the same owner still holds.

        Raises:
            ValueError: The batch contradicts itself: a mistake of whoever made it.
            EventNotFoundError: A patch is of an event that the room does not have.
        """

    async def commit(self, changes: ChangeSet) -> Answer:
        """Hand in a batch and wait for the answer."""
        ticket = self.submit(changes)
        return ticket.answer if ticket.answer is not None else await ticket.wait()

    @abstractmethod
    async def accept(
        self,
        message: InboundMessage,
        lane: tuple[str, ...],
        key: Key | None,
        *,
        room_id: str | None = None,
        owner: str = "",
        lease: float | None = None,
    ) -> Accepted | Known:
        """Write a message into the journal as an inbound row; durable on return.

        Args:
            message: The message; its ``session`` is not stored.
            lane: (channel id, conversation): messages of one lane are worked on in order.
            key: Unique among all that was accepted or decided; None for a message without an id.
            room_id: The room that the message names, kept in the row's payload behind the message: ``(message as JSON,
                room id)``, or ``(message as JSON,)`` without one. The row itself is of no room.
            owner: Who claims it, with ``lease``.
            lease: Seconds; the row is claimed at birth if its lane has no open row. None never claims.
        """

    @abstractmethod
    async def claim(
        self,
        owner: str,
        *,
        lease: float,
        limit: int,
        kinds: Iterable[WorkKind] | None = None,
        channels: Iterable[str] | None = None,
        lanes: Iterable[tuple[str, ...]] | None = None,
    ) -> list[WorkRow]:
        """Take due work: heads of their lanes only, each by one winner, oldest first.

        A head is due if it is PENDING (or UNKNOWN) with ``due`` reached, or IN_FLIGHT with its lease and, after it, its
        ``quiet`` time over. The claim makes it IN_FLIGHT with token + 1 and attempts + 1; taking over from a holder
        that never settled counts ``takeovers`` instead and, like a claim of an UNKNOWN row, sets ``maybe_sent``.

        A store that belongs to one process (SQLite) knows when it is opened that whoever holds a row is no more: the
        leases of all rows in flight end then, their quiet times do not.

        Args:
            owner: The claimer.
            lease: Seconds by the store's clock.
            limit: How many rows at most.
            kinds: Only these kinds; None for all.
            channels: Only rows of these channels; None for all.
            lanes: Only the heads of these lanes; None for all.
        """

    @abstractmethod
    async def settle(
        self, row_id: str, token: int, outcome: Outcome, *, due_in: float | None = None, parts_done: int | None = None
    ) -> bool:
        """Record what became of a claimed row.

        Args:
            row_id: The row.
            token: The tenure in which it was worked on.
            outcome: What happened. A final state ends the row and makes the next row of its lane due.
            due_in: With PENDING or UNKNOWN, seconds until the next attempt; None parks the row until an operator or the
                recovery looks at it.
            parts_done: How many parts are through; with state IN_FLIGHT the tenure goes on.

        Returns:
            False if the row is not this tenure's any more; then nothing was written.
        """

    @abstractmethod
    async def renew(self, claims: Sequence[tuple[str, int]], *, lease: float) -> list[str]:
        """Prolong tenures, given as (row id, token). Returns the ids of those that are lost."""

    @abstractmethod
    async def note_receipt(self, channel_id: str, provider_id: str, rank: str, at: int) -> bool:
        """Record a provider's report about a delivery, by the provider's id or the row's own key.

        The rank only grows. A report that comes before the delivery's own settle is kept and joined by it.

        Args:
            channel_id: The delivery's channel.
            provider_id: What the provider calls it, or its own key.
            rank: A value of :class:`ReceiptRank`.
            at: When that was, as the provider says; microseconds. Kept beside the rank (``WorkRow.receipt_at``).

        Returns:
            Whether the rank of a known delivery grew.
        """

    @abstractmethod
    async def delete_room(self, room_id: str) -> bool:
        """Remove a room with all that belongs to it. Idempotency keys stay, with the outcome ``deleted``.

        Returns:
            False if there is no such room.
        """

    @abstractmethod
    async def expire(self, now: int) -> int:
        """End PENDING and UNKNOWN rows whose ``expires_at`` (microseconds) has passed; returns how many."""

    @abstractmethod
    async def purge(self, cutoffs: Cutoffs, *, limit: int = 1_000) -> int:
        """Forget what is older than the cutoffs, at most ``limit`` pieces; returns how many. Never an open row."""

    async def probe(self) -> None:
        """Write something that nobody reads and wait until it is durable: whether the store takes writes (again).

        Raises:
            StoreError: It does not.
        """

    async def backup(self, path: str) -> None:
        """Write a consistent copy of everything to ``path`` while the store is in use.

        Raises:
            UnsupportedError: The store cannot, or keeps nothing that outlives the process.
        """
        raise UnsupportedError(f"{type(self).__name__} makes no backups", code="store.no_backup")

    # ----------------------------------------------------------------------------------------- reads of the protocol

    @abstractmethod
    async def load_room(self, room_id: str, *, tail: int = 0) -> RoomSnapshot | None:
        """The room in one consistent snapshot, with its ``tail`` newest events; None if there is none."""

    @abstractmethod
    async def timeline(self, room_id: str, after: int, limit: int) -> tuple[Cursor, list[RoomEvent]] | None:
        """At most ``limit`` events with an index above ``after``, ascending, and the room's head as of the same moment.

        None if there is no such room. The head's epoch tells whether ``after`` meant this incarnation of the room.
        """

    @abstractmethod
    async def heads(self, room_ids: Iterable[str]) -> dict[str, Cursor]:
        """The newest (epoch, index) of each of the rooms that exist; index -1 for an empty room."""

    @abstractmethod
    async def find_key(self, key: Key) -> KeyResult | None:
        """What was decided about an idempotency key, or None."""

    @abstractmethod
    async def find_conversation(self, conversation: Conversation) -> str | None:
        """The room that holds a conversation key, or None."""

    @abstractmethod
    async def list_work(self, where: WorkFilter, *, limit: int = 100, after: str | None = None) -> list[WorkRow]:
        """Rows that match, ordered by id; ``after`` is the last id of the page before."""

    @abstractmethod
    async def work_history(self, row_id: str) -> list[Attempt]:
        """The row's tenures that did not bring it to a good end, oldest first; see :class:`Attempt`."""

    @abstractmethod
    async def find_keys(self, name: str) -> list[DecidedKey]:
        """Decided keys whose id is ``name`` or whose message became the event ``name``, oldest first."""

    @abstractmethod
    async def has_open(self, lane: tuple[str, ...]) -> bool:
        """Whether the lane has an open row."""

    # ------------------------------------------------------------------------------------------------ plain reads

    @abstractmethod
    async def get_event(self, event_id: str) -> RoomEvent | None:
        """The event, or None."""

    @abstractmethod
    async def list_events(
        self,
        room_id: str,
        offset: int = 0,
        limit: int = 50,
        visibility_filter: str | None = None,
        *,
        after_index: int | None = None,
        before_index: int | None = None,
        newest_first: bool = False,
    ) -> list[RoomEvent]:
        """A page of the timeline, always ascending; empty for an unknown room.

        Args:
            room_id: The room.
            offset: Without a cursor: how many events to skip.
            limit: How many events at most.
            visibility_filter: Only events whose stored visibility is exactly this.
            after_index: The first events with a higher index; ``offset`` is ignored.
            before_index: The last events with a lower index; ``offset`` is ignored.
            newest_first: Without a cursor: count ``offset`` and ``limit`` from the end.

        Raises:
            ValueError: Both cursors are given.
        """

    @abstractmethod
    async def find_rooms(
        self,
        organization_id: str | None = None,
        status: RoomStatus | None = None,
        metadata_filter: dict[str, Any] | None = None,
        *,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Room]:
        """Rooms that match, oldest first, the id breaking ties."""

    @abstractmethod
    async def find_latest_room(
        self, participant_id: str, channel_type: ChannelType | None = None, status: RoomStatus | None = None
    ) -> Room | None:
        """The newest room in which the participant is, or to which a binding or route of theirs leads."""

    @abstractmethod
    async def find_room_ids_by_channel(
        self, channel_id: str, status: RoomStatus | None = None, limit: int = 2
    ) -> list[str]:
        """Rooms to which the channel is attached, oldest first, the id breaking ties."""

    @abstractmethod
    async def get_identity(self, identity_id: str) -> Identity | None:
        """The identity, or None."""

    @abstractmethod
    async def resolve_identity(self, channel_type: str, address: str) -> Identity | None:
        """The identity to which the address was linked, or None."""

    @abstractmethod
    async def get_task(self, task_id: str) -> Task | None:
        """The task, or None."""

    @abstractmethod
    async def list_tasks(self, room_id: str, status: TaskStatus | None = None) -> list[Task]:
        """The room's tasks, oldest first."""

    @abstractmethod
    async def list_observations(self, room_id: str) -> list[Observation]:
        """The room's observations, oldest first."""

    @abstractmethod
    async def list_read_markers(self, room_id: str) -> dict[str, int]:
        """How far each channel has read, by channel id."""

    @abstractmethod
    async def kv_get(self, namespace: str, key: str) -> str | None:
        """A plugin's value, a JSON string; None if there is none or its time is over."""

    @abstractmethod
    async def kv_scan(self, namespace: str, prefix: str = "") -> list[tuple[str, str]]:
        """A plugin's keys that begin with ``prefix`` with their values, ordered by key; none whose time is over."""

    # ------------------------------------------------------------------------------------------------ derived: rooms

    async def create_room(self, room: Room) -> Room:
        """Store a new room; :class:`RoomExistsError` if there is one of this id."""
        return await verbs.create_room(self, room)

    async def get_room(self, room_id: str) -> Room | None:
        """The room with its counters, or None."""
        return await verbs.get_room(self, room_id)

    async def update_room(self, room: Room) -> Room:
        """Replace everything but the counters of events; :class:`RoomNotFoundError` if there is no such room."""
        return await verbs.update_room(self, room)

    async def patch_room_metadata(
        self, room_id: str, patch: Mapping[str, Any], *, unset: Iterable[str] = ()
    ) -> Room | None:
        """Set and remove keys of the room's metadata and leave the others alone; None if there is no such room."""
        return await verbs.patch_room_metadata(self, room_id, patch, unset)

    async def room_exists(self, room_id: str) -> bool:
        """Whether there is such a room."""
        return room_id in await self.heads([room_id])

    async def list_rooms(self, offset: int = 0, limit: int = 50) -> list[Room]:
        """A page of all rooms, oldest first."""
        return await self.find_rooms(offset=offset, limit=limit)

    async def find_room_id_by_channel(self, channel_id: str, status: RoomStatus | None = None) -> str | None:
        """The oldest room to which the channel is attached, or None."""
        return next(iter(await self.find_room_ids_by_channel(channel_id, status, limit=1)), None)

    # -------------------------------------------------------------------------------- derived: bindings, participants

    async def add_binding(self, binding: ChannelBinding) -> ChannelBinding:
        """Attach a channel, or replace its binding; :class:`RoomNotFoundError` if there is no such room."""
        return await verbs.put_binding(self, binding, must_exist=False)

    async def update_binding(self, binding: ChannelBinding) -> ChannelBinding:
        """Replace a binding; :class:`ChannelNotFoundError` if the channel is not attached."""
        return await verbs.put_binding(self, binding, must_exist=True)

    async def remove_binding(self, room_id: str, channel_id: str) -> bool:
        """Detach a channel; False if it was not attached."""
        return await verbs.remove_binding(self, room_id, channel_id)

    async def get_binding(self, room_id: str, channel_id: str) -> ChannelBinding | None:
        """The channel's binding, or None."""
        return (await verbs.bindings(self, room_id)).get(channel_id)

    async def binding_exists(self, room_id: str, channel_id: str) -> bool:
        """Whether the channel is attached to the room."""
        return channel_id in await verbs.bindings(self, room_id)

    async def list_bindings(self, room_id: str) -> list[ChannelBinding]:
        """The room's bindings in the order in which they were attached; empty for an unknown room."""
        return list((await verbs.bindings(self, room_id)).values())

    async def add_participant(self, participant: Participant) -> Participant:
        """Let somebody in, or replace them; :class:`RoomNotFoundError` if there is no such room."""
        return await verbs.put_participant(self, participant, must_exist=False)

    async def update_participant(self, participant: Participant) -> Participant:
        """Replace a participant; :class:`ParticipantNotFoundError` if they are not in the room."""
        return await verbs.put_participant(self, participant, must_exist=True)

    async def get_participant(self, room_id: str, participant_id: str) -> Participant | None:
        """The participant, or None."""
        return (await verbs.participants(self, room_id)).get(participant_id)

    async def list_participants(self, room_id: str) -> list[Participant]:
        """The room's participants in the order in which they joined; empty for an unknown room."""
        return list((await verbs.participants(self, room_id)).values())

    # ----------------------------------------------------------------------------------------- derived: events, reading

    async def commit_event(self, room_id: str, event: RoomEvent) -> RoomEvent:
        """Append an event and return it with the index that it got; once, also if it is called again with it."""
        return await verbs.commit_event(self, room_id, event)

    async def add_event(self, event: RoomEvent) -> RoomEvent:
        """:meth:`commit_event` to the room that the event names."""
        return await verbs.commit_event(self, event.room_id, event)

    async def update_event(self, event: RoomEvent) -> RoomEvent:
        """Replace an event where it stands; :class:`EventNotFoundError` if the room does not have it."""
        return await verbs.update_event(self, event)

    async def get_event_count(self, room_id: str) -> int:
        """How many events the room has; 0 for an unknown room."""
        return await verbs.count_events(self, room_id)

    async def mark_read(self, room_id: str, channel_id: str, event_id: str) -> None:
        """Move the channel's read marker to an event, never back; :class:`EventNotFoundError` for any other."""
        await verbs.mark_read(self, room_id, channel_id, event_id)

    async def mark_all_read(self, room_id: str, channel_id: str) -> None:
        """Move the channel's read marker to the last event; :class:`RoomNotFoundError` if there is no such room."""
        await verbs.mark_all_read(self, room_id, channel_id)

    async def get_unread_count(self, room_id: str, channel_id: str) -> int:
        """How many events come after the channel's read marker; all of them if it has none."""
        read = (await self.list_read_markers(room_id)).get(channel_id, -1)
        return await verbs.count_events(self, room_id) - read - 1

    # ----------------------------------------------------------------------------------- derived: identities, tasks

    async def create_identity(self, identity: Identity) -> Identity:
        """Store an identity, or replace it; its addresses lead to it from now on."""
        return await verbs.put_identity(self, identity)

    async def link_address(self, identity_id: str, channel_type: str, address: str) -> None:
        """Let an address lead to an identity; :class:`IdentityNotFoundError` if there is no such identity."""
        await verbs.link_address(self, identity_id, channel_type, address)

    async def add_task(self, task: Task) -> Task:
        """Store a task, or replace it; :class:`RoomNotFoundError` if there is no such room."""
        return await verbs.put_task(self, task)

    async def update_task(self, task: Task) -> Task:
        """The same as :meth:`add_task`."""
        return await verbs.put_task(self, task)

    async def add_observation(self, observation: Observation) -> Observation:
        """Store an observation; :class:`RoomNotFoundError` if there is no such room."""
        return await verbs.put_observation(self, observation)
