"""Steps 14 to 16: what happens when a commit is durable. Nothing here can undo it, and nothing here waits.

Claimed rows go to runners, live targets get their hints, observers and handlers are queued. What the caller then waits
for is counted in a :class:`Following`; a caller that is cancelled leaves everything to tasks of the kit.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from roomkit_core.engine.flow.following import Following
from roomkit_core.engine.flow.live import spawn_drain
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.pure.refusals import REASON
from roomkit_core.engine.state.commit import Batch
from roomkit_core.engine.state.pools import Pool
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.targets import Target, delivery_result
from roomkit_core.engine.state.unit_of_work import Unit
from roomkit_core.engine.steps.results import by_channel, failed_at_birth
from roomkit_core.engine.steps.telling import tell, tell_channel, tell_failed
from roomkit_core.hooks.observers import Observer
from roomkit_core.models.base import EMPTY
from roomkit_core.models.changes import Committed
from roomkit_core.models.context import RoomContext
from roomkit_core.models.delivery import DeliveryError, DeliveryResult
from roomkit_core.models.enums import DeliveryState, EventStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.room import Cursor
from roomkit_core.models.work import WorkKind, WorkRow, WorkState

log = logging.getLogger("roomkit.engine")

_new = tuple.__new__  # a NamedTuple's own constructor costs twice as much, and each message takes one


class Aftermath:
    """What follows from the commit of one passage.

    Args:
        ports: The surroundings.
        runners: Take claimed rows.
        inline: Whether the caller waits, and so drains live targets itself.
    """

    __slots__ = ("_inline", "_is_answer", "_ports", "_results", "_rows", "following", "live", "runners")

    def __init__(self, ports: Ports, runners: Runners, inline: bool) -> None:
        self._ports = ports
        self.runners = runners
        self._inline = inline
        self._is_answer = False
        self.following: Following | None = None
        self.live: tuple[Target, ...] = ()
        self._results: dict[str, dict[str, DeliveryResult]] = EMPTY
        self._rows: tuple[WorkRow, ...] = ()

    def answer_to(self, following: Following | None) -> None:
        """What is handed over follows from an earlier call, and whoever waits for that call waits for it."""
        self._is_answer = True
        self.following = following

    def follow(self) -> Following | None:
        """What counts for the caller; None if it does not wait, or its call has no task of the kit to wait for."""
        if self.following is None and self._inline:
            self.following = Following()
        return self.following

    # --- called once, when the commit is durable ---

    def __call__(self, unit: Unit, batch: Batch, answer: Committed) -> None:
        """Hand over what the commit owes."""
        ports = self._ports
        epoch, _ = unit.state.version
        for entry in batch.entries:
            live = entry.plan[0]
            if live:
                self._hint(entry.event, live, epoch)
        is_plain = batch.changes.is_plain
        if not is_plain:
            self._hand_over_work(unit, batch, answer)
        if ports.hooks.has_observers or ports.handlers.has_any:
            self._observe(unit, batch)
        if not is_plain:
            self._tell_channels(unit, batch)
            for announcement in unit.draft.announcements:
                tell(ports, announcement, unit.room_id, partial(_context, ports, unit))
        if not self._inline and self.live:
            self._pass_on(self.following if self._is_answer else None)

    def _hint(self, event: RoomEvent, targets: Sequence[Target], epoch: str) -> None:
        room_id = event.room_id
        cursor = _new(Cursor, (epoch, event.index))
        results: dict[str, DeliveryResult] = {}
        told: list[Target] = []
        for target in targets:
            channel_id = target.channel_id
            try:
                clients = target.on_hint(room_id, event, cursor)
            except Exception as error:
                results[channel_id] = _hint_failed(target, event, error)
                continue
            results[channel_id] = target.live_results[clients]
            if clients:
                told.append(target)
        live = self.live
        self.live = (*live, *[target for target in told if target not in live]) if live else tuple(told)
        if self._results is EMPTY:
            self._results = {event.id: results}
        else:
            self._results[event.id] = results

    def _hand_over_work(self, unit: Unit, batch: Batch, answer: Committed) -> None:
        if batch.changes.withdrawals:
            self._forget_withdrawn(unit)
        if batch.changes.work:
            self._start(batch, answer)
        if batch.unasked:
            self._tell_spent(batch)

    def _start(self, batch: Batch, answer: Committed) -> None:
        claims = {row.id: row for row in answer.claims}
        self._rows = batch.changes.work
        self.follow()
        for row in batch.changes.work:
            if row.state is WorkState.FAILED:
                failed_at_birth(self._ports, row)
                continue
            pool = self._ports.pool_of(row)
            claimed = claims.get(row.id)
            if claimed is not None and pool is not None:
                self._run(claimed, pool, batch)
                continue
            if row.id in batch.permits:
                batch.permits[row.id].give_back()  # its lane was busy
            if claimed is not None:  # its channel was unregistered during the commit
                self.runners.return_unused(claimed, batch.since, batch.changes.lease)
            if row.kind is WorkKind.ASK and self.following is not None:
                self.runners.wait_for(row, self.following)
            if pool is not None:
                self.runners.look_for(row, pool)

    def _forget_withdrawn(self, unit: Unit) -> None:
        for withdrawal in unit.draft.withdrawals:
            if withdrawal.kind in (None, WorkKind.ASK):
                self.runners.forget(unit.room_id, withdrawal.channel_id, withdrawal.event_id)

    def _run(self, row: WorkRow, pool: Pool, batch: Batch) -> None:
        following = self.following
        if following is None:
            count, done = None, None
        elif self._is_answer or row.kind is not WorkKind.DELIVERY:
            count, done = following.add, following.done
        else:
            count, done = following.add_attempt, following.attempt_done
        if count is not None:
            count()
        event = batch.events.get(row.id)
        permit = batch.permits.get(row.id)
        if self.runners.start(row, pool, permit, batch.since, batch.changes.lease, event, following, done):
            return
        if permit is not None:
            permit.give_back()
        if done is not None:
            done()

    def _tell_spent(self, batch: Batch) -> None:
        event = batch.entries[0].event
        log.warning("the loop budget of a chain is spent: %d questions were not asked", batch.unasked)
        self._ports.handlers.emit(
            "loop_budget_spent", room_id=event.room_id, event_id=event.id, data={"unasked": batch.unasked}
        )

    # --- observers ---

    def _observe(self, unit: Unit, batch: Batch) -> None:
        ports = self._ports
        tells = ports.handlers.has_any
        hooks = ports.hooks.observing(unit.room_id)
        context = _context(ports, unit)
        following = self.follow() if hooks else self.following
        for entry in batch.entries:
            event = entry.event
            if tells:
                self._tell(event)
            if event.status is not EventStatus.DELIVERED or not entry.observed:
                continue
            for hook in hooks:
                if hook in entry.chain or (hook.is_filtered and not hook.matches(event.source)):
                    continue
                if following is not None:
                    following.add()
                ports.observers.put(
                    Observer(
                        hook.fn,
                        (event, context),
                        hook.name,
                        hook.timeout,
                        (*entry.chain, hook),
                        event.chain_depth + 1,
                        unit.budget_left() - 1,
                        event.correlation_id or event.id,
                        "observer",
                        None if following is None else following.done,
                        partial(tell_failed, ports),
                        None if following is None else self.follow,
                    )
                )

    def _tell_channels(self, unit: Unit, batch: Batch) -> None:
        for channel_id, binding in batch.changes.bindings.items():
            is_new = channel_id not in unit.state.bindings
            tell_channel(self._ports, unit.room_id, channel_id, binding, is_new=is_new)

    def _tell(self, event: RoomEvent) -> None:
        handlers = self._ports.handlers
        if event.status is EventStatus.BLOCKED:
            handlers.emit(
                "event_blocked",
                room_id=event.room_id,
                channel_id=event.source.channel_id,
                event_id=event.id,
                data={"reason": event.metadata.get(REASON, event.blocked_by), "blocked_by": event.blocked_by},
                depth=event.chain_depth,
            )
        else:
            handlers.emit(
                "event_processed",
                room_id=event.room_id,
                channel_id=event.source.channel_id,
                event_id=event.id,
                depth=event.chain_depth,
            )

    # --- live targets ---

    def abandon(self) -> None:
        """The caller is gone: leave to tasks of the kit what it would have drained, or has not drained to the end."""
        self._inline = False
        self._pass_on(None)

    def _pass_on(self, following: Following | None) -> None:
        live, self.live = self.live, ()
        if live:
            spawn_drain(self._ports, live, following, is_answer=True)

    # --- results ---

    def results(self, event_id: str) -> dict[str, DeliveryResult]:
        """What became of an event's targets so far, by channel id."""
        live = self._results.get(event_id, EMPTY)
        if not self._rows:
            return live
        rows = [row for row in self._rows if row.event_id == event_id and row.kind is WorkKind.DELIVERY]
        outcomes = {} if self.following is None else self.following.outcomes
        return {**live, **by_channel(rows, outcomes)}


def _context(ports: Ports, unit: Unit) -> RoomContext:
    """The room after the commit."""
    state = ports.cache.peek(unit.room_id)
    return unit.copy().context() if state is None else state.context()


def _hint_failed(target: Target, event: RoomEvent, error: Exception) -> DeliveryResult:
    log.error("on_hint of channel %r raised", target.channel_id, exc_info=error, extra={"room_id": event.room_id})
    reason = DeliveryError(code="channel.hint_failed", message=f"{type(error).__name__}: {error}")
    return delivery_result(target.channel_id, DeliveryState.LIVE, clients=0, error=reason)
