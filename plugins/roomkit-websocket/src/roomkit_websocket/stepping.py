"""Run a send in the caller's task, without a scope, a timer or a task as long as it does not suspend.

A broadcast steps through its clients one after another, and nearly always nothing suspends. A cancel scope around each
send would cost more than the send itself. So the limit is set at the first suspension:

- on asyncio by a timer that cancels the task, as ``asyncio.timeout`` does, which needs nothing beforehand;
- on trio a scope has to be entered before foreign code runs, because scopes that the foreign code opens must close
  inside it; only its deadline waits for the suspension;
- a caller of the kit that drains for its own message is in a scope already and lends it, on both loops.

A coroutine that was started here ends here: it is never moved to another task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any

from anyio import CancelScope, current_time

from roomkit_core.background import Bounds, Late, go_on

Sending = Coroutine[Any, Any, object]


class SendTimeout(Exception):
    """A send did not come back in time and was cancelled."""


@coroutine
def step(sending: Sending, timeout: float, suspended: Callable[[], None]) -> Generator[Any, Any, None]:
    """Run ``sending`` to its end in this task.

    Args:
        sending: A coroutine that nobody has started.
        timeout: Seconds that it may take, from its first suspension on.
        suspended: Called once, when it suspends for the first time.

    Raises:
        SendTimeout: The time was over.
    """
    if not on_asyncio():
        yield from _step_in_scope(sending, timeout, suspended)
        return
    try:
        waiting_for = sending.send(None)
    except StopIteration:
        return
    yield from finish(sending, waiting_for, timeout, suspended)


@coroutine
def finish(
    sending: Sending, waiting_for: Any, timeout: float, suspended: Callable[[], None], bounds: Bounds | None = None
) -> Generator[Any, Any, None]:
    """The rest of a send that has suspended and waits for ``waiting_for``, on asyncio or in ``bounds`` that were lent.

    Otherwise as :func:`step`.
    """
    suspended()
    if bounds is not None:
        try:
            yield from bounds.within(timeout, sending, waiting_for)
        except Late:
            raise SendTimeout from None
        return
    timer = _TaskTimer(timeout)
    try:
        yield from go_on(sending, waiting_for)
    except BaseException as error:
        if timer.expired() and isinstance(error, asyncio.CancelledError):
            raise SendTimeout from None
        raise
    if timer.expired():
        raise SendTimeout


def on_asyncio() -> bool:
    """Whether asyncio runs this task, and not trio."""
    return asyncio._get_running_loop() is not None


def _step_in_scope(sending: Sending, timeout: float, suspended: Callable[[], None]) -> Generator[Any, Any, None]:
    with CancelScope() as scope:  # noqa: ASYNC100 (it is awaited through)
        try:
            waiting_for = sending.send(None)
        except StopIteration:
            return
        suspended()
        scope.deadline = current_time() + timeout
        yield from go_on(sending, waiting_for)
    if scope.cancel_called:
        raise SendTimeout


class _TaskTimer:
    """Cancels the current task when its time is over, and takes the cancellation back."""

    __slots__ = ("_cancelling", "_rang", "_task", "_timer")

    def __init__(self, timeout: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._rang = False
        self._timer = task.get_loop().call_later(timeout, self._ring)

    def _ring(self) -> None:
        self._rang = True
        self._task.cancel()

    def expired(self) -> bool:
        """Stop the timer. Whether it was the timer, and nobody else, that cancelled the task."""
        self._timer.cancel()
        return self._rang and self._task.uncancel() <= self._cancelling
