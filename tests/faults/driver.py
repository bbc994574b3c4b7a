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
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple, NoReturn

import anyio

from tests.faults.boundaries import BOUNDARIES, Tally, table
from tests.faults.child import FINISHED, STOPPED, STUCK, Orders, live, make_template
from tests.faults.oracle import is_sound, judge, judge_stop, read_case
from tests.faults.scenario import OPERATIONS, WITHDRAWALS, Plan

WORKERS = 2
TEMPLATE = "template.db"
PATIENCE = 60.0
"""Seconds for one process of a case."""

CASES_AT_RANDOM = 12

AT_LEAST = 3
"""How often each boundary has to be reached and killed at."""


class Kill(NamedTuple):
    """How one process of a case ends.

    Attributes:
        boundary: It is killed there; None for nowhere.
        number: At which arrival there.
        after: It is killed after so many seconds; None for not by the clock.
        stop_after: It is stopped in good order after so many seconds, and may be killed while that goes on.
    """

    boundary: str | None = None
    number: int = 1
    after: float | None = None
    stop_after: float | None = None


class Script(NamedTuple):
    """One case: what is done, and how its processes end, one after the other; one more brings it to its end.

    Attributes:
        aim: The boundary that the case is about; None for random moments.
        is_fresh: Whether the first process makes the file.
        new_schema: From which process on the file has one more migration; None for never.
    """

    plan: Plan
    kills: tuple[Kill, ...]
    aim: str | None
    is_fresh: bool
    new_schema: int | None


def script_of(aim: str | None, seed: int) -> Script:
    """The case of a boundary, or of random moments, with this seed."""
    dice = Random(f"{aim} {seed}")
    operations = {operation for operation in OPERATIONS if dice.random() < 0.3}
    kind = (aim or "").partition(":")[0]
    if kind in OPERATIONS:
        operations.add(kind)
    if kind == "withdrawal":
        operations = set(WITHDRAWALS)
    plan = Plan(seed, tuple(sorted(operations)), 5 if kind == "group" or dice.random() < 0.2 else 0)
    first = Kill(after=dice.uniform(0.0, 0.25))
    if aim is None:
        kills = tuple(_at_random(dice) for _ in range(dice.choice((1, 1, 2, 3))))
        return Script(plan, kills, aim, dice.random() < 0.1, None)
    if kind == "close":
        return Script(plan, (Kill(aim, stop_after=dice.uniform(0.01, 0.1)),), aim, False, None)
    at = Kill(aim, dice.choice((1, 1, 1, 2, 3)))
    if kind == "recovery":
        first = Kill(
            dice.choice(("call: inside, after the provider took it", "claim: before the work", "model: inside")), 2
        )
        return Script(plan, (first, at), aim, False, None)
    if kind == "migration":
        is_fresh = dice.random() < 0.5
        return Script(plan, (at,) if is_fresh else (first, at), aim, is_fresh, None if is_fresh else 1)
    kills = (at, Kill(after=dice.uniform(0.0, 0.2))) if dice.random() < 0.2 else (at,)
    return Script(plan, kills, aim, False, None)


def _at_random(dice: Random) -> Kill:
    if dice.random() < 0.3:
        return Kill(stop_after=dice.uniform(0.0, 0.1))
    return Kill(after=dice.uniform(0.0, 0.25))


# ------------------------------------------------------------------------------------------------------------ one case


class Verdict(NamedTuple):
    """What came of a case.

    Attributes:
        killed: The boundary of each process that was killed, None for a random moment.
        findings: The broken promises.
    """

    killed: tuple[str | None, ...]
    findings: tuple[str, ...]


def run_case(script: Script, folder: Path, template: Path, tally: Tally) -> Verdict:
    """Run the processes of a case one after the other, and judge."""
    folder.mkdir()
    if not script.is_fresh:
        shutil.copy(template, folder / "rooms.db")
    killed: list[str | None] = []
    for number, kill in enumerate((*script.kills, Kill())):
        is_last = number == len(script.kills)
        orders = Orders(
            folder,
            script.plan,
            kill.boundary,
            kill.number,
            kill.stop_after,
            is_fresh=script.is_fresh,
            is_recovering=bool(killed),
            is_last=is_last,
            new_schema=script.new_schema is not None and number >= script.new_schema,
        )
        status = run_process(orders, kill.after, tally)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and not is_last:
            killed.append(kill.boundary)
        elif os.waitstatus_to_exitcode(status) not in (FINISHED, STUCK, STOPPED):
            return Verdict(tuple(killed), (f"process {number} ended with {status}:\n{_errors(folder)}",))
        elif not is_last and (findings := judge_stop(read_case(folder))):
            return Verdict(tuple(killed), tuple(findings))
    findings = judge(read_case(folder))
    if script.new_schema is None:
        findings += is_sound(folder)
    return Verdict(tuple(killed), tuple(findings))


def run_process(orders: Orders, after: float | None, tally: Tally) -> int:
    """Fork one process of a case; kill it ``after`` so many seconds if it still lives. Returns its wait status."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        live(orders, tally)
    os.close(writer)
    try:
        # The pipe ends when the process does. It is waited for, and not slept for.
        has_ended, _, _ = select.select([reader], [], [], PATIENCE if after is None else after)
        if not has_ended:
            os.kill(pid, signal.SIGKILL if after is not None else signal.SIGABRT)
    finally:
        os.close(reader)
        _, status = os.waitpid(pid, 0)
    return status


def _errors(folder: Path) -> str:
    path = folder / "stderr"
    return path.read_text(encoding="utf-8")[-3_000:] if path.exists() else ""


# ----------------------------------------------------------------------------------------------------------- many cases


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
