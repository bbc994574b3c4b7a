"""How a worker measures, and how it is driven: one JSON line asks for a run, one JSON line answers.

Nothing here may import either side: the same file runs in the peer's process and in ours.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

Command = Callable[..., Awaitable[dict[str, Any]]]
InThread = Callable[[Callable[[], str]], Awaitable[str]]


class Meter:
    """Adds up wall time, CPU time of the thread and the collector's pauses, over the parts that are measured."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.thread_seconds = 0.0
        self.pauses: list[float] = []
        self._pause_began = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the body.

        The collector is left alone: right after a ``gc.collect()`` its next full run comes early, and a short
        measurement would pay for a run that is due once in many.
        """
        gc.callbacks.append(self._note_collection)
        wall, thread = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - wall
            self.thread_seconds += time.thread_time() - thread
            gc.callbacks.remove(self._note_collection)

    def _note_collection(self, phase: Literal["start", "stop"], _info: Mapping[str, int]) -> None:
        if phase == "start":
            self._pause_began = time.perf_counter()
        else:
            self.pauses.append(time.perf_counter() - self._pause_began)

    def report(self, count: int) -> dict[str, Any]:
        """The answer to a command that sent ``count`` messages."""
        return {
            "count": count,
            "seconds": self.seconds,
            "thread_seconds": self.thread_seconds,
            "longest_pause": max(self.pauses, default=0.0),
            "paused": sum(self.pauses),
        }


async def serve(commands: Mapping[str, Command], in_thread: InThread) -> None:
    """Answer commands from standard input until it ends.

    Lines are read in a thread, so that timers of a kit that is kept between commands go on while nothing is measured.
    Standard output carries answers only: whatever else prints there is sent to standard error, and logging is off.
    """
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    while line := await in_thread(sys.stdin.readline):
        request = json.loads(line)
        try:
            answer = await commands[request.pop("do")](**request)
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
