"""Runners: tasks of the kit that work on claimed rows, per pool and never more than it takes at once.

A runner works on the row it was started with, then takes the next due head of its pool, until there is none. So there
is a runner whenever a pool has due rows: a row is claimed at its birth while a runner is free, and otherwise the
runners that are busy find it. The pump calls for runners when time has made rows due.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping

import anyio

from roomkit_core.background import is_stray
from roomkit_core.engine.flow.exclusion import Exclusion
from roomkit_core.engine.flow.following import Following
from roomkit_core.engine.flow.holdings import Hold, Holdings
from roomkit_core.engine.flow.settling import settle
from roomkit_core.engine.flow.work import HANDED_BACK, INTERRUPTED, Handler, Verdict, Work
from roomkit_core.engine.pure.verdicts import give_up
from roomkit_core.engine.state.pools import Permit, Pool
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.targets import Target
from roomkit_core.errors import StaleLeaseError, StoreError
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.work import Outcome, WorkKind, WorkRow, WorkState

log = logging.getLogger("roomkit.flow")

ALONE_FROM = 2
"""From so many takeovers on a row runs alone in its process (PROTOCOL L13): it may be what kills processes."""

PAGE = 1_000

FAILED_PAUSE = 30.0
"""Seconds until a row is tried again whose handler failed in a way that it did not foresee."""


class Runners:
    """The runners of one kit.

    Args:
        ports: The kit's surroundings.
        handlers: What to do with a row, by its kind. Filled once, before the first row.
        holdings: The tenures of this kit.
        wake_at: Tells the pump at which monotonic time to look next.

    Attributes:
        worked: How many rows have been worked on.
    """

    def __init__(
        self,
        ports: Ports,
        handlers: Mapping[WorkKind, Handler],
        holdings: Holdings,
        wake_at: Callable[[float], None],
    ) -> None:
        self._ports = ports
        self._handlers = handlers
        self.holdings = holdings
        self._wake_at = wake_at
        self._waiting: dict[str, tuple[Following, WorkRow]] = {}
        self._live: Counter[tuple[str, ...]] = Counter()
        self._exclusion = Exclusion()
        self.worked = 0

    # --- starting ---

    def start(
        self,
        row: WorkRow,
        pool: Pool,
        permit: Permit | None,
        since: float,
        lease: float,
        event: RoomEvent | None = None,
        following: Following | None = None,
        done: Callable[[], None] | None = None,
    ) -> bool:
        """Work on a row that was claimed at birth; False if it is not worked on now, or this tenure began before.

        Args:
            row: The row.
            pool: Its pool.
            permit: Its place there, taken before the claim was asked for; None to take one now.
            since: Monotonic time from before the claim was sent.
            lease: Seconds for which the claim holds.
            event: What the row is about.
            following: Who waits for what follows from it.
            done: Tells them that the row had its try.
        """
        hold = self.holdings.take(row, since, lease)
        if hold is None:
            return False
        permit = permit or pool.take()
        if permit is None or pool.is_shut or self._exclusion.is_wanted:  # closed while the commit took its time
            if permit is not None:
                permit.give_back()
            self._ports.background.spawn(self._hand_back, pool, hold)
            return False
        self._live[row.lane] += 1
        self._ports.background.spawn(self._run, pool, Work(row, pool, hold, permit, event, following, done))
        return True

    def look(self, pool: Pool) -> None:
        """The pool may have due rows that nobody was free to take when they were planned."""
        if self._ports.background.closed:
            return
        if pool.free > 0 and not pool.is_looking:
            pool.is_looking = True  # and takes no place yet: a row that is born now finds it free
            self._ports.background.spawn(self._look, pool)
        else:
            pool.is_wanted = True

    def look_for(self, row: WorkRow, pool: Pool) -> None:
        """A row was born that nobody works on yet: it is due now or later, or queues behind another one.

        Where a task of this kit works on its lane, that one looks when it is through.
        """
        if row.due is None:
            if row.lane not in self._live:
                if row.state is WorkState.PENDING:  # it did not ask to be claimed; who did waits in its lane
                    pool.stand_behind()
                self.look(pool)
        else:
            ports = self._ports
            self._wake_at(ports.clock.monotonic() + (row.due - ports.time()) / 1_000_000)

    async def _look(self, pool: Pool) -> None:
        pool.is_looking = False
        await self._run(pool, None)

    def return_unused(self, row: WorkRow, since: float, lease: float) -> None:
        """Give back a row that was claimed at birth and whose channel is gone: another kit may have it."""
        hold = self.holdings.take(row, since, lease)
        if hold is not None:
            self._ports.background.spawn(self._hand_back, None, hold)

    async def _hand_back(self, pool: Pool | None, hold: Hold) -> None:
        try:
            await settle(self._ports, hold, HANDED_BACK)
        finally:
            self.holdings.end(hold)
        if pool is not None:
            self.look(pool)

    async def release(self) -> None:
        """Hand back what is claimed for this kit; for when none of its tasks runs any more.

        A task that is cancelled while the store claims a row for it never learns of the claim, and what is committed
        while the kit is cancelled gets no runner for the rows that it claimed at their birth. Where the store did not
        take a record, that is made first: it may say that the row was sent.
        """
        store, owner = self._ports.store, self._ports.owner
        await store.renew((), lease=self._ports.lease)  # a claim that was handed in is written when this is answered
        unrecorded = self.holdings.unrecorded
        where, after = WorkFilter(states=frozenset({WorkState.IN_FLIGHT})), None
        while rows := await store.list_work(where, limit=PAGE, after=after):
            after = rows[-1].id
            for row in rows:
                if row.owner != owner:
                    continue
                for outcome, due_in, parts_done in (*unrecorded.get(row.id, ()), HANDED_BACK):
                    await store.settle(row.id, row.token, outcome, due_in=due_in, parts_done=parts_done)

    # --- who waits ---

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

    async def _let_go(self, lane: tuple[str, ...]) -> None:
        """The lane goes on, or its head waits for another try: nobody waits for what no live task here leads to."""
        for row_id, (following, row) in list(self._waiting.items()):
            if row.lane != lane:
                continue
            try:
                found = await self._ports.store.list_work(WorkFilter(row_id=row_id), limit=1)
            except StoreError:  # nobody knows; whoever waits does so until its patience is over
                log.warning("it cannot be read whether row %s goes on here", row_id, exc_info=True)
                continue
            if self._leads_to(found[0] if found else None):
                continue
            if self._waiting.pop(row_id, None) is not None:
                following.queued_done()

    def _leads_to(self, row: WorkRow | None) -> bool:
        """Whether a live task of this kit leads to the row; one that is due is taken up by whoever looks next."""
        if row is None or not row.is_open or row.owner not in (None, self._ports.owner):
            return False
        return row.due is not None or row.state is not WorkState.PENDING or row.lane in self._live

    # --- one runner ---

    async def _run(self, pool: Pool, first: Work | None) -> None:
        work = first or await self._next(pool)
        while work is not None:
            await self._work(work)
            work = await self._next(pool)

    async def _work(self, work: Work) -> None:
        lane = work.row.lane
        self.worked += 1
        try:
            await self._handle(work)
        finally:
            self.holdings.end(work.hold)
            if work.hold.has_called:
                work.permit.abandon()
            else:
                work.permit.give_back()
            self._live[lane] -= 1
            if not self._live[lane]:
                del self._live[lane]
            if work.done is not None:
                work.done()
        if self._waiting:
            await self._let_go(lane)

    async def _handle(self, work: Work) -> None:
        """Let the handler work, and record what it says, whatever happens to it or to this task."""
        row, handler = work.row, self._handlers[work.row.kind]
        verdict: Verdict | None = HANDED_BACK
        try:
            verdict = await self._judge(work, handler)
        except StaleLeaseError as error:
            log.info("row %s: %s", row.id, error, extra={"room_id": row.room_id})
            verdict = None
        except Exception as error:  # one row is one bad row: the pool's other rows go on
            log.exception("work on row %s failed", row.id, extra={"room_id": row.room_id})
            verdict = _failed(work, error)
        except BaseException as error:
            if not is_stray(error):
                verdict = Verdict(INTERRUPTED, _quiet(row)) if work.hold.is_calling else HANDED_BACK
                raise
            verdict = _failed(work, error)
        finally:
            if verdict is not None:
                await self._record(work, handler, verdict)

    async def _judge(self, work: Work, handler: Handler) -> Verdict | None:
        """What the handler says, or what is clear without it; a row that has to be alone is."""
        alone = work.row.takeovers >= ALONE_FROM
        await self._exclusion.enter(alone=alone)
        try:
            if isinstance(work.pool, Target) and not work.pool.started and not await _has_started(work.pool):
                return HANDED_BACK
            end = give_up(work.row, self._ports.time())
            return await handler.work(work) if end is None else Verdict(end)
        finally:
            self._exclusion.leave(alone=alone)
            if alone:
                self._wake_at(self._ports.clock.monotonic())  # nothing else was begun meanwhile

    async def _record(self, work: Work, handler: Handler, verdict: Verdict) -> None:
        if not await settle(self._ports, work.hold, verdict):
            return
        if work.following is not None and not verdict.outcome.untouched:
            work.following.outcomes[work.row.id] = verdict.outcome
        if verdict.due_in is not None:
            self._wake_at(self._ports.clock.monotonic() + verdict.due_in)  # the store counts from when it recorded it
        try:
            await handler.settled(work, verdict)
        except Exception:  # who is told of it is told at most once; the runner goes on
            log.exception("what follows from the end of row %s failed", work.row.id)

    async def _next(self, pool: Pool) -> Work | None:
        """The oldest due head of the pool, if there is one and nothing stands in its way."""
        while self._may_claim(pool):
            pool.is_wanted = False
            permit = pool.take()
            if permit is None:
                return None
            work = None
            try:
                work = await self._claim(pool, permit)
            finally:
                if work is None:
                    permit.give_back()
            if work is not None:
                if pool.free > 0:
                    self.look(pool)  # where one row is due, there may be more
                return work
            if not pool.is_wanted:
                return None
        return None

    def _may_claim(self, pool: Pool) -> bool:
        ports = self._ports
        background = ports.background
        if background.closed or self._exclusion.is_wanted or _is_gone(ports, pool):
            return False
        # What a durable store holds is there after the next start; what a store in memory holds is now or never.
        return not (background.draining and ports.store.is_durable)

    async def _claim(self, pool: Pool, permit: Permit) -> Work | None:
        ports = self._ports
        if len(self.holdings) and self.holdings.are_late:
            await self.holdings.renew()  # or the claim would take over what tasks of this very kit hold
        since = ports.clock.monotonic()
        try:
            claims = await ports.store.claim(
                ports.owner,
                lease=pool.lease,
                limit=1,
                kinds=pool.kinds,
                channels=None if pool.channels is None else pool.channels(),
            )
        except StoreError:
            log.warning("pool %s cannot claim", pool.name, exc_info=True)
            return None
        for row in claims:
            hold = self.holdings.take(row, since, pool.lease)
            if hold is None:
                self.holdings.adopt(row, since, pool.lease)
                continue
            self._live[row.lane] += 1
            following, _ = self._waiting.pop(row.id, (None, None))
            done = None if following is None else following.queued_done
            return Work(row, pool, hold, permit, None, following, done)
        return None


def _is_gone(ports: Ports, pool: Pool) -> bool:
    """Whether the pool is that of a channel which is not registered any more, or not started yet."""
    return isinstance(pool, Target) and not (pool.started and ports.channels.get(pool.channel_id) is pool)


async def _has_started(target: Target) -> bool:
    """Wait for the start of a channel that was registered just before; not for ever, because a row is held."""
    if target.starting is not None:
        with anyio.move_on_after(target.channel.send_timeout):
            await target.starting.wait()
    return target.started


def _quiet(row: WorkRow) -> float:
    """Seconds until what became of a call that was just under way can be asked: it may still land (PROTOCOL L5)."""
    return row.quiet / 1_000_000


def _failed(work: Work, error: BaseException) -> Verdict:
    code, what = "work.failed", f"{type(error).__name__}: {error}"
    if work.hold.is_calling:
        return Verdict(Outcome(WorkState.UNKNOWN, code, what), max(FAILED_PAUSE, _quiet(work.row)))
    return Verdict(Outcome(WorkState.PENDING, code, what), FAILED_PAUSE)
