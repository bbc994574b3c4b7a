"""What this kit holds: the tenures whose tasks are alive, and until when each may make a call.

Lease time is the store's. Here each tenure has a deadline by the kit's own clock, which counts suspend and was read
*before* the claim was sent (PROTOCOL L4). Heartbeats name live tenures only (L6): a row whose task has died becomes
free when its lease ends, and one whose task lives is not taken over by this very kit, however late it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from roomkit_core.engine.state.pools import MARGIN
from roomkit_core.errors import StaleLeaseError, StoreError
from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.work import WorkRow

if TYPE_CHECKING:
    from roomkit_core.engine.flow.work import Verdict

log = logging.getLogger("roomkit.flow")


class Hold:
    """One tenure of this kit. It knows the row's token better than the row that its work began with.

    Args:
        row: The row as it was claimed.
        since: Monotonic time from before the claim was sent.
        lease: Seconds for which the claim holds.

    Attributes:
        deadline: Monotonic time after which no call may be made without a renewal.
        is_lost: Whether another holder has taken the row over.
        is_calling: Whether a call to a provider is under way, so that nobody would know how it ended.
        has_called: Whether there was one.
        cancel: Ends the call that is under way, if there is one.
        unrecorded: What is known about the row and the store does not know yet, in its order.
    """

    __slots__ = ("cancel", "deadline", "has_called", "is_calling", "is_lost", "lease", "row_id", "token", "unrecorded")

    def __init__(self, row: WorkRow, since: float, lease: float) -> None:
        self.row_id = row.id
        self.token = row.token
        self.lease = lease
        self.deadline = since + lease
        self.is_lost = False
        self.is_calling = False
        self.has_called = False
        self.cancel: Callable[[], None] | None = None
        self.unrecorded: list[Verdict] = []

    def lose(self) -> None:
        """Another holder has the row: end what is under way."""
        self.is_lost = True
        if self.cancel is not None:
            self.cancel()


class Holdings:
    """All tenures of one kit whose tasks are alive.

    Args:
        store: Where they are renewed.
        clock: The kit's own clock.

    Attributes:
        unrecorded: Of tenures that are over, by row id: what the store did not take, because the kit was closed.
    """

    def __init__(self, store: ConversationStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._live: dict[str, Hold] = {}
        self.unrecorded: dict[str, list[Verdict]] = {}

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._live

    def take(self, row: WorkRow, since: float, lease: float) -> Hold | None:
        """Begin a tenure; None if it has begun before, or if an earlier one of the same row is still alive here."""
        if row.id in self._live:
            return None
        self.unrecorded.pop(row.id, None)
        hold = self._live[row.id] = Hold(row, since, lease)
        return hold

    def adopt(self, row: WorkRow, since: float, lease: float) -> bool:
        """Whether a row that was just claimed is one that a live task of this kit works on: that one goes on (L6)."""
        hold = self._live.get(row.id)
        if hold is None:
            return False
        hold.token = row.token
        hold.deadline = since + lease
        return True

    def end(self, hold: Hold) -> None:
        """The task of the tenure is over."""
        if self._live.get(hold.row_id) is hold:
            del self._live[hold.row_id]
            if hold.unrecorded:
                self.unrecorded[hold.row_id] = hold.unrecorded

    async def ensure(self, hold: Hold, seconds: float) -> None:
        """Make sure that a call of ``seconds`` fits into the tenure; renews it where too little is left.

        Raises:
            StaleLeaseError: Another holder has the row; no call may be made.
            StoreError: The store cannot tell; no call may be made either.
        """
        # Again after each renewal: its answer may have been on its way for longer than the lease holds.
        while not hold.is_lost and self._clock.monotonic() + seconds + MARGIN > hold.deadline:
            hold.lease = max(hold.lease, seconds + 2 * MARGIN)
            await self._renew([hold], hold.lease)
        if hold.is_lost:
            raise StaleLeaseError(f"row {hold.row_id!r} was taken over while its holder was away")

    @property
    def are_late(self) -> bool:
        """Whether a tenure's deadline has passed: this process was asleep, and must renew before it claims anything."""
        now = self._clock.monotonic()
        return any(hold.deadline <= now for hold in self._live.values())

    async def renew(self) -> None:
        """The heartbeat: prolong every tenure, and end the tasks of those that are lost."""
        by_lease: dict[float, list[Hold]] = {}
        for hold in self._live.values():
            if not hold.is_lost:
                by_lease.setdefault(hold.lease, []).append(hold)
        for lease, holds in by_lease.items():
            try:
                await self._renew(holds, lease)
            except StoreError:
                log.warning("%d leases could not be prolonged", len(holds), exc_info=True)

    async def _renew(self, holds: list[Hold], lease: float) -> None:
        since = self._clock.monotonic()
        claims = [(hold.row_id, hold.token) for hold in holds]
        lost = set(await self._store.renew(claims, lease=lease))
        for hold, (row_id, token) in zip(holds, claims, strict=True):
            if row_id not in self._live or hold.token != token:
                continue  # it has ended, or begun anew, while the store was asked
            if row_id in lost:
                log.warning("row %s was taken over; what this kit does about it ends", row_id)
                hold.lose()
            else:
                hold.deadline = since + lease
