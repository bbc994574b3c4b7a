"""Working on an ask: the question goes to an intelligence channel, and all of its answer is one commit.

The channel is asked outside of any lock. Its output is a unit of its own that discharges the ask: every event, task and
observation, or none. A second run of the same ask can therefore not answer twice.
"""

from __future__ import annotations

import logging
from typing import Any

import anyio

from roomkit_core.background import Expired
from roomkit_core.engine.flow.runners import Runners, Work
from roomkit_core.engine.pure.permissions import takes_writes
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Unit
from roomkit_core.engine.steps.aftermath import Aftermath
from roomkit_core.engine.steps.tenure import tenure
from roomkit_core.engine.steps.write import write_event
from roomkit_core.errors import ConflictError, RoomNotFoundError, StaleLeaseError, StoreError
from roomkit_core.hooks.node import Node, current
from roomkit_core.hooks.observers import Observer
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import Discharge
from roomkit_core.models.channel import ChannelBinding, ChannelOutput
from roomkit_core.models.content import TextContent
from roomkit_core.models.event import EventSource, RoomEvent, Routing
from roomkit_core.models.ids import new_id
from roomkit_core.models.kinds import HookTrigger
from roomkit_core.models.work import Outcome, WorkState

log = logging.getLogger("roomkit.answers")

ANSWERED = Outcome(WorkState.ANSWERED)


class Answer:
    """The handler of asks.

    Args:
        ports: The surroundings.
        runners: Take what the answer owes.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.runners: Runners | None = None

    async def __call__(self, work: Work) -> None:
        """Ask, and commit the answer."""
        try:
            event = work.event or await self._ports.store.get_event(work.row.event_id or "")
        except StoreError:
            await self._settle(work, Outcome(WorkState.PENDING, untouched=True))
            raise
        if event is None:
            await self._settle(work, Outcome(WorkState.SUPPRESSED, "event.gone", "the event was deleted"))
            return
        try:
            output = await self._ask(work, event)
            if output is not None:
                await self._commit(work, event, output)
        except StaleLeaseError:
            log.info("ask %s was taken over; its answer is dropped", work.row.id)
        except RoomNotFoundError:
            log.info("room %s is gone; the answer to ask %s is dropped", work.row.room_id, work.row.id)
        except Exception as error:
            log.exception("the answer of channel %r failed", work.row.channel_id, extra={"room_id": work.row.room_id})
            await self._fail(work, event, "ask.failed", f"{type(error).__name__}: {error}")

    async def _ask(self, work: Work, event: RoomEvent) -> ChannelOutput | None:
        """The channel's output; None if the ask has ended without."""
        row, channel = work.row, work.target.channel
        state = await self._ports.cache.get(event.room_id)
        binding = None if state is None else state.bindings.get(row.channel_id)
        if binding is None:  # the cached room may be older than the row
            state = await self._ports.cache.load(event.room_id)
            binding = None if state is None else state.bindings.get(row.channel_id)
        if state is None or binding is None:
            await self._settle(work, Outcome(WorkState.SUPPRESSED, "channel.detached", "the channel was detached"))
            return None
        node = Node(self._ports.kit, "ask")
        node.depth = event.chain_depth + 1
        node.budget = int(row.payload[0])
        node.row_id = row.id
        node.follow = lambda: work.following
        node.origin = row.correlation_id
        token = current.set(node)
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + channel.ask_timeout) as scope:
                output = await channel.on_event(event, binding, state.context())
                if not isinstance(output, ChannelOutput):
                    raise TypeError(f"on_event returns a ChannelOutput, not {type(output).__name__}")
                if output.response_stream is not None:
                    output = await _read_stream(output, event, binding)
                return output
        finally:
            node.die()
            current.reset(token)
        assert scope.cancelled_caught
        await self._fail(work, event, "ask.timeout", f"no answer within {channel.ask_timeout:g} s")
        return None

    async def _commit(self, work: Work, event: RoomEvent, output: ChannelOutput) -> None:
        assert self.runners is not None
        ports, row = self._ports, work.row
        bounds = ports.background.new_bounds(ports.process_timeout)
        aftermath = Aftermath(ports, self.runners, inline=False)
        aftermath.answer_to(work.following)
        answers = [_complete(answer, event, work) for answer in output.response_events]

        async def write(unit: Unit) -> None:
            unit.aftermath = aftermath
            lost = _lost_reason(unit, row.channel_id) if answers else None
            if lost is not None:
                unit.discharges = (Discharge(row.id, row.token, Outcome(WorkState.SUPPRESSED, lost)),)
                return
            for answer in answers:
                await write_event(unit, answer, bounds)
            if output.tasks or output.observations:
                unit.change(
                    tasks=(*unit.draft.tasks, *output.tasks),
                    observations=(*unit.draft.observations, *output.observations),
                )

        steps = tenure(
            ports,
            event.room_id,
            write,
            bounds,
            aftermath,
            budget=int(row.payload[0]),
            discharges=(Discharge(row.id, row.token, ANSWERED),),
        )
        try:
            await bounds.run(steps)
        except Expired:
            raise ConflictError(f"the answer was not committed within {ports.process_timeout:g} s") from None

    async def _fail(self, work: Work, event: RoomEvent, code: str, reason: str) -> None:
        ports = self._ports
        await self._settle(work, Outcome(WorkState.FAILED, code, reason))
        ports.handlers.emit(
            "ask_failed",
            room_id=event.room_id,
            channel_id=work.row.channel_id,
            event_id=event.id,
            data={"code": code, "error": reason},
            depth=event.chain_depth,
        )
        state = await ports.cache.get(event.room_id)
        if state is None:
            return
        for hook in ports.hooks.select(HookTrigger.ON_ERROR, event.room_id):
            if not hook.is_filtered or hook.matches(event.source):
                note = evolve(event, metadata={**event.metadata, "error": reason, "error_category": code})
                ports.observers.put(
                    Observer(
                        hook.fn,
                        (note, state.context()),
                        hook.name,
                        hook.timeout,
                        hook.chain,
                        event.chain_depth + 1,
                        int(work.row.payload[0]),
                        work.row.correlation_id,
                    )
                )

    async def _settle(self, work: Work, outcome: Outcome) -> None:
        await self._ports.store.settle(work.row.id, work.row.token, outcome)


def _lost_reason(unit: Unit, channel_id: str) -> str | None:
    """Why an answer has no place in its room any more; None if it has."""
    if not takes_writes(unit.status):
        return "room_closed"
    return None if channel_id in unit.bindings else "channel.detached"


async def _read_stream(output: ChannelOutput, event: RoomEvent, binding: ChannelBinding) -> ChannelOutput:
    """The stream's text as one more event. Clients that can show it while it grows come later."""
    text = "".join([piece async for piece in output.response_stream if isinstance(piece, str)])
    if not text:
        return output
    answer = RoomEvent(
        room_id=event.room_id,
        source=EventSource(channel_id=binding.channel_id, channel_type=binding.channel_type),
        content=TextContent(body=text),
        metadata=output.response_metadata,
    )
    return evolve(output, response_events=[*output.response_events, answer])


def _complete(answer: RoomEvent, event: RoomEvent, work: Work) -> RoomEvent:
    """What the channel said, as a new event of the chain: it cannot choose its id, its room, its source or its depth.

    A bot may answer with one event again and again, or with the one that it was asked about.
    """
    origin = event.correlation_id or event.id
    changes: dict[str, Any] = {
        "id": new_id(),
        "room_id": event.room_id,
        "source": evolve(answer.source, channel_id=work.row.channel_id, channel_type=work.target.channel.channel_type),
        "chain_depth": event.chain_depth + 1,
        "correlation_id": origin,
        "routing": Routing(origin=origin, hops=event.chain_depth + 1, budget=int(work.row.payload[0])),
    }
    if event.response_visibility is not None:
        changes["visibility"] = event.response_visibility
    return evolve(answer, **changes)
