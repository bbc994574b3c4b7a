"""Which unit waits for which room: a cycle between two chains is broken before anybody waits in it.

A hook that sends to another room holds its own room's lock meanwhile. Two such hooks in two rooms that send to each
other would wait for each other until their time is over. Whoever would close the circle is told to give up its unit,
release its lock and run again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from roomkit_core.errors import ConflictError

if TYPE_CHECKING:
    from roomkit_core.engine.state.unit_of_work import Unit


class Restart(BaseException):  # not an Exception: a hook's ``except Exception`` must not swallow it
    """The unit is to be thrown away and run again, because waiting would close a circle."""

    def __init__(self, unit: Unit) -> None:
        super().__init__("a circle of rooms that wait for each other")
        self.unit = unit


class LockGraph:
    """Who holds which room, and which rooms the live hooks of each holder wait for.

    Only units whose hooks reach for other rooms are noted: no other can be part of a circle.
    """

    def __init__(self) -> None:
        self._holders: dict[str, Unit] = {}

    def hold(self, unit: Unit) -> None:
        """The unit has its room's lock; one that has ended meanwhile, while a child task went on, has not."""
        if unit.has_ended:
            return
        self._holders[unit.room_id] = unit
        unit.in_graph = True

    def release(self, unit: Unit) -> None:
        """The unit gives its room back."""
        if self._holders.get(unit.room_id) is unit:
            del self._holders[unit.room_id]

    def before_waiting(self, room_id: str, ancestors: list[Unit]) -> None:
        """May a chain that holds the rooms of ``ancestors`` (innermost first) wait for ``room_id``?

        Raises:
            ConflictError: ``lock.self``: the chain itself holds that room.
            Restart: Waiting would close a circle; names the ancestor that has to give up its room.
        """
        for unit in ancestors:
            if unit.room_id == room_id:
                raise ConflictError(
                    f"this chain of hooks holds room {room_id!r} already, further up",
                    code="lock.self",
                    hint="Send to the room from an AFTER_BROADCAST observer, or from the hook that runs in it.",
                    retryable=False,
                )
        for unit in ancestors:
            self.hold(unit)
        holder = self._holders.get(room_id)
        if holder is None:
            return
        for unit in self._waited_for_by(holder):
            if unit in ancestors:
                unit.doomed = Restart(unit)
                raise unit.doomed

    def _waited_for_by(self, start: Unit) -> Iterator[Unit]:
        """All units that ``start`` cannot end without."""
        seen = {start}
        todo = [start]
        while todo:
            unit = todo.pop()
            needed = [*unit.children, *(self._holders[room] for room in unit.waits_for if room in self._holders)]
            for other in needed:
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
                    yield other
