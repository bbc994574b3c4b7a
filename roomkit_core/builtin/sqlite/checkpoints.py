"""Bringing what was committed from the write-ahead log into the database, between transactions.

SQLite would do it inside a commit, whose answers would wait for it. Here it is done when the answers are out.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

EVERY_PAGES = 4_000
"""After about so many written pages (of 4 KiB) the log is brought in."""

PAGES_PER_REQUEST = 3
"""What a request writes, about: its own page and its share of the indexes."""

LARGE_LOG_BYTES = 64 * 1024 * 1024
"""A log that has grown beyond this is cut back as soon as no reader needs it."""


class Checkpoints:
    """Decides when; for the writing thread.

    Args:
        path: The database file.
    """

    def __init__(self, path: str) -> None:
        self._log = f"{path}-wal"
        self._pages = 0

    def count(self, requests: int) -> None:
        """So many requests were written."""
        self._pages += 4 + PAGES_PER_REQUEST * requests

    def run_if_due(self, db: sqlite3.Connection) -> None:
        """Bring the log in if it is time."""
        if self._pages < EVERY_PAGES:
            return
        self._pages = 0
        try:
            _, pages, done = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages == done and Path(self._log).stat().st_size > LARGE_LOG_BYTES:
                self.truncate(db)
        except (sqlite3.Error, OSError):
            # Nothing is lost: the log stays, and if the disk is at fault the next commit says so.
            self._pages = EVERY_PAGES // 2

    def truncate(self, db: sqlite3.Connection) -> None:
        """Bring in all of the log and cut it to nothing, unless a reader still needs it."""
        db.execute("PRAGMA busy_timeout = 100")
        try:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            db.execute("PRAGMA busy_timeout = 5000")
