"""The room cache: its budget is in bytes, follows what its rooms hold, and costs the same at every message."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from roomkit_core import HookResult, HookTrigger, RoomContext, RoomEvent, RoomKit
from roomkit_core.engine.state.cache import RoomCache
from tests.support.channels import LiveProbe, message, text_of
from tests.support.homes import Home
from tests.support.rooms import kit_with


def cache_of(kit: RoomKit) -> RoomCache:
    return kit._engine.ports.cache


def weighed(cache: RoomCache) -> int:
    """What it should weigh: the sum over its rooms."""
    return sum(state.weight for state in cache._rooms.values())


async def fill(kit: RoomKit, rooms: int, messages: int, text: str = "hi", **fields: Any) -> None:
    for number in range(rooms):
        for _ in range(messages):
            await kit.process_inbound(message(text, **fields), room_id=f"r{number}", wait="committed")


async def test_the_weight_is_that_of_its_rooms_whatever_happens_to_them() -> None:
    async with kit_with(LiveProbe(), rooms=[], cache_mb=0.3) as kit:
        cache = cache_of(kit)
        await fill(kit, 5, 3)
        assert cache.weight == weighed(cache) > 0
        await kit.mute("r1", "live")
        await kit.close_room("r2")
        await kit.delete_room("r0")
        event = (await kit.get_timeline("r3"))[1]
        await kit.delete_event("r3", event.id)
        assert cache.weight == weighed(cache)
        await fill(kit, 60, 5)
        assert cache.weight == weighed(cache) <= 300_000
        cache.drop(list(cache._rooms))
        assert (len(cache), cache.weight) == (0, 0)


@pytest.mark.parametrize(("messages", "text", "fits"), [(1, "hi", 140), (120, "hi", 12), (10, "x" * 10_000, 8)])
async def test_more_rooms_fit_the_less_they_hold(messages: int, text: str, fits: int) -> None:
    async with kit_with(LiveProbe(), rooms=[], cache_mb=1) as kit:
        await fill(kit, fits + 10, messages, text)

        assert fits * 0.7 <= len(cache_of(kit)) < fits * 1.3
        assert cache_of(kit).weight <= 1_000_000


async def test_long_raw_payloads_and_metadata_weigh_too() -> None:
    async with kit_with(LiveProbe(), rooms=[], cache_mb=1) as kit:
        await fill(kit, 20, 5, raw_payload={"a": "x" * 10_000}, metadata={"b": "x" * 10_000})

        assert len(cache_of(kit)) <= 10


async def test_the_room_in_use_stays_also_if_it_alone_is_too_heavy() -> None:
    async with kit_with(LiveProbe(), rooms=[], cache_mb=0.001) as kit:
        await fill(kit, 3, 2)

        assert list(cache_of(kit)._rooms) == ["r2"]


async def test_the_weight_of_a_room_does_not_grow_with_its_history() -> None:
    async with kit_with(LiveProbe(), rooms=[]) as kit:
        await fill(kit, 1, 2_000)
        state = cache_of(kit).peek("r0")

        assert state is not None
        assert state.weight < 700 * (4 * state.window + 65) + 6_000
        cache_of(kit).drop(["r0"])
        fresh = await cache_of(kit).load("r0")
        assert fresh is not None
        assert fresh.room == state.room
        assert fresh.weight < state.weight


async def test_the_estimate_is_near_what_is_taken(disk: Home) -> None:
    async with disk.kit(LiveProbe(), rooms=[]) as kit:
        await fill(kit, 20, 60, "a message of usual length, as people write them")
        cache = cache_of(kit)
        names = list(cache._rooms)
        cache.drop(names)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for name in names:
                await cache.load(name)
            taken = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()

        assert 0.6 * taken <= cache.weight <= 1.6 * taken, (taken, cache.weight)


async def test_a_channel_that_wants_to_see_more_sees_more_also_in_rooms_that_are_cached() -> None:
    class Curious(LiveProbe):
        recent_events_window = 120

    seen: list[int] = []
    async with kit_with(LiveProbe(), rooms=[]) as kit:

        @kit.hook(HookTrigger.BEFORE_BROADCAST)
        async def look(event: RoomEvent, context: RoomContext) -> HookResult:
            if text_of(event) == "look":
                seen.append(len(context.recent_events))
            return HookResult.allow()

        await fill(kit, 1, 150)
        await fill(kit, 1, 1, "look")
        kit.register_channel(Curious("curious"))
        assert (len(cache_of(kit)), cache_of(kit).weight) == (0, 0), "what is held is read anew"

        await fill(kit, 1, 1, "look")

        assert seen == [50, 120]


async def test_a_state_from_before_a_wider_window_is_not_kept() -> None:
    class Curious(LiveProbe):
        recent_events_window = 120

    async with kit_with(LiveProbe(), rooms=[]) as kit:
        await fill(kit, 1, 1)

        @kit.hook(HookTrigger.BEFORE_BROADCAST)
        async def register(event: RoomEvent, context: RoomContext) -> HookResult:
            if kit.get_channel("curious") is None:
                kit.register_channel(Curious("curious"))
            return HookResult.allow()

        await fill(kit, 1, 1)
        assert cache_of(kit).peek("r0") is None
        await fill(kit, 1, 1)

        state = cache_of(kit).peek("r0")
        assert state is not None
        assert state.window == 120
