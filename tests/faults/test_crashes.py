"""Processes that are killed at every boundary and at random: what they leave keeps every promise.

The driver runs as a program of its own, because its processes are forks, and those of pytest would not be clean.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver forks, and this system cannot")


def crash(*arguments: str) -> None:
    """Run the driver; what it says is the reason of a failure, with the command that repeats it."""
    command = [sys.executable, "-m", "tests.faults.driver", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.timeout(600)
def test_two_hundred_killed_processes_break_no_promise() -> None:
    crash("--kills", "200", "--times", "3")


@pytest.mark.prove
@pytest.mark.timeout(3_600)
def test_a_thousand_killed_processes_break_no_promise() -> None:
    crash("--kills", "1000", "--times", "10", "--seed", "1000000")
