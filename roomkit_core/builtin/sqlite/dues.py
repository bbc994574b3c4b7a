"""What the owner knows about rows that are due: where a look found none, the next one can be spared.

A runner asks for the next due row after each one that it has worked on, and nearly always there is none. A look is a
statement on the loop, which lets go of the interpreter's lock while the writing thread wants it; spared, a delivery
costs a quarter less. What was found holds until a transaction makes a row ready, until the next row is ready by itself,
and for a second at the most: a tool beside the owner tells nobody what it writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from itertools import product

from roomkit_core.builtin.sqlite.claims import Claim, is_anything_ready, soonest_ready

KNOWN_FOR = 1_000_000
"""Microseconds for which it is believed that nothing is ready."""

Look = Callable[[Callable[[sqlite3.Connection], int | bool | None]], int | bool | None]


class Dues:
    """What is known about the queues from which claims are made."""

    def __init__(self) -> None:
        self._changes = 0
        self._empty: dict[tuple[str, str], tuple[int, int]] = {}  # (kind, channel): changes at the look, until when

    def changed(self) -> None:
        """A transaction that made a row ready, or will soon, is through; said before anybody learns of it."""
        self._changes += 1

    def may_claim(self, wanted: Claim, now: int, look: Look) -> bool:
        """Whether a claim would find something.

        Args:
            wanted: What it asks for.
            now: The present moment, in microseconds.
            look: Reads, where it is not known.
        """
        if wanted.lanes is not None or wanted.kinds is None or wanted.channels is None or wanted.limit <= 0:
            return bool(look(partial(is_anything_ready, wanted, now)))
        for queue in product(wanted.kinds, wanted.channels):
            changes = self._changes  # before the look: what is through only after it may not have been seen
            seen, until = self._empty.get(queue, (-1, 0))
            if seen == changes and now < until:
                continue
            soonest = look(partial(soonest_ready, queue))
            if soonest is not None and soonest <= now:
                return True
            until = now + KNOWN_FOR
            self._empty[queue] = changes, until if soonest is None else min(until, soonest)
        return False
