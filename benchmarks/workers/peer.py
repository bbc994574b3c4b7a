"""The worker of the peer: the package ``roomkit`` from PyPI, in an environment of its own. Knows nothing of ours.

In memory, or in files of the folder that the command line names; its SQLite store has one way to write them.
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

from roomkit import HookResult, HookTrigger, InboundMessage, RoomKit, SQLiteStore, TextContent, WebSocketChannel

from benchmarks.workers.files import Files
from benchmarks.workers.measuring import serve
from benchmarks.workers.scenarios import Side, commands


async def together(functions: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    await asyncio.gather(*(function() for function in functions))


async def describe() -> dict[str, Any]:
    if "roomkit_core" in sys.modules:
        raise RuntimeError("the peer's process has imported roomkit_core")
    return {
        "python": platform.python_version(),
        "roomkit": importlib.metadata.version("roomkit"),
        "pydantic": importlib.metadata.version("pydantic"),
    }


def new_kit(files: Files | None) -> RoomKit:
    """A kit with a store of its own."""
    return RoomKit() if files is None else RoomKit(store=SQLiteStore(files.new()))


async def main() -> None:
    files = Files(sys.argv[1], "normal") if len(sys.argv) > 1 else None
    side = Side(
        partial(new_kit, files), WebSocketChannel, InboundMessage, TextContent, HookTrigger, HookResult, together
    )
    async with AsyncExitStack() as stack:
        await serve({"describe": describe, **commands(side, stack)}, asyncio.to_thread)


if __name__ == "__main__":
    asyncio.run(main())
