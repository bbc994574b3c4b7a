"""Messages with key, delivery row and receipt, beside messages to live channels; ours only, memory store."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.comparisons import cost, pairs_data
from benchmarks.processes import Worker, alternate
from benchmarks.report import Row, Table

MESSAGES = 2_000


def measure_owed(python: Path, pairs: int, loops: tuple[str, ...]) -> Table:
    """One room and 100 rooms, on each of ``loops``."""
    table = Table(
        "Key, delivery row and receipt, µs per message, thread time in brackets",
        ("", "owed", "live", "owed / live", "best-worst"),
    )
    for loop in loops:
        with Worker(python, "ours", loop) as worker:
            for name, rooms in (("one room, one after another", 1), ("100 rooms at once", 100)):
                share = {"rooms": rooms, "messages": MESSAGES // rooms, "rounds": 1}
                table.rows.append(_measure(f"{loop}, {name}", worker, pairs, share))
    return table


def _measure(name: str, worker: Worker, pairs: int, share: dict[str, int]) -> Row:
    result = alternate(pairs, lambda: worker.run("concurrent", **share), lambda: worker.run("durable", **share))
    ratios = result.ratios
    cells = (
        name,
        cost(result.second),
        cost(result.first),
        f"{median(ratios):.2f} ({result.thread_ratio:.2f})",
        f"{min(ratios):.2f}-{max(ratios):.2f}",
    )
    return Row(cells, (median(ratios), result.thread_ratio), data=pairs_data(result, "live", "owed"))
