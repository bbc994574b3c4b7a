"""SQLite stores for tests that look behind the interface: the writing thread, its connection, and its faults."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from roomkit_core.builtin.sqlite.file import StoreFile
from roomkit_core.builtin.sqlite.rooms import EVENT_COLUMNS
from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.builtin.sqlite.store import SQLiteStore

T = TypeVar("T")

NUMBERS = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
"""Begins a statement that reads from a table of so many numbers."""


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


class Steps:
    """Counts the steps of SQLite's machine, on the writing connection and on those that read.

    Each connection has a count of its own: it is used by one thread at a time, and two threads may count at once.
    """

    def __init__(self, store: SQLiteStore) -> None:
        self._counts: list[list[int]] = []
        file = file_of(store)
        for connection in (file._group.db, file.readers._own, *file.readers._free):
            if connection is not None:
                self._count(connection)
        connect = file.readers._connect

        def counted() -> sqlite3.Connection:
            connection = connect()
            self._count(connection)
            return connection

        file.readers._connect = counted

    def _count(self, connection: sqlite3.Connection) -> None:
        count = [0]

        def step() -> int:
            count[0] += 1
            return 0

        connection.set_progress_handler(step, 1)
        self._counts.append(count)

    @property
    def count(self) -> int:
        """All steps so far."""
        return sum(count for (count,) in self._counts)

    async def of(self, call: Callable[[], Awaitable[Any]]) -> int:
        """How many steps the second of two calls takes: the first may open a connection and read the schema."""
        await call()
        before = self.count
        await call()
        return self.count - before


async def add_events(store: SQLiteStore, count: int) -> None:
    """Copies of the first event of the room "room", in one statement; the counter follows."""
    copied = EVENT_COLUMNS.replace("id, ", "", 1).replace("place, ", "", 1)

    def copy(db: sqlite3.Connection) -> None:
        (last,) = db.execute("SELECT next_index FROM heads WHERE room_id = 'room'").fetchone()
        db.execute(
            f"""INSERT INTO events (id, place, {copied}) {NUMBERS}
            SELECT printf('bulk-%08d', n + ?), n + ? - 1, {copied} FROM numbers, events
            WHERE room_id = 'room' AND place = 0""",
            (count, last, last),
        )
        db.execute("UPDATE heads SET next_index = next_index + ? WHERE room_id = 'room'", (count,))

    await in_writer(store, copy)
