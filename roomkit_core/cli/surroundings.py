"""What a kit stands on: Python, SQLite, and the file system of the store."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from roomkit_core.builtin.sqlite.connection import OLDEST_SQLITE
from roomkit_core.builtin.sqlite.migrations import plan_migrations
from roomkit_core.cli.findings import Finding
from roomkit_core.errors import StoreError

OLDEST_PYTHON: Final = (3, 11)

REMOTE: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "fuse.sshfs"}
)
"""File systems on which several machines see one file; SQLite's log in shared memory does not work across them."""

FORGETFUL: Final = frozenset({"ramfs", "tmpfs"})
"""File systems that are empty after a restart of the machine."""

MOUNTS: Final = Path("/proc/self/mounts")


def look_at_python() -> Finding:
    """The version, and the environment in which plugins are looked for."""
    found = f"{platform.python_implementation()} {platform.python_version()} in {sys.prefix}"
    if sys.version_info < OLDEST_PYTHON:
        needed = ".".join(map(str, OLDEST_PYTHON))
        return Finding("python", "wrong", found, f"Install Python {needed} or newer.")
    return Finding("python", "fine", found)


def look_at_sqlite() -> Finding:
    """The version of the library that this Python has."""
    found = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        return Finding("sqlite", "wrong", found, f"Use a Python with SQLite {needed} or newer.")
    return Finding("sqlite", "fine", found)


def look_at_store(path: str) -> Iterator[Finding]:
    """The store's file, if there is one, and the folder where it is or will be."""
    file = Path(path).absolute()
    yield _look_at_place(file.parent)
    if file.exists():
        yield _look_at_file(path)


def _look_at_place(folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding("store", "wrong", f"there is no folder {folder}", "Create it, or name another with --store.")
    if not os.access(folder, os.W_OK | os.X_OK):
        hint = "Give the user who runs the server the right to write there; SQLite keeps files beside the store."
        return Finding("store", "wrong", f"{folder} cannot be written to", hint)
    kind = file_system_of(folder)
    place = f"{folder} is on {kind or 'a file system of unknown kind'}"
    if kind in REMOTE:
        return Finding("store", "wrong", place, "SQLite needs a local disk: move the store to one.")
    if kind in FORGETFUL:
        return Finding(
            "store", "note", f"{place}, which a restart of the machine empties", "Keep what counts on a disk."
        )
    return Finding("store", "fine", place)


def _look_at_file(path: str) -> Finding:
    try:
        steps = plan_migrations(path)
    except StoreError as error:
        return Finding("store", "wrong", f"{error} [{error.code}]", error.hint)
    if steps:
        hint = "The next start brings it up to date; `roomkit db migrate --dry-run` says how."
        return Finding("store", "note", f"{path} is of an older release", hint)
    return Finding("store", "fine", f"{path} has the schema of this release; `roomkit db check` reads all of it")


def file_system_of(folder: Path) -> str | None:
    """The kind of the file system, from Linux's list of mounts; None where there is no such list."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    resolved = folder.resolve()
    best: tuple[str, str | None] = ("", None)
    for _, place, kind, *_ in (line.split() for line in lines):
        name = place.replace("\\040", " ")
        if len(name) >= len(best[0]) and resolved.is_relative_to(name):
            best = (name, kind)
    return best[1]
