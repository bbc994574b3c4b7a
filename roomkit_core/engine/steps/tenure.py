"""Steps 6, 12 and 13: a tenure of the room lock, from taking it to the answer of the store.

One tenure is one unit of work. It is thrown away and run again when the store refuses it because somebody else wrote to
the room, and when waiting for another room would have closed a circle. What a tenure wants to write is a function over its
unit; every verb that writes to a room goes through here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from roomkit_core.background import Bounds
from roomkit_core.engine.state.commit import Batch, assemble, next_state
from roomkit_core.engine.state.lock_graph import Restart
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.room_state import RoomState
from roomkit_core.engine.state.unit_of_work import UNTOUCHED, Joined, Unit, held_units, own_unit
from roomkit_core.errors import ConflictError, RoomNotFoundError, StaleLeaseError, StoreError
from roomkit_core.hooks.node import Node, current, innermost
from roomkit_core.interfaces.store import Answer, Ticket
from roomkit_core.models.changes import Committed, Discharge, Key, KeyResult, Refused
from roomkit_core.models.context import RoomContext

MAX_ATTEMPTS = 5

Write = Callable[[Unit], Awaitable[None]]


class Tenure(NamedTuple):
    """What a tenure came to.

    Attributes:
        unit: The unit that was committed or joined.
        batch: What was committed; None if nothing was (joined, or nothing to write).
        answer: The store's answer to it.
        known: What was decided before about the message's own key; then nothing was written.
    """

    unit: Unit
    batch: Batch | None = None
    answer: Committed | None = None
    known: KeyResult | None = None

    @property
    def joined(self) -> bool:
        """Whether the unit of a hook was joined; it commits later."""
        return isinstance(self.unit, Joined)


HandOver = Callable[[Tenure], None]


async def tenure(
    ports: Ports,
    room_id: str,
    write: Write,
    bounds: Bounds,
    hand_over: HandOver,
    *,
    state: RoomState | None = None,
    context: RoomContext | None = None,
    key: Key | None = None,
    budget: int | None = None,
    discharges: tuple[Discharge, ...] = (),
) -> Tenure:
    """Run ``write`` on a unit of the room and commit it; inside a hook of that room, join the hook's unit.

    Args:
        ports: The surroundings.
        room_id: The room.
        write: Fills the unit; runs again, on a new unit, after a conflict.
        bounds: Bounds ``write`` and the waiting before it; shields the commit.
        hand_over: Called when the commit is durable and the lock released, before anything can be cancelled.
        state: A state read before, to which ``context`` belongs.
        context: A context made before, used if its state is still the newest.
        key: The message's own key: found to be known at the commit, it ends the call with the first result.
        budget: How many events the chain may bring; None for what the caller's chain has left.
        discharges: What the commit fulfils.

    Raises:
        RoomNotFoundError: There is no such room.
        ConflictError: Five conflicts in a row; or ``lock.self``, ``loop``.
        StaleLeaseError: A discharged row is not this tenure's any more.
        StoreError: The store failed.
    """
    parents: list[Unit] = []
    if current.get() is not None:
        joinable = own_unit(ports, room_id)
        if joinable is not None:
            return await _join(*joinable, write)
        parents = held_units(ports)
    run = _Run(ports, room_id, write, bounds, hand_over, parents, key, discharges)
    run.budget = _budget_of_chain(ports) if budget is None else budget
    run.prepared = state, context
    while True:
        await run.take_lock()
        try:
            done = await run.hold()
        except Restart as restart:
            if run.unit is None or restart.unit is not run.unit:
                raise
            run.unit.doomed = None
            run.count_conflict()
        else:
            try:
                await run.release()
            finally:
                if done.batch is not None:
                    hand_over(done)
                    bounds.finish()
            return done
        finally:
            await run.release()


async def _join(node: Node, unit: Unit, write: Write) -> Tenure:
    await node.take_turn()
    try:
        joined = Joined(unit, node)
        saved = joined.draft
        try:
            await write(joined)
        except BaseException:
            joined.restore(saved)
            raise
        return Tenure(joined)
    finally:
        node.give_turn()


def _budget_of_chain(ports: Ports) -> int:
    caller = innermost(ports.kit)
    if caller is None or caller.budget is None:
        return ports.max_events
    if caller.budget < 0:
        raise ConflictError(
            "the loop budget of this chain is spent: events bring events without end",
            code="loop",
            hint="Let hooks and bots ignore each other's events, or raise max_chain_depth.",
            retryable=False,
        )
    return caller.budget


class _Run:
    """The tries of one tenure."""

    __slots__ = (
        "attempt",
        "bounds",
        "budget",
        "discharges",
        "hand_over",
        "key",
        "lock",
        "parents",
        "ports",
        "prepared",
        "room_id",
        "unit",
        "write",
    )

    lock: AbstractAsyncContextManager[None] | None
    unit: Unit | None
    prepared: tuple[RoomState | None, RoomContext | None]
    budget: int

    def __init__(
        self,
        ports: Ports,
        room_id: str,
        write: Write,
        bounds: Bounds,
        hand_over: HandOver,
        parents: list[Unit],
        key: Key | None,
        discharges: tuple[Discharge, ...],
    ) -> None:
        self.ports = ports
        self.room_id = room_id
        self.write = write
        self.bounds = bounds
        self.hand_over = hand_over
        self.parents = parents
        self.key = key
        self.discharges = discharges
        self.attempt = 1
        self.lock = None
        self.unit = None

    # --- the lock ---

    async def take_lock(self) -> None:
        lock = self.ports.locks.locked(self.room_id)
        if not self.parents:
            await lock.__aenter__()
        else:
            await self._take_below_another(lock)
        self.lock = lock

    async def _take_below_another(self, lock: AbstractAsyncContextManager[None]) -> None:
        """A hook asks for this room and holds another one meanwhile."""
        self.ports.graph.before_waiting(self.room_id, self.parents)
        parent = self.parents[0]
        parent.waits_for = (*parent.waits_for, self.room_id)
        try:
            await lock.__aenter__()
        finally:
            waits = list(parent.waits_for)
            waits.remove(self.room_id)
            parent.waits_for = tuple(waits)

    async def release(self) -> None:
        lock = self.lock
        if lock is None:
            return
        self.lock = None
        self._close_unit()
        await lock.__aexit__(None, None, None)

    # --- the unit ---

    async def hold(self) -> Tenure:
        """Try until the unit is committed or there is nothing to write."""
        while True:
            unit = await self._open_unit()
            await self.write(unit)
            if unit.doomed is not None:
                raise unit.doomed
            done = await self._end(unit)
            if done is not None:
                return done
            self.count_conflict()

    def count_conflict(self) -> None:
        self._close_unit()
        if self.attempt >= MAX_ATTEMPTS:
            raise ConflictError(f"room {self.room_id!r} changed underneath {MAX_ATTEMPTS} times in a row")
        self.attempt += 1

    async def _open_unit(self) -> Unit:
        cache = self.ports.cache
        state = cache.peek(self.room_id) or await cache.load(self.room_id)
        if state is None:
            raise RoomNotFoundError(f"room {self.room_id!r} does not exist")
        prepared, context = self.prepared
        if prepared is not state or self.attempt > 1:
            context = None
        unit = Unit(self.ports, self.room_id, state, self.budget, self.attempt, context, self.discharges)
        self.unit = unit
        self.ports.graph.hold(unit)
        if self.parents:
            self.parents[0].children = (*self.parents[0].children, unit)
        return unit

    def _close_unit(self) -> None:
        unit = self.unit
        if unit is None:
            return
        self.unit = None
        self.ports.graph.release(unit)
        if self.parents:
            self.parents[0].children = tuple(child for child in self.parents[0].children if child is not unit)

    # --- its end ---

    async def _end(self, unit: Unit) -> Tenure | None:
        """Commit the unit; None if it has to run again on fresh state."""
        if unit.draft is UNTOUCHED and not self.discharges:
            # A refusal that rests on the state alone is confirmed by one fresh read.
            return None if unit.refusal is not None and await self._was_stale(unit) else Tenure(unit)
        batch = assemble(unit)
        self.bounds.shield = True
        ticket = self.ports.store.submit(batch.changes)
        answer = ticket.answer
        if answer is None:
            answer = await self._durable(unit, batch, ticket)
        if type(answer) is Committed:
            self.ports.cache.put(self.room_id, next_state(unit, batch, answer))
            return Tenure(unit, batch, answer)
        self.bounds.shield = False
        assert isinstance(answer, Refused)
        if answer.reason == "lost":
            raise StaleLeaseError("the work was taken over by somebody else; nothing was written")
        self.ports.cache.drop((self.room_id,))
        if answer.reason == "known" and self.key is not None and answer.key == self.key:
            return Tenure(unit, known=answer.result)
        return None

    async def _was_stale(self, unit: Unit) -> bool:
        state = await self.ports.cache.load(self.room_id)
        return state is None or state.version != unit.state.version

    async def _durable(self, unit: Unit, batch: Batch, ticket: Ticket) -> Answer:
        """Wait for the store. On asyncio a cancellation gets through the shield: then a task of the kit waits instead."""
        try:
            return await _answer(self.ports, batch, ticket)
        except Exception:
            raise
        except BaseException:
            lock, self.lock = self.lock, None
            assert lock is not None
            self._close_unit()
            self.ports.background.spawn(_finish, self.ports, unit, batch, ticket, lock, self.hand_over)
            raise


async def _answer(ports: Ports, batch: Batch, ticket: Ticket) -> Answer:
    try:
        return await ticket.wait()
    except StoreError:
        # Whether it was written is unknown; the identical batch finds out.
        return await ports.store.commit(batch.changes)


async def _finish(
    ports: Ports,
    unit: Unit,
    batch: Batch,
    ticket: Ticket,
    lock: AbstractAsyncContextManager[None],
    hand_over: HandOver,
) -> None:
    """The rest of a tenure whose caller is gone."""
    try:
        answer = await _answer(ports, batch, ticket)
        if isinstance(answer, Committed):
            ports.cache.put(unit.room_id, next_state(unit, batch, answer))
    finally:
        await lock.__aexit__(None, None, None)
    if isinstance(answer, Committed):
        hand_over(Tenure(unit, batch, answer))
