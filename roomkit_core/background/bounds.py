"""What bounds the time of one message: one cancel scope, armed only when something really suspends.

A message runs through hooks and channel calls, each with a limit of its own. A cancel scope for each of them would cost
more than all the rest of the way (``fail_after`` is 6 us on asyncio and 11 us on trio). So the whole passage is one
coroutine in one scope, stepped by :meth:`Bounds.run`. As long as nothing suspends, no deadline is set and no clock is
read. At a suspension the scope gets the deadline of whatever runs at that moment.

A hook that is late ends that scope: the cancellation is thrown into the hook, :meth:`Bounds.failure` closes the scope
around it as a ``with`` block would have done, and the message goes on in a new one. The scope is entered before foreign
code runs, because scopes that the foreign code opens have to close inside it.

What is limited that way is not only a hook: whoever drains live channels for its own message does so in the same scope,
and lends its bounds to channels that know how to use them (:mod:`roomkit_core.engine.flow.live`). :meth:`Bounds.within`
is for them.

On asyncio a timer that cancels the task would need no scope beforehand and save 4 us. It was tried and given up: such a
cancellation breaks through the shields of what a hook calls, and so into the clean-up of clients and connection pools.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager
from math import inf
from types import coroutine
from typing import Any, TypeVar

from anyio import CancelScope, current_time

T = TypeVar("T")


class Expired(Exception):
    """The time of a passage is over; nothing of it is written."""


class Late(Exception):
    """The code that :attr:`Bounds.limit` bounded ran out of time."""


class Bounds:
    """What bounds the running code right now.

    Args:
        budget: Seconds for the whole passage until its commit, counted from its first suspension.
        outer: The bounds of the hook that this passage runs in; its limit is never exceeded.

    Attributes:
        limit: (seconds, share) for what runs now: so many seconds, but no more than one ``share``-th of what is left of
            the passage. None while nothing but the passage itself is bounded. Assigned, because two calls per hook
            would cost as much as the hook.
        is_committing: No time is over while the store writes.
        new_scope: Makes a scope; see :func:`bounds_of`.
        suspensions: How often the passage has suspended.
    """

    __slots__ = (
        "_budget",
        "_deadline",
        "_limit",
        "_limit_deadline",
        "_outer",
        "_passage",
        "is_committing",
        "limit",
        "scope",
        "suspensions",
    )

    scope: CancelScope
    new_scope: Callable[[], CancelScope] = CancelScope

    _limit: tuple[float, int] | None
    _limit_deadline: float

    def __init__(self, budget: float, outer: Bounds | None = None) -> None:
        self._budget = budget
        self._outer = outer
        self.limit: tuple[float, int] | None = None
        self.is_committing = False
        self.suspensions = 0
        self._passage: Any = None
        self._limit = None
        self._deadline = 0.0  # none yet

    @property
    def is_running(self) -> bool:
        """Whether the calling code stands in the passage itself, and not in a task that was started from it."""
        return self._passage is not None and bool(self._passage.cr_running)

    def shield(self) -> AbstractContextManager[object]:
        """What keeps the body from being cancelled and from running out of time, where a store writes."""
        scope = self.scope
        if scope.deadline != inf:
            scope.deadline = inf
        # A cancellation of the scope itself, which whoever was told has swallowed, takes another one to be kept off.
        return CancelScope(shield=True) if scope.cancel_called else Shield(scope)

    def finish(self) -> None:
        """No time bounds the passage any more: it is committed."""
        self.is_committing = False
        self.limit = None
        self._deadline = inf

    def deadline(self) -> float:
        """Until when the code that runs now may run, on the event loop's clock."""
        if self._deadline == 0.0:
            self._deadline = current_time() + self._budget
            if self._outer is not None:
                self._deadline = min(self._deadline, self._outer.deadline())
        if self.limit is None:
            return self._deadline
        if self._limit is not self.limit:
            seconds, share = self._limit = self.limit
            now = current_time()
            self._limit_deadline = now + min(seconds, max(0.0, (self._deadline - now) / share))
        return self._limit_deadline

    @coroutine
    def run(self, passage: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Run a passage: ``await bounds.run(passage)``.

        Raises:
            Expired: It ran out of time.
        """
        self._passage = passage
        self.scope = scope = self.new_scope()
        scope.__enter__()
        try:
            yielded = passage.send(None)
            while True:
                self._arm()
                try:
                    sent = yield yielded
                except BaseException as error:
                    yielded = passage.throw(error)
                else:
                    yielded = passage.send(sent)
        except StopIteration as end:
            self.scope.__exit__(None, None, None)
            result: T = end.value
            return result
        except BaseException as error:
            sent = None  # on trio it may hold the error, whose traceback leads to this frame: a cycle
            if self.scope.__exit__(type(error), error, error.__traceback__):
                raise Expired from None
            raise

    def _arm(self) -> None:
        self.suspensions += 1
        deadline = inf if self.is_committing else self.deadline()
        if self.scope.deadline != deadline:
            self.scope.deadline = deadline

    def failure(self, error: BaseException) -> Exception | None:
        """What ended the limited code: its own exception, or :class:`Late`; None if ``error`` is to be raised again."""
        if self.scope.cancel_called:
            try:
                if self._renew(error):
                    return Late()
            except Exception as rest:  # what is left of a group without our cancellation
                return rest
        return error if isinstance(error, Exception) else None

    @coroutine
    def within(self, seconds: float, steps: Coroutine[Any, Any, object], yielded: Any) -> Generator[Any, Any, None]:
        """Run the rest of a call that has suspended already: ``await bounds.within(...)``.

        Args:
            seconds: How long it may take.
            steps: The call, started in this task while these bounds were running.
            yielded: What it waits for.

        Raises:
            Late: Its time was over.
        """
        self.limit = (seconds, 1)
        try:
            yield from go_on(steps, yielded)
        except BaseException as error:
            failure = self.failure(error)
            if failure is None or failure is error:
                raise
            raise failure from None
        finally:
            self.limit = None
        if self.overran():
            raise Late

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
            self.scope = self.new_scope()
            self.scope.__enter__()


def go_on(steps: Coroutine[Any, Any, T], yielded: Any) -> Generator[Any, Any, T]:
    """What ``await`` would do with a coroutine that has suspended already and waits for ``yielded``."""
    try:
        while True:
            try:
                sent = yield yielded
            except BaseException as error:
                yielded = steps.throw(error)
            else:
                yielded = steps.send(sent)
    except StopIteration as end:
        result: T = end.value
        return result
    except BaseException:
        sent = None  # on trio it may hold the error, whose traceback leads to this frame: a cycle
        raise


class Shield:
    """Shields by a scope that has been entered; one of its own would cost another 5 us."""

    __slots__ = ("_scope",)

    def __init__(self, scope: CancelScope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._scope.shield = True

    def __exit__(self, *error: object) -> None:
        self._scope.shield = False


def bounds_of(scope: type[CancelScope]) -> type[Bounds]:
    """Bounds for a loop whose scopes are of this class.

    ``anyio.CancelScope`` itself looks for the loop each time, and on trio its scopes wrap those of trio, which have all
    that is used here under the same names.
    """
    return type("Bounds", (Bounds,), {"__slots__": (), "new_scope": scope})
