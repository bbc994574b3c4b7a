"""Backups of a store in use, putting one back, and the check that says whether a file is sound."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from roomkit_core.builtin.sqlite.check import check
from roomkit_core.builtin.sqlite.copies import backup, restore
from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.errors import StoreBusyError, StoreError
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.changes import Value
from roomkit_core.models.task import Task
from roomkit_core.models.work import Outcome, WorkState
from roomkit_testkit.stores.makers import Writer, binding, decided, delivery, person, text_event
from tests.support.sqlite import in_writer, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rooms.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copies" / "rooms.backup"


@pytest.fixture
async def store(path: Path, copy: Path) -> AsyncIterator[SQLiteStore]:
    """A store with something of everything in it."""
    copy.parent.mkdir()
    async with opened(path) as store:
        writer = Writer(store)
        await writer.create(bindings={"sms": binding(participant_id="ada")}, participants={"ada": person()})
        await writer.write(
            events=(text_event("first"),),
            claims=(("sms", "+1"),),
            keys=(decided("SM1"),),
            tasks=(Task(room_id="room", title="call"),),
            kv={("plugin", "x"): Value("1")},
            work=(delivery(row_id="held", state=WorkState.IN_FLIGHT), delivery(row_id="queued")),
        )
        await store.settle("held", 1, Outcome(WorkState.FAILED, "x", "y", ("SM2",)))
        yield store


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def spoil(path: Path) -> None:
    path.write_bytes(b"nothing that was ever a store" * 1_000)


def names(folder: Path) -> list[str]:
    return sorted(found.name for found in folder.iterdir())


async def test_a_backup_is_one_sound_file_with_everything_in_it(store: SQLiteStore, copy: Path) -> None:
    await store.backup(str(copy))

    assert names(copy.parent) == ["rooms.backup"]
    assert check(str(copy)) == []
    async with opened(copy) as again:
        assert await again.load_room("room", tail=5) == await store.load_room("room", tail=5)
        assert await again.list_work(WorkFilter()) == await store.list_work(WorkFilter())
        assert await again.work_history("held") == await store.work_history("held")
        assert await again.kv_get("plugin", "x") == "1"


async def test_a_backup_is_consistent_while_the_store_is_written_to(store: SQLiteStore, copy: Path) -> None:
    is_over = anyio.Event()

    async def write(room_id: str) -> None:
        writer = Writer(store, room_id=room_id)
        await writer.create()
        while not is_over.is_set():
            await writer.write(events=(text_event(room_id=room_id), text_event(room_id=room_id)))

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(write, f"room-{number}")
        for _ in range(5):
            await store.backup(str(copy))
            assert check(str(copy)) == []
            async with opened(copy, role="reader") as reader:
                counts = [await reader.get_event_count(f"room-{number}") for number in range(5)]
            assert all(count % 2 == 0 for count in counts)
        is_over.set()


async def test_a_backup_has_the_permissions_of_its_source(store: SQLiteStore, path: Path, copy: Path) -> None:
    for permissions in (0o600, 0o640):
        path.chmod(permissions)  # noqa: ASYNC240
        await store.backup(str(copy))
        assert mode(copy) == permissions


async def test_a_backup_that_fails_leaves_what_was_there(store: SQLiteStore, copy: Path) -> None:
    await store.backup(str(copy))
    with pytest.raises(StoreError) as caught:
        await store.backup(str(copy.parent / "nowhere" / "rooms.backup"))
    assert caught.value.code == "store.io"

    with pytest.raises(StoreError):
        backup(str(copy.parent / "no such store"), str(copy))

    assert names(copy.parent) == ["rooms.backup"]
    assert check(str(copy)) == []


async def test_a_restored_store_is_as_the_backup_was_and_the_former_one_is_kept(
    path: Path, copy: Path, store: SQLiteStore
) -> None:
    await store.backup(str(copy))
    await Writer(store, room_id="later").create()
    await store.close()

    restore(str(copy), str(path))

    assert mode(path) == 0o600
    async with opened(path) as again:
        assert await again.room_exists("room")
        assert not await again.room_exists("later")
    async with opened(path.with_name("rooms.db.before-restore"), role="reader") as former:
        assert await former.room_exists("later")


async def test_a_restored_store_has_a_write_ahead_log_again(path: Path, copy: Path, store: SQLiteStore) -> None:
    await store.backup(str(copy))
    await store.close()
    restore(str(copy), str(path))

    async with opened(path) as again:
        assert await in_writer(again, lambda db: db.execute("PRAGMA journal_mode").fetchone()) == ("wal",)


async def test_a_damaged_store_is_set_aside_by_a_restore(path: Path, copy: Path, store: SQLiteStore) -> None:
    await store.backup(str(copy))
    await store.close()
    spoil(path)

    restore(str(copy), str(path))

    assert check(str(path)) == []
    assert names(path.parent) == ["copies", "rooms.db", "rooms.db.before-restore", "rooms.db.lock"]


async def test_a_store_that_a_tool_has_open_is_not_restored_over(path: Path, copy: Path, store: SQLiteStore) -> None:
    await store.backup(str(copy))
    await Writer(store, room_id="later").create()
    await store.close()
    async with opened(path, role="tool") as tool:
        await tool.load_room("later")

        with pytest.raises(StoreError) as caught:
            restore(str(copy), str(path))

        assert caught.value.code == "store.locked"
        assert await tool.room_exists("later")


async def test_a_store_in_use_is_not_restored_over(path: Path, copy: Path, store: SQLiteStore) -> None:
    await store.backup(str(copy))

    with pytest.raises(StoreBusyError):
        restore(str(copy), str(path))

    assert await store.room_exists("room")


async def test_what_is_no_backup_is_not_restored(path: Path, tmp_path: Path, store: SQLiteStore) -> None:
    await store.close()
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")

    with pytest.raises(StoreError) as caught:
        restore(str(tmp_path / "other.db"), str(path))

    assert caught.value.code == "store.foreign"
    assert check(str(path)) == []


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM events", "counter of events"),
        ("UPDATE events SET place = 5", "counter of events"),
        ("DELETE FROM heads", "rooms without a head"),
        ("DELETE FROM rooms", "heads without a room"),
        ("INSERT INTO tasks VALUES ('x', 'gone', 0, '')", "tasks that belong to no room"),
        ("DELETE FROM work WHERE id = 'held'", "belong to no row"),
        ("UPDATE work SET settled_at = NULL WHERE id = 'held'", "open and settled at once"),
        ("UPDATE work SET ready = 1 WHERE id = 'held'", "settled rows that could be claimed"),
        ("UPDATE work SET state = 'in_flight' WHERE id = 'queued'", "without a lease"),
        ("UPDATE work SET ready = NULL WHERE id = 'queued'", "cannot be claimed"),
        (
            "UPDATE work SET state = 'unknown', settled_at = NULL, ready = 1 WHERE id = 'held'",
            "behind the head of their lane",
        ),
    ],
)
async def test_a_check_finds_what_does_not_fit(store: SQLiteStore, path: Path, damage: str, found: str) -> None:
    await store.close()
    assert check(str(path)) == []
    with closing(sqlite3.connect(path)) as db:
        db.execute(damage)
        db.commit()

    assert any(found in line for line in check(str(path)))
