"""Migrations: numbered, checked, each all or nothing; nothing is dropped (T33)."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from roomkit_core.builtin.sqlite.connection import connect, create_file
from roomkit_core.builtin.sqlite.migrations import migrate, pending, plan_migrations
from roomkit_core.builtin.sqlite.schema import APPLICATION_ID, MIGRATIONS, Migration
from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.errors import StoreError
from roomkit_testkit.stores.makers import Writer, claim, delivery, get_row
from roomkit_testkit.stores.outcomes import sent
from tests.support.sqlite import opened

COLOURS = Migration(
    len(MIGRATIONS) + 1, "colours", ("CREATE TABLE colours (name TEXT)", "INSERT INTO colours VALUES (1)")
)
SHAPES = Migration(len(MIGRATIONS) + 2, "shapes", ("CREATE TABLE shapes (name TEXT)",))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "rooms.db")


@pytest.fixture
def db(path: str) -> sqlite3.Connection:
    """A file of the present schema."""
    create_file(path)
    connection = connect(path, writes=True)
    migrate(connection, path, 7)
    return connection


def tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def test_a_new_file_gets_everything_and_says_what_it_is(path: str, db: sqlite3.Connection) -> None:
    applied = db.execute("SELECT number, name, checksum, applied_at FROM migrations").fetchall()

    assert applied == [(step.number, step.name, step.checksum, 7) for step in MIGRATIONS]
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert pending(db, path) == []
    db.close()


def test_migrations_are_numbered_from_one_without_a_gap_and_drop_nothing() -> None:
    assert [step.number for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    for step in MIGRATIONS:
        for statement in step.statements:
            assert not {"DROP", "DELETE"} & set(statement.upper().split())


def test_what_is_pending_is_applied_once_and_in_order(path: str, db: sqlite3.Connection) -> None:
    known = (*MIGRATIONS, COLOURS, SHAPES)

    assert pending(db, path, known) == [COLOURS, SHAPES]
    assert migrate(db, path, 8, known) == [COLOURS, SHAPES]
    assert migrate(db, path, 9, known) == []

    assert {"colours", "shapes"} < tables(db)
    assert db.execute("SELECT count(*) FROM colours").fetchone() == (1,)
    db.close()


def test_a_plan_shows_what_would_be_done_and_does_nothing(path: str, tmp_path: Path) -> None:
    assert plan_migrations(path) == list(MIGRATIONS)
    assert list(tmp_path.iterdir()) == []
    create_file(path)
    assert plan_migrations(path) == list(MIGRATIONS)
    with closing(connect(path, writes=True)) as db:
        assert tables(db) == set()
        migrate(db, path, 0)

    assert plan_migrations(path) == []


async def test_a_file_of_the_first_schema_keeps_what_is_in_it(path: str) -> None:
    create_file(path)
    with closing(connect(path, writes=True)) as db:
        migrate(db, path, 0, MIGRATIONS[:1])
        db.execute("INSERT INTO early_receipts (channel_id, name, rank, at) VALUES ('sms', 'SM1', 'delivered', 7)")

    async with opened(Path(path)) as store:
        writer = Writer(store)
        await writer.create()
        await writer.commit(work=(delivery(row_id="row"),))
        [held] = await claim(store, "kit")
        await store.settle(held.id, held.token, sent("SM1"))
        row = await get_row(store, "row")

    assert row is not None
    assert (row.receipt_rank, row.receipt_at) == ("delivered", None)


async def test_a_row_of_the_second_schema_lost_nothing_that_anybody_knows_of(path: str) -> None:
    create_file(path)
    with closing(connect(path, writes=True)) as db:
        migrate(db, path, 0, MIGRATIONS[:2])
        db.execute(
            "INSERT INTO work (id, kind, channel_id, provider_key, state, seq, token, attempts, takeovers, maybe_sent, "
            "parts_done, cancel, receipt_rank, created_at, quiet, payload) "
            "VALUES ('row', 'delivery', 'sms', 'row', 'pending', 1, 0, 0, 0, 0, 0, 0, 'none', 7, 0, ?)",
            ('[["text", "hi"]]',),
        )

    async with opened(Path(path)) as store:
        row = await get_row(store, "row")

    assert row is not None
    assert (row.payload, row.loss) == ((("text", "hi"),), ())


async def test_a_file_of_a_newer_release_is_refused(path: str) -> None:
    async with opened(Path(path)) as store:
        await Writer(store).create()
    with closing(connect(path, writes=True)) as db:
        migrate(db, path, 0, (*MIGRATIONS, COLOURS))

    for role in ("owner", "tool", "reader"):
        with pytest.raises(StoreError) as caught:
            await SQLiteStore(path, role=role).open()
        assert (caught.value.code, caught.value.retryable) == ("store.newer_schema", False)


def test_a_migration_that_was_changed_after_its_release_is_found_out(path: str, db: sqlite3.Connection) -> None:
    first, *rest = MIGRATIONS
    other = first._replace(statements=(*first.statements, "CREATE TABLE more (name TEXT)"))

    with pytest.raises(StoreError) as caught:
        pending(db, path, (other, *rest))

    assert caught.value.code == "store.changed_schema"
    db.close()


def test_a_migration_that_fails_leaves_the_state_before_it(path: str, db: sqlite3.Connection) -> None:
    broken = SHAPES._replace(statements=("CREATE TABLE shapes (name TEXT)", "CREATE TABLE shapes (name TEXT)"))

    with pytest.raises(StoreError, match="shapes already exists"):
        migrate(db, path, 0, (*MIGRATIONS, COLOURS, broken))

    assert "colours" in tables(db)
    assert "shapes" not in tables(db)
    assert pending(db, path, (*MIGRATIONS, COLOURS, SHAPES)) == [SHAPES]
    db.close()


KILLED = """
import os, signal, sys
from roomkit_core.builtin.sqlite import migrations as sqlite_migrations
from roomkit_core.builtin.sqlite.connection import connect, create_file

path, at = sys.argv[1], int(sys.argv[2])
create_file(path)
db = connect(path, writes=True)
seen = 0

def count(statement):
    global seen
    seen += 1
    if seen == at:
        os.kill(os.getpid(), signal.SIGKILL)

db.set_trace_callback(count)
sqlite_migrations.migrate(db, path, 0)
db.set_trace_callback(None)
print(seen)
"""


def test_a_kill_at_any_statement_leaves_the_old_state_or_the_new(path: str, tmp_path: Path) -> None:
    def run(path: str, at: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", KILLED, path, str(at)], capture_output=True, text=True, timeout=30, check=False
        )

    statements = int(run(path, 0).stdout)

    for at in {1, 2, 3, 4, 5, statements // 2, statements - 2, statements - 1, statements}:
        killed = str(tmp_path / f"{at}.db")
        assert run(killed, at).returncode == -9
        assert plan_migrations(killed) in [list(MIGRATIONS[done:]) for done in range(len(MIGRATIONS) + 1)]
        with closing(connect(killed, writes=True)) as db:
            migrate(db, killed, 0)
            assert pending(db, killed) == []
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
