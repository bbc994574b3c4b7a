"""Foreign code in a task of the kit: waiting without what the task has inherited, and cancellations that are none."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Generator
from contextvars import Context
from types import coroutine
from typing import Any


@coroutine
def as_stranger(awaitable: Awaitable[Any]) -> Generator[Any, Any, None]:
    """Await in an empty context: a lock that is asked for this way is not reentered, whoever holds it."""
    context = Context()
    steps = awaitable.__await__()
    try:
        yielded = context.run(next, steps)
        while True:
            try:
                sent = yield yielded
            except BaseException as error:
                yielded = context.run(steps.throw, error)
            else:
                yielded = context.run(next, steps) if sent is None else context.run(steps.send, sent)
    except StopIteration:
        return
    except BaseException:
        sent = None  # on trio it may hold the error, whose traceback leads to this frame: a cycle
        raise


def is_stray(error: BaseException) -> bool:
    """Whether a cancellation was raised by the code itself, although nobody has cancelled the running task.

    Only asyncio lets code do that: a channel that awaits a task which somebody else has cancelled raises its
    ``CancelledError``. It is an error of that call then, and not the end of the task that made it.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and not task.cancelling()
