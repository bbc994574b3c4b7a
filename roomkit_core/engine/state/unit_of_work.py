"""The unit of work: what one tenure of a room's lock wants to write, all of it or nothing.

A unit works on one state of its room. Its effects are in an immutable :class:`Draft`, made at the first effect, so that
a savepoint is reading ``unit.draft`` and taking back is assigning it. What deciding hooks do to their room joins the
unit through a :class:`Joined` view, which refuses to write once the hook has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from roomkit_core.engine.pure.plan import NOTHING, Plan, plan
from roomkit_core.engine.state.room_state import RoomState, readers
from roomkit_core.errors import ConflictError, DuplicateError
from roomkit_core.hooks.node import Chain, Node, ancestry
from roomkit_core.models.base import EMPTY
from roomkit_core.models.changes import Conversation, Discharge, Key, KeyResult, Value, Withdrawal
from roomkit_core.models.context import RoomContext
from roomkit_core.models.packing import ID, pack_event

if TYPE_CHECKING:
    from roomkit_core.engine.state.ports import Ports
    from roomkit_core.models.channel import ChannelBinding
    from roomkit_core.models.enums import RoomStatus
    from roomkit_core.models.event import EventSource, RoomEvent
    from roomkit_core.models.participant import Participant
    from roomkit_core.models.room import Room
    from roomkit_core.models.task import Observation, Task
    from roomkit_core.models.triggers import HookTrigger
    from roomkit_core.models.work import WorkRow


class Follows(Protocol):
    """What happens after a commit, as far as a unit knows it."""

    def follow(self) -> Any:
        """What counts for whoever waits for all that follows; None if nobody does."""
        ...


class Entry:
    """One event of a unit, decided and planned.

    Attributes:
        event: As it will be stored.
        plan: What it is owed.
        chain: The hooks that sent it, to none of which it is shown.
        observed: Whether observers see it; bookkeeping events of the room are not for them.
    """

    __slots__ = ("chain", "event", "observed", "plan")

    def __init__(self, event: RoomEvent, plan: Plan = NOTHING, chain: Chain = (), *, observed: bool = True) -> None:
        self.event = event
        self.plan = plan
        self.chain = chain
        self.observed = observed


class Announcement(NamedTuple):
    """What handlers and observers are told once the unit is committed.

    Attributes:
        name: The framework event, or None.
        channel_id: The channel that it is about.
        event_id: The event that it is about.
        data: More of it.
        trigger: The moment whose hooks are called, or None.
        event: What they are called with.
        source: What their filters look at.
        hooks: The hooks that led to it; none of them is called.
        depth: How deep in a chain it happened.
    """

    name: str | None
    channel_id: str | None = None
    event_id: str | None = None
    data: dict[str, Any] | None = None
    trigger: HookTrigger | None = None
    event: RoomEvent | None = None
    source: EventSource | None = None
    hooks: Chain = ()
    depth: int = 0


class Draft:
    """The effects so far. Never mutated: :meth:`having` gives the next draft.

    Attributes:
        taken: Indexes, also of events that are still being decided.
        deciding: Keys of events about which hooks are being asked.
        is_plain: Whether there is nothing but events here.
    """

    # What is rare is a class attribute until it is set; see :class:`Unit`.
    keys: tuple[tuple[Key, KeyResult], ...] = ()
    deciding: tuple[Key, ...] = ()
    claims: tuple[Conversation, ...] = ()
    takeover: frozenset[Conversation] = frozenset()
    releases: tuple[str | None, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    tasks: tuple[Task, ...] = ()
    observations: tuple[Observation, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    patches: tuple[RoomEvent, ...] = ()
    work: tuple[WorkRow, ...] = ()  # beside what events are owed: timers, scheduled sends
    kv: dict[tuple[str, str], Value | None] = EMPTY  # type: ignore[assignment]  # empty, so its keys are of any type

    def __init__(self) -> None:
        self.room: Room | None = None
        self.bindings: dict[str, ChannelBinding] | None = None
        self.participants: dict[str, Participant] | None = None
        self.taken = 0
        self.entries: tuple[Entry, ...] = ()
        self.is_plain = True

    @property
    def moves_version(self) -> bool:
        """Whether anything here is covered by the room's version; tasks and observations are not."""
        return self.taken > 0 or bool(
            self.keys
            or self.room is not None
            or self.bindings is not None
            or self.participants is not None
            or self.claims
            or self.releases
            or self.withdrawals
            or self.patches
        )

    def announce(self, *announcements: Announcement) -> Draft:
        """This draft with more announcements."""
        return self.having(announcements=(*self.announcements, *announcements))

    def having(self, **changes: Any) -> Draft:
        """This draft with changes."""
        draft = Draft()
        draft.__dict__.update(self.__dict__)
        draft.__dict__.update(changes)
        if not changes.keys() <= _PLAIN:
            draft.is_plain = False
        return draft


_PLAIN = {"taken", "entries"}

UNTOUCHED = Draft()


class Unit:
    """One try at one tenure.

    Attributes:
        ports: The kit's surroundings.
        room_id: The room.
        state: The state on which everything here is planned.
        draft: The effects.
        attempt: 1 for the first try.
        budget: How many events its chain may bring, the first one not counted.
        discharges: The obligations that the commit fulfils.
        doomed: Why the unit is to be thrown away, if it is.
        children: Units of other rooms that run inside a hook of this one.
        waits_for: Rooms that hooks of this unit wait for.
        refusal: Why nothing will be written, if the verdict rests on the state alone.
        known: What was decided before about the message's own key; then nothing of the unit is written.
        joined: Whether this is a view on the unit of a hook, which commits later.
        in_graph: Whether the lock graph knows the unit.
        has_ended: Whether the unit is committed or thrown away; it holds its room no more.
        aftermath: Knows who waits for all that follows from the unit.
    """

    # What is rare is a class attribute until it is set. For what every message looks at that would be slow: the
    # interpreter has no short cut to an attribute that may be in two places.
    children: tuple[Unit, ...] = ()
    waits_for: tuple[str, ...] = ()
    refusal: str | None = None
    joined = False

    def __init__(self, ports: Ports, room_id: str, state: RoomState, budget: int) -> None:
        self.ports = ports
        self.room_id = room_id
        self.state = state
        self.budget = budget
        self.draft = UNTOUCHED
        self.attempt = 1
        self.discharges: tuple[Discharge, ...] = ()
        self.doomed: BaseException | None = None
        self.known: KeyResult | None = None
        self.in_graph = False
        self.has_ended = False
        self.aftermath: Follows | None = None
        self._context: RoomContext | None = None

    # --- the working copy ---

    @property
    def bindings(self) -> dict[str, ChannelBinding]:
        """The room's channels as the unit would leave them."""
        changed = self.draft.bindings
        return self.state.bindings if changed is None else changed

    @property
    def readers(self) -> tuple[ChannelBinding, ...]:
        """The bindings to which events would go out."""
        changed = self.draft.bindings
        return self.state.readers if changed is None else readers(changed)

    def plan(self, event: RoomEvent) -> Plan:
        """What the event is owed."""
        channels = self.ports.channels
        if event.visibility == "all" and self.draft.bindings is None:
            known = self.state.live_plan(channels)
            if known is not None:
                return known
        return plan(event, self.readers, channels)

    @property
    def status(self) -> RoomStatus:
        """The room's status as the unit would leave it."""
        changed = self.draft.room
        return self.state.base.status if changed is None else changed.status

    @property
    def participants(self) -> dict[str, Participant]:
        """The room's people as the unit would leave them."""
        changed = self.draft.participants
        return self.state.participants if changed is None else changed

    @property
    def room(self) -> Room:
        """The room as the unit would leave it."""
        changed = self.draft.room
        return self.state.room if changed is None else changed

    def copy(self) -> RoomState:
        """The working copy as a state of its own: what reads from inside the unit see."""
        state = self.state
        packed = tuple(pack_event(entry.event) for entry in self.entries())
        tail = state.tail[max(0, state.end - state.window) : state.end]
        if self.draft.patches:
            patched = {event.id: pack_event(event) for event in self.draft.patches}
            tail = [patched.get(event[ID], event) for event in tail]
        moment = RoomState(
            state.version,
            self.room,
            self.bindings,
            self.participants,
            state.next_index,
            tail,
            state.window,
            state.active,
            state.weight,
        )
        return moment.after(state.version, self.draft.room, self.bindings, self.participants, packed)

    def context(self) -> RoomContext:
        """The room as the unit would leave it, for hooks and channels."""
        draft = self.draft
        if not draft.entries and draft.room is None and draft.bindings is None and draft.participants is None:
            context = self._context
            if context is None:
                context = self._context = RoomContext.of(self.state, self.attempt)
            return context
        return self.copy().context(self.attempt)

    def use_context(self, context: RoomContext) -> None:
        """A context of the same state that was made before."""
        self._context = context

    def entries(self) -> Sequence[Entry]:
        """The events that are decided, in the order of their indexes."""
        entries = self.draft.entries
        if len(entries) < 2:
            return entries
        return sorted(entries, key=lambda entry: entry.event.index)

    # --- effects ---

    def change(self, **changes: Any) -> None:
        """Put changed fields into the draft."""
        self.draft = self.draft.having(**changes)

    def restore(self, draft: Draft) -> None:
        """Take back what was done since ``draft`` was the draft."""
        self.draft = draft

    def take_index(self) -> int:
        """Reserve the next index.

        Raises:
            ConflictError: ``loop``: the unit is full.
        """
        draft = self.draft
        taken = draft.taken
        if taken >= self.ports.max_events:
            raise ConflictError(
                f"a unit of work holds at most {self.ports.max_events} events; hooks seem to answer each other",
                code="loop",
                hint="Let each hook ignore events of the channels that it sends through, or raise max_chain_depth.",
                retryable=False,
            )
        self.draft = own = Draft() if draft is UNTOUCHED else draft.having()
        own.taken = taken + 1
        return self.state.next_index + taken

    def add(self, entry: Entry) -> None:
        """Put a decided event into the draft."""
        draft = self.draft
        self.draft = draft.having(entries=(*draft.entries, entry))

    def decide_key(self, key: Key, result: KeyResult) -> None:
        """Put what was decided about an idempotency key into the draft."""
        self.change(keys=(*self.draft.keys, (key, result)))

    def budget_left(self) -> int:
        """How many more events the chain may bring: each beyond the first of the unit has spent one."""
        return self.budget - max(0, self.draft.taken - 1)

    def find_key(self, key: Key) -> KeyResult | None:
        """What the unit itself has decided about a key.

        Raises:
            DuplicateError: A hook further up is just deciding about it.
        """
        draft = self.draft
        for known, result in draft.keys:
            if known == key:
                return result
        if key in draft.deciding:
            raise DuplicateError(
                "the message with this key is just being decided, and this hook is below it",
                code="message.undecided",
                hint="Let the hook ignore events of the channel that it sends through.",
            )
        return None


class Joined(Unit):
    """A unit as code inside one of its hooks sees it; effects go to the unit itself, as long as that hook lives."""

    joined = True

    def __init__(self, unit: Unit, node: Node) -> None:
        fresh = Unit(unit.ports, unit.room_id, unit.state, unit.budget)
        self.__dict__.update(fresh.__dict__)  # its draft and whether it is doomed are hidden by what stands below
        self._unit = unit
        self._node = node
        self.attempt = unit.attempt
        self.aftermath = unit.aftermath

    @property
    def root(self) -> Unit:
        """The unit that will be committed."""
        return self._unit.root if isinstance(self._unit, Joined) else self._unit

    @property
    def draft(self) -> Draft:
        """The draft of the unit."""
        return self._unit.draft

    @draft.setter
    def draft(self, draft: Draft) -> None:
        if not self._node.alive:
            raise ConflictError(
                "the hook in whose unit of work this wanted to write has ended",
                code="hook.ended",
                hint="Await what a hook starts, or do it from an AFTER_BROADCAST observer.",
                retryable=False,
            )
        self._unit.draft = draft

    def restore(self, draft: Draft) -> None:
        """As in :class:`Unit`; what belongs to a hook that has ended was taken back with it."""
        if self._node.alive:
            self._unit.restore(draft)

    @property
    def doomed(self) -> BaseException | None:  # type: ignore[override]
        """Whether the unit itself is to be thrown away."""
        return self._unit.doomed


def own_unit(ports: Ports, room_id: str) -> tuple[Node, Unit] | None:
    """The unit of ``room_id`` that the running code may join, with the hook node it joins through.

    Only the nearest unit counts, and only through calls that are still running.
    """
    for node in ancestry(ports.kit):
        if not node.alive:
            return None
        if node.unit is not None:
            return (node, node.unit) if node.unit.room_id == room_id else None
    return None


def nearest_unit(ports: Ports) -> Unit | None:
    """The unit of whatever room that the running code may join, as its hook sees it."""
    for node in ancestry(ports.kit):
        if not node.alive:
            return None
        if node.unit is not None:
            return Joined(node.unit, node)
    return None


def held_units(ports: Ports) -> list[Unit]:
    """The units whose hooks the running code is in, innermost first, each once."""
    units: list[Unit] = []
    for node in ancestry(ports.kit):
        if not node.alive:
            break
        if node.unit is not None:
            unit = node.unit.root if isinstance(node.unit, Joined) else node.unit
            if unit not in units:
                units.append(unit)
    return units
