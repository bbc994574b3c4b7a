"""What the owner knows without a look, the empty journal and queues without due rows, is never wrong for long."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.errors import StoreError
from roomkit_core.interfaces.store import Accepted, Known
from roomkit_core.models.changes import Withdrawal
from roomkit_core.models.content import TextContent
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.work import Outcome, WorkKind, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.makers import AGAIN, SENT, Writer, delivery
from tests.support.sqlite import fail_next_commit, file_of, held_up, opened

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
IN_FLIGHT = WorkState.IN_FLIGHT
LANE = ("sms", "+1")
DONE = Outcome(WorkState.DONE)
BLINK = 0.01  # seconds
YEAR = 365 * 86_400.0

TOOL = """
import sys, anyio
from roomkit_core import SQLiteStore
from tests.builtin.test_sqlite_known import received

async def main():
    store = SQLiteStore(sys.argv[1], role="tool")
    await store.open()
    await store.accept(received("from a tool"), ("sms", "+1"), None)
    await store.close()

anyio.run(main)
"""


def received(text: str) -> InboundMessage:
    return InboundMessage(channel_id="sms", sender_id="+1", content=TextContent(body=text))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SQLiteStore]:
    async with opened(tmp_path / "rooms.db", clock=clock, synchronous="off") as store:
        yield store


@pytest.fixture
async def writer(store: SQLiteStore) -> Writer:
    writer = Writer(store)
    await writer.create()
    return writer


# ------------------------------------------------------------------------------------------------------- the journal


async def test_whether_the_journal_is_empty_is_known_from_the_first_write_on(store: SQLiteStore) -> None:
    assert not store.journal_is_empty  # nobody has looked yet

    await store.probe()

    assert store.journal_is_empty


async def test_a_message_in_the_journal_is_known_before_it_is_written_and_until_it_is_through(
    store: SQLiteStore, writer: Writer
) -> None:
    accepted: list[Accepted | Known] = []

    async def accept() -> None:
        accepted.append(await store.accept(received("hi"), LANE, None, owner="kit", lease=60.0))

    async with anyio.create_task_group() as group:
        with held_up(store):
            assert store.journal_is_empty
            group.start_soon(accept)
            await anyio.wait_all_tasks_blocked()
            assert not store.journal_is_empty
    (answer,) = accepted
    assert isinstance(answer, Accepted)
    assert answer.claim is not None
    await writer.say()
    assert not store.journal_is_empty

    await store.settle(answer.claim.id, answer.claim.token, DONE)

    assert store.journal_is_empty


async def test_a_copy_of_a_journaled_message_that_comes_with_a_batch_is_known(
    store: SQLiteStore, writer: Writer
) -> None:
    await writer.write(work=(delivery(LANE, row_id="again", kind=WorkKind.INBOUND, state=IN_FLIGHT),))
    assert not store.journal_is_empty

    await store.settle("again", 1, DONE)

    assert store.journal_is_empty


async def test_a_journal_that_could_not_be_written_is_not_known_to_be_empty_until_the_next_write(
    store: SQLiteStore, writer: Writer
) -> None:
    async def accept() -> None:
        with pytest.raises(StoreError):
            await store.accept(received("hi"), LANE, None)

    async with anyio.create_task_group() as group:
        with held_up(store):
            fail_next_commit(store)
            group.start_soon(accept)
            await anyio.wait_all_tasks_blocked()
    assert not store.journal_is_empty

    await writer.say()

    assert store.journal_is_empty


async def test_what_a_tool_beside_the_owner_accepts_is_known_to_the_owner(
    store: SQLiteStore, writer: Writer, clock: ManualClock
) -> None:
    assert store.journal_is_empty

    await to_thread.run_sync(run_tool, store.path)

    assert not store.journal_is_empty
    await writer.say()
    assert not store.journal_is_empty
    clock.advance(100 * YEAR)  # the tool has the machine's clock
    (row,) = await store.claim("kit", lease=60.0, limit=10)
    await store.settle(row.id, row.token, DONE)
    assert store.journal_is_empty


def run_tool(path: str) -> None:
    subprocess.run([sys.executable, "-c", TOOL, path], check=True, timeout=30, cwd=ROOT)


async def test_the_journal_of_a_file_that_is_opened_again_is_looked_at(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "rooms.db"
    async with opened(path, clock=clock) as store:
        await store.accept(received("hi"), LANE, None)

    async with opened(path, clock=clock) as store:
        await store.probe()
        assert not store.journal_is_empty


async def test_nobody_but_the_owner_knows_about_the_journal(store: SQLiteStore) -> None:
    async with opened(Path(store.path), role="tool") as tool:
        await tool.probe()
        assert not tool.journal_is_empty


# ---------------------------------------------------------------------------------------------------------- what is due


async def due(store: SQLiteStore) -> list[str]:
    """The ids of the rows that a claim of a channel's runner gets."""
    rows = await store.claim("kit", lease=60.0, limit=10, kinds=[WorkKind.DELIVERY], channels=["sms"])
    return [row.id for row in rows]


async def nothing_is_due(store: SQLiteStore) -> None:
    """A claim finds nothing, and the next one believes it."""
    assert await due(store) == []
    asked: list[str] = []
    reader = file_of(store).readers._own
    assert reader is not None
    reader.set_trace_callback(asked.append)
    assert await due(store) == []
    reader.set_trace_callback(None)
    assert asked == []


async def test_a_row_that_is_born_is_found_after_a_claim_that_found_none(store: SQLiteStore, writer: Writer) -> None:
    await nothing_is_due(store)

    await writer.owe(delivery(row_id="born"))

    assert await due(store) == ["born"]


async def test_the_next_row_of_a_lane_is_found_after_a_claim_that_found_none(
    store: SQLiteStore, writer: Writer
) -> None:
    await writer.owe(delivery(row_id="head", state=IN_FLIGHT), delivery(row_id="next"))
    await nothing_is_due(store)

    await store.settle("head", 1, SENT)

    assert await due(store) == ["next"]


async def test_a_lane_that_goes_on_because_its_head_was_withdrawn_is_found(store: SQLiteStore, writer: Writer) -> None:
    await writer.owe(delivery(row_id="head", due=2**60), delivery(row_id="next"))
    await nothing_is_due(store)

    await writer.write(withdrawals=(Withdrawal("why", row_id="head"),))

    assert await due(store) == ["next"]


@pytest.mark.parametrize("seconds", [0.0, 0.25, 1.5, 30.0])
async def test_a_row_that_was_handed_back_is_found_when_it_is_due(
    store: SQLiteStore, writer: Writer, clock: ManualClock, seconds: float
) -> None:
    await writer.owe(delivery(row_id="head", state=IN_FLIGHT))
    await nothing_is_due(store)

    await store.settle("head", 1, AGAIN, due_in=seconds)
    if seconds:
        await nothing_is_due(store)
        clock.advance(seconds - BLINK)
        assert await due(store) == []
        clock.advance(BLINK)

    assert await due(store) == ["head"]


async def test_a_row_that_is_due_within_what_is_believed_is_found_in_time(
    store: SQLiteStore, writer: Writer, clock: ManualClock
) -> None:
    await writer.owe(delivery(row_id="head", state=IN_FLIGHT))
    await store.settle("head", 1, AGAIN, due_in=3.0)
    clock.advance(2.5)
    await nothing_is_due(store)

    clock.advance(0.5)

    assert await due(store) == ["head"]


async def test_a_row_whose_lease_is_over_is_found(store: SQLiteStore, writer: Writer, clock: ManualClock) -> None:
    await writer.write(work=(delivery(row_id="head", state=IN_FLIGHT),), lease=0.5)
    await nothing_is_due(store)

    clock.advance(0.5)

    assert await due(store) == ["head"]


async def test_a_lease_that_a_renewal_made_shorter_is_found(
    store: SQLiteStore, writer: Writer, clock: ManualClock
) -> None:
    await writer.write(work=(delivery(row_id="head", state=IN_FLIGHT),), lease=60.0)
    await nothing_is_due(store)

    assert await store.renew([("head", 1)], lease=0.25) == []
    clock.advance(0.25)

    assert await due(store) == ["head"]


async def test_what_a_tool_beside_the_owner_owes_is_found_within_a_second(
    store: SQLiteStore, writer: Writer, clock: ManualClock
) -> None:
    await nothing_is_due(store)

    async with opened(Path(store.path), role="tool", clock=clock) as tool:
        tools = Writer(tool)
        await tools.submit(tools.batch(expected=None, room_id=None, work=(delivery(row_id="tool"),)))
    clock.advance(1.0)

    assert await due(store) == ["tool"]
