"""Clients that are cut off at random while others talk: everybody sees everything once and in order."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from anyio import create_task_group, move_on_after, sleep
from websockets.exceptions import ConnectionClosed

from roomkit_core import RoomKit, TextContent

pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio"])

Call = Callable[..., Awaitable[Any]]


class Reader:
    """A client as the protocol wants it: a cursor, and nothing shown that is not above it."""

    def __init__(self, call: Call, name: str, chance: random.Random) -> None:
        self._call = call
        self._name = name
        self._chance = chance
        self.cursor: dict[str, Any] | None = None
        self.seen: list[int] = []

    async def read(self, until: Callable[[], int | None]) -> None:
        while until() is None or not self.seen or self.seen[-1] < (until() or 0):
            peer = await self._call()
            with move_on_after(self._chance.random() / 4), suppress(ConnectionClosed):
                await peer.put(type="join", room="room", client=f"the-secret-of-{self._name}", cursor=self.cursor)
                while True:
                    self._take(await peer.next("event", "cursor", "welcome"))
            peer.cut()

    def _take(self, message: dict[str, Any]) -> None:
        cursor = message["cursor"]
        if self.cursor is None:
            self.cursor = cursor
        if message["type"] == "event":
            if cursor["index"] <= self.cursor["index"]:
                return
            self.seen.append(cursor["index"])
        self.cursor = max(self.cursor, cursor, key=lambda each: each["index"])


async def talk(call: Call, name: str, count: int, chance: random.Random) -> None:
    """Say ``count`` things; now and then lose the connection after a message and before its ack."""
    peer, number, joined = await call(), 0, False
    while number < count:
        try:
            if not joined:
                await peer.join(name)
                joined = True
            await peer.put(type="send", id=f"{name}-{number}", text=f"{name} {number}")
            if chance.random() < 0.1:
                await sleep(chance.random() / 100)
                peer.cut()
            while (await peer.next("ack"))["id"] != f"{name}-{number}":
                pass
            number += 1
        except ConnectionClosed:
            peer, joined = await call(), False


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(10))
async def test_everybody_sees_everything_once_and_in_order(kit: RoomKit, call: Call, seed: int) -> None:
    chance = random.Random(seed)
    readers = [Reader(call, f"reader-{number}", chance) for number in range(6)]
    head: list[int] = []

    async with create_task_group() as reading:
        for reader in readers:
            reading.start_soon(reader.read, lambda: head[0] if head else None)
        async with create_task_group() as talking:
            for number in range(4):
                talking.start_soon(talk, call, f"talker-{number}", 60, chance)
        await kit.send_event("room", "desk", TextContent(body="the end"))
        head.append((await kit.get_room("room")).latest_index)

    timeline = [event for event in await kit.get_timeline("room", limit=1000) if event.type == "message"]
    said = [event.content.body for event in timeline]
    assert sorted(said) == sorted([*(f"talker-{n} {m}" for n in range(4) for m in range(60)), "the end"])
    for number in range(4):
        assert [text for text in said if text.startswith(f"talker-{number} ")] == [
            f"talker-{number} {m}" for m in range(60)
        ]
    for reader in readers:
        indexes = [event.index for event in timeline]
        assert reader.seen == indexes[indexes.index(reader.seen[0]) :]
