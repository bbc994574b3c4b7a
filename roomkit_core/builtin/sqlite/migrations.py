"""Bringing a file to the present schema, step by step; nothing is ever dropped (T33).

Each step is one transaction together with its entry in the ledger, so that a process that is killed in it leaves the
state before or the state after.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from roomkit_core.builtin.sqlite.connection import connect
from roomkit_core.builtin.sqlite.errors import translated
from roomkit_core.builtin.sqlite.schema import APPLICATION_ID, LEDGER, MIGRATIONS, Migration
from roomkit_core.errors import StoreError


def plan_migrations(path: str) -> list[Migration]:
    """What :func:`migrate` would do to the file; a file that is not there yet gets everything.

    Raises:
        StoreError: As :func:`pending`.
    """
    if not Path(path).exists() or not Path(path).stat().st_size:
        return list(MIGRATIONS)
    db = connect(path, writes=False)
    try:
        return pending(db, path)
    finally:
        db.close()


def pending(db: sqlite3.Connection, path: str, known: Sequence[Migration] = MIGRATIONS) -> list[Migration]:
    """The migrations that the file has still to get.

    Raises:
        StoreError: ``store.newer_schema``: a newer release wrote the file; ``store.changed_schema``: a migration is not
            the one that was applied; ``store.foreign``: the database is not a store of RoomKit.
    """
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if "migrations" not in tables:
        if tables:
            raise StoreError(
                f"{path} is a database of something else: it has the table {min(tables)!r}",
                code="store.foreign",
                hint="Choose another path.",
                retryable=False,
            )
        return list(known)
    applied = dict(db.execute("SELECT number, checksum FROM migrations"))
    newest = max(applied, default=0)
    if newest > len(known):
        raise StoreError(
            f"{path} has schema {newest}, this release knows {len(known)}",
            code="store.newer_schema",
            hint="Install the release that wrote the file, or restore a backup from before its upgrade.",
            retryable=False,
        )
    for step in known:
        if applied.get(step.number, step.checksum) != step.checksum:
            raise StoreError(
                f"migration {step.number} of {path} is not the one of this release",
                code="store.changed_schema",
                hint="Install an official release.",
                retryable=False,
            )
    return [step for step in known if step.number not in applied]


def migrate(db: sqlite3.Connection, path: str, now: int, known: Sequence[Migration] = MIGRATIONS) -> list[Migration]:
    """Apply what is pending, and return it; see to the write-ahead log.

    Raises:
        StoreError: As :func:`pending`, or the file cannot be written.
    """
    steps = pending(db, path, known)
    try:
        db.execute("PRAGMA journal_mode = wal").fetchone()  # a restored backup is not in this mode
        if steps:
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for step in steps:
            _apply(db, step, now)
    except sqlite3.Error as error:
        raise translated(error, f"cannot migrate {path}") from error
    return steps


def _apply(db: sqlite3.Connection, step: Migration, now: int) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(LEDGER)
        for statement in step.statements:
            db.execute(statement)
        db.execute("INSERT INTO migrations VALUES (?, ?, ?, ?)", (step.number, step.name, step.checksum, now))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
