"""A claimed row on its way to its handler, and what the handler says about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from roomkit_core.engine.flow.following import Following
from roomkit_core.engine.flow.holdings import Hold
from roomkit_core.engine.state.pools import Permit, Pool
from roomkit_core.engine.state.targets import Target
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.work import Outcome, WorkRow, WorkState


class Work(NamedTuple):
    """One claimed row with what is known about it here.

    Attributes:
        row: The row, in flight with this kit's token.
        pool: What its runner counts against.
        hold: The tenure.
        permit: Its place in the pool; whoever works on it says how the call ended, the runner ends what is left.
        event: What it is about; None if it has to be read.
        following: Who waits for what follows from it.
        done: Tells them that the row had its try.
    """

    row: WorkRow
    pool: Pool
    hold: Hold
    permit: Permit
    event: RoomEvent | None = None
    following: Following | None = None
    done: Callable[[], None] | None = None

    @property
    def target(self) -> Target:
        """The channel whose pool it is."""
        assert isinstance(self.pool, Target), "only deliveries and asks belong to a channel"
        return self.pool


class Verdict(NamedTuple):
    """What a handler says about its row.

    Attributes:
        outcome: What is recorded.
        due_in: With an open state, seconds until the next try.
        parts_done: How many parts are through.
    """

    outcome: Outcome
    due_in: float | None = None
    parts_done: int | None = None


HANDED_BACK = Verdict(Outcome(WorkState.PENDING, untouched=True), 0.0)
"""Nothing was done: the row is as it was before the claim, and due."""

INTERRUPTED = Outcome(WorkState.UNKNOWN, "delivery.interrupted", "the kit was closed during the call")
"""The call was made and nobody waited for its answer."""


class Handler(ABC):
    """What is done about rows of one kind."""

    @abstractmethod
    async def work(self, work: Work) -> Verdict | None:
        """Work on a row. Whatever is raised but a cancellation is recorded as a failed try that comes again.

        Returns:
            What is to be recorded; None if a commit has discharged the row.

        Raises:
            StaleLeaseError: The row is not this tenure's any more; nothing is recorded.
        """

    async def settled(self, work: Work, verdict: Verdict) -> None:
        """The verdict is recorded; at most once, because nobody records that this ran."""
