"""Stopping a kit that is busy, and starting one to which very much is owed."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from roomkit_core import Delivery, Receipt, RoomEvent, SQLiteStore, TextContent, WorkKind, WorkRow, WorkState
from roomkit_core.builtin.sqlite import claims as sqlite_claims
from roomkit_core.builtin.sqlite import finding as sqlite_finding
from tests.faults.owed import owe
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.kits import make_room, messages_of, open_kit, rows_of
from tests.support.sqlite import held_up
from tests.support.still import StillClock

pytestmark = pytest.mark.anyio

LANES, ROWS = 10_000, 100_000
PATIENCE = 30.0
"""Seconds after which something hangs."""


# --------------------------------------------------------------------------------------------------------------- stop


class Watched(ScriptedChannel):
    """A provider of which one can wait for something."""

    _changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; it is asked at each request and each answer."""
        with anyio.fail_after(PATIENCE):
            while not condition():
                self._changed = anyio.Event()
                await self._changed.wait()

    async def _send(self, behaviour: str, delivery: Delivery) -> Receipt:
        self._changed.set()
        receipt = await super()._send(behaviour, delivery)
        self._changed.set()
        return receipt


def stuck_on(*texts: str) -> Watched:
    """A provider that takes these texts and never answers."""
    return Watched("sms", lambda delivery: "hang" if text_of(delivery.event) in texts else "send")


async def test_a_stop_leaves_unknown_what_was_in_a_call_and_everything_else_as_it_was(tmp_path: Path) -> None:
    sms = stuck_on("0 in a call", "1 in a call")
    thinking = anyio.Event()

    async def think(event: RoomEvent) -> list[str]:
        thinking.set()
        await anyio.sleep_forever()
        return []

    async with open_kit(LiveProbe(), sms, Answering("ai", think), store=SQLiteStore(tmp_path / "rooms.db")) as kit:
        for number in range(2):
            room_id = await make_room(kit, f"room-{number}", "live", sms)
            for what in ("in a call", "behind it", "behind it too"):
                await kit.process_inbound(message(f"{number} {what}"), room_id=room_id, wait="committed")
        await make_room(kit, "asking", "live", "ai")
        await kit.process_inbound(message("a question"), room_id="asking", wait="committed")
        with anyio.fail_after(PATIENCE):
            await thinking.wait()
        await sms.until(lambda: sms.running == 2)

        await kit.close(timeout=0.01)

    rows = await read_rows(tmp_path / "rooms.db")
    found = Counter((row.kind, row.state, row.maybe_sent, row.takeovers) for row in rows)
    assert found == {
        (WorkKind.DELIVERY, WorkState.UNKNOWN, True, 0): 2,
        (WorkKind.DELIVERY, WorkState.PENDING, False, 0): 4,
        (WorkKind.ASK, WorkState.PENDING, False, 0): 1,
    }
    assert {row.reason for row in rows if row.state is WorkState.UNKNOWN} == {"the kit was closed during the call"}


async def test_what_a_stop_left_is_done_after_the_next_start(tmp_path: Path) -> None:
    stuck = stuck_on("in a call")
    async with open_kit(LiveProbe(), stuck, store=SQLiteStore(tmp_path / "rooms.db")) as kit:
        await make_room(kit, "room", "live", stuck)
        for text in ("in a call", "behind it"):
            await kit.process_inbound(message(text), room_id="room", wait="committed")
        with anyio.fail_after(PATIENCE):
            await stuck.called.wait()
        await kit.close(timeout=0.01)

    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms, store=SQLiteStore(tmp_path / "rooms.db")) as kit:
        with anyio.fail_after(PATIENCE):
            assert await kit.idle() == 0

        assert sms.texts == ["in a call", "behind it"]
        assert [delivery.maybe_sent for delivery in sms.sent] == [True, False]
        assert [text_of(event) for event in await messages_of(kit, "room")] == ["in a call", "behind it"]


async def test_a_row_that_is_being_claimed_when_everything_is_cancelled_is_free_afterwards(tmp_path: Path) -> None:
    sms, clock, claims = ScriptedChannel("sms", "later"), StillClock(), anyio.Event()
    store = SQLiteStore(tmp_path / "rooms.db", clock=clock)
    async with open_kit(LiveProbe(), sms, store=store, clock=clock) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message("hi"), room_id="room")
        claim = store.claim

        async def noticed(*arguments: Any, **options: Any) -> list[WorkRow]:
            claims.set()
            return await claim(*arguments, **options)

        store.claim = noticed  # type: ignore[method-assign]
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                with held_up(store):
                    clock.advance(31.0)
                    await claims.wait()
                    group.start_soon(kit.close, 0.01)
                    while not kit._engine.ports.background.closed:
                        await anyio.lowlevel.checkpoint()

    [row] = await read_rows(tmp_path / "rooms.db")
    assert (row.state, row.maybe_sent, row.takeovers, row.owner) == (WorkState.PENDING, False, 0, None)
    assert sms.started == 1


async def read_rows(path: Path) -> list[WorkRow]:
    """The rows in a file that nobody has open."""
    async with open_kit(LiveProbe(), store=SQLiteStore(path)) as kit:  # nobody to whom anything is owed is registered
        return await rows_of(kit)


# -------------------------------------------------------------------------------------------------------------- start


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with 100,000 owed rows in 10,000 lanes."""
    path = tmp_path_factory.mktemp("outage") / "rooms.db"

    async def make() -> tuple[str, int]:
        sms = ScriptedChannel("sms")
        async with open_kit(LiveProbe(), sms, store=SQLiteStore(path)) as kit:
            await make_room(kit, "owing", "live", sms)
            await make_room(kit, "other", "live")
            event = await kit.send_event("owing", "live", TextContent(body="owed"), visibility="none")
            return event.id, kit._engine.ports.time()

    event_id, now = anyio.run(make)
    owe(path, room_id="owing", event_id=event_id, channel_id="sms", lanes=LANES, rows=ROWS, now=now)
    return path


class Reading:
    """How many rows of work are read from the file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = 0
        for module in (sqlite_claims, sqlite_finding):
            monkeypatch.setattr(module, "unpack_row", self._counted(module.unpack_row))

    def _counted(self, unpack: Any) -> Any:
        def counted(columns: Any) -> WorkRow:
            self.rows += 1
            row: WorkRow = unpack(columns)
            return row

        return counted


async def test_the_first_message_is_answered_although_a_hundred_thousand_rows_are_owed(
    outage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(outage, tmp_path / "rooms.db")
    sms = Watched("sms", "wait")
    sms.max_in_flight = 8
    reading = Reading(monkeypatch)
    begun = time.perf_counter()
    async with open_kit(LiveProbe(), sms, store=SQLiteStore(tmp_path / "rooms.db")) as kit:
        result = await kit.process_inbound(message("hi"), room_id="other")
        print(f"the first answer after {time.perf_counter() - begun:.3f} s")

        assert result.event is not None
        assert reading.rows <= sms.max_in_flight, "what is owed is read by the heads of lanes, as runners are free"
        await sms.until(lambda: sms.running == sms.max_in_flight)
        sms.gate.set()
        await sms.until(lambda: len(sms.sent) >= 500)
        await kit.close(timeout=5.0)

    assert sms.most_running == sms.max_in_flight
    assert reading.rows == len(sms.sent) < ROWS
