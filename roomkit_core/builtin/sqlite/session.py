"""What the code inside a transaction has at hand: the connection, the present moment, and places in lanes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

SOON = 2_000_000
"""Microseconds. Longer than anybody believes that nothing is ready, by more than a transaction takes."""


class Session:
    """One transaction of the writer.

    Args:
        db: The writing connection, inside a transaction.
        now: The present moment in microseconds, the same for the whole transaction.
        may_claim: False for tools, which work beside the owner and hold no work.

    Attributes:
        makes_ready: Whether it makes a row ready, now or soon.
    """

    __slots__ = ("_has_early", "_seq", "db", "makes_ready", "may_claim", "now")

    def __init__(self, db: sqlite3.Connection, now: int, may_claim: bool) -> None:
        self.db = db
        self.now = now
        self.may_claim = may_claim
        self.makes_ready = False
        self._seq: int | None = None
        self._has_early: bool | None = None

    def next_seq(self) -> int:
        """A place in a lane that was never given and never will be again; gaps are no harm."""
        if self._seq is None:
            found = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'work'").fetchone()
            self._seq = 0 if found is None else found[0]
        self._seq += 1
        return self._seq

    def note_ready(self, ready: int | None) -> None:
        """A row can be claimed from this moment on; None for never."""
        if ready is not None and ready < self.now + SOON:
            self.makes_ready = True

    def has_early(self) -> bool:
        """Whether a provider's report waits for its delivery; nearly always there is none, so ask once."""
        if self._has_early is None:
            self._has_early = self.one("SELECT 1 FROM early_receipts LIMIT 1") is not None
        return self._has_early

    def expect_early(self) -> None:
        """Such a report is about to be written."""
        self._has_early = True

    def one(self, statement: str, *values: Any) -> Any:
        """The first row, or None."""
        return self.db.execute(statement, values).fetchone()

    def all(self, statement: str, *values: Any) -> list[Any]:
        """All rows. One that may bring many belongs into :meth:`page`."""
        return self.db.execute(statement, values).fetchall()

    def run(self, statement: str, *values: Any) -> int:
        """How many rows the statement changed."""
        return self.db.execute(statement, values).rowcount

    def each(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run the statement for each of ``rows``; how many rows that changed in all."""
        return self.db.executemany(statement, rows).rowcount if rows else 0


def as_list(values: Iterable[str]) -> str:
    """Values for ``IN (SELECT value FROM json_each(?))``: one statement for any number of them."""
    return json.dumps(list(values))
