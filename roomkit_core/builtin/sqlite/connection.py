"""Connections to the file: how each kind is opened, and what is asked of SQLite."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from roomkit_core.builtin.sqlite.errors import translated
from roomkit_core.errors import StoreError

OLDEST_SQLITE = (3, 38, 0)
"""The first version that always has JSON."""

BUSY_TIMEOUT = 5.0
"""Seconds for which a connection waits for another process that writes."""

MAX_VALUE_BYTES = 100_000_000
"""The largest text that is written."""

SYNCHRONOUS = frozenset({"full", "normal", "off"})


def connect(path: str, *, writes: bool, synchronous: str = "full", timeout: float = BUSY_TIMEOUT) -> sqlite3.Connection:
    """A connection to an existing file, in which every transaction is begun by hand.

    Args:
        path: The file.
        writes: False for one that can only read.
        synchronous: ``full``, ``normal`` or ``off``; how far a commit gets before it is through.
        timeout: Seconds to wait for another process.

    Raises:
        StoreError: The file cannot be opened or is no database.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        found, needed = sqlite3.sqlite_version, ".".join(map(str, OLDEST_SQLITE))
        raise StoreError(
            f"SQLite {needed} or newer is needed, this Python has {found}", code="store.old_sqlite", retryable=False
        )
    mode = "rw" if writes else "ro"
    try:
        db = sqlite3.connect(
            f"file:{quote(str(Path(path).absolute()))}?mode={mode}",
            uri=True,
            timeout=timeout,
            isolation_level=None,
            cached_statements=256,
            check_same_thread=False,  # each is used by one thread at a time, and closed by whoever closes the store
        )
    except sqlite3.Error as error:
        raise translated(error, f"cannot open {path}") from error
    try:
        if writes:
            db.execute(f"PRAGMA synchronous = {synchronous}")
            db.execute("PRAGMA fullfsync = 1")  # where a plain fsync leaves data in the drive (macOS)
            db.execute("PRAGMA wal_autocheckpoint = 0")  # a checkpoint inside a commit would delay its answer
            db.execute("PRAGMA cache_size = -16384")
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        else:
            db.execute("PRAGMA query_only = 1")
        db.execute("PRAGMA temp_store = memory")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        db.close()
        raise translated(error, f"cannot use {path}") from error
    return db


def create_file(path: str) -> bool:
    """Make an empty file that only its user may read, if there is none; whether one was made."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error}", code="store.io") from error
    return True


def file_identity(path: str) -> tuple[int, int] | None:
    """What tells the file from another one under the same name; None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 (asked for each transaction)
    except OSError:
        return None
    return found.st_dev, found.st_ino
