"""How much of a file a stored message takes."""

from __future__ import annotations

from typing import Any

from benchmarks.workers.durable import run as run_owed
from benchmarks.workers.files import Files
from benchmarks.workers.scenarios import Side, Stage
from roomkit_core import RoomKit, SQLiteStore

ROOM = "room"


async def run(side: Side, files: Files, messages: int) -> dict[str, Any]:
    """Bytes per message: plain ones in one room, and those with key, delivery row and receipt; each in a new file."""
    async with Stage(side) as stage:
        await stage.open_room(ROOM)
    empty = files.size()
    async with Stage(side) as stage:
        await stage.open_room(ROOM)
        await stage.send(ROOM, messages)
    plain = files.size() - empty

    await run_owed(lambda: RoomKit(store=SQLiteStore(files.new(), synchronous=files.synchronous)), 1, messages, 1)
    owed = files.size() - empty
    return {"plain": plain / messages, "owed": owed / messages}
