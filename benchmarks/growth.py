"""Whether a message costs the same in a room with a long past as in a new one; ours only, on both loops.

The full room and the new ones live in kits and processes of their own, so that the heap which the collector walks is
part of what is compared.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from benchmarks.comparisons import cost, pairs_data
from benchmarks.processes import Worker, alternate
from benchmarks.report import Goal, Row, Table

FLAT = {"asyncio": Goal("≤ 1.05", high=1.05), "trio": Goal("≤ 1.10", high=1.10)}
PAUSE = Goal("≤ 100 ms", high=100.0)
MESSAGES = 2_000
PAUSES_MATTER_FROM = 1_000_000


def measure_growth(python: Path, pairs: int, loops: tuple[str, ...], events: int) -> Table:
    """A room with ``events`` against a new one, on each of ``loops``."""
    table = Table(
        f"A room with {events:,} events beside a new one, µs per message, thread time in brackets",
        ("", "full", "new", "full / new", "best-worst"),
    )
    for loop in loops:
        with Worker(python, "ours", loop) as full, Worker(python, "ours", loop) as new:
            _measure(table, loop, full, new, pairs, events)
    return table


def _measure(table: Table, loop: str, full: Worker, new: Worker, pairs: int, events: int) -> None:
    print(f"sending {events:,} messages to a room (ours, {loop})", file=sys.stderr)
    filling = full.run("prepare", events=events)
    new.run("prepare", events=MESSAGES)
    result = alternate(
        pairs,
        lambda: new.run("new_room", messages=MESSAGES),
        lambda: full.run("standing", messages=MESSAGES),
    )
    ratio = median(result.ratios)
    cells = (
        loop,
        *(cost(runs) for runs in (result.second, result.first)),
        f"{ratio:.3f} ({result.thread_ratio:.3f})",
        f"{min(result.ratios):.3f}-{max(result.ratios):.3f}",
    )
    data = pairs_data(result, "new", "full") | {"filling_seconds": filling.seconds}
    table.rows.append(Row(cells, (ratio, result.thread_ratio), FLAT[loop], data))
    longest = 1e3 * max(run.longest_pause for run in (filling, *result.second))
    table.rows.append(
        Row(
            (f"{loop}, longest GC pause", f"{longest:.1f} ms", "", "", ""),
            (longest,),
            PAUSE if events >= PAUSES_MATTER_FROM else None,
            {"longest_pause_ms": longest, "paused_seconds": filling.paused},
        )
    )
