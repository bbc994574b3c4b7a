"""Working on the row of a room's timers: each room with timers has one, so none is swept over and none is missed (T28).

Activity moves the moment on without touching the row: it wakes, finds the room busy, and sleeps until the next moment.
"""

from __future__ import annotations

from datetime import datetime

from roomkit_core.background import Expired
from roomkit_core.engine.flow.holdings import Hold
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.flow.work import Handler, Verdict, Work
from roomkit_core.engine.pure.timers import turn
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Unit
from roomkit_core.engine.steps.aftermath import Aftermath
from roomkit_core.engine.steps.room_life import close_room, pause_room
from roomkit_core.engine.steps.tenure import tenure
from roomkit_core.errors import ConflictError, RoomNotFoundError, StoreError
from roomkit_core.models.changes import Discharge
from roomkit_core.models.enums import RoomStatus
from roomkit_core.models.work import Outcome, WorkState

AFTER = 1e-6
"""Seconds: a moment that is just reached is not over yet."""

PAUSE = 5.0
"""Seconds until a room is looked at again that could not be changed."""

DONE = Outcome(WorkState.DONE)
NOTHING_TO_DO = Verdict(Outcome(WorkState.SUPPRESSED, "timer.none", "the room has no timers any more, or is closed"))


def apply_timers(unit: Unit) -> bool:
    """Let the room take the status that its timers say; False if that is the one that it has."""
    status = turn(unit.room, unit.ports.clock.now()).status
    if status is RoomStatus.CLOSED:
        close_room(unit, by_timer=True)
    elif status is RoomStatus.PAUSED:
        pause_room(unit)
    return status is not None


class RunTimers(Handler):
    """The handler of timers.

    Args:
        ports: The surroundings.
        runners: Take what the change of the room owes.
    """

    def __init__(self, ports: Ports, runners: Runners) -> None:
        self._ports = ports
        self._runners = runners

    async def work(self, work: Work) -> Verdict | None:
        """Change the room if it is time, and come again when it is time for the next change."""
        row, ports = work.row, self._ports
        try:
            snapshot = await ports.store.load_room(row.room_id or "")
            if snapshot is None:
                return NOTHING_TO_DO
            said = turn(snapshot.room, ports.clock.now())
            if said.status is None:
                return self._later(said.due)
            unit = await self._change(snapshot.room.id, work.hold)
        except RoomNotFoundError:
            return NOTHING_TO_DO
        except (StoreError, ConflictError) as error:
            return Verdict(Outcome(WorkState.PENDING, error.code, str(error)), PAUSE)
        if unit.discharges:
            return None
        return self._later(turn(unit.room, ports.clock.now()).due)

    def _later(self, due: datetime | None) -> Verdict:
        if due is None:
            return NOTHING_TO_DO
        left = (due - self._ports.clock.now()).total_seconds()
        return Verdict(Outcome(WorkState.PENDING, untouched=True), max(0.0, left) + AFTER)

    async def _change(self, room_id: str, hold: Hold) -> Unit:
        """Change the room. The row is discharged with a change that is the last one; otherwise it goes on after it."""
        ports = self._ports
        bounds = ports.background.new_bounds(ports.process_timeout)

        async def write(unit: Unit) -> None:
            if apply_timers(unit) and unit.status is RoomStatus.CLOSED:
                unit.discharges = (Discharge(hold.row_id, hold.token, DONE),)

        try:
            return await bounds.run(
                tenure(ports, room_id, write, bounds, Aftermath(ports, self._runners, inline=False))
            )
        except Expired:
            raise ConflictError(f"room {room_id!r} could not be changed within {ports.process_timeout:g} s") from None
