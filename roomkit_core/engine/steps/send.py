"""``send_event``: the same way from the lock on, for what the program says through an attached channel."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from roomkit_core.engine.flow.holdings import Hold
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.pure.keys import content_digest, derived_key, send_key
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Unit
from roomkit_core.engine.steps.passage import Passage
from roomkit_core.engine.steps.tenure import tenure
from roomkit_core.engine.steps.write import CLOSED, Written, in_chain, write_event
from roomkit_core.errors import ChannelNotFoundError, DuplicateError, ProcessTimeoutError, RoomClosedError
from roomkit_core.hooks.node import current, innermost
from roomkit_core.interfaces.kit import Wait
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import Discharge, Key, KeyResult
from roomkit_core.models.event import EventSource, RoomEvent
from roomkit_core.models.kinds import ChannelType, EventType
from roomkit_core.models.work import Outcome, WorkState


class Send(Passage[RoomEvent]):
    """An event on its way into a room.

    Attributes:
        event: What is said.
        key: Its idempotency key: named, or derived where the handler of a work row sends.
        written: What became of it.
        known: What was decided about its key before.
    """

    key: Key | None
    written: Written

    def __init__(
        self,
        ports: Ports,
        runners: Runners,
        event: RoomEvent,
        wait: Wait,
        idempotency_key: str | None,
        *,
        claim: Hold | None = None,
    ) -> None:
        super().__init__(ports, runners, wait, claim)
        self.event = in_chain(event, ports)
        self.key = key_of(ports, event, idempotency_key)
        self.known: KeyResult | None = None
        self.original: RoomEvent | None = None

    async def steps(self) -> None:
        """The way until the commit."""
        event = self.event
        # A scheduled send goes on with what its chain had left when it was written down.
        budget = event.routing.budget if self.claim is not None and event.routing is not None else None
        unit = await tenure(
            self.ports, event.room_id, self.write, self.bounds, self.aftermath, key=self.key, budget=budget
        )
        if unit.known is not None:
            await self.recall(unit.known)

    async def write(self, unit: Unit) -> None:
        """Steps 7 to 11."""
        unit.aftermath = self.aftermath
        event = self.event
        source = event.source
        if self.key is not None:
            known = unit.find_key(self.key) or await self.ports.store.find_key(self.key)
            if known is not None:
                self.original = next((e.event for e in unit.draft.entries if e.event.id == known.event_id), None)
                await self.recall(known)
                return
        binding = unit.bindings.get(source.channel_id)
        if binding is None:
            raise ChannelNotFoundError(f"channel {source.channel_id!r} is not attached to room {unit.room_id!r}")
        if source.channel_type != binding.channel_type:
            event = evolve(event, source=evolve(source, channel_type=binding.channel_type))
        self.written = await write_event(unit, event, self.bounds, self.key)
        if self.claim is not None:
            self.discharge(unit, self.claim)

    def discharge(self, unit: Unit, claim: Hold) -> None:
        """The commit ends the row of a scheduled send, whatever the verdict."""
        event, reason = self.written
        state = WorkState.SUPPRESSED if event is None else WorkState.DONE
        unit.discharges = (Discharge(claim.row_id, claim.token, Outcome(state, reason, reason)),)

    async def recall(self, known: KeyResult) -> None:
        """The message was decided before: answer with the first event."""
        self.known = known
        if self.original is None and known.event_id is not None:
            self.original = await self.ports.store.get_event(known.event_id)

    def expired(self) -> RoomEvent:
        timeout, event = self.ports.process_timeout, self.event
        channel_id = event.source.channel_id
        self.ports.handlers.emit(
            "process_timeout", room_id=event.room_id, channel_id=channel_id, data={"timeout": timeout}
        )
        raise ProcessTimeoutError(
            f"what {channel_id!r} sent to room {event.room_id!r} was not committed within {timeout:g} s"
        ) from None

    def result(self) -> RoomEvent:
        """The stored event, possibly BLOCKED."""
        if self.known is not None:
            if self.original is not None:
                return self.original
            if self.known.reason == CLOSED:
                raise RoomClosedError(f"room {self.known.room_id!r} was closed when this was said first")
            raise DuplicateError(
                f"the key was used before, and what it stood for is gone ({self.known.reason or 'deleted'})"
            )
        event, reason = self.written
        if event is None:
            assert reason == CLOSED
            raise RoomClosedError(f"room {self.event.room_id!r} is closed")
        return event


def key_of(ports: Ports, event: RoomEvent, named: str | None) -> Key | None:
    """The key of what is sent: the named one, or in the handler of a row the one that its second run would have."""
    channel_id = event.source.channel_id
    if named is not None:
        return send_key(channel_id, named)
    node = innermost(ports.kit) if current.get() is not None else None
    if node is None or not node.alive or node.row_id is None:
        return None
    digest = content_digest(event.content)
    if node.ordinals is None:
        node.ordinals = {}
    slot = f"{event.room_id}:{channel_id}:{digest}"
    ordinal = node.ordinals.get(slot, 0)
    node.ordinals[slot] = ordinal + 1
    return derived_key(node.row_id, event.room_id, channel_id, digest, ordinal)


def outgoing(
    room_id: str,
    channel_id: str,
    content: Any,
    event_type: EventType,
    chain_depth: int,
    participant_id: str | None,
    metadata: dict[str, Any] | None,
    visibility: str,
    provider: str | None,
    response_visibility: str | None,
    idempotency_key: str | None,
    created_at: datetime,
) -> RoomEvent:
    """The event that ``send_event`` brings, validated. Its channel type is that of the binding, filled in later."""
    return RoomEvent(
        room_id=room_id,
        type=event_type,
        source=EventSource(
            channel_id=channel_id,
            channel_type=ChannelType.SYSTEM,
            participant_id=participant_id,
            provider=provider,
        ),
        content=content,
        chain_depth=chain_depth,
        metadata=metadata or {},
        visibility=visibility,
        response_visibility=response_visibility,
        idempotency_key=idempotency_key,
        created_at=created_at,
    )
