"""Whether the journal of inbound messages is empty, known without a look: else every message would have to ask.

The owner counts what it hands in for the journal, and looks once, at the end of a transaction, whether any of it is
open. A tool beside the owner writes behind its back; so it leaves a mark in the lock file, which the owner has mapped,
before each of its transactions.
"""

from __future__ import annotations

import mmap
import os
import sqlite3

from roomkit_core.errors import StoreError

MARK_BYTES = 8

_ANY_OPEN = "SELECT 1 FROM work WHERE kind = 'inbound' AND settled_at IS NULL LIMIT 1"


class Mark:
    """Eight bytes that the processes which write the file share, in the file of its lock.

    Args:
        path: The store file; the mark is in ``<path>.lock``.
    """

    def __init__(self, path: str) -> None:
        self._path = f"{path}.lock"
        self._bytes: memoryview[int] | None = None

    def open(self) -> None:
        """Share it from now on.

        Raises:
            StoreError: The lock file cannot be made.
        """
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if os.fstat(handle).st_size < MARK_BYTES:
                    os.ftruncate(handle, MARK_BYTES)
                self._bytes = memoryview(mmap.mmap(handle, MARK_BYTES)).cast("Q")
            finally:
                os.close(handle)
        except OSError as error:
            raise StoreError(f"cannot use {self._path}: {error}", code="store.io") from error

    @property
    def value(self) -> int:
        return 0 if self._bytes is None else self._bytes[0]

    def change(self) -> None:
        """Leave a mark that nobody has seen yet."""
        if self._bytes is not None:
            self._bytes[0] = int.from_bytes(os.urandom(MARK_BYTES), "big")


class Journal:
    """What the owner knows about open inbound rows.

    Args:
        mark: Changed by whoever else writes the file, beforehand.
    """

    def __init__(self, mark: Mark) -> None:
        self._mark = mark
        self._asked = 0  # how often the loop has handed in what may add a row
        self._through = 0  # how many of these the writer has had
        self._seen = 0  # the mark before the transaction
        self._empty_at: tuple[int, int] | None = None  # (asked, mark) of the last look that found nothing

    @property
    def is_empty(self) -> bool:
        """Whether nothing is open and nothing can have been added since that was found."""
        return self._empty_at == (self._asked, self._mark.value)

    def expect(self) -> None:
        """What may add a row is about to be handed in."""
        self._asked += 1

    def begin(self, additions: int) -> None:
        """A transaction is about to begin, with so many of what :meth:`expect` announced; for the writing thread."""
        self._seen = self._mark.value
        self._through += additions

    def look(self, db: sqlite3.Connection) -> tuple[int, int] | None:
        """At the end of the transaction: what :meth:`note` is to note when it is through."""
        now = (self._through, self._seen)
        if self._empty_at == now or db.execute(_ANY_OPEN).fetchone() is None:
            return now
        return None

    def note(self, empty_at: tuple[int, int] | None) -> None:
        """What :meth:`look` saw is durable."""
        self._empty_at = empty_at
