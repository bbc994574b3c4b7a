"""Steps 6, 12 and 13: a tenure of the room lock, from taking it to the answer of the store.

One tenure is one unit of work. It is thrown away and run again when the store refuses it because somebody else wrote to
the room, and when waiting for another room would have closed a circle. What a tenure wants to write is a function over
its unit; every verb that writes to a room goes through here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from anyio import CancelScope

from roomkit_core.background import Bounds, as_stranger
from roomkit_core.engine.state.commit import Batch, assemble, next_state
from roomkit_core.engine.state.lock_graph import Restart
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.room_state import RoomState
from roomkit_core.engine.state.unit_of_work import UNTOUCHED, Joined, Unit, held_units, own_unit
from roomkit_core.errors import (
    ChannelNotFoundError,
    ConflictError,
    KitStateError,
    RoomNotFoundError,
    StaleLeaseError,
    StoreError,
)
from roomkit_core.hooks.node import Node, ancestry, innermost, running
from roomkit_core.interfaces.store import Answer, Ticket
from roomkit_core.models.changes import Committed, Discharge, Key, Refused
from roomkit_core.models.context import RoomContext

MAX_ATTEMPTS = 5

Write = Callable[[Unit], Awaitable[None]]
HandOver = Callable[[Unit, Batch, Committed], None]


async def tenure(
    ports: Ports,
    room_id: str,
    write: Write,
    bounds: Bounds,
    hand_over: HandOver,
    *,
    key: Key | None = None,
    context: RoomContext | None = None,
    context_of: RoomState | None = None,
    budget: int | None = None,
    discharges: tuple[Discharge, ...] = (),
) -> Unit:
    """Run ``write`` on a unit of the room and commit it; inside a hook of that room, join the hook's unit.

    Args:
        ports: The surroundings.
        room_id: The room.
        write: Fills the unit; runs again, on a new unit, after a conflict.
        bounds: Bounds ``write`` and the waiting before it; shields the commit.
        hand_over: Called when the commit is durable, before the lock is released and anything can be cancelled.
        key: The message's own key: found to be known at the commit, it ends the call with the first result.
        context: A context made before the lock was taken, used again if ``context_of`` is still the newest state.
        context_of: The state of that context.
        budget: How many events the chain may bring; None for what the caller's chain has left.
        discharges: What the commit fulfils.

    Returns:
        The unit as it was committed, or joined, or found to be known.

    Raises:
        RoomNotFoundError: There is no such room.
        ConflictError: Five conflicts in a row; or ``lock.self``, ``loop``.
        StaleLeaseError: A discharged row is not this tenure's any more.
        StoreError: The store failed.
    """
    tries = _Tries(ports, room_id, write, bounds, key)
    if discharges:
        tries.discharges = discharges
    if context is not None:
        tries.context, tries.context_of = context, context_of
    is_nested = running() is not None
    if not is_nested:
        tries.budget = ports.max_events if budget is None else budget
    else:
        joinable = own_unit(ports, room_id)
        if joinable is not None:
            return await _join(*joinable, write)
        tries.parents = held_units(ports)
        tries.budget = _budget_of_chain(ports) if budget is None else budget
    while True:
        free = None if is_nested else ports.locks.take_free(room_id)
        tries.lock = free or await _wait_for_lock(ports, room_id, tries.parents)
        try:
            await tries.run(hand_over)
        except Restart as restart:
            if not tries.restart(restart):
                raise _for_this_task(ports, restart) from None
        finally:
            lock, tries.lock = tries.lock, None
            if lock is not None:
                try:
                    tries.end(hand_over)  # before the release, so that hints of two commits never change places
                finally:
                    if lock is free:
                        free.leave()
                    else:
                        await _leave(ports, lock)
        if tries.unit is not None:
            return tries.unit


async def _wait_for_lock(ports: Ports, room_id: str, parents: list[Unit] | None) -> AbstractAsyncContextManager[None]:
    lock = ports.locks.locked(room_id)
    if parents:
        await take_below(ports, room_id, parents, lock)
    elif running() is None:
        await lock.__aenter__()
    else:
        await take_inside(ports, lock)
    return lock


async def _leave(ports: Ports, lock: AbstractAsyncContextManager[None]) -> None:
    if ports.locks.releases_at_once:
        await lock.__aexit__(None, None, None)
    else:
        await release(lock)


async def _join(node: Node, unit: Unit, write: Write) -> Unit:
    await node.take_turn()
    try:
        joined = Joined(unit, node)
        saved = joined.draft
        try:
            await write(joined)
        except BaseException as error:
            joined.restore(saved)
            if isinstance(error, Restart):
                raise _for_this_task(unit.ports, error) from None
            raise
        return joined
    finally:
        node.give_turn()


def _budget_of_chain(ports: Ports) -> int:
    caller = innermost(ports.kit)
    if caller is None:
        return ports.max_events
    budget = caller.unit.budget_left() - 1 if caller.unit is not None else caller.budget
    if budget is None:
        return ports.max_events
    if budget < 0:
        raise ConflictError(
            "the loop budget of this chain is spent: events bring events without end",
            code="loop",
            hint="Let hooks and bots ignore each other's events, or raise max_chain_depth.",
            retryable=False,
        )
    return budget


async def take_below(ports: Ports, room_id: str, parents: list[Unit], lock: AbstractAsyncContextManager[None]) -> None:
    """Take the lock of a room for a hook that holds another one meanwhile.

    Args:
        ports: The surroundings.
        room_id: The room.
        parents: The units whose hooks the running code is in, innermost first.
        lock: The room's lock.

    Raises:
        ConflictError: ``lock.self``.
        Restart: A circle; see :class:`LockGraph`.
    """
    try:
        ports.graph.before_waiting(room_id, parents)
    except Restart as restart:
        raise _for_this_task(ports, restart) from None
    parent = parents[0]
    parent.waits_for = (*parent.waits_for, room_id)
    try:
        await take_inside(ports, lock)
    finally:
        waits = list(parent.waits_for)
        waits.remove(room_id)
        parent.waits_for = tuple(waits)


def _for_this_task(ports: Ports, restart: Restart) -> BaseException:
    """A restart runs up the stack of the task whose unit it ends; a child task of a hook gets an ordinary error."""
    bounds = None
    for node in ancestry(ports.kit):
        unit = node.unit.root if isinstance(node.unit, Joined) else node.unit
        if unit is restart.unit:
            bounds = node.bounds
    if bounds is not None and bounds.is_running:
        return restart
    return ConflictError("a circle of rooms whose hooks wait for each other", code="lock.circle")


async def take_inside(ports: Ports, lock: AbstractAsyncContextManager[None]) -> None:
    """A task that has outlived a hook has inherited the lock of that hook's message, and must not get in through it."""
    if all(node.alive for node in ancestry(ports.kit)):
        await lock.__aenter__()
    else:
        await as_stranger(lock.__aenter__())


class _Tries:
    """The tries of one tenure."""

    __slots__ = (
        "answer",
        "attempt",
        "batch",
        "bounds",
        "budget",
        "context",
        "context_of",
        "discharges",
        "key",
        "lock",
        "parents",
        "ports",
        "room_id",
        "unit",
        "write",
    )

    budget: int

    def __init__(self, ports: Ports, room_id: str, write: Write, bounds: Bounds, key: Key | None) -> None:
        self.ports = ports
        self.room_id = room_id
        self.write = write
        self.bounds = bounds
        self.key = key
        self.discharges: tuple[Discharge, ...] = ()
        self.context: RoomContext | None = None
        self.context_of: RoomState | None = None
        self.parents: list[Unit] | None = None
        self.attempt = 1
        self.lock: AbstractAsyncContextManager[None] | None = None
        self.unit: Unit | None = None
        self.batch: Batch | None = None
        self.answer: Committed | None = None

    async def run(self, hand_over: HandOver) -> None:
        """Try until the unit is committed or there is nothing to write."""
        ports, bounds = self.ports, self.bounds
        while True:
            state = ports.cache.glance(self.room_id) or await ports.cache.load(self.room_id)
            if state is None:
                raise RoomNotFoundError(f"room {self.room_id!r} does not exist")
            unit = self._open(state)
            try:
                await self.write(unit)
            except ChannelNotFoundError:
                if not await _was_stale(unit):
                    raise
                self._again()
                continue
            if unit.doomed is not None:
                raise unit.doomed
            if unit.draft is UNTOUCHED and not unit.discharges:
                # A refusal that rests on the state alone is confirmed by one fresh read.
                if unit.refusal is None or not await _was_stale(unit):
                    return
            else:
                batch = assemble(unit)
                bounds.is_committing = True
                try:
                    ticket = ports.store.submit(batch.changes)
                    answer = ticket.answer
                    if answer is None:
                        answer = await self._durable(unit, batch, ticket, hand_over)
                except Exception:
                    batch.give_back()
                    raise
                if type(answer) is Committed:
                    remember(unit, batch, answer)
                    self.batch, self.answer = batch, answer
                    return
                batch.give_back()
                bounds.is_committing = False
                if self._is_known(unit, answer):
                    return
            self._again()

    def _open(self, state: RoomState) -> Unit:
        self.unit = unit = Unit(self.ports, self.room_id, state, self.budget)
        if self.attempt > 1:
            unit.attempt = self.attempt
        elif self.context is not None and self.context_of is state:
            unit.use_context(self.context)
        if self.discharges:
            unit.discharges = self.discharges
        if self.parents:
            self.ports.graph.hold(unit)
            self.parents[0].children = (*self.parents[0].children, unit)
        return unit

    def _close(self) -> None:
        """The unit is done with: nobody waits for it any more."""
        unit = self.unit
        if unit is not None:
            unit.has_ended = True
            self.ports.graph.release(unit)
            if self.parents:
                self.parents[0].children = tuple(child for child in self.parents[0].children if child is not unit)

    def _again(self) -> None:
        self._close()
        self.unit = None
        if self.attempt >= MAX_ATTEMPTS:
            raise ConflictError(f"room {self.room_id!r} changed underneath {MAX_ATTEMPTS} times in a row")
        self.attempt += 1

    def restart(self, restart: Restart) -> bool:
        """Throw the unit away, if it is the one that has to give up its room."""
        unit = self.unit
        if unit is None or restart.unit is not unit:
            return False
        unit.doomed = None
        self._again()
        return True

    def end(self, hand_over: HandOver) -> None:
        """The tries are over: hand over what was committed."""
        unit = self.unit
        if unit is None:
            return
        unit.has_ended = True
        if self.parents or unit.in_graph:
            self._close()
        if self.answer is not None and self.batch is not None:
            hand_over(unit, self.batch, self.answer)
            self.bounds.finish()

    def _is_known(self, unit: Unit, answer: Answer) -> bool:
        """What a refusal means: the first result of the own key, an error, or another try on fresh state."""
        assert isinstance(answer, Refused)
        if answer.reason == "lost":
            raise StaleLeaseError("the work was taken over by somebody else; nothing was written")
        self.ports.cache.drop((self.room_id,))
        if answer.reason != "known" or self.key is None or answer.key != self.key:
            return False
        unit.known = answer.result
        return True

    async def _durable(self, unit: Unit, batch: Batch, ticket: Ticket, hand_over: HandOver) -> Answer:
        """Wait for the store. On asyncio a cancellation gets through the shield; then a task of the kit waits."""
        try:
            with self.bounds.shield():
                answer = await _answer(self.ports, batch, ticket)
        except Exception:
            raise
        except BaseException:
            lock, self.lock = self.lock, None
            assert lock is not None
            self._close()
            try:
                self.ports.background.spawn(_finish, self.ports, unit, batch, ticket, lock, hand_over)
            except KitStateError:  # closed meanwhile: nobody is left to hand over to
                batch.give_back()
                await release(lock)
            raise
        return answer


async def release(lock: AbstractAsyncContextManager[None]) -> None:
    """Give a lock back, also where the caller is cancelled."""
    with CancelScope(shield=True):
        await lock.__aexit__(None, None, None)


def remember(unit: Unit, batch: Batch, answer: Committed) -> None:
    """Let the cache know what was committed; events that were changed where they stand are read anew."""
    changes, version = batch.changes, answer.version
    if changes.is_plain and version is not None:
        unit.ports.cache.put(unit.room_id, unit.state.appended(version, changes.packed[0]))
    elif changes.patches:
        unit.ports.cache.drop((unit.room_id,))
    else:
        unit.ports.cache.put(unit.room_id, next_state(unit, batch, answer))


async def _was_stale(unit: Unit) -> bool:
    state = await unit.ports.cache.load(unit.room_id)
    return state is None or state.version != unit.state.version


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
    answer: Answer | None = None
    try:
        answer = await _answer(ports, batch, ticket)
        if isinstance(answer, Committed):
            remember(unit, batch, answer)
    finally:
        try:
            await release(lock)
        finally:
            if isinstance(answer, Committed):
                hand_over(unit, batch, answer)
            else:
                batch.give_back()
