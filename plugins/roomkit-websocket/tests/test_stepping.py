"""One send in the caller's task, limited only when it suspends."""

from __future__ import annotations

import asyncio
import time

import pytest
from anyio import CancelScope, Event, create_task_group, current_time, fail_after, move_on_after, sleep
from anyio.lowlevel import checkpoint

from roomkit_websocket.stepping import SendTimeout, step


def unexpected() -> None:
    raise AssertionError("it did not suspend")


async def forever() -> None:
    await Event().wait()


async def test_what_does_not_suspend_runs_through() -> None:
    ran = []

    async def quick() -> None:
        ran.append(1)

    async def run() -> None:
        await step(quick(), 1.0, unexpected)

    with pytest.raises(StopIteration):
        run().send(None)
    assert ran == [1]


async def test_it_tells_once_that_it_suspends_and_goes_on_in_the_same_task() -> None:
    told = []

    async def slow() -> None:
        with CancelScope():  # a scope of its own, over a suspension
            await checkpoint()
            await checkpoint()

    await step(slow(), 5.0, lambda: told.append(1))
    assert told == [1]


async def test_errors_come_out_as_they_are() -> None:
    async def broken() -> None:
        await checkpoint()
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await step(broken(), 5.0, lambda: None)


async def test_the_time_begins_with_the_suspension_and_ends_with_it() -> None:
    began = current_time()
    with pytest.raises(SendTimeout):
        await step(forever(), 0.05, lambda: None)
    assert current_time() - began >= 0.05
    with fail_after(5):
        await sleep(0.1)  # nothing is left that could cancel this task


async def test_limits_of_the_callee_and_of_the_caller_hold() -> None:
    async def patient() -> str:
        with move_on_after(0.01):
            await forever()
        return "went on"

    await step(patient(), 5.0, lambda: None)
    with move_on_after(0.01) as scope:
        await step(forever(), 5.0, lambda: None)
    assert scope.cancelled_caught


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def run() -> None:
        await step(forever(), 5.0, lambda: None)

    async with create_task_group() as tasks:
        tasks.start_soon(run)
        await checkpoint()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_of_two_cancellations_at_once_the_foreign_one_counts() -> None:
    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.02, task.cancel)
        await step(forever(), 0.02, lambda: None)

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    time.sleep(0.05)  # noqa: ASYNC251 (both are due in the same turn of the loop)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
