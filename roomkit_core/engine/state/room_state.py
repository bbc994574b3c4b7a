"""A room as the cache holds it: what is durable, at one version, with the end of its timeline.

A state never changes; a commit makes the next one from it. What a plain message moves, the counters, is kept beside the
room model, which is brought up to date when somebody looks at it. Timelines' ends are append-only lists of packed
events that successive states share, each with its own end.
"""

from __future__ import annotations

from datetime import datetime

from roomkit_core.engine.pure.permissions import receives
from roomkit_core.engine.pure.plan import Plan
from roomkit_core.engine.state.targets import Targets
from roomkit_core.interfaces.store import RoomSnapshot
from roomkit_core.models.base import evolve
from roomkit_core.models.channel import ChannelBinding
from roomkit_core.models.context import RoomContext
from roomkit_core.models.enums import ChannelCategory
from roomkit_core.models.packing import BODY, CHANNEL_TYPE, CREATED, METADATA, RAW, SYSTEM, Packed
from roomkit_core.models.participant import Participant
from roomkit_core.models.room import Room, Version
from roomkit_core.models.time import from_microseconds, to_microseconds

_new = object.__new__

MIN_WINDOW = 50
MAX_WINDOW = 2000

ROOM_BYTES = 6_000  # a room with two bindings, measured
EVENT_BYTES = 660  # a packed event without what it says, measured


class RoomState:
    """One version of a room.

    Attributes:
        version: What a plan made on this state names.
        base: The room with counters that may be behind.
        bindings: By channel id, in the order of attachment. Replaced, never mutated.
        participants: By id. Replaced, never mutated.
        next_index: What the next event gets.
        tail: Packed events, ascending; only the first ``end`` of them belong to this state.
        active: The newest moment at which somebody said something, in microseconds; 0 if nobody has.
        weight: How many bytes the state takes, estimated.
    """

    __slots__ = (
        "_live_plan",
        "_readers",
        "_room",
        "active",
        "base",
        "bindings",
        "end",
        "next_index",
        "participants",
        "tail",
        "version",
        "weight",
        "window",
    )

    def __init__(
        self,
        version: Version,
        base: Room,
        bindings: dict[str, ChannelBinding],
        participants: dict[str, Participant],
        next_index: int,
        tail: list[Packed],
        window: int,
        active: int,
        weight: int,
    ) -> None:
        self.version = version
        self.base = base
        self._room: Room | None = None
        self._readers: tuple[ChannelBinding, ...] | None = None
        self._live_plan: tuple[object, Plan | None] | None = None
        self.bindings = bindings
        self.participants = participants
        self.next_index = next_index
        self.tail = tail
        self.end = len(tail)
        self.window = window
        self.active = active
        self.weight = weight

    @classmethod
    def from_snapshot(cls, snapshot: RoomSnapshot, window: int) -> RoomState:
        """The state that the store reported."""
        tail = list(snapshot.tail)
        return cls(
            snapshot.version,
            snapshot.room,
            dict(snapshot.bindings),
            dict(snapshot.participants),
            snapshot.next_index,
            tail,
            window,
            _moment(snapshot.room.timers.last_activity_at),
            ROOM_BYTES + sum(map(weight_of, tail)),
        )

    @property
    def readers(self) -> tuple[ChannelBinding, ...]:
        """The bindings to which events go out at all; found once for all states that share the bindings."""
        if self._readers is None:
            self._readers = readers(self.bindings)
        return self._readers

    def live_plan(self, targets: Targets) -> Plan | None:
        """The plan of every event for all, where whoever reads is live and answers nothing; None elsewhere.

        As :attr:`readers` it is found once for all states that share the bindings, and again when a channel comes or
        goes.
        """
        known = self._live_plan
        if known is None or known[0] is not targets.generation:
            known = self._live_plan = targets.generation, _live_plan(self.readers, targets)
        return known[1]

    @property
    def room(self) -> Room:
        """The room, counters included."""
        if self._room is None:
            last = self.tail[self.end - 1] if self.end else None
            self._room = with_counters(self.base, self.next_index, last, self.active)
        return self._room

    def after(
        self,
        version: Version,
        room: Room | None,
        bindings: dict[str, ChannelBinding],
        participants: dict[str, Participant],
        packed: tuple[Packed, ...],
    ) -> RoomState:
        """The state that a commit on this one leads to."""
        tail, end, window = self.tail, self.end, self.window
        active, weight = self.active if room is None else _moment(room.timers.last_activity_at), self.weight
        if packed:
            if len(tail) != end or end > 4 * window + 64:
                # Somebody else appended behind this state, or the list has grown enough: go on with a fresh end of it.
                tail = tail[max(0, end - window) : end]
                weight = ROOM_BYTES + sum(map(weight_of, tail))
            tail.extend(packed)
            for event in packed:
                weight += EVENT_BYTES + len(event[BODY])
                if event[METADATA] or event[RAW]:
                    weight += _rare_weight(event)
                if event[CREATED] > active and event[CHANNEL_TYPE] != SYSTEM:
                    active = event[CREATED]
        state = _new(RoomState)  # bare: one is made for every message
        state.version = version
        state.base = self.base if room is None else room
        state._room = None
        if bindings is self.bindings:
            state._readers, state._live_plan = self._readers, self._live_plan
        else:
            state._readers = state._live_plan = None
        state.bindings = bindings
        state.participants = participants
        state.next_index = self.next_index + len(packed)
        state.tail = tail
        state.end = len(tail)
        state.window = window
        state.active = active
        state.weight = weight
        return state

    def appended(self, version: Version, packed: Packed) -> RoomState:
        """:meth:`after` for a commit that brought one event and nothing else, as nearly all do."""
        tail, end = self.tail, self.end
        if len(tail) != end or end > 4 * self.window + 64 or packed[METADATA] or packed[RAW]:
            return self.after(version, None, self.bindings, self.participants, (packed,))
        tail.append(packed)
        state = _new(RoomState)
        state.version = version
        state.base = self.base
        state._room = None
        state._readers = self._readers
        state._live_plan = self._live_plan
        state.bindings = self.bindings
        state.participants = self.participants
        state.next_index = self.next_index + 1
        state.tail = tail
        state.end = end + 1
        state.window = self.window
        state.active = self.active
        if packed[CREATED] > state.active and packed[CHANNEL_TYPE] != SYSTEM:
            state.active = packed[CREATED]
        state.weight = self.weight + EVENT_BYTES + len(packed[BODY])
        return state

    def context(self, attempt: int = 1) -> RoomContext:
        """The lazy snapshot that hooks and channels get."""
        return RoomContext.of(self, attempt)


def readers(bindings: dict[str, ChannelBinding]) -> tuple[ChannelBinding, ...]:
    """The bindings to which events go out at all, in the order of attachment."""
    return tuple([binding for binding in bindings.values() if receives(binding)])


def _live_plan(bindings: tuple[ChannelBinding, ...], targets: Targets) -> Plan | None:
    live = []
    for binding in bindings:
        target = targets.get(binding.channel_id)
        answers = binding.category is ChannelCategory.INTELLIGENCE
        if target is None or answers or target.is_asked or not target.is_live:
            return None
        live.append(target)
    return Plan(tuple(live))


def with_counters(base: Room, count: int, last: Packed | None, active: int) -> Room:
    """``base`` with its counters at ``count`` events, the newest of which is ``last``."""
    if count == base.event_count or last is None:
        return base
    return evolve(
        base,
        event_count=count,
        latest_index=count - 1,
        updated_at=max(base.updated_at, from_microseconds(last[CREATED])),
        timers=evolve(base.timers, last_activity_at=from_microseconds(active) if active else None),
    )


def _moment(active: datetime | None) -> int:
    return 0 if active is None else to_microseconds(active)


def weight_of(packed: Packed) -> int:
    """How many bytes an event takes, estimated: a fixed part, and whatever of it can be long."""
    return EVENT_BYTES + len(packed[BODY]) + _rare_weight(packed)


def _rare_weight(packed: Packed) -> int:
    return len(packed[METADATA] or "") + len(packed[RAW] or "")
