"""What can be wrong with a file or a disk: each has a class and a code, and takes nothing that was acknowledged."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from roomkit_core.builtin.sqlite.check import check
from roomkit_core.builtin.sqlite.connection import connect
from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.errors import ConfigError, StoreError
from roomkit_core.models.changes import Committed, Value
from roomkit_testkit.stores.makers import Writer, text_event
from tests.support.sqlite import held_up, opened, set_pragma


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rooms.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    async with opened(path) as store:
        yield store


@pytest.fixture
async def writer(store: SQLiteStore) -> Writer:
    """A writer for a room with one event."""
    writer = Writer(store)
    await writer.create()
    await writer.say("first")
    return writer


def spoil(path: Path) -> None:
    """Put another kind of file there."""
    path.write_text("a shopping list " * 100)


def is_spoiled(path: Path) -> bool:
    return path.read_text() == "a shopping list " * 100


def damage(path: Path, table: str) -> None:
    """Overwrite the first page of a table."""
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def remove(path: Path) -> None:
    path.unlink()


def take_away(path: Path, *, replace: bool) -> None:
    path.rename(path.with_name("elsewhere.db"))
    if replace:
        path.touch()


def bring_back(path: Path) -> None:
    path.with_name("elsewhere.db").replace(path)


async def failing(writer: Writer, text: str = "lost") -> StoreError:
    """What a commit raises."""
    with pytest.raises(StoreError) as caught:
        await writer.commit(events=(text_event(text),))
    assert type(caught.value) is StoreError
    return caught.value


async def bodies(store: SQLiteStore) -> list[str]:
    return [event.content.body for event in await store.list_events("room")]  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------------ at opening


async def open_error(path: Path, **options: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        async with opened(path, **options):
            pass
    return caught.value


async def test_a_file_of_another_kind_is_refused_and_left_alone(path: Path) -> None:
    spoil(path)

    error = await open_error(path)

    assert (error.code, error.retryable) == ("store.not_a_database", False)
    assert is_spoiled(path)


async def test_a_database_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")

    error = await open_error(path)

    assert (error.code, error.retryable) == ("store.foreign", False)
    assert "recipes" in str(error)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("recipes",)]


async def test_a_folder_that_is_not_there_is_an_io_error(tmp_path: Path) -> None:
    error = await open_error(tmp_path / "nowhere" / "rooms.db")

    assert error.code == "store.io"


@pytest.mark.parametrize("role", ["tool", "reader"])
async def test_a_tool_and_a_reader_make_no_file(path: Path, role: str) -> None:
    error = await open_error(path, role=role)

    assert error.code == "store.absent"
    assert list(path.parent.iterdir()) == []


async def test_after_a_failed_open_the_file_is_free(path: Path) -> None:
    spoil(path)
    await open_error(path)
    remove(path)

    async with opened(path) as store:
        await store.probe()


@pytest.mark.parametrize("path", [":memory:", ""])
def test_a_path_that_is_none_leads_to_the_store_in_memory(path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SQLiteStore(path)

    assert "InMemoryStore" in caught.value.hint


@pytest.mark.parametrize("options", [{"synchronous": "maybe"}, {"role": "boss"}])
def test_a_word_that_is_none_is_refused(path: Path, options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="one of"):
        SQLiteStore(path, **options)


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    store = SQLiteStore(path)

    for call in (store.load_room("room"), store.probe(), store.find_conversation(("sms", "x"))):
        with pytest.raises(StoreError, match="not open") as caught:
            await call
        assert caught.value.code == "store.closed"
    assert store.failure is None


async def test_the_file_and_what_stands_beside_it_are_for_their_user_alone(path: Path, store: SQLiteStore) -> None:
    await store.probe()

    modes = {found.name: found.stat().st_mode & 0o777 for found in path.parent.iterdir()}

    assert modes == dict.fromkeys(("rooms.db", "rooms.db-wal", "rooms.db-shm", "rooms.db.lock"), 0o600)


# ------------------------------------------------------------------------------------------------------ at writing


async def test_a_full_disk_takes_nothing_that_was_acknowledged(store: SQLiteStore, writer: Writer) -> None:
    await set_pragma(store, "max_page_count = 1")  # SQLite takes the present size

    error = await failing(writer, "x" * 1_000_000)

    assert (error.code, error.retryable) == ("store.disk_full", True)
    assert store.failure is not None
    assert await bodies(store) == ["first"]
    await writer.say("second")  # a new connection has no such limit: there is room again
    assert store.failure is None
    assert await bodies(store) == ["first", "second"]


async def test_29_a_full_disk_fails_all_that_wait_for_the_same_transaction(store: SQLiteStore, writer: Writer) -> None:
    await set_pragma(store, "max_page_count = 1")
    small, large = (
        writer.batch(room_id=None, expected=None, kv={("plugin", name): Value(text)})
        for name, text in (("small", "1"), ("large", "x" * 1_000_000))
    )

    with held_up(store):
        tickets = [store.submit(changes) for changes in (small, large)]

    for ticket in tickets:
        with pytest.raises(StoreError) as caught:
            await ticket.wait()
        assert caught.value.code == "store.disk_full"
    assert await store.kv_get("plugin", "small") is None


async def test_a_file_that_must_not_be_written_is_read_only(store: SQLiteStore, writer: Writer) -> None:
    await set_pragma(store, "query_only = 1")

    error = await failing(writer)

    assert error.code == "store.read_only"
    assert await bodies(store) == ["first"]


async def test_a_file_that_another_process_holds_locked_is_locked(
    path: Path, store: SQLiteStore, writer: Writer
) -> None:
    await set_pragma(store, "busy_timeout = 20")
    with closing(connect(str(path), writes=True)) as other:
        other.execute("BEGIN IMMEDIATE")

        error = await failing(writer)

        assert (error.code, error.retryable) == ("store.locked", True)
        other.execute("ROLLBACK")
    await writer.say("second")
    assert await bodies(store) == ["first", "second"]


async def test_a_short_write_of_another_process_is_waited_for(path: Path, store: SQLiteStore, writer: Writer) -> None:
    with closing(connect(str(path), writes=True)) as other:
        other.execute("BEGIN IMMEDIATE")
        ticket = store.submit(writer.batch(events=(text_event("second"),)))
        other.execute("COMMIT")

    assert isinstance(await ticket.wait(), Committed)


async def test_a_value_beyond_the_limit_fails_alone(store: SQLiteStore, writer: Writer) -> None:
    large = writer.batch(room_id=None, expected=None, kv={("plugin", "large"): Value("x" * 100_000_001)})
    with held_up(store):
        tickets = [store.submit(large), store.submit(writer.batch(events=(text_event("second"),)))]

    with pytest.raises(StoreError) as caught:
        await tickets[0].wait()

    assert (caught.value.code, caught.value.retryable) == ("store.too_large", False)
    assert isinstance(await tickets[1].wait(), Committed)
    assert store.failure is None


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_was_removed_underneath_takes_no_more_writes(
    path: Path, store: SQLiteStore, writer: Writer, replaced: bool
) -> None:
    take_away(path, replace=replaced)

    error = await failing(writer)

    assert (error.code, error.retryable) == ("store.file_gone", False)
    assert store.failure is not None
    bring_back(path)
    await writer.say("second")
    assert store.failure is None


async def test_a_damaged_file_is_corrupt(path: Path) -> None:
    async with opened(path) as store:
        writer = Writer(store)
        await writer.create()
        await writer.say()
    damage(path, "events")

    assert check(str(path)) != []
    with pytest.raises(StoreError) as caught:
        async with opened(path) as store:
            await store.list_events("room")

    assert (caught.value.code, caught.value.retryable) == ("store.corrupt", False)


# ------------------------------------------------------------------------------------------------- other processes

FORK = """
import os, sys, anyio
from roomkit_core import SQLiteStore, StoreError
from roomkit_core.models.changes import ChangeSet

store = SQLiteStore(sys.argv[1])

async def begin():
    await store.open()
    await store.probe()

async def child():
    for call in (store.probe, lambda: store.load_room("x"), lambda: store.has_open(("a",)), store.open, store.close):
        try:
            await call()
            print("went through")
        except StoreError as error:
            print(error.code)
    try:
        store.submit(ChangeSet(None, "x", None))
    except StoreError as error:
        print(error.code, flush=True)

async def go_on():
    await store.probe()
    await store.close()
    print("the parent goes on")

anyio.run(begin, backend=sys.argv[2])
if not (pid := os.fork()):
    anyio.run(child, backend=sys.argv[2])
    os._exit(0)
os.waitpid(pid, 0)
anyio.run(go_on, backend=sys.argv[2])
"""


def test_a_child_process_cannot_use_the_store_of_its_parent(path: Path, anyio_backend: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, str(path), anyio_backend],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stdout.splitlines() == [*["store.forked"] * 6, "the parent goes on"], done.stderr
