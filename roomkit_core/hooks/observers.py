"""Observers: hooks and handlers that run beside the way of a message, bounded, and hold up nobody.

One queue and few tasks. A task takes the next observer as soon as the one before has ended; when an observer suspends,
the *queue* passes to another task, up to a limit, so that one that hangs delays nobody else's. A started observer stays
in its task. What does not fit into the queue is dropped, counted and reported: observers are at most once.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator
from inspect import isawaitable
from types import coroutine
from typing import Any, NamedTuple, Protocol

from anyio import move_on_after

from roomkit_core.errors import KitStateError
from roomkit_core.hooks.node import Chain, Node, current

log = logging.getLogger("roomkit.observers")

MAX_TASKS = 32
MAX_QUEUE = 10_000


class Spawn(Protocol):
    """Starts a job in a task of the kit."""

    def __call__(self, job: Callable[..., Any], *args: Any) -> None:
        """Start ``job(*args)``."""
        ...


class Observer(NamedTuple):
    """One call to be made.

    Attributes:
        fn: What is called; a ``def`` or an ``async def``.
        args: With what.
        name: For the log.
        timeout: Seconds.
        hooks: The chain of hooks, this one included.
        depth: Chain depth of what it sends.
        budget: How many events its chain may still bring.
        origin: The event that began the chain.
        kind: ``observer`` or ``handler``.
        done: Called when it has ended, however.
        failed: Called with the observer and what went wrong.
        follow: Gives what counts for whoever waits for all that follows.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    name: str
    timeout: float = 30.0
    hooks: Chain = ()
    depth: int = 0
    budget: int | None = None
    origin: str | None = None
    kind: str = "observer"
    done: Callable[[], None] | None = None
    failed: Callable[[Observer, str], None] | None = None
    follow: Callable[[], Any] | None = None


class Observers:
    """The queue of one kit.

    Args:
        kit: Whose observers they are.
        spawn: Starts a task of the kit.
    """

    def __init__(self, kit: object, spawn: Spawn) -> None:
        self._kit = kit
        self._spawn = spawn
        self._queue: deque[Observer] = deque()
        self._tasks = 0
        self._suspended = 0
        self.dropped = 0

    def put(self, observer: Observer) -> None:
        """Queue an observer; never waits and never raises."""
        if len(self._queue) >= MAX_QUEUE:
            self._drop(observer)
            return
        self._queue.append(observer)
        self._call_a_task_unless_closed()

    def _drop(self, observer: Observer) -> None:
        self.dropped += 1
        if (
            self.dropped & (self.dropped - 1) == 0
        ):  # the 1st, 2nd, 4th, 8th ...: a flood of drops is not a flood of lines
            log.error("%d observers dropped: the queue of %d is full", self.dropped, MAX_QUEUE)
        if observer.done is not None:
            observer.done()

    def _call_a_task(self) -> None:
        if self._queue and self._tasks == self._suspended and self._tasks < MAX_TASKS:
            self._tasks += 1
            self._spawn(self._drain)

    async def _drain(self) -> None:
        try:
            while self._queue:
                observer = self._queue.popleft()
                try:
                    await self._run(observer)
                finally:
                    if observer.done is not None:
                        observer.done()
        finally:
            self._tasks -= 1
            self._call_a_task_unless_closed()

    def _call_a_task_unless_closed(self) -> None:
        try:
            self._call_a_task()
        except KitStateError as error:
            self._tasks -= 1
            if error.code != "kit.closed":
                return  # no loop runs yet; the start of the kit calls again
            log.warning("%d observers were left when the kit closed", len(self._queue))
            while self._queue:
                self._drop(self._queue.popleft())

    def wake(self) -> None:
        """The kit has started: whatever was queued before is called now."""
        self._call_a_task_unless_closed()

    async def _run(self, observer: Observer) -> None:
        node = Node(self._kit, observer.kind)
        node.hooks = observer.hooks
        node.depth = observer.depth
        node.budget = observer.budget
        node.origin = observer.origin
        node.follow = observer.follow
        token = current.set(node)
        try:
            with move_on_after(observer.timeout) as scope:
                result = observer.fn(*observer.args)
                if isawaitable(result):
                    await _watched(result, self)
            if scope.cancelled_caught:
                self._report(observer, f"no end within {observer.timeout:g} s")
        except Exception as error:
            log.debug("observer %r raised", observer.name, exc_info=error)
            self._report(observer, f"{type(error).__name__}: {error}")
        finally:
            node.die()
            current.reset(token)

    def _report(self, observer: Observer, what: str) -> None:
        log.warning("observer %r failed: %s", observer.name, what)
        if observer.failed is not None:
            observer.failed(observer, what)

    def suspend(self) -> None:
        """A running observer waits for something; another task takes the queue."""
        self._suspended += 1
        self._call_a_task_unless_closed()

    def resume(self) -> None:
        """It goes on."""
        self._suspended -= 1


@coroutine
def _watched(awaitable: Any, observers: Observers) -> Generator[Any, Any, None]:
    """Step an awaitable and tell ``observers`` about each suspension."""
    steps = awaitable.__await__()
    try:
        yielded = next(steps)
        while True:
            observers.suspend()
            try:
                sent = yield yielded
            except BaseException as error:
                observers.resume()
                yielded = steps.throw(error)
            else:
                observers.resume()
                yielded = steps.send(sent) if sent is not None else next(steps)
    except StopIteration:
        return
    except BaseException:
        sent = None  # on trio it may hold the error, whose traceback leads to this frame: a cycle
        raise
