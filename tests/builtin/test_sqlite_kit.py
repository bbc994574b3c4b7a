"""A kit over a SQLite store: what was said is there after a restart, and nobody pays for the store who has another."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from roomkit_core import (
    Channel,
    ChannelType,
    Delivery,
    InboundMessage,
    InboundResult,
    Receipt,
    RoomKit,
    SQLiteStore,
    TextContent,
    WorkFilter,
    WorkState,
)


class Letters(Channel):
    """Remembers what it sent."""

    channel_type = ChannelType("letters")

    def __init__(self, channel_id: str) -> None:
        super().__init__(channel_id)
        self.sent: list[str] = []

    async def send(self, delivery: Delivery) -> Receipt:
        self.sent.append(delivery.key)
        return Receipt.sent(f"P-{delivery.key}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rooms.db"


def message(number: int) -> InboundMessage:
    return InboundMessage(
        channel_id="in", sender_id="ada", content=TextContent(body=str(number)), idempotency_key=f"m{number}"
    )


async def run_once(path: Path, numbers: range) -> tuple[list[InboundResult], Letters]:
    """One life of a program: a kit, its channels, and some messages."""
    store = SQLiteStore(path)
    post = Letters("out")
    async with RoomKit(store=store) as kit:
        kit.register_channel(Letters("in"))
        kit.register_channel(post)
        if not await store.room_exists("room"):
            await kit.create_room("room")
            for channel_id in ("in", "out"):
                await kit.attach_channel("room", channel_id)
        results = [await kit.process_inbound(message(number), room_id="room") for number in numbers]
    await store.close()
    return results, post


async def test_a_second_life_goes_on_where_the_first_ended(path: Path) -> None:
    first, _ = await run_once(path, range(5))
    second, post = await run_once(path, range(3, 8))

    assert [result.event for result in second[:2]] == [result.event for result in first[3:]]  # they were known
    assert len(post.sent) == 3
    store = SQLiteStore(path, role="tool")
    await store.open()
    rows = await store.list_work(WorkFilter())
    events = [event for event in await store.list_events("room") if isinstance(event.content, TextContent)]
    await store.close()
    assert [event.content.body for event in events] == [str(number) for number in range(8)]
    assert [row.state for row in rows] == [WorkState.SENT] * 8
    assert [row.provider_ids for row in rows] == [(f"P-{row.id}",) for row in rows]


@pytest.mark.parametrize(
    "program", ["import roomkit_core", "from roomkit_core import RoomKit; RoomKit()"], ids=["import", "kit"]
)
def test_who_uses_another_store_does_not_load_sqlite(program: str) -> None:
    code = f"import json, sys; {program}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {name for name in json.loads(done.stdout) if "sqlite" in name}


async def test_one_file_has_one_owner_by_whichever_name(path: Path, tmp_path: Path) -> None:
    name = link(tmp_path / "link.db", path)
    first = SQLiteStore(path)
    await first.open()
    try:
        assert SQLiteStore(name).path == first.path
        with pytest.raises(Exception, match="belongs to process"):
            await SQLiteStore(name).open()
    finally:
        await first.close()


def link(name: Path, target: Path) -> Path:
    name.symlink_to(target)
    return name
