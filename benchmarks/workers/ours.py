"""The worker of our side: this checkout, on the loop that the command line names, in memory or in files.

The command line is ``LOOP`` or ``LOOP SYNCHRONOUS FOLDER``.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from benchmarks.workers import backlog, durable, idle, raw, steps, weight
from benchmarks.workers.files import Files
from benchmarks.workers.measuring import Command, serve
from benchmarks.workers.scenarios import Side, commands
from roomkit_core import HookResult, HookTrigger, InboundMessage, RoomKit, SQLiteStore, TextContent
from roomkit_websocket.channel import WebSocketChannel


async def together(functions: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """As the peer's worker does it where that is possible: starting a task group costs three times as much."""
    if "asyncio" in sys.argv:
        await asyncio.gather(*(function() for function in functions))
        return
    async with anyio.create_task_group() as group:
        for function in functions:
            group.start_soon(function)


async def describe() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "roomkit-core": importlib.metadata.version("roomkit-core"),
        "pydantic": importlib.metadata.version("pydantic"),
    }


def new_kit(files: Files | None, **options: Any) -> RoomKit:
    """A kit with a store of its own."""
    store = None if files is None else SQLiteStore(files.new(), synchronous=files.synchronous)
    return RoomKit(store=store, **options)


async def main() -> None:
    files = Files(sys.argv[3], sys.argv[2]) if len(sys.argv) > 2 else None
    make = partial(new_kit, files)
    side = Side(make, WebSocketChannel, InboundMessage, TextContent, HookTrigger, HookResult, together)
    own: dict[str, Command] = {
        "describe": describe,
        "durable": partial(durable.run, make),
        "steps": partial(steps.run, side),
        "idle": partial(idle.run, make),
    }
    if files is not None:
        own |= {
            "raw": partial(raw.run, side, files),
            "weigh": partial(weight.run, side, files),
            "owe": partial(backlog.owe, files),
            "start": partial(backlog.start, files),
        }
    async with AsyncExitStack() as stack:
        await serve({**own, **commands(side, stack)}, anyio.to_thread.run_sync)


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1])
