"""What SQLite reports, in the words of the store: one class, a code that says why, and what to do about it."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from roomkit_core.errors import RoomKitError, StoreError


class _Fault(NamedTuple):
    code: str
    hint: str
    retryable: bool = True


_FAULTS = {
    sqlite3.SQLITE_BUSY: _Fault("store.locked", "Another process holds the file locked; end what has it open."),
    sqlite3.SQLITE_LOCKED: _Fault("store.locked", "Another connection holds the table locked; try again."),
    sqlite3.SQLITE_PERM: _Fault("store.read_only", "Let the user of this process write the file and its folder."),
    sqlite3.SQLITE_READONLY: _Fault("store.read_only", "Let the user of this process write the file and its folder."),
    sqlite3.SQLITE_AUTH: _Fault("store.read_only", "Let the user of this process write the file and its folder."),
    sqlite3.SQLITE_IOERR: _Fault("store.io", "Look at the system log for the disk; check the file before going on."),
    sqlite3.SQLITE_CANTOPEN: _Fault("store.io", "The folder has to exist and this process has to be let in."),
    sqlite3.SQLITE_CORRUPT: _Fault("store.corrupt", "Stop, keep the file, and restore a backup.", False),
    sqlite3.SQLITE_FULL: _Fault("store.disk_full", "Make room on the disk; nothing that was acknowledged is lost."),
    sqlite3.SQLITE_NOTADB: _Fault("store.not_a_database", "The path leads to a file of another kind.", False),
    sqlite3.SQLITE_TOOBIG: _Fault("store.too_large", "Keep large media outside and refer to them by URL.", False),
}
_OTHER = _Fault("store.failed", "")

OWN_FAULTS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    RoomKitError,
    ValueError,
    TypeError,
    OverflowError,
)
"""What one member of a group can do wrong without harm to the others."""


def translated(error: sqlite3.Error, what: str) -> StoreError:
    """The store's error for one of SQLite's, which becomes its cause.

    Args:
        error: What SQLite raised.
        what: What was being done, for the message.
    """
    # Extended codes carry the primary one in their lowest byte.
    fault = _FAULTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _OTHER)
    made = StoreError(f"{what}: {error}", code=fault.code, hint=fault.hint or None, retryable=fault.retryable)
    made.__cause__ = bare(error)
    return made


def member_error(error: Exception) -> Exception:
    """The error that the one who handed in a bad member gets to see; never one of the driver's own."""
    if isinstance(error, sqlite3.Error):
        return translated(error, "the batch could not be written")
    if isinstance(error, OverflowError):
        return StoreError(f"the batch could not be written: {error}", code="store.too_large", retryable=False)
    return bare(error)


def bare(error: Exception) -> Exception:
    """The error without the frames that it came through: those lead to the request that keeps it, which is a cycle."""
    error.__context__ = None
    return error.with_traceback(None)


def again(error: Exception) -> Exception:
    """A copy to raise: several wait for one error, and an error that is raised twice holds on to both callers."""
    if isinstance(error, RoomKitError):
        made: Exception = type(error)(str(error))
        made.__dict__.update(error.__dict__)
    else:
        try:
            made = type(error)(*error.args)
        except TypeError:  # some cannot be made by hand
            return error
    made.__cause__ = error.__cause__
    return made
