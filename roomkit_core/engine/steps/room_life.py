"""What closing and pausing a room means, whoever does it: a caller, or the room's timers."""

from __future__ import annotations

from datetime import datetime

from roomkit_core.engine.pure.timers import turn
from roomkit_core.engine.state.unit_of_work import Announcement, Unit
from roomkit_core.engine.steps.bookkeeping import announce, note, system_event
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import Withdrawal
from roomkit_core.models.enums import RoomStatus
from roomkit_core.models.ids import new_id
from roomkit_core.models.kinds import EventType
from roomkit_core.models.room import Room
from roomkit_core.models.time import to_microseconds
from roomkit_core.models.triggers import HookTrigger
from roomkit_core.models.work import WorkKind, WorkRow


def close_room(unit: Unit, *, by_timer: bool = False) -> None:
    """Take no more messages: what is owed goes out, open questions and timers end, conversations are free."""
    now = unit.ports.clock.now()
    if by_timer:
        event = note(unit, EventType.SYSTEM, "room_closed_by_timer", "The room was closed after a long silence", {})
    else:
        event = system_event(unit.room_id, EventType.SYSTEM, "room_closed", "The room was closed", {}, now)
    unit.change(
        room=evolve(unit.room, status=RoomStatus.CLOSED, closed_at=now, updated_at=now),
        releases=(None,),
        claims=(),
        withdrawals=(
            *unit.draft.withdrawals,
            Withdrawal("room_closed", kind=WorkKind.ASK.value),
            Withdrawal("room_closed", kind=WorkKind.TIMER.value),
        ),
        work=tuple(row for row in unit.draft.work if row.kind is not WorkKind.TIMER),
    )
    data = {"reason": "timer"} if by_timer else None
    announce(unit, Announcement("room_closed", None, event.id, data, HookTrigger.ON_ROOM_CLOSED, event))


def pause_room(unit: Unit) -> None:
    """Say that the room is idle. It takes messages as before, and stays paused."""
    event = note(unit, EventType.SYSTEM, "room_paused_by_timer", "The room was paused after a silence", {})
    unit.change(room=evolve(unit.room, status=RoomStatus.PAUSED, updated_at=unit.ports.clock.now()))
    data = {"reason": "timer"}
    announce(unit, Announcement("room_paused", None, event.id, data, HookTrigger.ON_ROOM_PAUSED, event))


def timer_row(room: Room, now: datetime, time: int) -> WorkRow | None:
    """The row that wakes the room's timers; None if they never have anything to say.

    Args:
        room: The room.
        now: The wall time.
        time: The same moment as rows count it, in microseconds.
    """
    said = turn(room, now)
    if said.status is not None:  # what is over already has its say at once
        due = time
    elif said.due is not None:
        due = time + max(0, to_microseconds(said.due) - to_microseconds(now)) + 1
    else:
        return None
    row_id = new_id()
    return WorkRow(
        id=row_id,
        kind=WorkKind.TIMER,
        channel_id="",
        lane=(),
        room_id=room.id,
        event_id=None,
        provider_key=row_id,
        due=due,
    )
