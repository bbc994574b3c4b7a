"""Who owns the file: one process, by a lock of the operating system on a file beside it.

The lock dies with its holder, so that nothing is left to clean up after a crash. The table ``owner`` names the holder
for whoever comes second.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import weakref

from roomkit_core.builtin.sqlite.connection import connect
from roomkit_core.errors import StoreBusyError, StoreError
from roomkit_core.models.time import from_microseconds

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        # Not lockf: its locks fall when anybody in the process closes the file, and do not hold against oneself.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """The right to own a store file.

    Args:
        path: The store file; the lock is on ``<path>.lock``.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> None:
        """Become the owner.

        Raises:
            StoreBusyError: Somebody else is.
            StoreError: The lock file cannot be made.
        """
        try:
            handle = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"cannot create {self._path}.lock: {error}", code="store.io") from error
        try:
            _lock(handle)
        except OSError as error:
            os.close(handle)
            raise StoreBusyError(
                f"{self._path} belongs to {holder(self._path)}",
                hint="Stop that process, or work beside it with role='tool'.",
            ) from error
        self._handle = handle
        if hasattr(os, "register_at_fork"):
            _held.add(self)

    def release(self) -> None:
        """Give the file back; doing so again does nothing."""
        handle, self._handle = self._handle, None
        _held.discard(self)
        if handle is not None:
            os.close(handle)


def holder(path: str) -> str:
    """Who the file says owns it, for a message."""
    try:
        db = connect(path, writes=False, timeout=1.0)
        try:
            row = db.execute("SELECT pid, host, started FROM owner").fetchone()
        finally:
            db.close()
    except Exception:  # noqa: BLE001, RUF100 (a name for a message is not worth a second error)
        row = None
    if row is None:
        return "another process"
    pid, host, started = row
    return f"process {pid} on {host}, since {from_microseconds(started):%Y-%m-%d %H:%M:%S} UTC"


def take_over(db: sqlite3.Connection, now: int) -> None:
    """Write the owner's name, and end what the dead one held: leases are over, quiet times begin now."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(
            "INSERT OR REPLACE INTO owner (one, pid, host, started) VALUES (1, ?, ?, ?)",
            (os.getpid(), socket.gethostname(), now),
        )
        db.execute(
            "UPDATE work SET lease_until = ?, ready = ? + quiet WHERE ready IS NOT NULL AND state = 'in_flight'",
            (now, now),
        )
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _let_go_in_child() -> None:
    # A child shares its parent's lock and would hold it after the parent's death. Closing does not unlock.
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
