"""Kill processes at every boundary and at random, and judge what they leave: ``python -m tests.faults.driver``.

This process stays warm and single-threaded: it imports everything once, and every process of a case is a fork of it
that makes its own kit and its own store. Two forks work on cases side by side.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import anyio

from tests.faults.boundaries import BOUNDARIES, Tally, table
from tests.faults.child import make_template
from tests.faults.processes import run_case
from tests.faults.scripts import script_of

WORKERS = 2
TEMPLATE = "template.db"
CASES_AT_RANDOM = 12

AT_LEAST = 3
"""How often each boundary has to be reached and killed at."""


class Report(NamedTuple):
    """What came of many cases.

    Attributes:
        kills: How many processes were killed.
        killed: How often at each boundary.
        reached: How often each boundary was reached.
        findings: Broken promises, with the command that brings the case back.
    """

    kills: int
    killed: dict[str, int]
    reached: dict[str, int]
    findings: list[str]

    def shortfalls(self, least: int) -> list[str]:
        """Boundaries at which too few processes were killed."""
        return [name for name in BOUNDARIES if self.killed.get(name, 0) < least]


class Bench:
    """Runs cases one after the other, and remembers what came of them.

    Args:
        folder: Where the template is, and where cases are kept that are judged badly.
        name: Tells this bench from the one beside it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._number = 0
        self._stop = folder / "stop"
        self.tally = Tally()
        self.killed = Counter[str | None]()
        self.findings: list[str] = []

    @property
    def is_over(self) -> bool:
        """Whether a case was judged badly, here or beside: one is enough to fail."""
        return self._stop.exists()

    def run(self, aim: str | None, seed: int) -> None:
        """One case."""
        self._number += 1
        folder = self._folder / f"{self._name}-{self._number}"
        verdict = run_case(script_of(aim, seed), folder, self._folder / TEMPLATE, self.tally)
        self.killed.update(verdict.killed)
        if verdict.findings:
            again = f"python -m tests.faults.driver --seed {seed}" + (f" --at {aim!r}" if aim else "")
            self.findings.append("\n".join([f"{again}   (kept in {folder})", *verdict.findings]))
            self._stop.touch()
        else:
            shutil.rmtree(folder)

    def report(self) -> Report:
        named = {name: times for name, times in self.killed.items() if name is not None}
        return Report(self.killed.total(), named, self.tally.counts(), self.findings)


def kill_at_boundaries(bench: Bench, boundaries: Sequence[str], seed: int, times: int) -> None:
    """Kill so many processes at each of the boundaries; one that cannot be hit is left after some tries."""
    for boundary in boundaries:
        for number in range(times * 5):
            if bench.is_over or bench.killed[boundary] >= times:
                break
            bench.run(boundary, seed + number)


def kill_at_random(bench: Bench, seed: int, kills: int) -> None:
    """Kill processes at random moments, in a few cases at least and until so many have been killed in all."""
    number = 0
    while (number < CASES_AT_RANDOM or bench.killed.total() < kills) and not bench.is_over:
        bench.run(None, seed + number)
        number += 1


def kill(total: int, times: int, seed: int, folder: Path) -> Report:
    """Kill so many processes, at least ``times`` at each boundary; two cases run side by side."""
    prepare(folder)
    workers = []
    for place in range(WORKERS):
        pid = os.fork()
        if not pid:
            _work(place, total, times, seed, folder)
        workers.append(pid)
    for pid in workers:
        os.waitpid(pid, 0)
    return _sum([Report(**json.loads((folder / f"report-{place}").read_text())) for place in range(WORKERS)])


def prepare(folder: Path) -> None:
    """Make the template, in a process of its own, and get warm: import everything that it had to import for that."""
    warmth = folder / "modules"
    pid = os.fork()
    if not pid:
        for backend in ("trio", "asyncio"):
            anyio.run(make_template, folder / f"{backend}.db", backend=backend)
        (folder / "asyncio.db").rename(folder / TEMPLATE)
        warmth.write_text("\n".join(sys.modules))
        os._exit(0)
    os.waitpid(pid, 0)
    for name in warmth.read_text().split():
        if name not in sys.modules and not name.startswith("__"):
            importlib.import_module(name)
    gc.freeze()


def _work(place: int, total: int, times: int, seed: int, folder: Path) -> NoReturn:
    code = 1
    try:
        bench = Bench(folder, str(place))
        kill_at_boundaries(bench, BOUNDARIES[place::WORKERS], seed, times)
        kill_at_random(bench, seed + place * 1_000_000, total // WORKERS)
        (folder / f"report-{place}").write_text(json.dumps(bench.report()._asdict()))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _sum(reports: list[Report]) -> Report:
    killed, reached = Counter[str](), Counter[str]()
    for report in reports:
        killed.update(report.killed)
        reached.update(report.reached)
    findings = [finding for report in reports for finding in report.findings]
    return Report(sum(report.kills for report in reports), dict(killed), dict(reached), findings)


def main() -> int:
    """Run what the arguments say; 0 if every promise was kept and every boundary hit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the case, or the first of them")
    parser.add_argument("--at", choices=BOUNDARIES, help="kill there; at random moments if omitted")
    parser.add_argument("--count", type=int, default=1, help="how many cases")
    parser.add_argument("--kills", type=int, help="everything: so many processes, at all boundaries and at random")
    parser.add_argument("--times", type=int, default=AT_LEAST, help="with --kills: how many at each boundary")
    given = parser.parse_args()
    folder, begun = Path(tempfile.mkdtemp(prefix="roomkit-crashes-")), time.monotonic()
    missed: list[str] = []
    if given.kills is not None:
        report = kill(given.kills, given.times, given.seed, folder)
        missed = [] if report.findings else report.shortfalls(given.times)
    else:
        prepare(folder)
        bench = Bench(folder, "case")
        for seed in range(given.seed, given.seed + given.count):
            if not bench.is_over:
                bench.run(given.at, seed)
        report = bench.report()
    print(table({"reached": report.reached, "killed": report.killed}))
    print(f"{report.kills} processes killed in {time.monotonic() - begun:.0f} s")
    for finding in report.findings:
        print(f"BROKEN: {finding}")
    for name in missed:
        print(f"MISSED: fewer than {given.times} processes were killed at {name!r}")
    if not report.findings:
        shutil.rmtree(folder)
    return 1 if report.findings or missed else 0


if __name__ == "__main__":
    sys.exit(main())
