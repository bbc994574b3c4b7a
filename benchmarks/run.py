"""``make bench``: everything that can be measured today, in one run, each number beside its goal.

Numbers are printed and not asserted; the exit code is 0 unless something failed to run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.budget import measure_budget
from benchmarks.comparisons import STANDING_EVENTS, compare
from benchmarks.disk import FOLDER, DiskError, disk_to_measure
from benchmarks.durable import QUICK, WHOLE, measure_durable
from benchmarks.environments import SetupError, find_interpreter, our_environment, peer_environment
from benchmarks.growth import measure_growth
from benchmarks.imports import measure_imports
from benchmarks.owed import measure_owed
from benchmarks.processes import Worker, WorkerError
from benchmarks.report import Table, write_json

PARTS = ("peer", "growth", "owed", "budget", "import", "durable")


@dataclass(frozen=True)
class Sides:
    """The interpreters of both sides; no peer where it could not be set up."""

    ours: Path
    peer: Path | None


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    sides = _set_up(no_peer=options.no_peer)
    tables: list[Table] = []
    facts: dict[str, Any] = {"pairs": options.pairs}
    try:
        facts["versions"] = _describe(sides)
        print(_heading(facts))
        for table in _measure(options, sides):
            tables.append(table)
            print(table, flush=True)
    except (WorkerError, DiskError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    finally:
        if options.json:
            write_json(options.json, facts, tables)
    return 0


def _measure(options: argparse.Namespace, sides: Sides) -> Iterator[Table]:
    parts, pairs = options.only or PARTS, options.pairs
    if "peer" in parts:
        with ExitStack() as stack:
            ours = stack.enter_context(Worker(sides.ours, "ours", "asyncio"))
            peer = stack.enter_context(Worker(sides.peer, "peer")) if sides.peer else None
            yield compare(ours, peer, pairs, 2_000 if options.quick else STANDING_EVENTS)
    if "growth" in parts:
        yield measure_growth(sides.ours, 2 * pairs, ("asyncio", "trio"), 20_000 if options.quick else 100_000)
        if options.million:
            yield measure_growth(sides.ours, 2 * pairs, ("asyncio",), 1_000_000)
    if "owed" in parts:
        yield measure_owed(sides.ours, pairs, ("asyncio", "trio"))
    if "budget" in parts:
        yield measure_budget(sides.ours, 500 if options.quick else 2_000)
    if "import" in parts:
        yield measure_imports(sides.ours, sides.peer, 3 if options.quick else 10)
    if "durable" in parts:
        with disk_to_measure(anywhere=options.any_disk) as disk:
            yield from measure_durable(sides.ours, sides.peer, disk, pairs, QUICK if options.quick else WHOLE)


def _set_up(*, no_peer: bool) -> Sides:
    """Both environments on one interpreter, or the one that runs this if there can be no peer."""
    here = Path(sys.executable)
    if no_peer:
        return Sides(here, None)
    try:
        interpreter = find_interpreter()
        return Sides(our_environment(interpreter), peer_environment(interpreter))
    except SetupError as error:
        print(f"{error}\nOnly our side is measured.\n", file=sys.stderr)
        return Sides(here, None)


def _describe(sides: Sides) -> dict[str, dict[str, str]]:
    """What each side runs on, as its worker says."""
    versions: dict[str, dict[str, str]] = {}
    with Worker(sides.ours, "ours", "asyncio") as worker:
        versions["ours"] = worker.ask("describe")
    if sides.peer:
        with Worker(sides.peer, "peer") as worker:
            versions["peer"] = worker.ask("describe")
    return versions


def _heading(facts: dict[str, Any]) -> str:
    sides = [", ".join(f"{name} {version}" for name, version in side.items()) for side in facts["versions"].values()]
    return (
        "\nbeside ".join(sides)
        + f"\nMedians of {facts['pairs']} alternating pairs. A time in brackets that is much lower than the one before "
        + "it says that the machine was busy with other things."
    )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description="Time per message beside the peer, and what durability costs.",
        epilog=f"{FOLDER} names the folder in which SQLite is measured; without it, it is the checkout.",
    )
    parser.add_argument("--pairs", type=_positive, default=None, help="alternating pairs per scenario (default 7)")
    parser.add_argument("--quick", action="store_true", help="3 pairs and smaller rooms: a look, not a measurement")
    parser.add_argument("--million", action="store_true", help="also fill a room with 1,000,000 events (minutes)")
    parser.add_argument("--no-peer", action="store_true", help="only our side, on the interpreter that runs this")
    parser.add_argument("--any-disk", action="store_true", help="measure SQLite also where durability costs nothing")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be given several times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to FILE")
    options = parser.parse_args(arguments)
    options.pairs = options.pairs or (3 if options.quick else 7)
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
