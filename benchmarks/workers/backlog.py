"""A start with much to do: a file full of owed deliveries, and how soon a kit on it answers."""

from __future__ import annotations

import time
from typing import Any

import anyio

from benchmarks.workers.durable import Letters, open_room
from benchmarks.workers.files import Files
from benchmarks.workers.scenarios import RECEIVER, SENDER, TEXT
from roomkit_core import Delivery, InboundMessage, Receipt, RoomKit, SQLiteStore, TextContent
from roomkit_core.builtin.sqlite.connection import connect

TEMPLATE = "room-00000"
ROOM = "printf('room-%05d', n)"
LANES = "WITH RECURSIVE lanes (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM lanes WHERE n < ?1)"
PLACES = f"{LANES}, places (m) AS (SELECT 1 UNION ALL SELECT m + 1 FROM places WHERE m < ?2)"


class ShutLetters(Letters):
    """Is never ready."""

    async def ready(self) -> bool:
        return False


class CountedLetters(Letters):
    """Tells when it has taken so many."""

    def __init__(self, channel_id: str, enough: int) -> None:
        super().__init__(channel_id)
        self._enough = enough
        self.has_enough = anyio.Event()

    async def send(self, delivery: Delivery) -> Receipt:
        receipt = await super().send(delivery)
        if self.sent == self._enough:
            self.has_enough.set()
        return receipt


async def owe(files: Files, lanes: int, rows: int) -> dict[str, Any]:
    """Make a file in which each of ``lanes`` rooms is owed so many deliveries that there are ``rows`` in all.

    The first is made by a kit, the others are copies of it.
    """
    path = files.new()
    async with RoomKit(store=SQLiteStore(path, synchronous=files.synchronous)) as kit:
        kit.register_channel(Letters(SENDER))
        kit.register_channel(ShutLetters(RECEIVER))
        await open_room(kit, TEMPLATE)
        await kit.process_inbound(_message(), room_id=TEMPLATE, wait="committed")
    db = connect(path, writes=True, synchronous="off")
    try:
        db.execute("BEGIN")
        for table, changed in (
            ("rooms", {"room_id": ROOM}),
            ("heads", {"room_id": ROOM}),
            ("bindings", {"room_id": ROOM, "place": "NULL"}),
            ("participants", {"room_id": ROOM, "place": "NULL"}),
            ("people", {"room_id": ROOM}),
            ("events", {"room_id": ROOM, "id": "id || n"}),
        ):
            _copy(db, LANES, table, changed, f"{table}, lanes WHERE room_id = '{TEMPLATE}'", (lanes,))
        work = {
            "room_id": ROOM,
            "seq": "NULL",
            "id": "id || '-' || n || '-' || m",
            "provider_key": "id || '-' || n || '-' || m",
            "event_id": "event_id || n",
            "due": "CASE WHEN m = 1 THEN due END",
            "ready": "CASE WHEN m = 1 THEN ready END",
        }
        _copy(db, PLACES, "work", work, f"work, lanes, places WHERE room_id = '{TEMPLATE}'", (lanes, rows // lanes))
        db.execute("COMMIT")
        (owed,) = db.execute("SELECT count(*) FROM work WHERE settled_at IS NULL").fetchone()
    finally:
        db.close()
    return {"path": path, "owed": owed}


def _copy(db: Any, series: str, table: str, changed: dict[str, str], source: str, numbers: tuple[int, ...]) -> None:
    """Copy the template's rows of a table for each number of the series; its name is replaced wherever it stands."""
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    replaced = {"body", "lane"} & set(columns) if table != "events" else set()
    values = [
        f"replace({column}, '{TEMPLATE}', {ROOM})" if column in replaced else changed.get(column, column)
        for column in columns
    ]
    db.execute(f"{series} INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {source}", numbers)


async def start(files: Files, path: str, enough: int) -> dict[str, Any]:
    """Seconds from the start of a kit on the file to its first answer, and to the ``enough``-th owed delivery."""
    receiver = CountedLetters(RECEIVER, enough)
    began = time.perf_counter()
    async with RoomKit(store=SQLiteStore(path, synchronous=files.synchronous)) as kit:
        kit.register_channel(Letters(SENDER))
        kit.register_channel(receiver)
        await kit.process_inbound(_message(), room_id="room-00001", wait="committed")
        answered = time.perf_counter() - began
        sent_by_then = receiver.sent
        with anyio.fail_after(60):
            await receiver.has_enough.wait()
        return {"answered": answered, "sent_by_then": sent_by_then, "enough": time.perf_counter() - began}


def _message() -> InboundMessage:
    return InboundMessage(channel_id=SENDER, sender_id="ada", content=TextContent(body=TEXT))
