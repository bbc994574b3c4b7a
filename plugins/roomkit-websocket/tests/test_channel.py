"""Hints, queues and senders of the channel, without any socket."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest
from anyio import CancelScope, Event, create_task_group, fail_after, lowlevel

from roomkit_core.interfaces.channel import Channel
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.kinds import ChannelMediaType, ChannelType
from roomkit_core.models.room import Cursor
from roomkit_websocket.channel import WebSocketChannel
from roomkit_websocket.clients import Client, Hint, Item

Committed = Callable[..., tuple[RoomEvent, Cursor]]


class Inbox:
    """A client that writes down what it gets; it can be made to wait and to fail."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.began: list[int] = []
        self.open = Event()
        self.open.set()
        self.reached = Event()
        self.failing = False
        self.senders = 0

    async def __call__(self, connection_id: str, event: RoomEvent) -> None:
        assert self.senders == 0, "two senders at once"
        self.senders += 1
        try:
            self.began.append(event.index)
            self.reached.set()
            if self.failing:
                raise RuntimeError("broken")
            if not self.open.is_set():
                await self.open.wait()
            self.got.append(event.index)
        finally:
            self.senders -= 1

    def block(self) -> None:
        self.open = Event()
        self.reached = Event()


def runs_through(channel: Channel) -> bool:
    """Drain by hand; whether that came to its end without suspending."""
    drain = channel.drain()
    try:
        drain.send(None)  # type: ignore[attr-defined]
    except StopIteration:
        return True
    drain.close()  # type: ignore[attr-defined]
    return False


async def reaches(condition: Callable[[], bool]) -> None:
    with fail_after(5):
        while not condition():
            await lowlevel.checkpoint()


def test_it_declares_what_a_browser_can_show() -> None:
    channel = WebSocketChannel("ws")
    capabilities = channel.capabilities()
    assert channel.channel_type == ChannelType.WEBSOCKET
    assert channel.live
    assert {ChannelMediaType.TEXT, ChannelMediaType.RICH, ChannelMediaType.LOCATION} <= set(capabilities.media_types)
    assert capabilities.supports_buttons
    assert capabilities.supports_edit


async def test_a_hint_tells_the_clients_of_the_room_and_says_how_many(
    channel: WebSocketChannel, committed: Committed
) -> None:
    here, there, everywhere = Inbox(), Inbox(), Inbox()
    channel.register_connection("here", here, room_id="room")
    channel.register_connection("there", there, room_id="other")
    channel.register_connection("everywhere", everywhere)

    assert channel.on_hint("room", *committed(0)) == 2
    assert channel.on_hint("third", *committed(0, "third")) == 1
    await channel.drain()

    assert (here.got, there.got, everywhere.got) == ([0], [], [0, 0])


async def test_a_hint_to_nobody_counts_nobody(channel: WebSocketChannel, committed: Committed) -> None:
    assert channel.on_hint("room", *committed(0)) == 0


async def test_while_no_client_suspends_a_drain_runs_through_without_a_task(
    channel: WebSocketChannel, committed: Committed
) -> None:
    inboxes = [Inbox() for _ in range(3)]
    for number, inbox in enumerate(inboxes):
        channel.register_connection(str(number), inbox, room_id="room")
    channel.on_hint("room", *committed(0))
    channel.on_hint("room", *committed(1))

    assert runs_through(channel)
    assert [inbox.got for inbox in inboxes] == [[0, 1]] * 3


async def test_an_event_is_put_into_words_once_for_all_clients(channel: WebSocketChannel, committed: Committed) -> None:
    got: list[Item] = []

    async def send(item: Item) -> None:
        got.append(item)

    for name in ("one", "two"):
        channel.add_client(Client(name, "room", send, lambda code: None))
    channel.on_hint("room", *committed(0))
    await channel.drain()

    first, second = got
    assert isinstance(first, Hint)
    assert first.message is second.message


async def test_overlapping_drains_keep_the_order_and_send_one_at_a_time(
    channel: WebSocketChannel, committed: Committed
) -> None:
    inbox = Inbox()
    inbox.block()
    channel.register_connection("c", inbox, room_id="room")
    async with create_task_group() as tasks:
        for index in range(5):
            channel.on_hint("room", *committed(index))
            tasks.start_soon(channel.drain)
            await inbox.reached.wait()
        inbox.open.set()
    await reaches(lambda: inbox.got == [0, 1, 2, 3, 4])


async def test_a_slow_client_delays_nobody_else(channel: WebSocketChannel, committed: Committed) -> None:
    slow, quick, also_slow = Inbox(), Inbox(), Inbox()
    slow.block()
    also_slow.block()
    for name, inbox in {"slow": slow, "also slow": also_slow, "quick": quick}.items():
        channel.register_connection(name, inbox, room_id="room")
    async with create_task_group() as tasks:
        channel.on_hint("room", *committed(0))
        tasks.start_soon(channel.drain)  # this one task is stuck with the slow client
        await reaches(lambda: quick.got == [0])
        assert (slow.got, also_slow.got) == ([], [])
        slow.open.set()
        also_slow.open.set()
    await reaches(lambda: slow.got == also_slow.got == [0])


async def test_who_sends_to_a_client_that_gets_ever_more_is_relieved(
    channel: WebSocketChannel, committed: Committed
) -> None:
    inbox = Inbox()
    inbox.block()
    channel.register_connection("c", inbox, room_id="room")
    async with create_task_group() as tasks:
        channel.on_hint("room", *committed(0))
        tasks.start_soon(channel.drain)
        await inbox.reached.wait()
        channel.on_hint("room", *committed(1))
        inbox.open.set()
        inbox.open = Event()  # the next send waits again, but in another task
    assert inbox.got == [0]
    inbox.open.set()
    await reaches(lambda: inbox.got == [0, 1])


async def test_a_cancelled_sender_leaves_its_queue_to_a_task_of_the_kit(
    channel: WebSocketChannel, committed: Committed
) -> None:
    inbox = Inbox()
    inbox.block()
    channel.register_connection("c", inbox, room_id="room")
    async with create_task_group() as tasks:
        channel.on_hint("room", *committed(0))
        channel.on_hint("room", *committed(1))
        tasks.start_soon(channel.drain)
        await inbox.reached.wait()
        tasks.cancel_scope.cancel()
    inbox.open.set()
    await reaches(lambda: inbox.got == [0, 1])
    assert inbox.began[:2] == [0, 0], "the event that was cut off comes again"


async def test_without_a_kit_the_next_drain_goes_on(committed: Committed) -> None:
    channel = WebSocketChannel("ws")
    inbox = Inbox()
    inbox.block()
    channel.register_connection("c", inbox, room_id="room")
    async with create_task_group() as tasks:
        channel.on_hint("room", *committed(0))
        tasks.start_soon(channel.drain)
        await inbox.reached.wait()
        tasks.cancel_scope.cancel()
    inbox.open.set()
    assert inbox.got == []
    await channel.drain()
    assert inbox.got == [0]


async def test_a_foreign_cancellation_of_a_sender_is_no_timeout(
    channel: WebSocketChannel, committed: Committed
) -> None:
    inbox = Inbox()
    inbox.block()
    channel.register_connection("c", inbox, room_id="room")
    channel.on_hint("room", *committed(0))
    with CancelScope() as scope:
        async with create_task_group() as tasks:
            tasks.start_soon(channel.drain)
            await inbox.reached.wait()
            scope.cancel()
    assert scope.cancelled_caught
    assert channel.connection_count == 1


async def test_a_send_that_takes_too_long_drops_the_client_and_nobody_else(
    committed: Committed, anyio_backend_name: str
) -> None:
    channel = WebSocketChannel("ws", send_timeout=0.05)
    stuck, fine = Inbox(), Inbox()
    stuck.block()
    channel.register_connection("stuck", stuck, room_id="room")
    channel.register_connection("fine", fine, room_id="room")
    channel.on_hint("room", *committed(0))

    with fail_after(5):
        await channel.drain()

    assert (stuck.got, fine.got) == ([], [0])
    assert channel.info == {"connection_count": 1, "room_count": 1, "dropped_count": 1}
    if anyio_backend_name == "asyncio":
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling(), "the cancellation of the send was not taken back"


async def test_a_send_that_swallows_its_cancellation_still_drops_the_client(committed: Committed) -> None:
    channel = WebSocketChannel("ws", send_timeout=0.05)

    async def stubborn(connection_id: str, event: RoomEvent) -> None:
        with CancelScope() as scope:
            scope.shield = False
            try:
                await Event().wait()
            except BaseException:
                return

    channel.register_connection("c", stubborn, room_id="room")
    channel.on_hint("room", *committed(0))
    with fail_after(5):
        await channel.drain()
    assert channel.connection_count == 0


async def test_a_client_whose_queue_overflows_is_dropped(channel: WebSocketChannel, committed: Committed) -> None:
    codes: list[str] = []

    async def send(item: Item) -> None:
        raise AssertionError("nobody drains")

    channel.add_client(Client("c", "room", send, codes.append))
    told = [channel.on_hint("room", *committed(index)) for index in range(channel.queue_size + 1)]

    assert told == [1] * channel.queue_size + [0]
    assert codes == ["connection.too_slow"]
    assert channel.connection_count == 0
    await channel.drain()


async def test_a_failing_send_skips_the_event_and_three_in_a_row_drop_the_client(
    channel: WebSocketChannel, committed: Committed
) -> None:
    inbox = Inbox()
    channel.register_connection("c", inbox, room_id="room")
    for index, failing in enumerate([True, True, False, True, True, True]):
        inbox.failing = failing
        channel.on_hint("room", *committed(index))
        await channel.drain()
        assert channel.connection_count == (0 if index == 5 else 1)
    assert inbox.got == [2]


async def test_an_id_that_registers_again_gets_the_new_functions(
    channel: WebSocketChannel, committed: Committed
) -> None:
    old, new = Inbox(), Inbox()
    channel.register_connection("c", old, room_id="room")
    channel.on_hint("room", *committed(0))
    channel.register_connection("c", new, room_id="other")
    channel.on_hint("room", *committed(1))
    channel.on_hint("other", *committed(0, "other"))
    await channel.drain()

    assert (old.got, new.got) == ([], [0])
    channel.unregister_connection("c")
    channel.unregister_connection("unknown")
    assert channel.info["room_count"] == 0


async def test_a_client_may_leave_in_the_middle_of_a_send(channel: WebSocketChannel, committed: Committed) -> None:
    inbox = Inbox()
    inbox.block()
    channel.register_connection("c", inbox, room_id="room")
    channel.on_hint("room", *committed(0))
    channel.on_hint("room", *committed(1))
    async with create_task_group() as tasks:
        tasks.start_soon(channel.drain)
        await inbox.reached.wait()
        channel.unregister_connection("c")
        inbox.open.set()
    assert inbox.got == [0]


@pytest.mark.parametrize("clients", [1, 20])
async def test_hints_and_drains_leave_no_reference_cycles(
    channel: WebSocketChannel, committed: Committed, clients: int
) -> None:
    for number in range(clients):
        channel.register_connection(str(number), Inbox(), room_id="room")
    events = [committed(index) for index in range(100)]
    gc.collect()
    gc.disable()
    try:
        for event, cursor in events:
            channel.on_hint("room", event, cursor)
            await channel.drain()
        assert gc.collect() == 0
    finally:
        gc.enable()
