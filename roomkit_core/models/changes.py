"""One commit: everything that one unit of work wants to write, and the store's answer.

These are plain containers without validation: they are made once per message, from models that are valid already.
Defaults are class attributes, so that a batch can also be made bare and given only what it has (see
``engine/state/commit.py``). The exceptions are what every message has: the interpreter looks up the long way what may
be on the instance or on its class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from roomkit_core.models.base import EMPTY

if TYPE_CHECKING:
    from roomkit_core.models.channel import ChannelBinding
    from roomkit_core.models.event import RoomEvent
    from roomkit_core.models.participant import Identity, Participant
    from roomkit_core.models.room import Room, Version
    from roomkit_core.models.task import Observation, Task
    from roomkit_core.models.work import Outcome, WorkRow


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""As ``ChangeSet.expected``: the room must not exist, this batch creates it."""

Key = tuple[str, str, str]
"""Idempotency key: (channel id, sender or conversation, the provider's or client's id)."""

Conversation = tuple[str, str]
"""Conversation key: (channel id, provider address or thread)."""


class KeyResult(NamedTuple):
    """What was decided about a key's message: where it went, and why not if it was refused."""

    room_id: str
    event_id: str | None
    blocked: bool = False
    reason: str | None = None


class Discharge(NamedTuple):
    """Ends the obligation that led to this batch; the row must be in flight with this token."""

    row_id: str
    token: int
    outcome: Outcome


class Withdrawal(NamedTuple):
    """Ends open rows whose reason is gone: those of the room that match every field that is not None.

    With ``row_id`` it names one row, of any room or of none, and the batch need not name a version: that is how an
    operator or a caller cancels what was scheduled.
    """

    reason: str
    channel_id: str | None = None
    kind: str | None = None
    event_id: str | None = None
    row_id: str | None = None


class Value(NamedTuple):
    """A plugin's value: a JSON string, and when it is gone (microseconds by the store's clock)."""

    text: str
    expires_at: int | None = None


@dataclass(eq=False)
class ChangeSet:
    """What one batch writes: all of it, or nothing if a guard fails.

    Attributes:
        room_id: The room; None for a batch of identities or plugin state alone.
        commit_id: New for every plan, never an event id; only an identical resend repeats it.
        expected: The version on which the batch was planned. :data:`ABSENT` creates the room. None leaves the version
            unmoved and is for batches of keys of repeats, discharges, tasks, observations, identities, read markers
            and plugin state alone.
        owner: Who the claims of this batch belong to.
        lease: How long claims at birth hold, in seconds by the store's clock.
        epoch: With ABSENT, the epoch of the new room.
        room: The changed room; None if only its counters move. A creation brings it.
        is_plain: There is nothing here but one event, packed, for a room that exists. A hint: a store may use it to ask
            fewer questions.
        events: New events in order; the store gives them the next indexes (``event.index`` already says which).
        packed: The same events as :func:`roomkit_core.models.packing.pack_event` packs them.
        patches: Older events of the room in their new form.
        bindings: Changed and new bindings by channel id; None removes one.
        participants: Changed and new participants by id; None removes one.
        claims: Conversation keys that the room takes; ``takeover`` names those that may be taken from another room.
        releases: Channels whose conversation keys of this room are released; None stands for all of them.
        keys: Idempotency keys with what was decided about them.
        discharges: Rows whose obligation this batch fulfils.
        work: New rows. A row of state IN_FLIGHT asks to be claimed at birth, which the store grants if its lane has no
            open row; otherwise it is stored PENDING.
        withdrawals: Rows that lose their reason.
        tasks, observations, identities: New or changed ones.
        read_markers: (channel id, index) of this room; markers only move forward.
        kv: (namespace, key) to a value, or None to delete it.
    """

    room_id: str | None
    commit_id: str
    expected: Version | _Absent | None
    owner: str = ""
    lease: float = 60.0
    epoch: str | None = None
    room: Room | None = None
    is_plain: bool = field(default_factory=bool)
    events: tuple[RoomEvent, ...] = field(default_factory=tuple)
    packed: tuple[tuple[Any, ...], ...] = field(default_factory=tuple)
    patches: tuple[RoomEvent, ...] = ()
    bindings: dict[str, ChannelBinding | None] = EMPTY
    participants: dict[str, Participant | None] = EMPTY
    claims: tuple[Conversation, ...] = ()
    takeover: frozenset[Conversation] = frozenset()
    releases: tuple[str | None, ...] = ()
    keys: tuple[tuple[Key, KeyResult], ...] = ()
    discharges: tuple[Discharge, ...] = ()
    work: tuple[WorkRow, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    tasks: tuple[Task, ...] = ()
    observations: tuple[Observation, ...] = ()
    identities: tuple[Identity, ...] = ()
    read_markers: tuple[tuple[str, int], ...] = ()
    kv: dict[tuple[str, str], Value | None] = EMPTY  # type: ignore[assignment]  # empty, so its keys are of any type


class Committed(NamedTuple):
    """Everything of the batch is written. ``claims`` are the rows that this owner holds now."""

    version: Version | None
    indexes: tuple[int, ...] = ()
    claims: tuple[WorkRow, ...] = ()


class Refused(NamedTuple):
    """Nothing of the batch is written.

    ``reason`` is ``stale`` (the version moved), ``gone`` (no such room), ``exists`` (it must not), ``taken`` (a
    conversation key belongs to ``room_id``), ``known`` (``key`` was decided before, see ``result``) or ``lost`` (a row
    is not the holder's any more).
    """

    reason: str
    room_id: str | None = None
    key: Key | None = None
    result: KeyResult | None = None
