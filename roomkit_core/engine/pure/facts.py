"""What a story is told from: everything that was read about one id, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from roomkit_core.interfaces.store_types import DecidedKey
from roomkit_core.models.channel import ChannelBinding
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.room import Room
from roomkit_core.models.work import Attempt, WorkRow


class Obstacle(NamedTuple):
    """What keeps the rows of a channel waiting: a ``waits.*`` code, until when (microseconds), and more in words."""

    code: str
    until: int | None = None
    detail: str = ""


class Queue(NamedTuple):
    """What stands before a queued row: the head of its lane, and how many rows in all."""

    head: WorkRow
    ahead: int


@dataclass(frozen=True)
class Facts:
    """All that was read about one id.

    Attributes:
        asked: The id.
        found_as: What it turned out to be.
        now: When it was read, in microseconds.
        event: The event that it leads to.
        root: The event with which the chain of that event began, if that is another one.
        room: The room, if it exists.
        bindings: The room's channels.
        keys: What was decided about keys that lead here, oldest first.
        row: The row that was asked about.
        journal: The rows by which the message came in, oldest first.
        rows: The rows that the event is owed, by their place in the table; retries among them.
        linked: Later events of the same chain, with the rows that each is owed.
        history: The tenures of each row that did not bring it to a good end.
        queues: What stands before each queued row.
        obstacles: What keeps channels closed.
        registered: The channels of the kit that asks; None if it was not a kit that asked.
        is_cut: Whether there are more rows than were read.
    """

    asked: str
    found_as: str
    now: int
    event: RoomEvent | None = None
    root: RoomEvent | None = None
    room: Room | None = None
    bindings: Mapping[str, ChannelBinding] = field(default_factory=dict)
    keys: Sequence[DecidedKey] = ()
    row: WorkRow | None = None
    journal: Sequence[WorkRow] = ()
    rows: Sequence[WorkRow] = ()
    linked: Sequence[tuple[RoomEvent, Sequence[WorkRow]]] = ()
    history: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    queues: Mapping[str, Queue] = field(default_factory=dict)
    obstacles: Mapping[str, Obstacle] = field(default_factory=dict)
    registered: frozenset[str] | None = None
    is_cut: bool = False
