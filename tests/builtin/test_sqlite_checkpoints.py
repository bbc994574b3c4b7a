"""The write-ahead log is brought in when the answers are out, and does not grow for ever."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from roomkit_core.builtin.sqlite import checkpoints as sqlite_checkpoints
from roomkit_core.builtin.sqlite.connection import connect
from roomkit_core.models.changes import Value
from roomkit_testkit.stores.makers import Writer
from tests.support.sqlite import Statements, opened


def size(path: Path) -> int:
    return path.stat().st_size


async def write(writer: Writer, count: int, text: str = "1") -> None:
    for number in range(count):
        await writer.write(room_id=None, expected=None, kv={("plugin", str(number)): Value(text)})


async def test_the_log_is_brought_in_after_so_many_pages_and_never_in_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_checkpoints, "EVERY_PAGES", 70)
    async with opened(tmp_path / "rooms.db") as store:
        writer = Writer(store)
        await write(writer, 1)
        statements = Statements(store)

        await write(writer, 25)
        await store.probe()

    checkpoints = [place for place, text in enumerate(statements.seen) if "wal_checkpoint(PASSIVE)" in text]
    assert len(checkpoints) == 2
    assert all(statements.seen[place - 1] == "COMMIT" for place in checkpoints)


async def test_a_log_that_grew_is_cut_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_checkpoints, "EVERY_PAGES", 70)
    monkeypatch.setattr(sqlite_checkpoints, "LARGE_LOG_BYTES", 200_000)
    async with opened(tmp_path / "rooms.db") as store:
        await write(Writer(store), 40, "x" * 50_000)
        await store.probe()

        assert size(tmp_path / "rooms.db-wal") < 1_500_000 < size(tmp_path / "rooms.db")


async def test_a_reader_in_the_middle_of_a_page_holds_up_no_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_checkpoints, "EVERY_PAGES", 30)
    monkeypatch.setattr(sqlite_checkpoints, "LARGE_LOG_BYTES", 1_000)
    async with opened(tmp_path / "rooms.db") as store:
        writer = Writer(store)
        await writer.create()
        await writer.say("before")

        with closing(connect(store.path, writes=False)) as reader:
            reader.execute("BEGIN")
            before = reader.execute("SELECT count(*) FROM events").fetchone()
            for number in range(30):
                await writer.say(str(number))
            after = reader.execute("SELECT count(*) FROM events").fetchone()

        assert before == after == (1,)
        assert await store.get_event_count("room") == 31
        assert store.failure is None
