"""One process of a case: a kit on the file, everybody who does something, and then nothing left open."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import NamedTuple, NoReturn

import anyio

from roomkit_core import RoomKit, SQLiteStore
from tests.faults.boundaries import Switch, Tally
from tests.faults.channels import World
from tests.faults.clock import FastClock
from tests.faults.history import History
from tests.faults.scenario import Actors, Plan, furnish, make_rooms
from tests.faults.seams import add_migration, install

FINISHED, BROKEN, STUCK, STOPPED = 0, 1, 3, 4
PATIENCE = 20.0
"""Seconds of the machine's clock in which everything owed has to be final."""

GRACE = 0.1
"""Seconds of the machine's clock for what is under way when a process is stopped; a call that hangs takes longer."""


class Orders(NamedTuple):
    """What one process of a case is to do.

    Attributes:
        folder: Where its file and its history are.
        plan: The case.
        boundary: Where it dies; None for nowhere by itself.
        number: At which arrival there.
        stop_after: It is stopped in good order after so many seconds; None if it may end its work.
        is_fresh: The case began without a file.
        is_recovering: Whether another process died before it.
        is_last: It runs until everything owed is final.
        new_schema: The file gets one more migration.
    """

    folder: Path
    plan: Plan
    boundary: str | None
    number: int
    stop_after: float | None
    is_fresh: bool
    is_recovering: bool
    is_last: bool
    new_schema: bool


def live(orders: Orders, tally: Tally) -> NoReturn:
    """Be that process; called in a fresh fork, and never returns."""
    code = BROKEN
    try:
        errors = os.open(orders.folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(errors, 2)
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 (as long as the process)
        faulthandler.enable()
        logging.basicConfig(level=logging.ERROR, stream=sys.stderr, force=True)
        backend = "trio" if orders.plan.seed % 2 else "asyncio"
        code = anyio.run(_live, orders, tally, backend=backend)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


async def _live(orders: Orders, tally: Tally) -> int:
    history = History(orders.folder / "history")
    switch = Switch(history, tally, orders.boundary, orders.number)
    install(switch.reach, is_recovering=orders.is_recovering)
    if orders.new_schema:
        add_migration()
    clock = FastClock()
    store = SQLiteStore(orders.folder / "rooms.db", clock=clock)
    world = World(
        orders.plan.seed, history, store, switch.reach, calm=orders.is_last, hangs=orders.stop_after is not None
    )
    kit = RoomKit(store, clock=clock)
    furnish(kit, world)
    history.add("opened", process=os.getpid())
    await kit.__aenter__()
    try:
        with anyio.move_on_after(PATIENCE if orders.stop_after is None else orders.stop_after) as scope:
            if orders.is_fresh and not history.read("furnished"):
                await make_rooms(kit)
                history.add("furnished")
            actors = Actors(kit, world, orders.plan)
            history.add("began")
            await actors.run()
            while await kit.idle():
                await clock.sleep_until(clock.monotonic() + 1.0)
    finally:
        await kit.close(GRACE)
        await kit.__aexit__(None, None, None)
    if not scope.cancelled_caught:
        return FINISHED
    return STUCK if orders.stop_after is None else STOPPED


async def make_template(path: Path) -> None:
    """A file with the rooms in it, closed in good order."""
    store = SQLiteStore(path, clock=FastClock())
    world = World(0, History(path.with_suffix(".history")), store, lambda name: None, calm=True, hangs=False)
    kit = RoomKit(store, clock=FastClock())
    furnish(kit, world)
    async with kit:
        await make_rooms(kit)
