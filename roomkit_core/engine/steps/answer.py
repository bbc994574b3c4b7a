"""Working on an ask: the question goes to an intelligence channel, and all of its answer is one commit.

The channel is asked outside of any lock. Its output is a unit of its own that discharges the ask: every event, task and
observation, or none. A second run of the same ask can therefore not answer twice.
"""

from __future__ import annotations

import logging
from random import random
from typing import Any

import anyio

from roomkit_core.background import Expired, is_stray
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.flow.work import HANDED_BACK, Handler, Verdict, Work
from roomkit_core.engine.pure.backoff import retry_delay
from roomkit_core.engine.pure.permissions import takes_writes
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.room_state import RoomState
from roomkit_core.engine.state.unit_of_work import Unit
from roomkit_core.engine.steps.aftermath import Aftermath
from roomkit_core.engine.steps.deliver import DETACHED, EVENT_GONE, STORE_PAUSE
from roomkit_core.engine.steps.tenure import tenure
from roomkit_core.engine.steps.write import write_event
from roomkit_core.errors import ConflictError, RoomKitError, RoomNotFoundError, StaleLeaseError, StoreError
from roomkit_core.hooks.node import Node, current
from roomkit_core.hooks.observers import Observer
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import Discharge
from roomkit_core.models.channel import ChannelBinding, ChannelOutput
from roomkit_core.models.content import TextContent
from roomkit_core.models.event import EventSource, RoomEvent, Routing
from roomkit_core.models.ids import new_id
from roomkit_core.models.triggers import HookTrigger
from roomkit_core.models.work import Outcome, WorkRow, WorkState

log = logging.getLogger("roomkit.answers")

ANSWERED = Outcome(WorkState.ANSWERED)

MAX_ATTEMPTS = 10
"""So many tries that end for a passing reason before a question is given up."""


class Answer(Handler):
    """The handler of asks.

    Args:
        ports: The surroundings.
        runners: Take what the answer owes.
    """

    def __init__(self, ports: Ports, runners: Runners) -> None:
        self._ports = ports
        self._runners = runners

    async def work(self, work: Work) -> Verdict | None:
        """Ask, and commit the answer."""
        row = work.row
        event, state = work.event, None
        try:
            event = event or await self._ports.store.get_event(row.event_id or "")
            state = await self._state(row)
        except StoreError:
            return HANDED_BACK._replace(due_in=STORE_PAUSE)
        end = self._end(row, event, state)
        if end is not None or event is None or state is None:
            return Verdict(end or EVENT_GONE)
        try:
            output = await self._ask(work, event, state)
            await self._commit(work, event, output)
        except RoomNotFoundError:
            log.info("room %s is gone; the answer to ask %s is dropped", row.room_id, row.id)
            return Verdict(EVENT_GONE)
        except (StoreError, ConflictError) as error:
            if error.retryable:  # passing, and nothing was written: the same question comes again
                return _again(row, error)
            return _failed(error.code, str(error))
        except StaleLeaseError:
            raise
        except _NoAnswerError as error:
            return _failed("ask.timeout", str(error))
        except BaseException as error:
            if not isinstance(error, Exception) and not is_stray(error):
                raise
            log.exception("the answer of channel %r failed", row.channel_id, extra={"room_id": row.room_id})
            return _failed("ask.failed", f"{type(error).__name__}: {error}")
        return None

    async def _state(self, row: WorkRow) -> RoomState | None:
        state = await self._ports.cache.get(row.room_id or "")
        if state is None or row.channel_id not in state.bindings:  # the cached room may be older than the row
            state = await self._ports.cache.load(row.room_id or "")
        return state

    def _end(self, row: WorkRow, event: RoomEvent | None, state: RoomState | None) -> Outcome | None:
        """Why there is nothing to ask any more."""
        if event is None or state is None:
            return EVENT_GONE
        return None if row.channel_id in state.bindings else DETACHED

    async def _ask(self, work: Work, event: RoomEvent, state: RoomState) -> ChannelOutput:
        """The channel's output.

        Raises:
            _NoAnswerError: There was none in time.
        """
        row, channel, hold = work.row, work.target.channel, work.hold
        binding = state.bindings[row.channel_id]
        node = Node(self._ports.kit, "ask")
        node.depth = event.chain_depth + 1
        node.budget = int(row.payload[0])
        node.row_id = row.id
        node.follow = lambda: work.following
        node.origin = row.correlation_id
        token = current.set(node)
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + channel.ask_timeout) as scope:
                hold.cancel, hold.has_called = scope.cancel, True
                output = await channel.on_event(event, binding, state.context())
                if not isinstance(output, ChannelOutput):
                    raise TypeError(f"on_event returns a ChannelOutput, not {type(output).__name__}")
                if output.response_stream is not None:
                    output = await _read_stream(output, event, binding)
                work.permit.succeeded()
                return output
        finally:
            hold.cancel = None
            node.die()
            current.reset(token)
        assert scope.cancelled_caught
        if hold.is_lost:
            raise StaleLeaseError("the question was taken over while it was being answered")
        raise _NoAnswerError(f"no answer within {channel.ask_timeout:g} s")

    async def _commit(self, work: Work, event: RoomEvent, output: ChannelOutput) -> None:
        ports, row = self._ports, work.row
        bounds = ports.background.new_bounds(ports.process_timeout)
        aftermath = Aftermath(ports, self._runners, inline=False)
        aftermath.answer_to(work.following)
        answers = [_complete(answer, event, work) for answer in output.response_events]

        async def write(unit: Unit) -> None:
            unit.aftermath = aftermath
            lost = _lost_reason(unit, row.channel_id) if answers else None
            if lost is not None:
                unit.refusal = lost  # rests on the state of the room, which the store compares
                unit.discharges = (Discharge(row.id, work.hold.token, Outcome(WorkState.SUPPRESSED, lost)),)
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
            discharges=(Discharge(row.id, work.hold.token, ANSWERED),),
        )
        try:
            await bounds.run(steps)
        except Expired:
            raise ConflictError(f"the answer was not committed within {ports.process_timeout:g} s") from None

    async def settled(self, work: Work, verdict: Verdict) -> None:
        """Tell the handlers, and the hooks that wait for errors."""
        row, outcome = work.row, verdict.outcome
        if outcome.state not in (WorkState.FAILED, WorkState.DEAD):
            return
        event = work.event or await self._ports.store.get_event(row.event_id or "")
        self._ports.handlers.emit(
            "ask_failed",
            room_id=row.room_id,
            channel_id=row.channel_id,
            event_id=row.event_id,
            data={"code": outcome.code, "error": outcome.reason},
            depth=0 if event is None else event.chain_depth,
        )
        state = await self._ports.cache.get(row.room_id or "")
        if event is not None and state is not None:
            self._tell_hooks(row, event, state, outcome)

    def _tell_hooks(self, row: WorkRow, event: RoomEvent, state: RoomState, outcome: Outcome) -> None:
        for hook in self._ports.hooks.select(HookTrigger.ON_ERROR, event.room_id):
            if not hook.is_filtered or hook.matches(event.source):
                notes = {**event.metadata, "error": outcome.reason, "error_category": outcome.code}
                self._ports.observers.put(
                    Observer(
                        hook.fn,
                        (evolve(event, metadata=notes), state.context()),
                        hook.name,
                        hook.timeout,
                        hook.chain,
                        event.chain_depth + 1,
                        int(row.payload[0]),
                        row.correlation_id,
                    )
                )


class _NoAnswerError(Exception):
    """The channel did not answer in time."""


def _failed(code: str, reason: str) -> Verdict:
    return Verdict(Outcome(WorkState.FAILED, code, reason))


def _again(row: WorkRow, error: RoomKitError) -> Verdict:
    tries = row.attempts + row.takeovers
    if tries >= MAX_ATTEMPTS:
        return Verdict(Outcome(WorkState.DEAD, error.code, f"{tries} attempts; last: {error}"))
    return Verdict(Outcome(WorkState.PENDING, error.code, str(error)), retry_delay(tries, random=random))


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
