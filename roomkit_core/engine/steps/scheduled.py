"""Sending later: a row that is due at its time, and the send that its commit discharges."""

from __future__ import annotations

from datetime import datetime
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
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.time import to_microseconds
from roomkit_core.models.work import Outcome, WorkKind, WorkRow, WorkState

MAX_ATTEMPTS = 10
"""So many tries that end for a passing reason before a scheduled send is given up."""

DONE = Verdict(Outcome(WorkState.DONE))


def schedule(unit: Unit, event: RoomEvent, at: datetime, key: str | None) -> None:
    """Put the row of a later send into the unit; it goes by the id that the event will have.

    Raises:
        RoomClosedError: The room takes no events.
        ChannelNotFoundError: The channel is not attached.
    """
    ports = unit.ports
    if not takes_writes(unit.status):
        raise RoomClosedError(f"room {unit.room_id!r} is closed")
    if event.source.channel_id not in unit.bindings:
        raise ChannelNotFoundError(f"channel {event.source.channel_id!r} is not attached to room {unit.room_id!r}")
    ahead = to_microseconds(at) - to_microseconds(ports.clock.now())
    row = WorkRow(
        id=event.id,
        kind=WorkKind.SCHEDULED,
        channel_id=event.source.channel_id,
        lane=(),
        room_id=unit.room_id,
        event_id=None,
        payload=(event.model_dump_json(), key or f"scheduled:{event.id}"),
        provider_key=event.id,
        correlation_id=event.id,
        due=ports.time() + max(0, ahead),
    )
    unit.change(work=(*unit.draft.work, row))


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
