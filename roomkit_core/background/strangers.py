"""Waiting for something without what the task has inherited."""

from __future__ import annotations

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
