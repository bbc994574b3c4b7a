"""Sending what waits for clients: any number of tasks may try, one at a time sends to a client.

Whoever drains goes from client to client in its own task. When the send to one suspends, that task stays with it, and
the clients behind it pass on to another task, so that a slow client delays nobody else.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any

from roomkit_core.errors import KitStateError
from roomkit_websocket.clients import Client
from roomkit_websocket.stepping import Sending as Sent
from roomkit_websocket.stepping import SendTimeout, finish, on_asyncio, step

if TYPE_CHECKING:
    from roomkit_core.background import Bounds

log = logging.getLogger("roomkit.websocket")

Spawn = Callable[[Callable[[], Awaitable[None]]], object]
"""Runs a job in a task of the kit."""


class Sending:
    """The clients that have something to receive.

    Args:
        timeout: Seconds that one send may take.
        late: Called with a client whose send took longer.
        failed: Called with a client whose send raised.

    Attributes:
        ready: Clients with a queue and without a sender, each at most once; marked as ``listed``.
        spawn: Where a task for those behind a slow client comes from. Without one they wait for the next drain.
    """

    __slots__ = ("_failed", "_late", "ready", "spawn", "timeout")

    def __init__(
        self, timeout: float, late: Callable[[Client], None], failed: Callable[[Client, Exception], None]
    ) -> None:
        self.timeout = timeout
        self.ready: deque[Client] = deque()
        self.spawn: Spawn | None = None
        self._late = late
        self._failed = failed

    async def drain(self, bounds: Bounds | None = None) -> None:
        """Send to everybody who is ready now. Who gets ready while this task waits has drains of their own.

        The ordinary case, one item and nothing to be entered beforehand, is written out: it runs with every message.

        Args:
            bounds: Those in which this runs, if they were lent.
        """
        ready = self.ready
        at_once = bounds is not None or on_asyncio()
        for _ in range(len(ready)):
            try:
                client = ready.popleft()
            except IndexError:
                return
            client.listed = False
            queue = client.queue
            if client.busy or client.held or len(queue) != 1 or not at_once:
                await self.flush(client)
                continue
            item = queue[0]
            client.busy = True
            try:
                sending = client.send(item)
                try:
                    waiting_for = sending.send(None)
                except StopIteration:
                    client.failures = 0
                except Exception as error:
                    self._failed(client, error)
                else:
                    await self._outwait(client, sending, waiting_for, bounds)
                if queue and queue[0] is item:
                    queue.popleft()
            finally:
                client.busy = False
                if queue and not client.held:
                    self._leave(client)

    @coroutine
    def _outwait(
        self, client: Client, sending: Sent, waiting_for: Any, bounds: Bounds | None
    ) -> Generator[Any, Any, None]:
        """A send that has suspended: those behind it pass on, and its time is limited."""
        try:
            yield from finish(sending, waiting_for, self.timeout, self._pass_on, bounds)
            client.failures = 0
        except SendTimeout:
            self._late(client)
        except Exception as error:
            self._failed(client, error)

    @coroutine
    def flush(self, client: Client) -> Generator[Any, Any, None]:
        """Send what waits for one client now, unless somebody is sending to it already."""
        if client.busy or client.held:
            return
        queue = client.queue
        client.busy = True
        try:
            for _ in range(len(queue)):
                if not queue or client.held:
                    return
                item = queue[0]  # where it stays until it is sent: a sender may be cancelled
                try:
                    yield from step(client.send(item), self.timeout, self._pass_on)
                    client.failures = 0
                except SendTimeout:
                    self._late(client)
                except Exception as error:
                    self._failed(client, error)
                if queue and queue[0] is item:
                    queue.popleft()
        finally:
            client.busy = False
            if queue and not client.held:  # more came meanwhile, or this sender was cancelled
                self._leave(client)

    def _leave(self, client: Client) -> None:
        if not client.listed:
            client.listed = True
            self.ready.append(client)
        self._pass_on()

    def _pass_on(self) -> None:
        if not self.ready or self.spawn is None:
            return
        try:
            self.spawn(self._drain_in_task)
        except KitStateError:
            log.debug("the kit is closed; %d clients read the rest when they come back", len(self.ready))

    async def _drain_in_task(self) -> None:
        await self.drain()
