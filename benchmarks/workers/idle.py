"""What rooms cost that nobody uses: the memory of the process with them, minus that without."""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from benchmarks.workers.durable import open_room
from benchmarks.workers.scenarios import RECEIVER, SENDER, TEXT
from roomkit_core import InboundMessage, RoomKit, TextContent
from roomkit_websocket.channel import WebSocketChannel

AT_ONCE = 100
WARM_UP = 200


NO_CACHE = 0.001  # megabytes, less than a room


async def run(new_kit: Callable[..., RoomKit], rooms: int) -> dict[str, Any]:
    """Bytes for ``rooms`` rooms with two live bindings and no client, each of which got one message.

    Their windows are dropped: what the cache may hold is a number that the user of a kit gives.
    """
    async with new_kit(cache_mb=NO_CACHE) as kit:
        for channel_id in (SENDER, RECEIVER):
            kit.register_channel(WebSocketChannel(channel_id))
        await _fill(kit, "warm", WARM_UP)
        before = _resident()
        await _fill(kit, "idle", rooms)
        return {"bytes": _resident() - before}


async def _fill(kit: RoomKit, prefix: str, rooms: int) -> None:
    names = iter([f"{prefix}-{number}" for number in range(rooms)])

    async def use() -> None:
        for name in names:
            await open_room(kit, name)
            message = InboundMessage(channel_id=SENDER, sender_id="ada", content=TextContent(body=TEXT))
            await kit.process_inbound(message, room_id=name)
            await anyio.lowlevel.checkpoint()  # where nothing suspends, what the kit does beside would pile up

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(use)
    await kit.idle()
    gc.collect()


def _resident() -> int:
    """Bytes of memory that the process holds; where the system does not tell, the most it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
