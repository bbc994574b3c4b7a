"""The worker of the peer: the package ``roomkit`` from PyPI, in an environment of its own. Knows nothing of ours."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

from roomkit import HookResult, HookTrigger, InboundMessage, RoomKit, TextContent, WebSocketChannel

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


async def main() -> None:
    side = Side(RoomKit, WebSocketChannel, InboundMessage, TextContent, HookTrigger, HookResult, together)
    async with AsyncExitStack() as stack:
        await serve({"describe": describe, **commands(side, stack)}, asyncio.to_thread)


if __name__ == "__main__":
    asyncio.run(main())
