"""One cancel scope per message, armed only when something really suspends.

A message runs through hooks and channel calls, each with a limit of its own, and through a commit that must not be
cancelled. A scope for each of these would cost more than all the rest of the way (``fail_after`` is 6 us on asyncio and
11 us on trio). So the whole passage is one coroutine in one scope, stepped by :func:`bounded`: as long as nothing
suspends, no deadline is set and no clock is read. At a suspension the scope gets the deadline (or the shield) of whatever
runs at that moment.

A hook that is late ends that scope: the cancellation is thrown into the hook, :meth:`Bounds.failure` closes the scope
around it as a ``with`` block would have done, and the message goes on in a new one. The scope is entered before foreign
code runs, because scopes that the foreign code opens have to close inside it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from math import inf
from types import coroutine
from typing import Any, TypeVar

from anyio import CancelScope, current_time

T = TypeVar("T")


class Expired(Exception):
    """The time of a passage is over; nothing of it is written."""


class Late(Exception):
    """The code that :meth:`Bounds.limit` bounded ran out of time."""


class Bounds:
    """What bounds the running code right now.

    Args:
        budget: Seconds for the whole passage until its commit, counted from its first suspension.
        outer: The bounds of the hook that this passage runs in; its limit is never exceeded.
    """

    __slots__ = ("_budget", "_deadline", "_limit", "_outer", "_share", "_timeout", "scope", "shield", "suspensions")

    scope: CancelScope

    def __init__(self, budget: float, outer: Bounds | None = None) -> None:
        self._budget = budget
        self._outer = outer
        self._deadline = 0.0  # none yet
        self._timeout = 0.0  # no limit
        self._share = 1
        self._limit = 0.0
        self.shield = False
        self.suspensions = 0

    def limit(self, timeout: float, share: int) -> None:
        """What runs next gets ``timeout`` seconds, but no more than its ``share`` (2 = half) of what is left."""
        self._timeout = timeout
        self._share = share
        self._limit = 0.0

    def unlimit(self) -> None:
        """The limited code is through."""
        self._timeout = 0.0

    def finish(self) -> None:
        """No time bounds the passage any more: it is committed."""
        self.shield = False
        self._timeout = 0.0
        self._deadline = inf

    def deadline(self) -> float:
        """Until when the code that runs now may run, on the event loop's clock."""
        if self._deadline == 0.0:
            self._deadline = current_time() + self._budget
            if self._outer is not None:
                self._deadline = min(self._deadline, self._outer.deadline())
        if self._timeout == 0.0:
            return self._deadline
        if self._limit == 0.0:
            now = current_time()
            self._limit = now + min(self._timeout, max(0.0, (self._deadline - now) / self._share))
        return self._limit

    def failure(self, error: BaseException) -> Exception:
        """What ended the limited code: its own exception, or :class:`Late`; a foreign cancellation is raised again."""
        if not self.scope.cancel_called:
            if isinstance(error, Exception):
                return error
            raise error
        if self._renew(error):
            return Late()
        raise error

    def overran(self) -> bool:
        """Whether the limited code came back, but too late; it had swallowed its cancellation."""
        if not self.scope.cancel_called:
            return False
        self._renew(None)
        return True

    def _renew(self, error: BaseException | None) -> bool:
        """Close the scope around what was cancelled in it and enter a new one; whether it was our own cancellation."""
        try:
            if error is None:
                return bool(self.scope.__exit__(None, None, None))
            return bool(self.scope.__exit__(type(error), error, error.__traceback__))
        finally:
            self.scope = CancelScope()
            self.scope.__enter__()

    def _arm(self) -> None:
        self.suspensions += 1
        scope = self.scope
        if self.shield:
            scope.shield = True
            scope.deadline = inf
            return
        if scope.shield:
            scope.shield = False
        deadline = self.deadline()
        if scope.deadline != deadline:
            scope.deadline = deadline


@coroutine
def bounded(bounds: Bounds, passage: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Run ``passage`` in the one scope of ``bounds``.

    Raises:
        Expired: The passage ran out of time.
    """
    bounds.scope = CancelScope()
    bounds.scope.__enter__()
    try:
        yielded = passage.send(None)
        while True:
            bounds._arm()
            try:
                sent = yield yielded
            except BaseException as error:
                yielded = passage.throw(error)
            else:
                yielded = passage.send(sent)
    except StopIteration as end:
        bounds.scope.__exit__(None, None, None)
        result: T = end.value
        return result
    except BaseException as error:
        if bounds.scope.__exit__(type(error), error, error.__traceback__):
            raise Expired from None
        raise
