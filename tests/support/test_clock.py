"""The clock that other tests rely on: who sleeps on it wakes up at its own moment and in order, and not before."""

from __future__ import annotations

import anyio
import pytest

from tests.support.clock import VirtualClock, settle

pytestmark = pytest.mark.anyio


async def test_sleepers_wake_in_the_order_of_their_moments_and_see_them_as_the_time() -> None:
    clock = VirtualClock(100.0)
    log: list[tuple[str, float]] = []

    async def sleeper(name: str, *moments: float) -> None:
        for moment in moments:
            await clock.sleep_until(moment)
            log.append((name, clock.monotonic()))

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper, "late", 109.0)
        group.start_soon(sleeper, "twice", 103.0, 107.0)
        group.start_soon(sleeper, "early", 102.0)
        await clock.advance(1.0)
        assert log == []
        assert clock.sleepers == 3
        await clock.advance(8.0)

    assert log == [("early", 102.0), ("twice", 103.0), ("twice", 107.0), ("late", 109.0)]
    assert clock.monotonic() == 109.0


async def test_a_cancelled_sleeper_is_forgotten_and_time_goes_on() -> None:
    clock = VirtualClock()
    async with anyio.create_task_group() as group:
        group.start_soon(clock.sleep_until, clock.monotonic() + 5)
        await settle()
        group.cancel_scope.cancel()
    assert clock.sleepers == 0
    await clock.advance(10)
    assert clock.monotonic() == 1010.0


async def test_a_jump_wakes_everybody_whose_moment_is_over_and_wall_time_moves_along() -> None:
    clock = VirtualClock()
    before = clock.now()
    woken = []

    async def sleeper(moment: float) -> None:
        await clock.sleep_until(moment)
        woken.append(clock.monotonic())

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper, 1001.0)
        group.start_soon(sleeper, 1002.0)
        group.start_soon(sleeper, 1060.0)
        await settle()
        clock.jump(30)
        await settle()
        assert woken == [1030.0, 1030.0]
        clock.jump(30)
    assert (clock.now() - before).total_seconds() == 60
    await clock.sleep_until(999.0)  # the past does not suspend for ever
