"""One owner for a file, tools beside it, and what an owner finds that comes after a crash (PROTOCOL 4)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from roomkit_core.builtin.sqlite.check import check
from roomkit_core.builtin.sqlite.connection import create_file
from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.errors import StoreBusyError, StoreError, UnsupportedError
from roomkit_core.interfaces.store import Accepted
from roomkit_core.models.content import TextContent
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.work import WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.makers import Writer, delivery, get_row, text_event
from tests.support.sqlite import opened

IN_FLIGHT = WorkState.IN_FLIGHT

OWNER = """
import sys, anyio
from roomkit_core import SQLiteStore
from roomkit_core.models.work import WorkState
from roomkit_testkit.stores.makers import Writer, delivery

async def main():
    store = SQLiteStore(sys.argv[1])
    await store.open()
    writer = Writer(store)
    await writer.create()
    await writer.write(
        work=(
            delivery(("a",), row_id="quick", state=WorkState.IN_FLIGHT),
            delivery(("b",), row_id="quiet", state=WorkState.IN_FLIGHT, quiet=30_000_000),
        ),
        lease=3600.0,
    )
    print("ready", flush=True)
    await anyio.sleep_forever()

anyio.run(main)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rooms.db"


@pytest.fixture
async def owner(path: Path) -> AsyncIterator[SQLiteStore]:
    async with opened(path) as store:
        yield store


@pytest.fixture
def owning_process(path: Path) -> subprocess.Popen[str]:
    """Another process that owns the file and holds two rows for an hour."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


# ------------------------------------------------------------------------------------------------------- owners


async def test_a_second_owner_learns_who_the_first_is(path: Path, owner: SQLiteStore) -> None:
    with pytest.raises(StoreBusyError) as caught:
        await SQLiteStore(path).open()

    assert caught.value.code == "store.busy"
    assert f"process {os.getpid()} " in str(caught.value)
    assert "role='tool'" in caught.value.hint


async def test_an_owner_in_another_process_is_named_and_its_death_frees_the_file(
    path: Path, owning_process: subprocess.Popen[str]
) -> None:
    try:
        with pytest.raises(StoreBusyError, match=f"process {owning_process.pid} "):
            await SQLiteStore(path).open()
    finally:
        end(owning_process)

    async with opened(path) as store:
        assert await store.room_exists("room")


async def test_a_closed_store_is_free_and_can_be_opened_again(path: Path) -> None:
    store = SQLiteStore(path)
    for _ in range(2):
        await store.open()
        await store.probe()
        await store.close()
        async with opened(path) as other:
            await other.probe()
    assert sorted(found.name for found in path.parent.iterdir()) == ["rooms.db", "rooms.db.lock"]


async def test_what_a_killed_owner_held_is_free_at_once_but_for_its_quiet_time(
    path: Path, owning_process: subprocess.Popen[str]
) -> None:
    end(owning_process)
    clock = ManualClock()

    async with opened(path, clock=clock) as store:
        at_once = await store.claim("kit", lease=60.0, limit=10)
        clock.advance(29)
        too_early = await store.claim("kit", lease=60.0, limit=10)
        clock.advance(1)
        after = await store.claim("kit", lease=60.0, limit=10)

    assert [row.id for row in at_once] == ["quick"]
    assert (at_once[0].token, at_once[0].takeovers, at_once[0].maybe_sent) == (2, 1, True)
    assert too_early == []
    assert [row.id for row in after] == ["quiet"]


async def test_two_kits_on_one_store_keep_their_leases_when_the_second_opens_it(owner: SQLiteStore) -> None:
    writer = Writer(owner)
    await writer.create()
    await writer.write(work=(delivery(state=IN_FLIGHT),))

    await owner.open()

    assert await owner.claim("kit-2", lease=60.0, limit=10) == []


# -------------------------------------------------------------------------------------------------------- tools


async def test_a_tool_writes_beside_the_owner_and_each_sees_the_other(path: Path, owner: SQLiteStore) -> None:
    await Writer(owner).create()
    async with opened(path, role="tool") as tool:
        snapshot = await tool.load_room("room")
        assert snapshot is not None
        beside = Writer(tool)
        beside.version = snapshot.version
        event = await beside.say("from a command")

    assert await owner.get_event(event.id) == event


async def test_rows_that_a_tool_stores_are_never_claimed_by_it(path: Path, owner: SQLiteStore) -> None:
    await Writer(owner).create()
    async with opened(path, role="tool") as tool:
        beside = Writer(tool)
        snapshot = await tool.load_room("room")
        assert snapshot is not None
        beside.version = snapshot.version
        first, second = (delivery(state=IN_FLIGHT, row_id=name) for name in ("first", "second"))
        received = InboundMessage(channel_id="sms", sender_id="+1", content=TextContent(body="hi"))

        committed = await beside.write(events=(text_event(),), work=(first, second))
        accepted = await tool.accept(received, ("sms", "+1"), None, owner="tool", lease=60.0)
        with pytest.raises(UnsupportedError):
            await tool.claim("tool", lease=60.0, limit=1)

    assert committed.claims == ()
    assert isinstance(accepted, Accepted)
    assert accepted.claim is None
    row = await get_row(owner, "first")
    assert row is not None
    assert (row.state, row.token, row.owner) == (WorkState.PENDING, 0, None)
    claimed = await owner.claim("kit", lease=60.0, limit=10)
    assert [row.id for row in claimed] == ["first", accepted.id]


async def test_a_reader_reads_and_writes_nothing(path: Path, owner: SQLiteStore) -> None:
    await Writer(owner).create()
    async with opened(path, role="reader") as reader:
        assert await reader.room_exists("room")
        with pytest.raises(StoreError) as caught:
            await reader.probe()

    assert caught.value.code == "store.read_only"


async def test_a_tool_does_not_migrate(path: Path) -> None:
    create_file(str(path))

    with pytest.raises(StoreError) as caught:
        await SQLiteStore(path, role="tool").open()

    assert caught.value.code == "store.older_schema"


# ------------------------------------------------------------------------------------------------ kill and survive

WRITES = """
import sys, anyio
from roomkit_core import SQLiteStore
from roomkit_testkit.stores.makers import Writer

async def main():
    store = SQLiteStore(sys.argv[1])
    await store.open()

    async def write(room_id):
        writer = Writer(store, room_id=room_id)
        if not await store.room_exists(room_id):
            await writer.create()
        snapshot = await store.load_room(room_id)
        writer.version = snapshot.version
        while True:
            event = await writer.say()
            print(event.id, flush=True)

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(write, f"room-{number}")

anyio.run(main, backend=sys.argv[2])
"""


def test_whatever_was_acknowledged_survives_a_kill(path: Path, anyio_backend: str) -> None:
    acknowledged: list[str] = []
    for lines in (40, 300, 7):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITES), str(path), anyio_backend], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged += [process.stdout.readline().strip() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=30)
        acknowledged += rest.splitlines()[:-1]  # the last line may be cut

    async def missing() -> list[str]:
        async with opened(path) as store:
            return [event_id for event_id in acknowledged if await store.get_event(event_id) is None]

    assert len(acknowledged) >= 347
    assert anyio.run(missing) == []
    assert check(str(path)) == []
