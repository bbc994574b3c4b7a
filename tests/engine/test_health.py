"""``kit.health()``: alive, ready, and why not, without asking anybody."""

from __future__ import annotations

import anyio
import pytest

from roomkit_core import Health, RoomKit, StoreError
from roomkit_core.builtin.sqlite.store import SQLiteStore
from tests.support.channels import LiveProbe, message
from tests.support.clock import VirtualClock
from tests.support.homes import Home
from tests.support.rooms import kit_with, wait_for
from tests.support.sqlite import fail_next_commit, file_of
from tests.support.stores import SlowStore


def codes(health: Health) -> tuple[bool, bool, list[str]]:
    return health.is_alive, health.is_ready, [problem.code for problem in health.problems]


WELL = (True, True, [])


async def test_before_its_start_it_is_alive_and_not_ready_and_then_it_is_both(home: Home) -> None:
    kit = RoomKit(home.store(), clock=home.clock)
    assert codes(kit.health()) == (True, False, ["kit.not_started"])
    async with kit:
        assert codes(kit.health()) == WELL
    assert codes(kit.health()) == (True, False, ["kit.closing"])


def test_it_needs_no_event_loop() -> None:
    assert codes(RoomKit().health()) == (True, False, ["kit.not_started"])


async def test_while_it_closes_it_takes_nothing_new_and_says_so(home: Home) -> None:
    seen: list[tuple[bool, bool, list[str]]] = []
    async with home.kit(LiveProbe()) as kit:
        go_on = anyio.Event()

        async def slow() -> None:
            await go_on.wait()

        kit.spawn(slow)
        async with anyio.create_task_group() as group:
            group.start_soon(kit.close)
            await wait_for(lambda: kit._engine.ports.background.draining)
            seen.append(codes(kit.health()))
            go_on.set()
    assert seen == [(True, False, ["kit.closing"])]


async def test_a_kit_that_was_closed_long_ago_is_not_one_that_hangs(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        pass
    home.clock.jump(3600)

    assert codes(kit.health()) == (True, False, ["kit.closing"])


async def test_a_pump_that_does_not_look_any_more_is_the_end_of_the_process(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        await kit.idle()
        home.clock.slip(14.9)
        assert codes(kit.health()) == WELL
        home.clock.slip(2)  # as if the pump hung in a chore

        assert codes(kit.health()) == (False, False, ["pump.silent"])
        assert "17 s" in kit.health().problems[0].message
        home.clock.jump(1)
        await wait_for(lambda: kit.health().is_ready)

        assert codes(kit.health()) == WELL


async def test_a_pump_that_hangs_is_seen() -> None:
    clock = VirtualClock()
    hung, go_on = anyio.Event(), anyio.Event()

    async def no_pause() -> None:
        pass

    class Hanging(SlowStore):
        async def expire(self, now: int) -> int:
            if clock.monotonic() > 1005:
                hung.set()
                await go_on.wait()
            return await super().expire(now)

    async with kit_with(LiveProbe(), store=Hanging(no_pause), clock=clock) as kit:
        await wait_for(lambda: clock.sleepers)
        clock.jump(6)
        with anyio.fail_after(10):
            await hung.wait()
        assert codes(kit.health()) == WELL
        clock.jump(20)

        assert codes(kit.health()) == (False, False, ["pump.silent"])
        go_on.set()
        await wait_for(lambda: kit.health().is_ready)


async def test_a_store_that_cannot_write_is_told_until_it_can_again(disk: Home) -> None:
    async with disk.kit(LiveProbe()) as kit:
        store = kit.store
        assert isinstance(store, SQLiteStore)
        await kit.process_inbound(message("one"), room_id="room")
        fail_next_commit(store)
        with pytest.raises(StoreError) as failed:
            await kit.create_room("other")

        health = kit.health()
        assert codes(health) == (True, False, [failed.value.code])
        assert health.problems[0].message

        restore(store)
        disk.clock.jump(1.5)  # the pump asks the store again
        await wait_for(lambda: kit.health().is_ready)

        assert codes(kit.health()) == WELL
        assert (await kit.process_inbound(message("two"), room_id="room")).event is not None


def restore(store: SQLiteStore) -> None:
    """Let its commits through again."""
    file_of(store).hand_in(lambda session: session.db.set_authorizer(None))
