"""The way of a message, top to bottom: steps 1 to 5, its tenure of the room, and the result.

Steps 6 (lock), 12 (commit) and 13 (release) are :mod:`tenure`, 7 to 11 (gate, participant, hooks, permission, plan) are
:mod:`write`, 14 and 15 (rows, hints, observers) are :mod:`aftermath`. Everything up to the commit can be thrown away;
nothing after it can.
"""

from __future__ import annotations

from roomkit_core.engine.flow.holdings import Hold
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.pure.keys import message_key
from roomkit_core.engine.pure.permissions import takes_writes
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.room_state import RoomState
from roomkit_core.engine.state.targets import Target
from roomkit_core.engine.state.unit_of_work import Unit, own_unit
from roomkit_core.engine.steps.accepting import accept, journal_lane
from roomkit_core.engine.steps.join_room import attach_source, learn_route, make_room
from roomkit_core.engine.steps.passage import Passage
from roomkit_core.engine.steps.tenure import tenure
from roomkit_core.engine.steps.write import CLOSED, DETACHED, Written, in_chain, refuse, write_event
from roomkit_core.errors import ChannelNotRegisteredError, ConflictError, HookError, RoomNotFoundError
from roomkit_core.hooks.deciding import HOOK_ERROR
from roomkit_core.hooks.node import Node, current
from roomkit_core.interfaces.channel import event_from_message
from roomkit_core.interfaces.kit import Wait
from roomkit_core.models.base import EMPTY, build, evolve
from roomkit_core.models.changes import Discharge, Key, KeyResult
from roomkit_core.models.context import RoomContext
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.ids import new_id
from roomkit_core.models.message import InboundMessage, InboundResult
from roomkit_core.models.work import Outcome, WorkState

TIMEOUT = "process_timeout"
QUEUED = "queued"
RATE_LIMITED = "rate_limited"
MAX_ROUTES = 5
JOURNAL_POLL = 0.05
"""Seconds between two looks at whether the conversation's journaled messages are through."""


class Inbound(Passage[InboundResult]):
    """A message on its way.

    Attributes:
        message: What arrived.
        room_id: Where it goes, once that is known.
        named_room: Where its sender says that it goes.
        target: The channel on which it arrived.
        key: Its idempotency key, if it has one.
        conversation: Its conversation key, if its channel has conversations.
        event: The event that the channel made of it.
        state: The room before the lock was taken; None if that is the working copy of a unit.
        context: What the channel saw of it, if it looked.
        written: What became of it in the unit.
        known: What was decided about its key before.
        refusal: Why it does not go on here and now: too many came in, or it waits in the journal behind others.
    """

    __slots__ = (
        "context",
        "conversation",
        "event",
        "key",
        "known",
        "message",
        "named_room",
        "original",
        "refusal",
        "room_id",
        "state",
        "suspensions",
        "target",
        "written",
    )

    target: Target
    key: Key | None
    conversation: tuple[str, str] | None
    event: RoomEvent
    state: RoomState | None
    written: Written
    suspensions: int

    def __init__(
        self,
        ports: Ports,
        runners: Runners,
        message: InboundMessage,
        room_id: str | None,
        wait: Wait,
        *,
        claim: Hold | None = None,
    ) -> None:
        super().__init__(ports, runners, wait, claim)
        self.message = message
        self.room_id = self.named_room = room_id
        self.context: RoomContext | None = None
        self.known: KeyResult | None = None
        self.original: RoomEvent | None = None
        self.refusal: str | None = None

    async def steps(self) -> None:
        """The way until the commit. What needs no waiting is a plain call: each coroutine costs as much as a step."""
        self.look_up_channel()  # 1
        if self.key is not None and await self.is_known():
            return
        if self.ports.intake is not None and self.claim is None and self.ports.intake.admit(self.message):
            self.refusal = RATE_LIMITED
            return
        if not self.ports.store.journal_is_empty and self.claim is None and await self.stands_behind():
            return
        for _ in range(MAX_ROUTES):
            if self.room_id is None:  # 2
                await self.route()
            if not self.is_cached():  # 3
                await self.read_context()
            if not self.is_translated():  # 4
                await self.handle_inbound()
            # 5: the identity step has its place here.
            self.suspensions = self.bounds.suspensions
            assert self.room_id is not None
            try:
                unit = await tenure(  # 6 to 14
                    self.ports,
                    self.room_id,
                    self.write,
                    self.bounds,
                    self.aftermath,
                    key=self.key,
                    context=self.context,
                    context_of=self.state,
                )
            except RoomNotFoundError:
                # The room was deleted between the plan and the commit: the message begins anew at its route.
                self.room_id, self.context = self.named_room, None
                continue
            if unit.known is not None:
                self.known = unit.known
                await self.read_original()
            return
        raise ConflictError(f"the room of the message was deleted underneath {MAX_ROUTES} times in a row")

    # --- 1: channel and key ---

    def look_up_channel(self) -> None:
        message = self.message
        target = self.ports.channels.get(message.channel_id)
        if target is None:
            raise ChannelNotRegisteredError(f"no channel {message.channel_id!r} is registered")
        self.target = target
        self.key = message_key(message)
        conversation = target.channel.conversation_key(message)
        self.conversation = None if conversation is None else (message.channel_id, conversation)

    async def is_known(self) -> bool:
        """Whether the message's key was decided before; then there is nothing to do but to answer the same."""
        assert self.key is not None
        self.known = await self.ports.store.find_key(self.key)
        if self.known is None:
            return False
        await self.read_original()
        return True

    async def read_original(self) -> None:
        assert self.known is not None
        if self.known.event_id is not None:
            self.original = await self.ports.store.get_event(self.known.event_id)

    async def stands_behind(self) -> bool:
        """Whether the message waits in the journal behind others of its conversation (PROTOCOL C6).

        Who is inside a call of the kit must not wait for it: what it waits for may wait for that very call.
        """
        lane = journal_lane(self.target.channel, self.message)
        store, clock = self.ports.store, self.ports.clock
        deadline = clock.monotonic() + self.ports.process_timeout / 2
        is_inside = current.get() is not None
        while await store.has_open(lane):
            if is_inside or clock.monotonic() >= deadline:
                await accept(self.ports, self.aftermath.runners, self.message, self.named_room)
                self.refusal = QUEUED
                return True
            await clock.sleep_until(clock.monotonic() + JOURNAL_POLL)
        return False

    # --- 2: route ---

    async def route(self) -> None:
        """The room of the conversation, if it has one."""
        message = self.message
        self.room_id = await self.ports.router.route(
            channel_id=message.channel_id,
            channel_type=self.target.channel.channel_type,
            participant_id=message.sender_id,
            conversation_key=None if self.conversation is None else self.conversation[1],
        )

    # --- 3: context ---

    def is_cached(self) -> bool:
        """Whether the room is in the cache, and the running code does not stand in a unit of it."""
        if self.room_id is None or self.is_nested:
            return False
        self.state = self.ports.cache.glance(self.room_id)
        return self.state is not None

    async def read_context(self) -> None:
        """The room as it is now; made, with its first binding and its conversation key, if there is none."""
        ports = self.ports
        state: RoomState | None = None
        if self.room_id is not None:
            own = own_unit(ports, self.room_id)
            if own is not None:
                self.state, self.context = None, own[1].context()
                return
            state = await ports.cache.get(self.room_id)
        if state is None and self.room_id != self.named_room:
            # The room of the conversation was deleted after it was found: its conversation is free, or somewhere else.
            await self.route()
            state = None if self.room_id is None else await ports.cache.get(self.room_id)
            self.room_id = None if state is None else self.room_id
        if self.room_id is None or state is None:
            self.room_id, state = await make_room(ports, self.target, self.message, self.room_id, self.conversation)
        self.state = state

    # --- 4: the channel makes an event of the message ---

    def is_translated(self) -> bool:
        """Whether the channel leaves the translation to the default, which calls nobody."""
        target = self.target
        if not target.translates_plainly:
            return False
        message = self.message
        assert self.room_id is not None
        source, now = target.source_of(message), self.ports.clock.now()
        self.event = event_from_message(target.channel, message, self.room_id, source, now)
        if self.is_nested:
            self.event = in_chain(self.event, self.ports)
        return True

    async def handle_inbound(self) -> None:
        """The channel's own translation."""
        if self.context is None:
            assert self.state is not None
            self.context = self.state.context()
        node = Node(self.ports.kit, "channel")
        node.bounds = self.bounds
        token = current.set(node)
        try:
            event = await self.target.channel.handle_inbound(self.message, self.context)
        finally:
            node.die()
            current.reset(token)
        # Its id, its room and its place are not the channel's to choose.
        event = evolve(event, id=new_id(), room_id=self.room_id, index=0, status=EventStatus.PENDING, blocked_by=None)
        self.event = in_chain(event, self.ports)

    # --- 7 to 11 ---

    async def write(self, unit: Unit) -> None:
        """What the tenure writes: the channel if it is new here, where its sender is, and the event."""
        unit.aftermath = self.aftermath
        if self.key is not None and await self.is_decided(unit):
            return
        if not self.is_attached(unit):
            self.written = refuse(unit, self.key, DETACHED)
        else:
            if self.conversation is not None:
                is_named = self.named_room is not None
                await learn_route(unit, self.target, self.message, self.conversation, is_named=is_named)
            event, fresh = self.event, self.target.translates_plainly
            # The channel's own object is never changed; one made here can be completed, as long as no hook saw it.
            if unit.attempt > 1:
                event, fresh = evolve(event, status=EventStatus.PENDING), False
            self.written = await write_event(unit, event, self.bounds, self.key, fresh)
        if self.claim is not None:
            self.discharge(unit)

    def is_attached(self, unit: Unit) -> bool:
        """Whether the channel is bound to the room; it is attached where the message names the room."""
        message = self.message
        if message.channel_id in unit.bindings or not takes_writes(unit.status):
            return True
        return attach_source(unit, self.target, message)

    def discharge(self, unit: Unit) -> None:
        """The commit ends the message's row, whatever the verdict; a guard that failed is no verdict but a try."""
        assert self.claim is not None
        event, reason = self.written
        if reason is not None and reason.startswith(HOOK_ERROR):
            raise HookError(f"a guard failed: {reason}", code="hook.guard_failed", retryable=True)
        outcome = Outcome(WorkState.DONE) if reason is None else Outcome(WorkState.REFUSED, "message.refused", reason)
        if self.key is None and event is not None:  # a key would lead from the row to the event and back
            outcome = outcome._replace(provider_ids=(event.id,))
        unit.discharges = (Discharge(self.claim.row_id, self.claim.token, outcome),)

    async def is_decided(self, unit: Unit) -> bool:
        """Look the key up again where time has passed since the first look: a wait for the lock, or another try."""
        assert self.key is not None
        known = unit.find_key(self.key)
        if known is None and (unit.attempt > 1 or self.bounds.suspensions != self.suspensions):
            known = await self.ports.store.find_key(self.key)
        if known is None:
            return False
        self.known = known
        await self.read_original()
        if self.original is None:
            self.original = next((e.event for e in unit.draft.entries if e.event.id == known.event_id), None)
        return True

    # --- 16: the result ---

    def expired(self) -> InboundResult:
        data = {"timeout": self.ports.process_timeout}
        channel_id = self.message.channel_id
        self.ports.handlers.emit(TIMEOUT, room_id=self.room_id, channel_id=channel_id, data=data)
        return result(None, blocked=True, reason=TIMEOUT)

    def result(self) -> InboundResult:
        if self.refusal is not None:
            return result(None, blocked=self.refusal is not QUEUED, reason=self.refusal)
        if self.known is not None:
            return result(self.original, blocked=self.known.blocked, reason=self.known.reason)
        event, reason = self.written
        if event is None or reason is not None:
            if reason == CLOSED:
                self.ports.handlers.emit("room_refused_event", room_id=self.room_id, channel_id=self.message.channel_id)
            return result(event, blocked=True, reason=reason)
        return build(
            InboundResult,
            {
                "event": event,
                "blocked": False,
                "reason": None,
                "error": None,
                "delivery_results": self.aftermath.results(event.id),
            },
        )


def result(event: RoomEvent | None, *, blocked: bool, reason: str | None) -> InboundResult:
    """A result without deliveries."""
    return build(
        InboundResult,
        {"event": event, "blocked": blocked, "reason": reason, "error": None, "delivery_results": EMPTY},
    )
