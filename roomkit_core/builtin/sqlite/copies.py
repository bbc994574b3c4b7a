"""Copies of a store: made while it is in use, and put in its place."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from roomkit_core.builtin.sqlite.connection import connect, create_file
from roomkit_core.builtin.sqlite.errors import translated
from roomkit_core.builtin.sqlite.migrations import pending
from roomkit_core.builtin.sqlite.ownership import FileLock
from roomkit_core.errors import StoreError

_PAGES = 1_000
"""So many pages are copied at a time; a store that is written to in between is copied on from there."""


def backup(source: str, target: str) -> None:
    """Write a consistent copy of ``source``, which may be in use, to ``target``. Blocks.

    The copy is complete and on the disk before it takes the name ``target``; until then, whatever stood there stays.
    It has the permissions of the source.

    Raises:
        StoreError: It could not be written.
    """
    part = f"{target}.part"
    try:
        _remove(part)
        create_file(part)
        _copy(source, part)
        _finish(part, target, source)
    except sqlite3.Error as error:
        raise translated(error, f"cannot back up {source} to {target}") from error
    except OSError as error:
        raise StoreError(f"cannot back up {source} to {target}: {error}", code="store.io") from error
    finally:
        _remove(part)


def restore(copy: str, path: str) -> None:
    """Put a backup in the place of a store that nobody has open. Blocks.

    What stood there is kept as ``<path>.before-restore``. At every moment there is a whole file at ``path``, unless the
    former one is so damaged that it cannot be copied.

    Raises:
        StoreBusyError: The store has an owner.
        StoreError: The backup is none, a tool has the store open, or the backup could not be put there.
    """
    with closing(connect(copy, writes=False)) as db:
        pending(db, copy)
    lock = FileLock(path)
    lock.take()
    part = f"{path}.part"
    try:
        model = copy
        if Path(path).exists():
            model = path
            _keep(path)
        _remove(part)
        create_file(part)
        _copy(copy, part)
        _finish(part, path, model if Path(model).exists() else copy)
    except sqlite3.Error as error:
        raise translated(error, f"cannot restore {copy} to {path}") from error
    except OSError as error:
        raise StoreError(f"cannot restore {copy} to {path}: {error}", code="store.io") from error
    finally:
        _remove(part)
        lock.release()


def _keep(path: str) -> None:
    """Copy the former store, and leave nothing of its log that could be taken for that of its successor."""
    try:
        with closing(connect(path, writes=True)) as db:
            db.execute("PRAGMA journal_mode = delete").fetchone()  # refused while anybody else has it open
        backup(path, f"{path}.before-restore")
    except (sqlite3.Error, StoreError) as error:
        code = error.code if isinstance(error, StoreError) else translated(error, "").code
        if code not in ("store.corrupt", "store.not_a_database"):
            raise
        for end in ("-wal", "-shm", ""):
            if Path(path + end).exists():
                Path(path + end).replace(f"{path}.before-restore{end}")


def _copy(source: str, target: str) -> None:
    with closing(connect(source, writes=False)) as origin, closing(connect(target, writes=True)) as copy:
        origin.backup(copy, pages=_PAGES)
        copy.execute("PRAGMA journal_mode = delete").fetchone()  # a copy is one file, without a log of its own


def _finish(part: str, target: str, model: str) -> None:
    """Bring the copy to the disk and give it its name."""
    Path(part).chmod(stat.S_IMODE(Path(model).stat().st_mode))
    _sync(part, os.O_RDWR)
    Path(part).replace(target)
    if os.name == "posix":
        _sync(str(Path(target).absolute().parent), os.O_RDONLY)  # the name is an entry of the folder


def _sync(path: str, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(part: str) -> None:
    for end in ("", "-journal", "-wal", "-shm"):
        Path(part + end).unlink(missing_ok=True)
