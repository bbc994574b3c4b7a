"""A caller that never suspends lets the others run: by time, not by message."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from tests.support.channels import LiveProbe, message
from tests.support.rooms import kit_with
from tests.support.still import StillClock

pytestmark = pytest.mark.anyio


async def test_a_stream_of_messages_lets_other_tasks_run_every_two_milliseconds_and_not_more_often() -> None:
    clock, turns = StillClock(), 0
    async with kit_with(LiveProbe("live"), clock=clock) as kit, anyio.create_task_group() as group:

        async def other() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        await kit.process_inbound(message("warm"), room_id="room")
        group.start_soon(other)
        await anyio.lowlevel.checkpoint()
        turns = 0
        for _ in range(50):
            await kit.process_inbound(message(), room_id="room")
        assert turns == 0, "no time has passed, and nothing suspends"
        for _ in range(10):
            clock.advance(0.0015)
            await kit.process_inbound(message(), room_id="room")
        assert 4 <= turns <= 12
        group.cancel_scope.cancel()
