"""Reading off the loop: a few connections that threads borrow, and one that the loop has for itself.

A page is read in a thread, because it can take long. A look at a single row is read on the loop, where it costs a tenth
of what the way to a thread and back would. No two threads ever use one connection at a time: where they did, SQLite
said "no row" of rows that were there.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from roomkit_core.builtin.sqlite.errors import translated

T = TypeVar("T")

THREADS = 2
"""How many pages are read at a time."""


class Readers:
    """Connections that only read.

    Args:
        connect: Opens one.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._free: list[sqlite3.Connection] = []
        self._is_closed = False
        self._own: sqlite3.Connection | None = None
        self._limiter: CapacityLimiter | None = None

    def look(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """What ``read`` finds, here and now; for what is found by one probe of an index.

        Raises:
            StoreError: SQLite could not.
        """
        try:
            if self._own is None:
                self._own = self._connect()
            return read(self._own)
        except sqlite3.Error as error:
            raise translated(error, "the store could not read") from error

    async def page(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """What ``read`` finds, in a thread.

        Raises:
            StoreError: SQLite could not.
        """
        if self._limiter is None:
            self._limiter = CapacityLimiter(THREADS)
        return await to_thread.run_sync(self._borrowed, read, limiter=self._limiter)

    def _borrowed(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            db = self._take()
            try:
                found = read(db)
            except BaseException:
                db.close()
                raise
        except sqlite3.Error as error:
            raise translated(error, "the store could not read") from error
        self._give_back(db)
        return found

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._free:
                return self._free.pop()
        return self._connect()

    def _give_back(self, db: sqlite3.Connection) -> None:
        with self._lock:
            if not self._is_closed:
                self._free.append(db)
                return
        db.close()

    def close(self) -> None:
        """Close all connections; those that are lent are closed when they come back."""
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
            own, self._own = self._own, None
        for db in (*free, *([] if own is None else [own])):
            db.close()
