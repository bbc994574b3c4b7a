"""Group commit: one thread writes, and what arrives while it does goes into the next transaction together.

A disk needs about as long for the changes of one message as for those of a hundred, so that all rooms share it. What is
handed in joins the group that is open; the thread takes the group when the one before is durable. Nobody leads whom a
caller could cancel, and there is no timer: a lone message starts at once.

Whoever waits for a member of a group waits for the group, so that a hundred callers cost one event.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import anyio

from roomkit_core.background import Post, postbox
from roomkit_core.builtin.sqlite.errors import again
from roomkit_core.errors import StoreError
from roomkit_core.interfaces.store import Ticket

log = logging.getLogger("roomkit.store")

T = TypeVar("T")


class Group:
    """Requests that become durable together."""

    __slots__ = ("_event", "_lock", "_post", "is_done", "requests")

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self.requests: list[Request[Any]] = []
        self.is_done = False
        self._event: anyio.Event | None = None
        self._post: Post | None = None

    async def wait(self) -> None:
        """Return when every request has its answer."""
        with self._lock:
            if self.is_done:
                return
            if self._event is None:
                self._event, self._post = anyio.Event(), postbox()
            event = self._event
        await event.wait()

    def finish(self) -> None:
        """The answers are there; called by the writing thread."""
        with self._lock:
            self.is_done = True
            self.requests = []  # a request knows its group
            event, post = self._event, self._post
        if event is not None and post is not None:
            post(event.set)


class Request(Ticket, Generic[T]):
    """Something to be written. ``answer`` and ``error`` are set when it is durable, or will not be.

    Args:
        work: What is to be done, in the terms of whoever executes the groups.
        adds_to_journal: Whether it can bring an inbound row.
    """

    __slots__ = ("adds_to_journal", "error", "group", "work")

    group: Group
    answer: T | None  # type: ignore[assignment]  # a ticket's answer is one of several

    def __init__(self, work: Any, adds_to_journal: bool = False) -> None:
        self.work = work
        self.adds_to_journal = adds_to_journal
        self.answer = None
        self.error: Exception | None = None

    async def wait(self) -> T:  # type: ignore[override]
        if not self.group.is_done:
            await self.group.wait()
        if self.error is not None:
            raise again(self.error)
        return self.answer  # type: ignore[return-value]  # T may be None


class Writer:
    """The thread that writes.

    Args:
        execute: Does the work of all requests in one transaction and gives each its answer or its error. It never
            raises.
        tidy: Called in the thread after each group, when its answers are out.
        finish: Called in the thread after its last group.
    """

    def __init__(
        self,
        execute: Callable[[list[Request[Any]]], None],
        tidy: Callable[[], None],
        finish: Callable[[], None],
    ) -> None:
        self._execute = execute
        self._tidy = tidy
        self._finish = finish
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._open = Group(self._lock)
        self._is_idle = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="roomkit-sqlite", daemon=True)

    def start(self) -> None:
        """Begin to write; what was handed in before waits for this."""
        self._thread.start()

    def hand_in(self, request: Request[T]) -> Request[T]:
        """Let the request join the open group; never blocks for long.

        Raises:
            StoreError: The writer is closed.
        """
        with self._lock:
            if self._is_closing:
                raise StoreError("the store is closed", code="store.closed", retryable=False)
            request.group = group = self._open
            group.requests.append(request)
            if self._is_idle:
                self._is_idle = False
                self._work.notify()
        return request

    def stop(self) -> None:
        """Take no more requests, write what was handed in, and return when that is done. Blocks."""
        with self._lock:
            self._is_closing = True
            self._work.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._open.requests:
                    if self._is_closing:
                        break
                    self._is_idle = True
                    self._work.wait()
                self._is_idle = False
                group = self._open
                if not group.requests:
                    break
                self._open = Group(self._lock)
            self._execute(group.requests)
            group.finish()
            try:
                self._tidy()
            except Exception:  # untidy, but what was acknowledged is written, and so is what comes next
                log.exception("tidying the store failed")
        self._finish()
