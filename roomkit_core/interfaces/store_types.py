"""What passes between a store and those who use it: tickets, snapshots, what was accepted, and filters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from roomkit_core.models.changes import Committed, Refused
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
    """Which rows :meth:`ConversationStore.list_work` returns: those that match every field that is not None."""

    states: frozenset[WorkState] | None = None
    kinds: frozenset[WorkKind] | None = None
    channel_id: str | None = None
    room_id: str | None = None
    event_id: str | None = None
    row_id: str | None = None
