"""What one client gets to see: the gap since its cursor, then what happens.

The order is rule V3 of the durability protocol: subscribe first, then read the gap; show from memory only what follows
the cursor directly, and read everything else.

While it reads, the client's own task is its only sender (``client.held``). When it has caught up, whoever drains the
channel sends to it, in the task in which something happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from anyio import Event, move_on_after

from roomkit_core.models.ids import new_id
from roomkit_core.models.room import Cursor
from roomkit_websocket import protocol
from roomkit_websocket.admission import check_organization
from roomkit_websocket.clients import Client, ClientGone, Hint, Item, Notice
from roomkit_websocket.stepping import SendTimeout

if TYPE_CHECKING:
    from roomkit_core.models.room import Page
    from roomkit_websocket.admission import Visitor
    from roomkit_websocket.app import Sender, WebSocketApp
    from roomkit_websocket.protocol import Join

PAGE = 100


class Reading:
    """The way of one client through a room's timeline.

    Args:
        app: The application.
        join: What the client asked for.
        visitor: Who it is.
        send: Sends an ASGI message.
        ended: Called with a code when the channel dropped the client, with None when the client is gone.
    """

    def __init__(
        self, app: WebSocketApp, join: Join, visitor: Visitor, send: Sender, ended: Callable[[str | None], None]
    ) -> None:
        self._app = app
        self._channel = app.channel
        self._join = join
        self._visitor = visitor
        self._send = send
        self._ended = ended
        self._cursor = Cursor("", -1)
        self._behind = Event()
        self.room_id = join.room
        self.client = Client(new_id(), join.room, self._send_item, ended)
        self.client.held = True

    async def run(self) -> None:
        """Welcome the client and keep it up to date, until cancelled. The client must be registered by now."""
        start, fresh = await self._beginning(self._join.after)
        self._cursor = start
        await self._tell(protocol.welcome(self.room_id, self._visitor, start))
        if fresh:
            await self._tell(protocol.reset(start))
        while True:
            await self._catch_up()
            self.client.held = False
            await self._channel.flush(self.client)
            await self._behind.wait()
            self._behind = Event()

    async def _beginning(self, after: Cursor | None) -> tuple[Cursor, bool]:
        """After what to read, and whether the client's cursor was none of this room."""
        page = await self._page(after, 1)
        if after is not None and not page.reset:
            return after, False
        room = await self._app.kit.get_room(self.room_id)
        check_organization(self._visitor, room)  # it may have been made anew for others
        return Cursor(page.cursor.epoch, max(-1, room.latest_index - self._app.history)), page.reset

    async def _catch_up(self) -> None:
        while True:
            await self._tell_notices()
            page = await self._page(self._cursor, PAGE)
            if page.reset:
                self._cursor, _ = await self._beginning(None)
                await self._tell(protocol.reset(self._cursor))
                continue
            for event in page.events:
                at = Cursor(page.cursor.epoch, event.index)
                await self._tell(protocol.event_message(event, at))
                self._cursor = at
            self._cursor = page.cursor
            await self._tell(protocol.cursor_message(page.cursor, more=page.more))
            if not page.more:
                return

    async def _page(self, after: Cursor | None, limit: int) -> Page:
        return await self._app.kit.rooms.read(self.room_id, viewer=self._channel.channel_id, after=after, limit=limit)

    async def _tell_notices(self) -> None:
        """Empty the queue; the events in it are committed, so the next page has them."""
        queue = self.client.queue
        notices = [item for item in queue if isinstance(item, Notice)]
        queue.clear()
        for notice in notices:
            await self._tell(notice.message)

    async def _tell(self, message: dict[str, Any]) -> None:
        with move_on_after(self._channel.send_timeout) as scope:
            await self._send(message)
        if scope.cancelled_caught:
            raise SendTimeout

    async def _send_item(self, item: Item) -> None:
        """What whoever drains the channel calls, for one item at a time."""
        try:
            if isinstance(item, Notice):
                await self._send(item.message)
            elif self._follows(item):
                await self._send(item.message)
                self._cursor = item.cursor
        except ClientGone:
            self._ended(None)

    def _follows(self, hint: Hint) -> bool:
        """Whether the event is the next one. One that is known is left out, before one beyond a gap the gap is read."""
        if hint.cursor.epoch == self._cursor.epoch:
            if hint.cursor.index == self._cursor.index + 1:
                return True
            if hint.cursor.index <= self._cursor.index:
                return False
        self.client.held = True
        self._behind.set()
        return False
