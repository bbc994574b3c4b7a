"""Pools: how much of which work runs at once, and what stands in front of it.

A pool is a limit, not a set of tasks: runners are started when there is something to do and end when there is not. Each
channel is a pool of its own, so that one that hangs stops nobody else's work (PROTOCOL L14); journaled messages share
one, and so do durable hooks, timers and scheduled sends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from roomkit_core.models.channel import RateLimit
from roomkit_core.models.work import WorkKind

MARGIN = 2.0
"""Seconds by which a lease is longer than the call that it covers."""


class Permit(Protocol):
    """A place in a pool for one row. The first end counts, later ones do nothing."""

    def admit(self, room_id: str, limit: RateLimit | None) -> float:
        """Count the row for a limit of its own; 0.0 if it may go on, else the seconds for which to hand it back."""
        ...

    def give_back(self) -> None:
        """No call was made."""
        ...

    def succeeded(self) -> None:
        """The provider took it."""
        ...

    def failed(self, *, retryable: bool) -> None:
        """The provider did not take it, or nobody knows; ``retryable`` if the fault is not this message's own."""
        ...

    def abandon(self) -> None:
        """The call was cut off, or says nothing about the provider."""
        ...


class Pool:
    """A limit on work of some kinds.

    Args:
        name: For logs.
        kinds: What it works on.
        limit: How many rows at once.
        lease: Seconds for which its claims hold.
        channels: Gives the channels whose rows it takes; None for rows of any channel.

    Attributes:
        running: How many of its places are taken.
        is_looking: Whether somebody is about to look for a due row.
        is_wanted: Whether somebody has asked for a look while none was possible.
    """

    __slots__ = ("channels", "is_looking", "is_wanted", "kinds", "lease", "limit", "name", "running")

    def __init__(
        self,
        name: str,
        kinds: Collection[WorkKind],
        limit: int,
        lease: float,
        channels: Callable[[], Collection[str]] | None = None,
    ) -> None:
        self.name = name
        self.kinds = kinds
        self.limit = limit
        self.lease = lease
        self.channels = channels
        self.running = 0
        self.is_looking = False
        self.is_wanted = False

    @property
    def free(self) -> int:
        """How many more rows of it could start now."""
        return self.limit - self.running

    @property
    def is_shut(self) -> bool:
        """Whether a row whose place was taken before must not be worked on any more."""
        return False

    def take_at_birth(self) -> Permit | None:
        """A place for a row that is just being committed; None if there is none, or others wait for one."""
        return self.take()

    def stand_behind(self) -> None:
        """A row waits for a place; what is born from now on has its place behind it."""

    def take(self) -> Permit | None:
        """A place for one row; None if there is none now."""
        if self.running >= self.limit:
            return None
        self.running += 1
        return Place(self)


class Place:
    """A place in a pool that has nothing but a limit."""

    __slots__ = ("_pool",)

    def __init__(self, pool: Pool) -> None:
        self._pool: Pool | None = pool

    def admit(self, room_id: str, limit: RateLimit | None) -> float:
        """There is no limit but the pool's."""
        return 0.0

    def abandon(self) -> None:
        """The place is free again."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.running -= 1

    give_back = succeeded = abandon

    def failed(self, *, retryable: bool) -> None:
        """The place is free again."""
        self.abandon()
