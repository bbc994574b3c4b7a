"""Group commit: what shares a transaction, what fails alone, and when answers are given (PROTOCOL C7)."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.errors import StoreError
from roomkit_core.interfaces.store import Known, Ticket, WorkFilter
from roomkit_core.models.changes import ABSENT, ChangeSet, Committed, Discharge, KeyResult, Refused, Value
from roomkit_core.models.content import TextContent
from roomkit_core.models.ids import new_id
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.packing import pack_event
from roomkit_core.models.room import Room, Version
from roomkit_core.models.task import Task
from roomkit_core.models.work import Outcome, WorkKind, WorkRow, WorkState
from roomkit_testkit.stores.makers import SENT, Writer, decided, delivery, key, text_event
from tests.support.sqlite import Statements, fail_next_commit, held_up, opened

IN_FLIGHT = WorkState.IN_FLIGHT


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    async with opened(tmp_path / "rooms.db") as store:
        yield store


async def rooms(store: SQLiteStore, count: int) -> list[Writer]:
    """Writers for so many new rooms."""
    writers = [Writer(store, room_id=f"room-{number}") for number in range(count)]
    for writer in writers:
        await writer.create()
    return writers


def message(writer: Writer, text: str = "hello", **parts: Any) -> ChangeSet:
    """A batch as the engine makes them: one event, packed."""
    event = text_event(text, room_id=writer.room_id)
    return writer.batch(events=(event,), packed=(pack_event(event),), is_plain=not parts, **parts)


async def answers(tickets: list[Ticket]) -> list[Any]:
    """What each ticket says, or raises."""
    found: list[Any] = []
    for ticket in tickets:
        try:
            found.append(await ticket.wait())
        except Exception as error:
            found.append(error)
    return found


# ------------------------------------------------------------------------------------------------ one transaction


async def test_what_is_handed_in_while_a_group_is_written_shares_the_next_transaction(store: SQLiteStore) -> None:
    writers = await rooms(store, 50)
    statements = Statements(store)

    with held_up(store):
        tickets = [store.submit(message(writer)) for writer in writers]
    written = await answers(tickets)

    assert all(isinstance(answer, Committed) for answer in written)
    assert statements.count("COMMIT") == 2  # one of them is that of whatever held the writer up


@pytest.mark.parametrize("token", [0, 2])
async def test_c2_a_message_that_discharges_what_is_not_its_own_is_refused_alone(
    store: SQLiteStore, token: int
) -> None:
    late, neighbour = await rooms(store, 2)
    ask = delivery(("room-0", "ai"), state=IN_FLIGHT, room_id="room-0")
    await late.write(work=(ask,))

    with held_up(store):
        discharge = Discharge(ask.id, token, Outcome(WorkState.ANSWERED))
        tickets = [store.submit(message(late, discharges=(discharge,))), store.submit(message(neighbour))]
    refused, written = await answers(tickets)

    assert refused == Refused("lost")
    assert isinstance(written, Committed)
    assert await store.get_event_count("room-0") == 0


async def test_everything_that_writes_rides_in_the_same_transaction(store: SQLiteStore) -> None:
    (writer,) = await rooms(store, 1)
    held, kept = (delivery((name,), state=IN_FLIGHT, room_id="room-0") for name in ("a", "c"))
    await writer.write(work=(held, kept, delivery(("b",), room_id="room-0")))
    found: dict[str, Any] = {}

    async def note(name: str, call: Any) -> None:
        found[name] = await call

    received = InboundMessage(channel_id="sms", sender_id="+1", content=TextContent(body="hi"))
    calls = {
        "accept": store.accept(received, ("sms", "+1"), key("SM1")),
        "claim": store.claim("kit-2", lease=60.0, limit=5, kinds=[WorkKind.DELIVERY]),
        "renew": store.renew([(kept.id, 1)], lease=60.0),
        "settle": store.settle(held.id, 1, SENT),
        "receipt": store.note_receipt("sms", held.id, "delivered", 0),
        "commit": store.commit(message(writer, keys=(decided("SM2"),))),
        "value": store.commit(ChangeSet(None, new_id(), None, kv={("plugin", "x"): Value("1")})),
    }
    statements = Statements(store)
    async with anyio.create_task_group() as group:
        with held_up(store):
            for name, call in calls.items():
                group.start_soon(note, name, call)
            await anyio.wait_all_tasks_blocked()
            assert found == {}

    assert statements.count("COMMIT") == 2
    assert [row.lane for row in found["claim"]] == [("b",)]
    assert (found["renew"], found["settle"], found["receipt"]) == ([], True, True)
    assert isinstance(found["commit"], Committed)
    assert await store.kv_get("plugin", "x") == "1"


async def test_c7_batches_of_one_room_are_written_in_the_order_in_which_they_were_handed_in(store: SQLiteStore) -> None:
    (writer,) = await rooms(store, 1)
    assert writer.version is not None
    batches = []
    for number in range(20):
        changes = message(writer, str(number))
        changes.packed = (pack_event(text_event(str(number), room_id="room-0", index=number)),)
        batches.append(changes)
        writer.version = Version(writer.version.epoch, changes.commit_id)
    batches[7].tasks = (Task(room_id="room-0", title="not plain"),)  # takes another way than its neighbours
    batches[7].is_plain = False

    with held_up(store):
        tickets = [store.submit(changes) for changes in batches]
    written = await answers(tickets)

    assert [answer.indexes for answer in written] == [(number,) for number in range(20)]
    bodies = [event.content.body for event in await store.list_events("room-0")]
    assert bodies == [str(number) for number in range(20)]


# ------------------------------------------------------------------------------------------------ failing alone


async def test_c7_29_a_member_that_is_refused_or_wrong_fails_alone(store: SQLiteStore) -> None:
    writers = await rooms(store, 9)
    await writers[0].write(keys=(decided("used", room_id="room-0"),), work=(delivery(row_id="taken"),))
    repeated = message(writers[1])
    await store.commit(repeated)
    bad = {
        "stale": message(writers[2]),
        "known": message(writers[3], keys=(decided("used"),)),
        "repeat": repeated,
        "same id": message(writers[4], work=(delivery(row_id="taken"),)),
        "lost": message(writers[5], discharges=(Discharge("taken", 1, SENT),)),
        "not text": message(writers[6], work=(delivery(reason="\ud800"),)),
    }
    bad["stale"].expected = Version("epoch", "other")

    with held_up(store):
        tickets = {name: store.submit(changes) for name, changes in bad.items()}
        good = [store.submit(message(writer)) for writer in writers[7:]]
    written = dict(zip(tickets, await answers(list(tickets.values())), strict=True))

    assert written["stale"] == Refused("stale")
    assert isinstance(written["known"], Refused)
    assert written["known"].result == KeyResult("room-0", None)
    assert written["repeat"] == Committed(Version(repeated.expected.epoch, repeated.commit_id), (0,))  # type: ignore[union-attr]
    assert isinstance(written["same id"], ValueError)
    assert written["lost"] == Refused("lost")
    assert isinstance(written["not text"], ValueError)
    assert all(isinstance(answer, Committed) for answer in await answers(good))
    counts = [await store.get_event_count(f"room-{number}") for number in range(9)]
    assert counts == [0, 1, 0, 0, 0, 0, 0, 1, 1]
    assert store.failure is None


async def test_a_settlement_that_cannot_be_written_takes_no_other_along(store: SQLiteStore) -> None:
    (writer,) = await rooms(store, 1)
    rows = [delivery((str(number),), state=IN_FLIGHT, room_id="room-0") for number in range(3)]
    await writer.write(work=tuple(rows))
    outcomes = [SENT, Outcome(WorkState.FAILED, "x", "\ud800"), SENT]
    found: dict[int, Any] = {}

    async def settle(number: int) -> None:
        try:
            found[number] = await store.settle(rows[number].id, 1, outcomes[number])
        except ValueError as error:
            found[number] = error

    async with anyio.create_task_group() as group:
        with held_up(store):
            for number in range(3):
                group.start_soon(settle, number)
            await anyio.wait_all_tasks_blocked()

    assert (found[0], found[2]) == (True, True)
    assert isinstance(found[1], ValueError)
    states = [row.state for row in await store.list_work(WorkFilter())]
    assert states == [WorkState.SENT, IN_FLIGHT, WorkState.SENT]


# ------------------------------------------------------------------------------------------------ after the COMMIT


async def test_c7_no_answer_is_there_before_the_commit_not_even_a_refusal(store: SQLiteStore) -> None:
    writers = await rooms(store, 3)
    tickets: list[Ticket] = []
    before: list[list[Any]] = []

    def notice(statement: str) -> None:
        if statement.startswith("COMMIT"):
            before.append([ticket.answer for ticket in tickets])

    Statements(store, notice)
    stale = message(writers[2])
    stale.expected = Version("epoch", "other")

    with held_up(store):
        tickets += [store.submit(changes) for changes in (message(writers[0]), message(writers[1]), stale)]
    written = await answers(tickets)

    assert [None, None, None] in before
    assert [type(answer) for answer in written] == [Committed, Committed, Refused]
    assert [ticket.answer for ticket in tickets] == written


async def test_a_known_message_is_answered_only_when_the_first_is_durable(store: SQLiteStore) -> None:
    found: list[Any] = []
    received = InboundMessage(channel_id="sms", sender_id="+1", content=TextContent(body="hi"))

    async def accept() -> None:
        found.append(await store.accept(received, ("sms", "+1"), key("SM1")))

    async with anyio.create_task_group() as group:
        with held_up(store):
            for _ in range(2):
                group.start_soon(accept)
            await anyio.wait_all_tasks_blocked()
            assert found == []

    assert sorted(type(answer).__name__ for answer in found) == ["Accepted", "Known"]
    known = next(answer for answer in found if isinstance(answer, Known))
    assert known.state is WorkState.PENDING


# ------------------------------------------------------------------------------------------------ when COMMIT fails


async def test_c7_29_when_the_commit_fails_all_members_fail_and_nothing_is_written(store: SQLiteStore) -> None:
    writers = await rooms(store, 3)
    batches = [message(writer) for writer in writers]
    stale = message(writers[0])
    stale.expected = Version("epoch", "other")

    with held_up(store):
        fail_next_commit(store)
        tickets = [store.submit(changes) for changes in (*batches, stale)]
    written = await answers(tickets)

    assert [type(error) for error in written] == [StoreError] * 4
    assert all(isinstance(error.__cause__, sqlite3.Error) for error in written)
    assert len({id(error) for error in written}) == 4  # nobody gets to raise what somebody else has raised
    assert [ticket.answer for ticket in tickets] == [None] * 4
    assert [await store.get_event_count(writer.room_id) for writer in writers] == [0, 0, 0]


async def test_after_a_failed_commit_a_resend_is_written(store: SQLiteStore) -> None:
    writers = await rooms(store, 3)
    batches = [message(writer) for writer in writers]
    with held_up(store):
        fail_next_commit(store)
        tickets = [store.submit(changes) for changes in batches]
    await answers(tickets)

    again = await answers([store.submit(changes) for changes in batches])

    assert all(isinstance(answer, Committed) for answer in again)


async def test_a_failure_is_shown_until_a_write_goes_through_again(store: SQLiteStore) -> None:
    await store.probe()
    assert store.failure is None
    with held_up(store):
        fail_next_commit(store)
        ticket = store.submit(ChangeSet(None, new_id(), None, kv={("plugin", "x"): Value("1")}))

    with pytest.raises(StoreError):
        await ticket.wait()
    shown = store.failure
    assert not await store.delete_room("unknown")  # went through, but wrote nothing
    still_shown = store.failure
    await store.probe()

    assert isinstance(shown, StoreError)
    assert still_shown is shown
    assert store.failure is None


# ------------------------------------------------------------------------------------------------ waiting


async def test_c7_29_cancelling_a_waiter_withdraws_nothing_and_another_one_gets_the_answer(store: SQLiteStore) -> None:
    writers = await rooms(store, 2)

    with held_up(store):
        tickets = [store.submit(message(writer)) for writer in writers]
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                for ticket in tickets:
                    group.start_soon(ticket.wait)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
    written = await answers(tickets)

    assert scope.cancelled_caught
    assert all(isinstance(answer, Committed) for answer in written)
    assert await store.get_event_count("room-0") == 1


async def test_closing_writes_what_was_handed_in(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "rooms.db")
    await store.open()
    (writer,) = await rooms(store, 1)

    ticket = store.submit(message(writer))
    await store.close()

    assert isinstance(await ticket.wait(), Committed)
    with pytest.raises(StoreError, match="not open") as caught:
        store.submit(message(writer))
    assert caught.value.code == "store.closed"
    async with opened(tmp_path / "rooms.db") as again:
        assert await again.get_event_count("room-0") == 1


async def test_messages_leave_no_reference_cycles(store: SQLiteStore) -> None:
    (writer,) = await rooms(store, 1)
    mistakes: list[str] = []

    async def exchange(count: int) -> None:
        for _ in range(count):
            row: WorkRow = delivery(state=IN_FLIGHT, room_id="room-0")
            answer = await writer.submit(message(writer, work=(row,), keys=(decided(row.id, room_id="room-0"),)))
            assert isinstance(answer, Committed)
            await store.settle(row.id, 1, Outcome(WorkState.SENT, provider_ids=(row.id,)))
            await writer.refused(expected=ABSENT, epoch="x", room=Room(id="room-0"))
            try:  # not pytest.raises(), which makes cycles of its own
                await writer.commit(events=(text_event(room_id="room-0"),), work=(row,))
            except ValueError as error:
                mistakes.append(str(error))

    await exchange(5)
    gc.collect()
    gc.disable()
    try:
        await exchange(100)
        assert gc.collect() == 0
        assert len(mistakes) == 105
    finally:
        gc.enable()
