"""What passes between a store and those who use it: tickets, snapshots, what was accepted, and filters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from roomkit_core.models.changes import Committed, Key, KeyResult, Refused
from roomkit_core.models.enums import ReceiptRank
from roomkit_core.models.room import Version
from roomkit_core.models.work import WorkKind, WorkRow, WorkState

if TYPE_CHECKING:
    from roomkit_core.models.channel import ChannelBinding
    from roomkit_core.models.packing import Packed
    from roomkit_core.models.participant import Participant
    from roomkit_core.models.room import Room

Answer = Committed | Refused


class Ticket(ABC):
    """A submitted batch. Batches of one room commit in the order in which they were submitted."""

    __slots__ = ("answer",)

    answer: Answer | None
    """The store's answer, None until it is there. An in-memory store has it at once."""

    @abstractmethod
    async def wait(self) -> Answer:
        """The answer, once it is durable.

        Cancelling the caller does not withdraw the batch; call again from elsewhere.

        Raises:
            StoreError: The store failed; whether the batch was written is found out by submitting it again unchanged.
        """


class RoomSnapshot(NamedTuple):
    """A room as :meth:`ConversationStore.load_room` reads it: one moment, with its version.

    ``room`` has its counters; ``tail`` are the newest events, packed, ascending; the next event gets ``next_index``.
    """

    version: Version
    room: Room
    bindings: dict[str, ChannelBinding]
    participants: dict[str, Participant]
    next_index: int
    tail: list[Packed]


class Accepted(NamedTuple):
    """The message is in the journal. ``claim`` is its row, if it was claimed at birth."""

    id: str
    claim: WorkRow | None = None


class Known(NamedTuple):
    """The message was accepted or decided before."""

    id: str
    state: WorkState


class WorkFilter(NamedTuple):
    """Which rows :meth:`ConversationStore.list_work` returns: those that match every field that is not None.

    ``name`` is what a provider or a client calls the work: one of ``provider_ids``, the ``provider_key``, or the third
    part of ``key``. All but ``states``, ``kinds`` and ``channel_id`` are found by an index.
    """

    states: frozenset[WorkState] | None = None
    kinds: frozenset[WorkKind] | None = None
    channel_id: str | None = None
    room_id: str | None = None
    event_id: str | None = None
    row_id: str | None = None
    correlation_id: str | None = None
    retry_of: str | None = None
    lane: tuple[str, ...] | None = None
    name: str | None = None


class DecidedKey(NamedTuple):
    """An idempotency key with what was decided about it; ``at`` is when, in microseconds."""

    key: Key
    result: KeyResult
    at: int


class Cutoffs(NamedTuple):
    """Up to when :meth:`ConversationStore.purge` forgets what, in microseconds; None keeps that kind for ever.

    Attributes:
        settled: Rows that ended well (``sent``, ``done``, ``answered``, ``refused``, ``suppressed``), with their
            attempts, and reports of a provider that no delivery has joined.
        dead: Rows that did not (``failed``, ``dead``, ``expired``, ``partial``, ``quarantined``), with their attempts.
        bodies: What settled rows were about (``payload`` and ``route``), except of rows that an operator may retry.
        keys: Decided idempotency keys and commit ids; at least 72 hours are promised to providers.
        blocked: Content of events that were blocked; a tombstone keeps their index.
    """

    settled: int | None = None
    dead: int | None = None
    bodies: int | None = None
    keys: int | None = None
    blocked: int | None = None


_RANKS = {rank.value: place for place, rank in enumerate(ReceiptRank)}


class Report(NamedTuple):
    """What a provider says about a delivery.

    Attributes:
        rank: A value of :class:`ReceiptRank`.
        at: When that was, as the provider says; microseconds.
    """

    rank: str
    at: int | None


def farther(one: Report, other: Report) -> Report:
    """The one whose rank is later in the order of :class:`ReceiptRank`; of equals the first."""
    return other if _RANKS[other.rank] > _RANKS[one.rank] else one
