"""What a message costs does not grow with its room: counted in calls and bytes, never in time."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from roomkit_core import (
    ChangeSet,
    Committed,
    EventSource,
    EventStatus,
    HookResult,
    HookTrigger,
    InMemoryStore,
    RoomContext,
    RoomEvent,
    RoomKit,
    TextContent,
)
from roomkit_core.models.base import evolve
from roomkit_core.models.ids import new_commit_id, new_id
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message
from tests.support.rooms import kit_with, say

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
SMALL, LARGE = 1_000, 100_000
BATCH = 1_000
MESSAGES = 40

Deed = Callable[[], Awaitable[Any]]


async def fill(store: InMemoryStore, room_id: str, count: int) -> None:
    """Put events into a room until it has ``count``, in batches and past the kit."""
    snapshot = await store.load_room(room_id)
    assert snapshot is not None
    version, index = snapshot.version, snapshot.next_index
    pattern = RoomEvent(
        room_id=room_id,
        source=EventSource(channel_id="live", channel_type="websocket", participant_id="ann"),
        content=TextContent(body="one of many"),
        status=EventStatus.DELIVERED,
    )
    while index < count:
        size = min(BATCH, count - index)
        events = tuple(evolve(pattern, id=new_id(), index=index + number) for number in range(size))
        answer = store.submit(ChangeSet(room_id, new_commit_id(), version, events=events)).answer
        assert isinstance(answer, Committed)
        assert answer.version is not None
        version, index = answer.version, index + size


# --------------------------------------------------------------------------------------------------------- the messages


def plain(kit: RoomKit) -> Deed:
    return lambda: kit.process_inbound(message(), room_id="room")


def keyed(kit: RoomKit) -> Deed:
    return lambda: kit.process_inbound(message(idempotency_key=new_id()), room_id="room")


def sent(kit: RoomKit) -> Deed:
    return lambda: say(kit, "hi", channel_id="live")


def with_a_hook_that_looks_and_sends(kit: RoomKit) -> Deed:
    @kit.hook(HookTrigger.BEFORE_BROADCAST)
    async def look(event: RoomEvent, context: RoomContext) -> HookResult:
        assert context.room.event_count > 0
        assert len(context.recent_events) == 50
        await say(kit, "noted", channel_id="live")
        return HookResult.allow()

    return lambda: kit.process_inbound(message(), room_id="room")


def read(kit: RoomKit) -> Deed:
    async def page() -> None:
        assert len(await kit.get_timeline("room", newest_first=True, limit=20)) == 20
        assert len(await kit.get_timeline("room", after_index=500, limit=20)) == 20
        assert (await kit.rooms.read("room", viewer="live", limit=20)).more

    return page


DEEDS = [plain, keyed, sent, with_a_hook_that_looks_and_sends, read]


async def calls_of(kit: RoomKit, deed: Deed) -> Sequence[int]:
    """How many Python and C calls each of some messages makes."""
    counts: list[int] = []
    count = 0

    def profile(frame: Any, kind: str, argument: Any) -> None:
        nonlocal count
        if kind in ("call", "c_call"):
            count += 1

    for _ in range(MESSAGES):
        count = 0
        sys.setprofile(profile)
        try:
            await deed()
        finally:
            sys.setprofile(None)
        counts.append(count)
        await kit.idle()
    return counts


async def bytes_of(kit: RoomKit, deed: Deed) -> Sequence[int]:
    """How many bytes each of some messages has taken at its peak."""
    peaks: list[int] = []
    tracemalloc.start()
    try:
        for _ in range(MESSAGES):
            gc.collect(0)
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            await deed()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
            await kit.idle()
    finally:
        tracemalloc.stop()
    return peaks


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.timeout(180)
async def test_t28_a_message_costs_the_same_in_a_room_with_a_hundred_times_as_many_events(
    deed: Callable[[RoomKit], Deed],
) -> None:
    calls: dict[int, int] = {}
    peaks: dict[int, float] = {}
    for count in (SMALL, LARGE):
        store = InMemoryStore()
        channels = [LiveProbe("live"), ScriptedChannel("sms"), Answering(reply=lambda event: [])]
        async with kit_with(*channels, store=store) as kit:
            await fill(store, "room", count)
            run = deed(kit)
            for _ in range(3):  # the first one finds that its cache is old
                await run()
            await kit.idle()
            calls[count] = min(await calls_of(kit, run))  # what other tasks do meanwhile only adds
            peaks[count] = min(await bytes_of(kit, run))
            assert (await kit.get_room("room")).event_count >= count

    assert calls[LARGE] == pytest.approx(calls[SMALL], rel=0.01)
    assert peaks[LARGE] == pytest.approx(peaks[SMALL], rel=0.1)


async def test_t28_what_the_kit_keeps_in_memory_for_a_long_room_is_bounded() -> None:
    store = InMemoryStore()
    async with kit_with(LiveProbe("live"), store=store) as kit:
        await fill(store, "room", LARGE)

        for _ in range(500):
            await kit.process_inbound(message(), room_id="room")

        state = kit._engine.ports.cache.peek("room")
        assert state is not None
        assert state.next_index > LARGE
        assert len(state.tail) <= 4 * state.window + 65


@pytest.mark.parametrize("names", ["", "InMemoryStore", "RoomKit"])
def test_importing_the_package_loads_nothing_beyond_itself(names: str) -> None:
    program = "import json, sys; before = set(sys.modules); import roomkit_core; "
    program += f"from roomkit_core import {names}; " if names else ""
    program += "print(json.dumps(sorted(set(sys.modules) - before)))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)

    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    never = {"sqlite3", "typer", "rich", "trio"}
    assert not loaded & (never if names else never | {"pydantic", "pluggy", "anyio", "asyncio"})
    if not names:
        ours = {name for name in json.loads(done.stdout) if name.startswith("roomkit_core")}
        assert ours == {"roomkit_core"}
