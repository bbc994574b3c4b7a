"""Sending later: a row that is due at its time, and the send that its commit discharges."""

from __future__ import annotations

from datetime import UTC, datetime
from random import random

from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.flow.work import Handler, Verdict, Work
from roomkit_core.engine.pure.backoff import retry_delay
from roomkit_core.engine.pure.permissions import takes_writes
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Unit
from roomkit_core.engine.steps.send import Send
from roomkit_core.errors import (
    ChannelNotFoundError,
    DuplicateError,
    RoomClosedError,
    RoomKitError,
    RoomNotFoundError,
    StaleLeaseError,
)
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import Key
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.time import to_microseconds
from roomkit_core.models.work import OPEN_STATES, Outcome, WorkKind, WorkRow, WorkState

MAX_ATTEMPTS = 10
"""So many tries that end for a passing reason before a scheduled send is given up."""

DONE = Verdict(Outcome(WorkState.DONE))


async def schedule(unit: Unit, event: RoomEvent, at: datetime, key: Key | None) -> RoomEvent:
    """Put the row of a later send into the unit; it goes by the id that the event will have.

    Args:
        unit: The unit of the room.
        event: What is to be said.
        at: When.
        key: Makes a repeat the same event, whether it is said already or waits for its time.

    Returns:
        The event as it will be said, or the first one of this key.

    Raises:
        RoomClosedError: The room takes no events.
        ChannelNotFoundError: The channel is not attached.
    """
    ports, channel_id = unit.ports, event.source.channel_id
    known = None if key is None else await _known(unit, key)
    if known is not None:
        return known
    if not takes_writes(unit.status):
        raise RoomClosedError(f"room {unit.room_id!r} is closed")
    binding = unit.bindings.get(channel_id)
    if binding is None:
        raise ChannelNotFoundError(f"channel {channel_id!r} is not attached to room {unit.room_id!r}")
    now = ports.clock.now()
    moment = max(at.astimezone(UTC), now)
    event = evolve(event, created_at=moment, source=evolve(event.source, channel_type=binding.channel_type))
    name = f"scheduled:{event.id}" if key is None else key[2]
    row = WorkRow(
        id=event.id,
        kind=WorkKind.SCHEDULED,
        channel_id=channel_id,
        lane=(),
        room_id=unit.room_id,
        event_id=None,
        payload=(event.model_dump_json(), name),
        provider_key=event.id if key is None else name,
        correlation_id=event.correlation_id or event.id,
        due=ports.time() + to_microseconds(moment) - to_microseconds(now),
    )
    unit.change(work=(*unit.draft.work, row))
    return event


async def _known(unit: Unit, key: Key) -> RoomEvent | None:
    """What is said already, or waits for its time, under this key."""
    store = unit.ports.store
    result = unit.find_key(key) or await store.find_key(key)
    if result is not None and result.event_id is not None:
        said = next((entry.event for entry in unit.draft.entries if entry.event.id == result.event_id), None)
        return said or await store.get_event(result.event_id)
    where = WorkFilter(OPEN_STATES, frozenset({WorkKind.SCHEDULED}), channel_id=key[0], name=key[2])
    for row in (*unit.draft.work, *await store.list_work(where, limit=1)):
        if row.kind is WorkKind.SCHEDULED and (row.channel_id, row.provider_key) == (key[0], key[2]):
            return RoomEvent.model_validate_json(row.payload[0])
    return None


class SendScheduled(Handler):
    """The handler of scheduled sends.

    Args:
        ports: The surroundings.
        runners: Take what the event owes.
    """

    def __init__(self, ports: Ports, runners: Runners) -> None:
        self._ports = ports
        self._runners = runners

    async def work(self, work: Work) -> Verdict | None:
        """Say it, and discharge the row in the same commit."""
        row = work.row
        event = RoomEvent.model_validate_json(row.payload[0])
        event = evolve(event, created_at=self._ports.clock.now())
        passage = Send(self._ports, self._runners, event, "committed", row.payload[1], claim=work.hold)
        try:
            await passage.go()
        except StaleLeaseError:
            raise
        except DuplicateError:
            return DONE
        except RoomNotFoundError:
            return _suppressed("room.gone", "the room was deleted")
        except RoomClosedError:  # known: decided before; otherwise the commit of the refusal has discharged the row
            return _suppressed("room_closed", "the room was closed before it was time") if passage.known else None
        except ChannelNotFoundError:
            return _suppressed("channel.detached", "the channel was detached before it was time")
        except RoomKitError as error:
            return _again(row, error)
        return DONE if passage.known is not None else None


def _suppressed(code: str, reason: str) -> Verdict:
    return Verdict(Outcome(WorkState.SUPPRESSED, code, reason))


def _again(row: WorkRow, error: RoomKitError) -> Verdict:
    tries = row.attempts + row.takeovers
    if not error.retryable or tries >= MAX_ATTEMPTS:
        return Verdict(Outcome(WorkState.DEAD, error.code, f"{tries} attempts; last: {error}"))
    return Verdict(Outcome(WorkState.PENDING, error.code, str(error)), retry_delay(max(1, tries), random=random))
