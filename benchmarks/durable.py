"""What durability costs: SQLite beside our memory store, its own statements, ``synchronous=OFF`` and the peer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.comparisons import cost, pairs_data, rate, runs_data
from benchmarks.disk import Disk
from benchmarks.processes import Pairs, Run, Worker, alternate
from benchmarks.report import Goal, Row, Table

ROOMS = 100
LIVE = "100 rooms, live; {}"
OWED = "100 rooms, key, delivery, receipt; {}"
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Size:
    """How much is measured; the smaller one is a look, not a measurement.

    Args:
        messages: In each of the busy rooms.
        alone: In a room by itself.
        stored: For the bytes of one.
        lanes: That are owed something at a start.
        owed: Deliveries, in all of them.
        idle: Rooms that nobody uses.
    """

    messages: int = 20
    alone: int = 200
    stored: int = 20_000
    lanes: int = 10_000
    owed: int = 100_000
    idle: int = 10_000


WHOLE = Size()
QUICK = Size(messages=10, alone=100, stored=5_000, lanes=1_000, owed=10_000, idle=2_000)


def measure_durable(ours: Path, peer: Path | None, disk: Disk, pairs: int, size: Size) -> Iterator[Table]:
    """Times, then bytes, all on ``disk``."""
    folder = str(disk.folder)
    with ExitStack() as stack:

        def worker(python: Path, *arguments: str) -> Worker:
            return stack.enter_context(Worker(python, *arguments))

        full = worker(ours, "ours", "asyncio", "full", folder)
        table = Table(
            f"SQLite, asyncio, µs per message, thread time of the loop in brackets; {disk}",
            ("", "FULL", "a second", "beside it", "a second", "ratio", "worst-best"),
        )
        memory = worker(ours, "ours", "asyncio")
        off = worker(ours, "ours", "asyncio", "off", folder)
        busy = {"rooms": ROOMS, "messages": size.messages, "rounds": 1}
        alone = {"rooms": 1, "messages": size.alone, "rounds": 1}

        def live(side: Worker) -> Callable[[], Run]:
            return lambda: side.run("concurrent", **busy)

        def owed(side: Worker) -> Callable[[], Run]:
            return lambda: side.run("durable", **busy)

        def add(name: str, first: Callable[[], Run], second: Callable[[], Run], goal: Goal) -> None:
            table.rows.append(_row(name, alternate(pairs, first, second), goal))

        add(LIVE.format("our memory store"), live(full), live(memory), Goal("≥ 0.40", low=0.40))
        add(OWED.format("our memory store"), owed(full), owed(memory), Goal("≥ 0.25", low=0.25))
        add(
            "one room, live; the same statements raw",
            lambda: full.run("concurrent", **alone),
            lambda: full.run("raw", batch=1, batches=size.alone),
            Goal("≥ 0.40", low=0.40),
        )
        add(LIVE.format("synchronous=OFF"), live(full), live(off), Goal("≥ 0.87 (within 15 %)", low=1 / 1.15))
        if peer is not None:
            theirs = worker(peer, "peer", folder)
            share = {"rooms": ROOMS, "messages": 1, "rounds": 1}
            goal = Goal("≥ 20", low=20)
            add(LIVE.format("the peer's SQLite"), live(full), lambda: theirs.run("concurrent", **share), goal)
        table.rows.append(_crowd(full, pairs, size))
        table.notes.append("the ratio says how many times as long the other side took by the clock")
        yield table
        yield _other_numbers(full, off, memory, size)


def _row(name: str, result: Pairs, goal: Goal) -> Row:
    ratios = result.ratios
    cells = (
        name,
        cost(result.first),
        rate(result.first),
        cost(result.second),
        rate(result.second),
        f"{median(ratios):.2f}",
        f"{min(ratios):.2f}-{max(ratios):.2f}",
    )
    # By the clock alone: what a thread does not spend while it waits for the disk is what is asked about.
    return Row(cells, (median(ratios),), goal, pairs_data(result, "full", "other"))


def _crowd(full: Worker, pairs: int, size: Size) -> Row:
    runs = [full.run("crowd", senders=ROOMS, messages=max(1, size.messages // 5), rounds=1) for _ in range(pairs + 1)][
        1:
    ]
    return Row((f"{ROOMS} senders in one room, live", cost(runs), rate(runs), "", "", "", ""), data=runs_data(runs))


def _other_numbers(full: Worker, off: Worker, memory: Worker, size: Size) -> Table:
    """Bytes in files and in memory, and a start with much to do."""
    table = Table("SQLite, other numbers", ("", ""))
    weight = off.ask("weigh", messages=size.stored)
    for name, kind in (("plain", "plain"), ("with key, delivery and receipt", "owed")):
        value = f"{weight[kind]:,.0f} bytes"
        table.rows.append(Row((f"stored event of {size.stored:,}, {name}", value), data={"bytes": weight[kind]}))

    made = off.ask("owe", lanes=size.lanes, rows=size.owed)
    enough = size.owed // 20
    start = full.ask("start", path=made["path"], enough=enough)
    name = f"first answer after a start with {made['owed']:,} owed rows in {size.lanes + 1:,} lanes"
    goal = Goal("≤ 2 s", high=2.0) if size is WHOLE else None
    table.rows.append(Row((name, f"{start['answered']:.2f} s"), (start["answered"],), goal, start))
    table.rows.append(Row((f"the first {enough:,} of them sent", f"{start['enough']:.2f} s")))
    for name, side in (("SQLite", off), ("memory store", memory)):
        table.rows.append(_idle(name, side, size))
    return table


def _idle(name: str, side: Worker, size: Size) -> Row:
    took = side.ask("idle", rooms=size.idle)["bytes"] / MEBIBYTE
    goal = Goal("≤ 45 MiB", high=45.0) if size is WHOLE else None
    return Row(
        (f"memory of {size.idle:,} idle rooms, windows dropped, {name}", f"{took:.1f} MiB"),
        (took,),
        goal,
        {"mebibytes": took},
    )
