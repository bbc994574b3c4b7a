"""Pools: how much of which work runs at once, and what stands in front of it.

A pool is a limit, not a set of tasks: runners are started when there is something to do and end when there is not. Each
channel is a pool of its own, so that one that hangs stops nobody else's work (PROTOCOL L14); journaled messages share
one, and so do durable hooks, timers and scheduled sends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from roomkit_core.models.work import WorkKind

MARGIN = 2.0
"""Seconds by which a lease is longer than the call that it covers."""


class Gate(Protocol):
    """What has to be open before a row is claimed: pause, readiness, breaker, rate limit (PROTOCOL L9)."""

    @property
    def is_open(self) -> bool:
        """Whether :meth:`take` would let a call through now."""
        ...

    def take(self) -> bool:
        """Let one call through, if the gate is open: takes a token of the rate limit, and the probe of a breaker."""
        ...

    def give_back(self) -> None:
        """The call that was let through will not be made."""
        ...

    def opens_at(self) -> float | None:
        """Monotonic time at which to look again; None if only an event opens the gate."""
        ...

    def succeeded(self) -> None:
        """The call reached the provider and was answered."""
        ...

    def failed(self) -> None:
        """The provider could not be reached, or could not take anything now."""
        ...


class Pool:
    """A limit on work of some kinds.

    Args:
        name: For logs.
        kinds: What it works on.
        limit: How many rows at once.
        lease: Seconds for which its claims hold.
        channels: Gives the channels whose rows it takes; None for rows of any channel.
        gate: What has to be open before a row is claimed; None for nothing.

    Attributes:
        running: How many of its rows are worked on.
        is_looking: Whether somebody is about to look for a due row.
        is_wanted: Whether somebody has asked for a look while none was possible.
    """

    __slots__ = ("channels", "gate", "is_looking", "is_wanted", "kinds", "lease", "limit", "name", "running")

    def __init__(
        self,
        name: str,
        kinds: Collection[WorkKind],
        limit: int,
        lease: float,
        channels: Callable[[], Collection[str]] | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.name = name
        self.kinds = kinds
        self.limit = limit
        self.lease = lease
        self.channels = channels
        self.gate = gate
        self.running = 0
        self.is_looking = False
        self.is_wanted = False

    @property
    def free(self) -> int:
        """How many more rows of it could start now."""
        return self.limit - self.running

    @property
    def may_start(self) -> bool:
        """Whether a row that is born now may be claimed at its birth."""
        return self.running < self.limit and (self.gate is None or self.gate.is_open)
