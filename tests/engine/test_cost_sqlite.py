"""What a message to a kit costs on SQLite, whatever its store holds: counted in steps and statements, never in time.

What each call of the store costs by itself stands in ``tests/builtin/test_sqlite_cost.py``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from roomkit_core import RoomKit, RoomTimers, SQLiteStore, WorkKind
from roomkit_core.builtin.sqlite.rows import COLUMNS
from roomkit_core.models.ids import new_id
from tests.support.channels import LiveProbe, ScriptedChannel, message
from tests.support.kits import make_room, open_kit
from tests.support.sqlite import NUMBERS, Statements, Steps, add_events, file_of, held_up, in_writer
from tests.support.still import StillClock

ROOMS = 100

Deed = Callable[[], Awaitable[Any]]


@pytest.fixture
def anyio_backend() -> str:
    """What SQLite does is the same on every loop."""
    return "asyncio"


@asynccontextmanager
async def kit_on(path: Path, *channels: Any, clock: StillClock | None = None) -> AsyncIterator[tuple[RoomKit, Any]]:
    """A kit on a new file, in which time stands still, and its store."""
    clock = clock or StillClock()
    store = SQLiteStore(path, clock=clock, synchronous="off")
    async with open_kit(*channels, store=store, clock=clock) as kit:
        yield kit, store


async def rest(kit: RoomKit) -> None:
    """Return when no task of the kit runs. Without the look at all rows by which ``kit.idle()`` counts what waits."""
    await kit._engine.ports.background.quiet()


def exchange(kit: RoomKit, is_keyed: bool = False) -> Deed:
    """A message to the room "room", with all that follows from it."""

    async def say() -> None:
        key = {"idempotency_key": new_id()} if is_keyed else {}
        result = await kit.process_inbound(message(channel_id="in", **key), room_id="room")
        assert not result.blocked
        await rest(kit)

    return say


# ------------------------------------------------------------------------------------------------------------ messages


@pytest.mark.parametrize("kind", ["plain", "keyed", "owed", "page"])
@pytest.mark.parametrize("large", [100_000, pytest.param(1_000_000, marks=pytest.mark.prove)])
async def test_a_message_costs_the_same_steps_and_statements_with_any_number_of_events(
    tmp_path: Path, kind: str, large: int
) -> None:
    target = ScriptedChannel("out") if kind == "owed" else LiveProbe("out")
    async with kit_on(tmp_path / "rooms.db", LiveProbe("in"), target) as (kit, store):
        await make_room(kit, "room", "in", "out")
        say = exchange(kit, is_keyed=kind != "plain")
        deed = say if kind != "page" else partial(kit.get_timeline, "room", limit=50)
        await say()
        costs = []

        for size in (1_000, large):
            await add_events(store, size - await store.get_event_count("room"))
            assert await store.get_event_count("room") == size
            statements = Statements(store)
            steps = Steps(store)
            costs.append((await steps.of(deed), len(statements.seen)))

        assert costs[0] == costs[1]
        assert costs[0][0] > 0
        assert kind != "owed" or len(target.sent) == 5


async def test_each_message_takes_the_same_few_statements(tmp_path: Path) -> None:
    counts: dict[str, set[int]] = {"plain": set(), "keyed": set(), "owed": set()}
    async with kit_on(tmp_path / "rooms.db", LiveProbe("in"), LiveProbe("out"), ScriptedChannel("post")) as (
        kit,
        store,
    ):
        await make_room(kit, "room", "in", "out")
        await exchange(kit)()
        statements = Statements(store)

        for kind, is_keyed in (("plain", False), ("keyed", True), ("owed", True)):
            if kind == "owed":
                await kit.attach_channel("room", "post")
                await exchange(kit)()
            for _ in range(20):
                before = len(statements.seen)
                await exchange(kit, is_keyed)()
                counts[kind].add(len(statements.seen) - before)

    # Two of the transaction, two of the savepoint; event and head; the key; then the row, and its end in another one.
    assert counts["plain"] == {6}
    assert counts["keyed"] == {7}
    assert len(counts["owed"]) == 1
    assert max(counts["owed"]) <= 20


async def test_a_message_takes_no_look_at_the_journal_and_an_owed_one_none_at_what_is_due(tmp_path: Path) -> None:
    async with kit_on(tmp_path / "rooms.db", LiveProbe("in"), ScriptedChannel("out")) as (kit, store):
        await make_room(kit, "room", "in", "out")
        await exchange(kit)()
        asked: list[str] = []
        file_of(store).readers._own.set_trace_callback(asked.append)

        for _ in range(3):
            await exchange(kit)()

        assert asked == []


async def test_messages_of_many_rooms_share_a_transaction(tmp_path: Path) -> None:
    async with kit_on(tmp_path / "rooms.db", LiveProbe("in"), LiveProbe("out")) as (kit, store):
        names = [f"room-{number}" for number in range(ROOMS)]
        for name in names:
            await make_room(kit, name, "in", "out")
        statements = Statements(store)

        async with anyio.create_task_group() as group:
            with held_up(store):
                for name in names:
                    group.start_soon(partial(kit.process_inbound, message(channel_id="in"), room_id=name))
                while len(file_of(store)._writer._open.requests) < ROOMS:
                    await anyio.lowlevel.checkpoint()

        assert statements.count("COMMIT") == 2  # of what held it up, and of all the others
        assert statements.count("INSERT INTO events") == ROOMS


# ---------------------------------------------------------------------------------------------------------- what waits


async def test_a_delivery_costs_the_same_with_a_hundred_and_with_a_hundred_thousand_rows_behind_a_head_in_back_off(
    tmp_path: Path,
) -> None:
    post = ScriptedChannel("out", lambda delivery: "later" if delivery.event.room_id == "slow" else "send")
    async with kit_on(tmp_path / "rooms.db", LiveProbe("in"), post) as (kit, store):
        await make_room(kit, "room", "in", "out")
        await make_room(kit, "slow", "in", "out")
        for _ in range(2):
            await kit.process_inbound(message(channel_id="in"), room_id="slow")
        await kit.idle()
        costs = []

        for more in (100, 99_900):
            await add_queued(store, "slow", more)
            costs.append(await Steps(store).of(exchange(kit)))

        assert costs[0] == costs[1] > 0
        assert [delivery.event.room_id for delivery in post.sent] == ["room"] * 4


async def add_queued(store: SQLiteStore, room_id: str, count: int) -> None:
    """Copies of the room's newest row, behind it in its lane."""
    copied = COLUMNS.replace("id, ", "", 1).replace("seq, ", "", 1)

    def copy(db: sqlite3.Connection) -> None:
        (last,) = db.execute("SELECT max(seq) FROM work WHERE room_id = ?", (room_id,)).fetchone()
        db.execute(
            f"""INSERT INTO work (id, ready, {copied}) {NUMBERS}
            SELECT 'copy-' || (n + seq), ready, {copied} FROM numbers, work WHERE seq = ?""",
            (count, last),
        )

    await in_writer(store, copy)


async def test_a_timer_that_is_due_costs_the_same_among_ten_rooms_and_among_ten_thousand(tmp_path: Path) -> None:
    hour, clock, costs = 3600.0, StillClock(), []
    async with kit_on(tmp_path / "rooms.db", clock=clock) as (kit, store):
        for number in range(1, 11):
            timers = RoomTimers(closed_after_seconds=number * hour if number < 10 else 1_000 * hour)
            await kit.create_room(f"room-{number}", timers=timers)
        ended = anyio.Event()

        @kit.on("room_closed")
        def note(_: Any) -> None:
            ended.set()

        async def let_one_end() -> None:
            nonlocal ended
            ended = anyio.Event()
            clock.advance(hour + 0.01)
            with anyio.fail_after(20):
                await ended.wait()
            await rest(kit)

        for more in (0, 9_990):
            await add_timers(store, "room-10", more)
            costs.append(await Steps(store).of(let_one_end))

        assert costs[0] == costs[1] > 0


async def add_timers(store: SQLiteStore, room_id: str, count: int) -> None:
    """Rooms like this one, each with its timer, which is far away."""
    copied = COLUMNS
    for name, value in {"id": "id || n", "seq": "NULL", "room_id": "room_id || n", "lane": "lane || n"}.items():
        copied = ", ".join(value if column == name else column for column in copied.split(", "))

    def copy(db: sqlite3.Connection) -> None:
        db.execute(
            f"""INSERT INTO work ({COLUMNS}, ready) {NUMBERS}
            SELECT {copied}, ready FROM numbers, work WHERE room_id = ? AND kind = ?""",
            (count, room_id, WorkKind.TIMER.value),
        )
        for table in ("rooms", "heads"):
            columns = ", ".join(row[1] for row in db.execute(f"PRAGMA table_info({table})"))
            changed = columns.replace("room_id", "room_id || n")
            db.execute(
                f"INSERT INTO {table} ({columns}) {NUMBERS} SELECT {changed} FROM numbers, {table} WHERE room_id = ?",
                (count, room_id),
            )

    if count:
        await in_writer(store, copy)
