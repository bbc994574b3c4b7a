"""Running one case: its processes, one after the other, each a fork of this one, and then the judge."""

from __future__ import annotations

import os
import select
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

from tests.faults.boundaries import Tally
from tests.faults.child import FINISHED, STOPPED, STUCK, Orders, live
from tests.faults.evidence import read_case
from tests.faults.oracle import is_sound, judge, judge_stop
from tests.faults.scripts import Kill, Script

PATIENCE = 60.0
"""Seconds for one process of a case."""


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
