"""SQLite stores for tests that look behind the interface: the writing thread, its connection, and its faults."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from roomkit_core.builtin.sqlite_file import StoreFile
from roomkit_core.builtin.sqlite_session import Session
from roomkit_core.builtin.sqlite_store import SQLiteStore

T = TypeVar("T")


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SQLiteStore]:
    """A store on this file, closed at the end."""
    store = SQLiteStore(path, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def file_of(store: SQLiteStore) -> StoreFile:
    """What an open store writes to."""
    assert store._file is not None, "the store is not open"
    return store._file


async def in_writer(store: SQLiteStore, work: Callable[[sqlite3.Connection], T]) -> T:
    """What ``work`` returns, done by the writing thread with its connection, inside a transaction."""
    found: T = await file_of(store).hand_in(lambda session: work(session.db)).wait()
    return found


async def set_pragma(store: SQLiteStore, text: str) -> None:
    """Set a pragma of the writing connection. Outside of any transaction: many have no effect inside one."""
    await in_writer(store, lambda db: None)
    connection = file_of(store)._group.db
    assert connection is not None
    connection.execute(f"PRAGMA {text}").fetchall()


@contextmanager
def held_up(store: SQLiteStore) -> Iterator[None]:
    """The writing thread waits inside a transaction of its own, so that what is handed in meanwhile is one group."""
    has_begun, may_go_on = threading.Event(), threading.Event()

    def wait(_: Session) -> None:
        has_begun.set()
        may_go_on.wait(30)

    file_of(store).hand_in(wait)
    assert has_begun.wait(30)
    try:
        yield
    finally:
        may_go_on.set()


def fail_next_commit(store: SQLiteStore) -> None:
    """The COMMIT of the group that is open now fails; SQLite itself refuses it."""

    def deny(action: int, argument: str | None, *_: Any) -> int:
        is_commit = action == sqlite3.SQLITE_TRANSACTION and argument == "COMMIT"
        return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK

    file_of(store).hand_in(lambda session: session.db.set_authorizer(deny))


class Statements:
    """What the writing connection executes, from now on."""

    def __init__(self, store: SQLiteStore, notice: Callable[[str], None] | None = None) -> None:
        self.seen: list[str] = []
        self._notice = notice
        connection = file_of(store)._group.db
        assert connection is not None, "nothing was written yet"
        connection.set_trace_callback(self._see)

    def _see(self, statement: str) -> None:
        self.seen.append(statement)
        if self._notice is not None:
            self._notice(statement)

    def count(self, beginning: str) -> int:
        return sum(statement.startswith(beginning) for statement in self.seen)
