"""Sending what waits for clients: any number of tasks may try, one at a time sends to a client.

Whoever drains goes from client to client in its own task. When the send to one suspends, that task stays with it, and
the clients behind it pass on to another task, so that a slow client delays nobody else.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any

from roomkit_core.errors import KitStateError
from roomkit_websocket.clients import Client, Item
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

    def begin(self, bounds: Bounds | None) -> Coroutine[Any, Any, None] | None:
        """As :meth:`drain`, but it starts at once, and the ordinary case, one client with one item, ends at once too.

        Args:
            bounds: Those in which this runs, if they were lent.

        Returns:
            What is left to be awaited, now and in this task; None if nothing is.
        """
        ready = self.ready
        if len(ready) == 1 and bounds is not None:
            client = ready[0]
            if len(client.queue) == 1 and not client.busy and not client.held:
                ready.popleft()
                client.listed = False
                return self._start(client, bounds)
        return self.drain(bounds) if ready else None

    async def drain(self, bounds: Bounds | None = None) -> None:
        """Send to everybody who is ready now. Who gets ready while this task waits has drains of their own.

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
            if client.busy or client.held or len(client.queue) != 1 or not at_once:
                await self.flush(client)
            elif (rest := self._start(client, bounds)) is not None:
                await rest

    def _start(self, client: Client, bounds: Bounds | None) -> Coroutine[Any, Any, None] | None:
        """Send the one item that waits for a client, where nothing has to be entered beforehand.

        Returns:
            The rest of it; None if nothing has suspended.
        """
        queue = client.queue
        item = queue[0]  # where it stays until it is sent: a sender may be cancelled
        client.busy = True
        try:
            sending = client.send(item)
            waiting_for = sending.send(None)
        except StopIteration:
            client.failures = 0
        except Exception as error:
            self._failed(client, error)
        except BaseException:
            self._stop(client)
            raise
        else:
            return self._outwait(client, item, sending, waiting_for, bounds)
        if queue and queue[0] is item:
            queue.popleft()
        self._stop(client)
        return None

    async def _outwait(
        self, client: Client, item: Item, sending: Sent, waiting_for: Any, bounds: Bounds | None
    ) -> None:
        """A send that has suspended: those behind it pass on, and its time is limited."""
        queue = client.queue
        try:
            try:
                await finish(sending, waiting_for, self.timeout, self._pass_on, bounds)
                client.failures = 0
            except SendTimeout:
                self._late(client)
            except Exception as error:
                self._failed(client, error)
            if queue and queue[0] is item:
                queue.popleft()
        finally:
            self._stop(client)

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
            self._stop(client)

    def _stop(self, client: Client) -> None:
        """Nobody sends to the client any more."""
        client.busy = False
        if client.queue and not client.held:  # more came meanwhile, or this sender was cancelled
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
