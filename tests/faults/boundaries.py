"""The boundaries at which processes are killed (PROTOCOL 7), and the switch that kills at one of them."""

from __future__ import annotations

import mmap
import os
import signal
import threading
import time
from itertools import count
from typing import Any, NoReturn

from tests.faults.history import History

COMMITS = (
    "accept",
    "claim",
    "message",
    "answer",
    "settle",
    "part",
    "scheduled",
    "detach",
    "close_room",
    "delete_event",
    "delete_room",
    "retry",
)
"""Kinds of writes: a transaction with such a one in it is a boundary before and after its COMMIT."""

BOUNDARIES = (
    *(f"{kind}: {side} COMMIT" for kind in COMMITS for side in ("before", "after")),
    "accept: before the 200",
    "accept: after the 200",
    "withdrawal: acknowledged",
    "claim: before the work",
    "hooks: before",
    "hooks: inside",
    "hooks: after",
    "hint: before",
    "hint: after",
    "call: before the first",
    "call: before a later one",
    "call: inside, before the provider took it",
    "call: inside, after the provider took it",
    "call: reply in hand",
    "parts: between two",
    "lane: after settle, before the look",
    "lane: after answer, before the look",
    "model: before",
    "model: inside",
    "model: after",
    "durable hook: before",
    "durable hook: after",
    "group: between two members",
    "group: before COMMIT of several",
    "group: after COMMIT of several",
    "group: while a follower waits",
    "migration: inside a step",
    "migration: before COMMIT",
    "migration: after a step",
    "recovery: before the take-over's COMMIT",
    "recovery: after the take-over's COMMIT",
    "recovery: before COMMIT of a claim",
    "recovery: after COMMIT of a claim",
    "recovery: before the provider is asked",
    "recovery: after the provider was asked",
    "recovery: right after a resend",
    "close: begun",
    "close: tasks ended",
    "close: channels closed",
    "close: last group written",
    "close: store closed",
)

_PLACES = {name: place for place, name in enumerate(BOUNDARIES)}


RUMOUR = 0.02
"""Seconds for which a thread that is about to be killed lets the others go on."""


class Tally:
    """How often each boundary was reached; shared with forked children, so that it outlives their deaths."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8 * len(BOUNDARIES))
        self._counts = memoryview(self._memory).cast("Q")

    def add(self, name: str) -> None:
        self._counts[_PLACES[name]] += 1

    def counts(self) -> dict[str, int]:
        return dict(zip(BOUNDARIES, self._counts, strict=True))


class Switch:
    """Kills this process when a boundary is reached for the n-th time.

    Args:
        history: Told just before.
        tally: Told of every arrival.
        name: The boundary; None for never.
        number: At which arrival, from 1.
    """

    def __init__(self, history: History, tally: Tally, name: str | None, number: int) -> None:
        assert name is None or name in _PLACES, f"there is no boundary {name!r}"
        self._history = history
        self._tally = tally
        self._name = name
        self._number = number
        self._arrivals = count(1)

    def reach(self, name: str) -> None:
        """The process is at a boundary. In any thread."""
        self._tally.add(name)
        if name == self._name and next(self._arrivals) == self._number:
            if threading.current_thread() is not threading.main_thread():
                time.sleep(RUMOUR)  # who was told too early acts on it now, and the judge will see that
            self._history.add("killed", boundary=name)
            die()


def die() -> NoReturn:
    """What ``kill -9`` does; there is no coming back from it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process goes on")


def table(columns: dict[str, dict[str, int]]) -> str:
    """The boundaries with their counts, for people."""
    head = f"{'boundary':45}" + "".join(f"{name:>10}" for name in columns)
    rows: list[Any] = [
        f"{name:45}" + "".join(f"{of.get(name, 0):>10}" for of in columns.values()) for name in BOUNDARIES
    ]
    return "\n".join([head, *rows])
