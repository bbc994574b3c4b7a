"""What things cost, counted in steps of SQLite's machine and in statements; the same whatever has piled up (T28)."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from roomkit_core.builtin.sqlite import claims as sqlite_claims
from roomkit_core.builtin.sqlite.rows import COLUMNS
from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.interfaces.store import Cutoffs, WorkFilter
from roomkit_core.models.changes import ChangeSet, KeyResult
from roomkit_core.models.packing import pack_event
from roomkit_core.models.work import OPEN_STATES, Outcome, WorkState
from roomkit_testkit.stores.makers import AGAIN, SENT, Writer, binding, delivery, key, text_event
from tests.support.sqlite import NUMBERS, Statements, Steps, add_events, held_up, in_writer, opened

IN_FLIGHT = WorkState.IN_FLIGHT


@pytest.fixture
def anyio_backend() -> str:
    """What SQLite does is the same on every loop."""
    return "asyncio"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    async with opened(tmp_path / "rooms.db", synchronous="off") as store:
        yield store


@pytest.fixture
async def writer(store: SQLiteStore) -> Writer:
    """A writer for a room with one event and a binding."""
    writer = Writer(store)
    await writer.create(bindings={"sms": binding()})
    await writer.say()
    return writer


async def add_rows(store: SQLiteStore, row_id: str, count: int) -> None:
    """Copies of a row of work, in one statement."""
    copied = COLUMNS.replace("id, ", "", 1).replace("seq, ", "", 1)

    def copy(db: sqlite3.Connection) -> None:
        db.execute(
            f"""INSERT INTO work (id, ready, {copied}) {NUMBERS}
            SELECT printf('%s-%08d', id, n), ready, {copied} FROM numbers, work WHERE id = ?""",
            (count, row_id),
        )

    await in_writer(store, copy)


def message(writer: Writer, index: int, **parts: Any) -> ChangeSet:
    event = text_event(index=index, room_id=writer.room_id)
    return writer.batch(events=(event,), packed=(pack_event(event),), is_plain=not parts, **parts)


# ------------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("kind", ["plain", "with key, delivery and receipt"])
async def test_a_message_costs_the_same_with_a_thousand_events_and_with_a_hundred_thousand(
    store: SQLiteStore, writer: Writer, kind: str
) -> None:
    size = 1
    costs = []

    async def exchange() -> None:
        nonlocal size
        row = delivery(state=IN_FLIGHT, event_id="x", correlation_id="y", expires_at=2**60)
        parts: dict[str, Any] = (
            {} if kind == "plain" else {"work": (row,), "keys": ((key(row.id), KeyResult("room", "x")),)}
        )
        await writer.submit(message(writer, size, **parts))
        size += 1
        if parts:
            assert await store.settle(row.id, 1, Outcome(WorkState.SENT, provider_ids=(row.id,)))

    for total in (1_000, 100_000):
        await add_events(store, total - size)
        size = total
        costs.append(await Steps(store).of(exchange))

    assert costs[0] == costs[1] > 0
    assert await store.get_event_count("room") == size


@pytest.mark.parametrize(
    "read",
    [
        lambda store: store.load_room("room", tail=50),
        lambda store: store.timeline("room", 500, 50),
        lambda store: store.heads(["room"]),
        lambda store: store.list_events("room", newest_first=True),
        lambda store: store.list_events("room", 400, 50),
        lambda store: store.list_events("room", before_index=900),
        lambda store: store.get_event("bulk-00000500"),
        lambda store: store.find_rooms(),
        lambda store: store.find_room_ids_by_channel("sms"),
    ],
    ids=["snapshot", "gap", "head", "newest", "offset", "before", "event", "rooms", "channel"],
)
async def test_a_read_costs_the_same_with_a_thousand_events_and_with_twenty_thousand(
    store: SQLiteStore, writer: Writer, read: Callable[[SQLiteStore], Awaitable[Any]]
) -> None:
    costs = []

    for more in (1_000, 19_000):
        await add_events(store, more)
        costs.append(await Steps(store).of(lambda: read(store)))

    assert costs[0] == costs[1] > 0


async def test_a_message_is_two_statements_of_its_own_however_many_share_the_transaction(store: SQLiteStore) -> None:
    counts = []

    for size in (10, 60):
        writers = [Writer(store, room_id=f"room-{size}-{number}") for number in range(size)]
        for writer in writers:
            await writer.create()
        statements = Statements(store)
        with held_up(store):
            tickets = [store.submit(message(writer, 0)) for writer in writers]
        for ticket in tickets:
            await ticket.wait()
        counts.append(len(statements.seen))

    assert counts[1] - counts[0] == 2 * 50


# ---------------------------------------------------------------------------------------------------------- claims


@pytest.mark.parametrize(("by", "rows"), [("channel", 100_000), ("lane", 20_000), ("anything", 20_000)])
async def test_a_claim_costs_the_same_with_ten_and_with_a_hundred_thousand_rows_behind_a_head_in_back_off(
    store: SQLiteStore, writer: Writer, by: str, rows: int
) -> None:
    slow, quick = ("room", "slow"), ("room", "quick")
    await writer.owe(
        delivery(slow, row_id="head", state=IN_FLIGHT),
        delivery(slow, row_id="queued"),
        *(delivery(quick, row_id=f"due-{number}") for number in range(9)),
    )
    await store.settle("head", 1, AGAIN, due_in=3600)
    options: dict[str, Any] = {
        "channel": {"channels": ["sms"], "kinds": ["delivery"]},
        "lane": {"lanes": [slow, quick]},
        "anything": {},
    }[by]
    claimed = []

    async def exchange() -> None:
        (row,) = await store.claim("kit", lease=60.0, limit=10, **options)
        claimed.append(row.id)
        await store.settle(row.id, row.token, SENT)

    costs = []
    for more in (10, rows):
        await add_rows(store, "queued", more)
        await in_writer(store, lambda db: db.execute("UPDATE work SET id = 'queued-' || seq WHERE id LIKE 'queued-%'"))
        costs.append(await Steps(store).of(exchange))

    assert costs[0] == costs[1] > 0
    assert claimed == [f"due-{number}" for number in range(4)]


async def test_nothing_to_claim_costs_a_probe_and_no_transaction(store: SQLiteStore, writer: Writer) -> None:
    await writer.owe(delivery(row_id="head", state=IN_FLIGHT), delivery(row_id="queued"))
    await add_rows(store, "queued", 100_000)
    statements = Statements(store)

    steps = await Steps(store).of(
        lambda: store.claim("kit", lease=60.0, limit=10, channels=["sms"], kinds=["delivery"])
    )

    assert statements.seen == []
    assert steps < 30


async def test_letting_a_lane_go_on_costs_the_same_however_many_wait(store: SQLiteStore, writer: Writer) -> None:
    await writer.owe(delivery(row_id="head", state=IN_FLIGHT), *(delivery(row_id=f"queued-{n}") for n in range(6)))
    costs = []

    async def exchange() -> None:
        (row,) = await store.claim("kit", lease=60.0, limit=1)
        assert await store.settle(row.id, row.token, SENT)

    await store.settle("head", 1, SENT)
    for more in (10, 20_000):
        await add_rows(store, "queued-5", more) if more == 10 else await add_rows(store, "queued-4", more)
        costs.append(await Steps(store).of(exchange))

    assert costs[0] == costs[1] > 0


# ----------------------------------------------------------------------------------------------------- maintenance


@pytest.mark.parametrize(
    "where",
    [
        {"row_id": "one"},
        {"event_id": "e1"},
        {"correlation_id": "c1"},
        {"retry_of": "r1"},
        {"lane": ("one",)},
        {"name": "SM1"},
        {"name": "one"},
        {"room_id": "other"},
        {"states": frozenset({WorkState.FAILED})},
        {"states": OPEN_STATES},
    ],
    ids=lambda where: next(iter(where)),
)
async def test_rows_are_found_without_a_look_at_the_others(
    store: SQLiteStore, writer: Writer, where: dict[str, Any]
) -> None:
    names = {"event_id": "e1", "correlation_id": "c1", "retry_of": "r1", "room_id": "other"}
    await writer.owe(
        delivery(("one",), row_id="one", state=IN_FLIGHT, **names),
        delivery(("two",), row_id="done", state=WorkState.DONE, event_id="e2", correlation_id="c2", retry_of="r2"),
        delivery(("three",), row_id="failed", state=WorkState.FAILED),
    )
    await store.settle("one", 1, Outcome(IN_FLIGHT, provider_ids=("SM1",)))
    costs = []

    for more in (10, 20_000):
        await add_rows(store, "done", more) if more == 10 else await add_rows(store, "done-00000001", more)
        costs.append(await Steps(store).of(lambda: store.list_work(WorkFilter(**where))))

    assert costs[0] == costs[1] > 0


async def test_looking_for_what_expired_and_for_what_is_old_costs_the_same_where_there_is_none(
    store: SQLiteStore, writer: Writer
) -> None:
    await writer.owe(
        delivery(("two",), row_id="done", state=WorkState.DONE),
        delivery(("three",), row_id="failed", state=WorkState.FAILED),
        delivery(("four",), row_id="open", expires_at=2**60),
    )
    await writer.write(keys=((key("SM1"), KeyResult("room", None)),))
    expiries, purges = [], []

    for more in (10, 20_000):
        for row_id in ("done", "failed") if more == 10 else ("done-00000001", "failed-00000001"):
            await add_rows(store, row_id, more)
        steps = Steps(store)
        expiries.append(await steps.of(lambda: store.expire(1)))
        purges.append(await steps.of(lambda: store.purge(Cutoffs(1, 1, 1, 1, 1))))

    assert expiries[0] == expiries[1] > 0
    assert purges[0] == purges[1] > 0


# ----------------------------------------------------------------------------------------------------------- plans


async def plan(store: SQLiteStore, statement: str, values: tuple[Any, ...]) -> str:
    found = await in_writer(store, lambda db: db.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall())
    return "; ".join(row[-1] for row in found)


async def test_a_claim_is_one_search_of_one_index_without_sorting(store: SQLiteStore) -> None:
    by_time = await plan(store, sqlite_claims._READY, ("delivery", "sms", 0, 1))
    by_lane = await plan(store, sqlite_claims._LANE_HEAD, ("lane",))
    queues = await plan(store, sqlite_claims._NEXT_CHANNEL, ("delivery", ""))
    soonest = await plan(store, sqlite_claims._SOONEST, ("delivery", "sms"))

    assert by_time == "SEARCH work USING INDEX work_ready (kind=? AND channel_id=? AND ready<?)"
    assert by_lane == "SEARCH work USING INDEX work_by_lane (lane=? AND settled_at=?)"
    assert queues == "SEARCH work USING COVERING INDEX work_ready (kind=? AND channel_id>?)"
    assert soonest == "SEARCH work USING COVERING INDEX work_ready (kind=? AND channel_id=? AND ready>?)"
