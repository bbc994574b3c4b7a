"""Runners: tasks of the kit that work on claimed rows, per channel and never more than it takes at once.

A runner works on the row it was started with, then takes the next due head of its channel, until there is none. So
there is a runner whenever a channel has due rows: a row is claimed at its birth while a runner is free, and otherwise
the runners that are busy find it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from roomkit_core.engine.flow.following import Following
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.targets import Target
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.work import WorkKind, WorkRow

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
        self._waiting: dict[str, Following] = {}

    def start(self, work: Work) -> bool:
        """Work on a row that was claimed at birth; False if this tenure of it was started before."""
        row = work.row
        if (row.id, row.token) in self._started:
            return False
        self._started.add((row.id, row.token))
        work.target.running += 1
        self._ports.background.spawn(self._run, work)
        return True

    def wait_for(self, row_id: str, following: Following) -> None:
        """Somebody waits for a row that is queued behind others."""
        following.add_queued()
        self._waiting[row_id] = following

    async def _run(self, first: Work) -> None:
        work: Work | None = first
        try:
            while work is not None:
                try:
                    await self._handlers[work.row.kind](work)
                finally:
                    self._started.discard((work.row.id, work.row.token))
                    if work.done is not None:
                        work.done()
                work = await self._next(first.target)
        finally:
            first.target.running -= 1

    async def _next(self, target: Target) -> Work | None:
        """The oldest due head of the channel, if there is one and the channel is still the kit's."""
        ports = self._ports
        if ports.background.closed or ports.channels.get(target.channel_id) is not target:
            return None
        claims = await ports.store.claim(
            ports.owner, lease=ports.lease, limit=1, kinds=self._handlers, channels=(target.channel_id,)
        )
        if not claims:
            return None
        row = claims[0]
        self._started.add((row.id, row.token))
        following = self._waiting.pop(row.id, None)
        return Work(row, target, None, following, None if following is None else following.queued_done)
