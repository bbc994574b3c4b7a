"""Room locks for one process: a chain of small tokens, cheap while nobody waits.

Every message takes this lock, so the ordinary case allocates one token and never suspends: no event, no queue, no
task, no generator. A queue appears when somebody has to wait and goes when it is empty.

Whoever is inside holds a *turn*: the outermost tenure holds the turn of the room, a tenure nested in it holds the turn
of that outer tenure, and so on. That one idea gives reentrancy (the outer tenure's turn is free), siblings that exclude
each other (two child tasks want the same turn), and a room that is handed on only when every tenure in it has ended.

Which tenure is the outer one is read from a context variable, which child tasks inherit. What they inherit is the
token itself, not a room id, and a token dies when its holder leaves: a task that outlives the holder finds a dead token
and queues at the room.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from types import TracebackType

import anyio

from roomkit_core.interfaces.locks import RoomLockManager, TakenLock


class InMemoryLockManager(RoomLockManager):
    """Fair room locks for one process and one event loop at a time, on asyncio and trio.

    Waiters get the room in the order in which they asked; the lock is handed to the next one directly, so nobody can
    slip in between. Entering a free room does not suspend and is therefore no cancellation point.

    Nested use within one context holds the enclosing tenure, not the room, and takes turns with its siblings. If the
    outer tenure leaves while a nested one is inside, leaving does not wait: the room stays taken until the last nested
    tenure ended, including those that already waited, and nobody new gets in through the outer one.

    Args:
        max_locks: How many rooms are remembered, at least 1. The least recently released are forgotten first; rooms
            that are held or waited for are never forgotten and may exceed the number while they are.

    Raises:
        ValueError: ``max_locks`` is below 1.
    """

    releases_at_once = True

    def __init__(self, max_locks: int = 1024) -> None:
        if max_locks < 1:
            raise ValueError(f"max_locks must be at least 1, not {max_locks}")
        self._max_locks = max_locks
        # A room is taken exactly while it has a holder; waiters exist only behind a holder. While there are more rooms
        # than max_locks, none of them is idle: that keeps eviction to one step, whatever the size of a burst.
        self._taken: dict[str, _Room] = {}
        self._idle: OrderedDict[str, _Room] = OrderedDict()

    @property
    def size(self) -> int:
        """Number of rooms remembered, taken and idle."""
        return len(self._taken) + len(self._idle)

    def locked(self, room_id: str) -> AbstractAsyncContextManager[None]:
        """As in :class:`RoomLockManager`; entering the returned token a second time raises ``RuntimeError``."""
        return _Tenure(self, room_id)

    def take_free(self, room_id: str) -> TakenLock | None:
        """As in :class:`RoomLockManager`."""
        if room_id in self._taken:
            return None
        tenure = _Tenure(self, room_id)
        tenure.used = True
        tenure.enter_free()
        return tenure

    def _take(self, room_id: str) -> _Room:
        room = self._idle.pop(room_id, None)
        if room is None:
            room = _Room(room_id)
            if self._idle and self.size >= self._max_locks:
                self._idle.popitem(last=False)
        self._taken[room_id] = room
        return room

    def _give_back(self, room: _Room) -> None:
        taken, idle = self._taken, self._idle
        room_id = room.room_id
        del taken[room_id]
        if len(taken) + len(idle) < self._max_locks:
            idle[room_id] = room


class _Turn:
    """Something that one tenure holds at a time: a room, or a tenure that others are nested in."""

    __slots__ = ("holder", "waiters")

    holder: _Tenure | None
    # Ordered for the queue, keyed because a cancelled waiter leaves from the middle; None while nobody waits.
    waiters: OrderedDict[_Tenure, anyio.Event] | None

    async def wait(self, tenure: _Tenure) -> None:
        """Queue until ``tenure`` holds this turn. If cancelled it may hold it all the same: see ``holder``."""
        waiters = self.waiters
        if waiters is None:
            waiters = self.waiters = OrderedDict()
        granted = waiters[tenure] = anyio.Event()
        try:
            await granted.wait()
        except BaseException:
            if self.holder is not tenure:
                del waiters[tenure]
                if not waiters:
                    self.waiters = None
            raise

    def pass_on(self) -> bool:
        """Give the turn to whoever waits longest; otherwise it is free and the answer is False."""
        if self.waiters is None:
            self.holder = None
            return False
        self.holder, granted = self.waiters.popitem(last=False)
        if not self.waiters:
            self.waiters = None
        granted.set()
        return True


class _Room(_Turn):
    """The outermost turn of a room."""

    __slots__ = ("room_id",)

    def __init__(self, room_id: str) -> None:
        self.room_id = room_id
        self.holder = self.waiters = None


class _Tenure(_Turn):
    """One use of a lock: the context manager, the proof of ownership, and the turn of what nests in it.

    Its life: unused (``turn`` and ``room`` None), waiting (``turn`` set), inside (both set), left with nested tenures
    still inside (``turn`` set), ended (both None). Only while it is inside may others nest in it.
    """

    __slots__ = ("enclosing", "manager", "room", "room_id", "turn", "used")

    turn: _Room | _Tenure | None
    room: _Room | None
    enclosing: _Tenure | None

    def __init__(self, manager: InMemoryLockManager, room_id: str) -> None:
        self.manager = manager
        self.room_id = room_id
        self.used = False
        self.holder = self.waiters = self.turn = self.room = self.enclosing = None

    async def __aenter__(self) -> None:
        if self.used:
            raise RuntimeError(f"the lock of room {self.room_id!r} was entered twice; call locked() for each use")
        self.used = True
        room = self.manager._taken.get(self.room_id)
        if room is None:
            self.enter_free()
            return
        self.enclosing = _nearest_inside(_innermost.get())
        await self._queue(room, self.enclosing)
        self.room = room
        _innermost.set(self)

    def enter_free(self) -> None:
        """Enter a room that nobody holds."""
        enclosing = _innermost.get()
        if enclosing is not None:
            self.enclosing = _nearest_inside(enclosing)
        self.turn = self.room = room = self.manager._take(self.room_id)
        room.holder = self
        _innermost.set(self)

    async def _queue(self, room: _Room, enclosing: _Tenure | None) -> None:
        while enclosing is not None and enclosing.room is not room:
            enclosing = enclosing.enclosing
        turn: _Room | _Tenure = room if enclosing is None else enclosing
        self.turn = turn
        if turn.holder is None:
            turn.holder = self
            return
        try:
            await turn.wait(self)
        except BaseException:
            if turn.holder is self:  # granted and cancelled at the same moment
                self._end()
            self.turn = None
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        if self.room is None:
            raise RuntimeError(f"the lock of room {self.room_id!r} was left without being held")
        self.room = None
        # Dead tokens are skipped here as well as on entry, so that chains of tasks that start one another while
        # they hold locks do not keep an ever longer chain of them alive.
        enclosing = self.enclosing
        if enclosing is not None and enclosing.room is None:
            self.enclosing = enclosing = _nearest_inside(enclosing)
        # Not ContextVar.reset(): it raises where an async generator is closed in another context than it ran in.
        if _innermost.get() is self:
            _innermost.set(enclosing)
        if self.holder is not None:
            return
        turn = self.turn
        if type(turn) is _Room and turn.waiters is None:  # the ordinary case of what follows
            turn.holder = self.turn = None
            self.manager._give_back(turn)
        else:
            self._end()

    def _end(self) -> None:
        """Pass the turn on, and end every outer tenure that had left already and only waited for this one."""
        tenure = self
        while (turn := tenure.turn) is not None:
            tenure.turn = None
            if turn.pass_on():
                return
            if isinstance(turn, _Room):
                self.manager._give_back(turn)
                return
            if turn.room is not None:
                return
            tenure = turn


def _nearest_inside(tenure: _Tenure | None) -> _Tenure | None:
    while tenure is not None and tenure.room is None:
        tenure = tenure.enclosing
    return tenure


# The tenure that the running code is in, of whatever manager and room; outer ones follow along ``enclosing``.
_innermost: ContextVar[_Tenure | None] = ContextVar("roomkit_innermost_tenure", default=None)
