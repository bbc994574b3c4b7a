"""Kill processes at every boundary and at random, and judge what they leave: ``python -m tests.faults.driver``.

This process stays warm and single-threaded: it imports everything once, and every process of a case is a fork of it
that makes its own kit and its own store. Two forks work on cases side by side.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import anyio

from tests.faults.boundaries import BOUNDARIES, Tally, table
from tests.faults.child import FINISHED, STUCK, Orders, live, make_template
from tests.faults.oracle import is_sound, judge, read_case
from tests.faults.scenario import OPERATIONS, Plan

WORKERS = 2
PATIENCE = 60.0
"""Seconds for one process of a case."""

AT_LEAST = 3
"""How often each boundary has to be reached and killed at."""


class Kill(NamedTuple):
    """How one process of a case ends: at a boundary, or after so many seconds, or not before its time."""

    boundary: str | None = None
    number: int = 1
    after: float | None = None


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
    plan = Plan(seed, tuple(sorted(operations)), 5 if kind == "group" or dice.random() < 0.2 else 0)
    first = Kill(after=dice.uniform(0.0, 0.25))
    if aim is None:
        kills = tuple(Kill(after=dice.uniform(0.0, 0.25)) for _ in range(dice.choice((1, 1, 2, 3))))
        return Script(plan, kills, aim, dice.random() < 0.1, None)
    at = Kill(aim, dice.choice((1, 1, 1, 2, 3)))
    if kind == "recovery":
        first = Kill(dice.choice(("call: inside, after the provider took it", "claim: before the work", "model: inside")), 2)
        return Script(plan, (first, at), aim, False, None)
    if kind == "migration":
        is_fresh = dice.random() < 0.5
        return Script(plan, (at,) if is_fresh else (first, at), aim, is_fresh, None if is_fresh else 1)
    kills = (at, Kill(after=dice.uniform(0.0, 0.2))) if dice.random() < 0.2 else (at,)
    return Script(plan, kills, aim, False, None)


# ------------------------------------------------------------------------------------------------------------- one case


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
            is_recovering=bool(killed),
            is_last=is_last,
            new_schema=script.new_schema is not None and number >= script.new_schema,
        )
        status = run_process(orders, kill.after, tally)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and not is_last:
            killed.append(kill.boundary)
        elif os.waitstatus_to_exitcode(status) not in (FINISHED, STUCK):
            return Verdict(tuple(killed), (f"process {number} ended with {status}:\n{_errors(folder)}",))
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


# ------------------------------------------------------------------------------------------------------------ many cases


class Report(NamedTuple):
    """What came of many cases.

    Attributes:
        kills: How many processes were killed.
        killed: How often at each boundary.
        reached: How often each boundary was reached.
        findings: Broken promises with the command that brings the case back.
    """

    kills: int
    killed: dict[str, int]
    reached: dict[str, int]
    findings: list[str]


def work(cases: Iterator[tuple[str | None, int]], wanted: Callable[[Counter[Any]], bool], folder: Path) -> Report:
    """Run cases until enough processes were killed, or one is judged badly."""
    template, tally, killed = folder / "template.db", Tally(), Counter[str | None]()
    for number, (aim, seed) in enumerate(cases):
        if not wanted(killed):
            break
        script = script_of(aim, seed)
        case = folder / f"{number}"
        verdict = run_case(script, case, template, tally)
        killed.update(verdict.killed)
        if verdict.findings:
            again = f"python -m tests.faults.driver --seed {seed}" + (f" --at {aim!r}" if aim else "")
            found = "\n".join(f"  {finding}" for finding in verdict.findings)
            return _report(killed, tally, [f"{again}   (kept in {case})\n{found}"])
        shutil.rmtree(case)
    return _report(killed, tally, [])


def _report(killed: Counter[str | None], tally: Tally, findings: list[str]) -> Report:
    named = {name: times for name, times in killed.items() if name is not None}
    return Report(killed.total(), named, tally.counts(), findings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at")
    parser.add_argument("--count", type=int, default=1)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="roomkit-crashes-"))
    if not os.fork():
        anyio.run(make_template, folder / "template.db")
        os._exit(0)
    os.wait()
    gc.freeze()
    begun = time.monotonic()
    cases = iter([(given.at, given.seed + n) for n in range(given.count)])
    report = work(cases, lambda killed: True, folder)
    print(report.kills, "kills in", time.monotonic() - begun)
    print(table({"killed": report.killed, "reached": report.reached}))
    print("\n".join(report.findings))
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
