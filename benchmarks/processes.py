"""The parent's end of a worker, and what a run told."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

from benchmarks.environments import ROOT


class WorkerError(Exception):
    """A worker raised or died; its traceback is the text."""


class Worker:
    """A long-lived process that runs scenarios one at a time. Use as a context manager.

    Args:
        python: Interpreter of the side's environment.
        module: The worker's module below ``benchmarks.workers``.
        arguments: What the module takes on its command line.
    """

    def __init__(self, python: Path, module: str, *arguments: str) -> None:
        self._name = " ".join((module, *arguments))
        self._process = subprocess.Popen(
            [python, "-m", f"benchmarks.workers.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=ROOT,
            # The order of sets and dicts is the same in every process: less that differs between runs.
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.kill()
        self._process.communicate()

    def ask(self, do: str, **parameters: Any) -> dict[str, Any]:
        """Have the worker run a command and wait for its answer.

        Raises:
            WorkerError: The command raised, or the process ended.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps({"do": do, **parameters}) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"worker {self._name!r} ended with {self._process.wait()} during {do!r}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"worker {self._name!r} failed in {do!r}:\n{answer['error']}")
        return answer

    def run(self, do: str, **parameters: Any) -> Run:
        """As :meth:`ask`, for commands that send messages."""
        return Run(**self.ask(do, **parameters))


@dataclass(frozen=True)
class Run:
    """What one run of a scenario took, all in seconds."""

    count: int
    seconds: float
    thread_seconds: float
    longest_pause: float
    paused: float

    @property
    def wall(self) -> float:
        """Microseconds per message by the clock."""
        return self.seconds / self.count * 1e6

    @property
    def thread(self) -> float:
        """Microseconds of CPU per message in the event loop's thread."""
        return self.thread_seconds / self.count * 1e6


@dataclass(frozen=True)
class Pairs:
    """Runs of two sides, taken alternately."""

    first: tuple[Run, ...]
    second: tuple[Run, ...]

    @property
    def ratios(self) -> list[float]:
        """How many times as long the second took as the first by the clock, pair by pair."""
        return [second.wall / first.wall for first, second in zip(self.first, self.second, strict=True)]

    @property
    def thread_ratio(self) -> float:
        """The same by CPU time of the thread, median of the pairs."""
        return median(second.thread / first.thread for first, second in zip(self.first, self.second, strict=True))


def alternate(pairs: int, first: Callable[[], Run], second: Callable[[], Run]) -> Pairs:
    """Run both sides ``pairs`` times in turn, each going first every other time.

    One run of each comes before, as warm-up, and is thrown away.
    """
    first(), second()
    firsts: list[Run] = []
    seconds: list[Run] = []
    for number in range(pairs):
        order = [(first, firsts), (second, seconds)]
        for run, runs in order if number % 2 == 0 else reversed(order):
            runs.append(run())
    return Pairs(tuple(firsts), tuple(seconds))
