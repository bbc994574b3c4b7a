"""Running a coroutine step by step, so that something can happen at each of its suspensions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import coroutine
from typing import Any

import anyio

OnStep = Callable[[int, Any], None]


@coroutine
def stepped(steps: Coroutine[Any, Any, Any], on_step: OnStep) -> Generator[Any, Any, Any]:
    """Run ``steps`` in the task of the caller, as ``await`` would.

    Args:
        steps: What runs.
        on_step: Called with the number of the suspension, from 1, and what the event loop is about to get.
    """
    count = 0
    try:
        yielded = steps.send(None)
        while True:
            count += 1
            on_step(count, yielded)
            try:
                sent = yield yielded
            except BaseException as error:
                yielded = steps.throw(error)
            else:
                yielded = steps.send(sent)
    except StopIteration as end:
        return end.value


async def cancelled_by_scope(steps: Coroutine[Any, Any, Any], at: int) -> bool:
    """Run ``steps`` in a cancel scope that is cancelled at suspension ``at``; whether it was cut."""
    with anyio.CancelScope() as scope:
        await stepped(steps, lambda count, yielded: scope.cancel() if count == at else None)
        return False
    return scope.cancelled_caught


async def cancelled_as_task(steps: Coroutine[Any, Any, Any], at: int) -> bool:
    """Run ``steps`` as an asyncio task whose ``cancel()`` is called at suspension ``at``; whether it was cut."""

    def cancel(count: int, yielded: Any) -> None:
        if count == at:
            task.cancel()

    task = asyncio.create_task(_whole(stepped(steps, cancel)))
    await asyncio.wait([task])
    if task.cancelled():
        return True
    task.result()
    return False


async def cancelled_as_it_wakes(steps: Coroutine[Any, Any, Any], at: int) -> bool:
    """As before, but what suspension ``at`` waited for has happened already: it wakes up and finds itself cancelled."""

    def cancel(count: int, yielded: Any) -> None:
        if count == at:
            if isinstance(yielded, asyncio.Future):
                yielded.add_done_callback(lambda done: task.cancel())
            else:
                task.cancel()

    task = asyncio.create_task(_whole(stepped(steps, cancel)))
    await asyncio.wait([task])
    if task.cancelled():
        return True
    task.result()
    return False


async def _whole(steps: Awaitable[Any]) -> Any:
    return await steps
