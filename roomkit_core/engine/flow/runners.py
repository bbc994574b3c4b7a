"""Runners: tasks of the kit that work on claimed rows, per channel and never more than it takes at once.

A runner works on the row it was started with, then takes the next due head of its channel, until there is none. So
there is a runner whenever a channel has due rows: a row is claimed at its birth while a runner is free, and otherwise
the runners that are busy find it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from roomkit_core.engine.flow.following import Following
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.targets import Target
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.work import Outcome, WorkKind, WorkRow, WorkState

log = logging.getLogger("roomkit.flow")


class Work(NamedTuple):
    """One claimed row with what is known about it here.

    Attributes:
        row: The row, in flight with this kit's token.
        target: Its channel.
        event: What it is about; None if it has to be read.
        following: Who waits for what follows from it.
        done: Tells them that the row had its try.
    """

    row: WorkRow
    target: Target
    event: RoomEvent | None = None
    following: Following | None = None
    done: Callable[[], None] | None = None


Handler = Callable[[Work], Awaitable[None]]

HANDED_BACK = Outcome(WorkState.PENDING, untouched=True)


class Runners:
    """The runners of one kit.

    Args:
        ports: The kit's surroundings.
        handlers: What to do with a row, by its kind. Filled once, before the first row.
    """

    def __init__(self, ports: Ports, handlers: Mapping[WorkKind, Handler]) -> None:
        self._ports = ports
        self._handlers = handlers
        self._started: set[tuple[str, int]] = set()
        self._waiting: dict[str, tuple[Following, WorkRow]] = {}
        self._live: Counter[tuple[str, ...]] = Counter()

    def start(self, work: Work) -> bool:
        """Work on a row that was claimed at birth; False if it is not worked on now, or this tenure began before."""
        row, target = work.row, work.target
        if (row.id, row.token) in self._started:
            return False
        self._started.add((row.id, row.token))
        if target.free <= 0:  # while the commit took its time, another one took the runner
            self._ports.background.spawn(self._hand_back, work)
            return False
        target.running += 1
        self._live[row.lane] += 1
        self._ports.background.spawn(self._run, target, work)
        return True

    def look(self, target: Target) -> None:
        """The channel may have due rows that nobody was free to take when they were planned."""
        if target.free > 0:
            target.running += 1
            self._ports.background.spawn(self._run, target, None)
        else:
            target.is_wanted = True

    async def _hand_back(self, work: Work) -> None:
        row = work.row
        try:
            await self._ports.store.settle(row.id, row.token, HANDED_BACK, due_in=0)
        finally:
            self._started.discard((row.id, row.token))
        self.look(work.target)

    def wait_for(self, row: WorkRow, following: Following) -> None:
        """Somebody waits for a row that is queued behind a live task of this kit; others are nobody's to wait for."""
        if self._live[row.lane]:
            following.add_queued()
            self._waiting[row.id] = following, row

    def forget(self, room_id: str, channel_id: str | None = None, event_id: str | None = None) -> None:
        """Queued rows were withdrawn, of a room, a channel in it, or one event; whoever waits for them is let go."""
        for row_id, (following, row) in list(self._waiting.items()):
            if row.room_id == room_id and channel_id in (None, row.channel_id) and event_id in (None, row.event_id):
                del self._waiting[row_id]
                following.queued_done()

    async def _run(self, target: Target, first: Work | None) -> None:
        work = first
        try:
            if work is None:
                work = await self._next(target)
            while work is not None:
                lane = work.row.lane
                try:
                    await self._handlers[work.row.kind](work)
                except Exception:  # one row is one bad row: the channel's other rows go on
                    log.exception("work on row %s failed", work.row.id, extra={"room_id": work.row.room_id})
                finally:
                    self._leave(lane)
                    self._started.discard((work.row.id, work.row.token))
                    if work.done is not None:
                        work.done()
                if self._waiting:
                    await self._let_go(lane)
                work = await self._next(target)
        finally:
            target.running -= 1

    def _leave(self, lane: tuple[str, ...]) -> None:
        self._live[lane] -= 1
        if not self._live[lane]:
            del self._live[lane]

    async def _let_go(self, lane: tuple[str, ...]) -> None:
        """The lane goes on. Rows that another kit works on now are not waited for here any more."""
        for row_id, (following, row) in list(self._waiting.items()):
            if row.lane != lane:
                continue
            found = await self._ports.store.list_work(WorkFilter(row_id=row_id), limit=1)
            is_theirs = not found or not found[0].is_open or found[0].owner not in (None, self._ports.owner)
            if is_theirs and self._waiting.pop(row_id, None) is not None:
                following.queued_done()

    async def _next(self, target: Target) -> Work | None:
        """The oldest due head of the channel, if there is one and the channel is still the kit's."""
        ports = self._ports
        claims: list[WorkRow] = []
        while not claims:
            if ports.background.closed or ports.channels.get(target.channel_id) is not target:
                return None
            target.is_wanted = False
            claims = await ports.store.claim(
                ports.owner,
                lease=ports.lease + target.longest_call,
                limit=1,
                kinds=self._handlers,
                channels=(target.channel_id,),
            )
            if not claims and not target.is_wanted:
                return None
        row = claims[0]
        self._started.add((row.id, row.token))
        self._live[row.lane] += 1
        following, _ = self._waiting.pop(row.id, (None, None))
        return Work(row, target, None, following, None if following is None else following.queued_done)
