"""Calling again after a failure, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from pydantic import ValidationError

from roomkit_core import DeliveryFailedError, RetryPolicy, retry_with_backoff
from roomkit_core.builtin.retry import retry_on
from tests.support.clock import VirtualClock, settle

pytestmark = pytest.mark.anyio


class Calls:
    """Something that fails a number of times, and notes when it was called."""

    def __init__(self, clock: VirtualClock, *failures: Exception) -> None:
        self.clock = clock
        self.failures = list(failures)
        self.at: list[float] = []

    async def __call__(self) -> str:
        self.at.append(self.clock.monotonic() - 1000)
        if self.failures:
            raise self.failures.pop(0)
        return "done"


async def outcome(clock: VirtualClock, policy: RetryPolicy, call: Callable[[], Awaitable[str]]) -> str | Exception:
    """What comes out in the end, with as much time as it takes."""
    ends: list[str | Exception] = []

    async def run() -> None:
        try:
            ends.append(await retry_on(clock, policy, call))
        except Exception as error:
            ends.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(100_000)
    return ends[0]


async def test_it_waits_longer_each_time_up_to_the_longest_delay() -> None:
    clock = VirtualClock()
    calls = Calls(clock, *[OSError()] * 5)
    policy = RetryPolicy(max_retries=5, base_delay_seconds=1, exponential_base=3, max_delay_seconds=10)
    assert await outcome(clock, policy, calls) == "done"
    assert calls.at == [0, 1, 4, 13, 23, 33]


async def test_the_last_exception_is_raised_after_one_call_and_the_retries() -> None:
    clock = VirtualClock()
    errors = [OSError(str(number)) for number in range(9)]
    calls = Calls(clock, *errors)
    assert await outcome(clock, RetryPolicy(max_retries=3), calls) is errors[3]
    assert len(calls.at) == 4


async def test_no_retries_means_one_call() -> None:
    clock = VirtualClock()
    calls = Calls(clock, OSError())
    assert isinstance(await outcome(clock, RetryPolicy(max_retries=0), calls), OSError)
    assert calls.at == [0]


async def test_what_says_that_it_is_not_retryable_is_not_tried_again() -> None:
    clock = VirtualClock()
    calls = Calls(clock, DeliveryFailedError("blocked", retryable=True), DeliveryFailedError("no such number"))
    end = await outcome(clock, RetryPolicy(), calls)
    assert str(end) == "no such number"
    assert len(calls.at) == 2


async def test_where_errors_are_named_only_those_are_tried_again() -> None:
    clock = VirtualClock()
    calls = Calls(clock, TimeoutError(), ValueError())
    end = await outcome(clock, RetryPolicy(retryable_errors=["TimeoutError"]), calls)
    assert isinstance(end, ValueError)
    assert len(calls.at) == 2


async def test_delays_that_no_float_can_hold_are_the_longest_delay() -> None:
    clock = VirtualClock()
    calls = Calls(clock, *[OSError()] * 1200)
    policy = RetryPolicy(max_retries=1200, exponential_base=10, base_delay_seconds=0.001, max_delay_seconds=1)
    assert await outcome(clock, policy, calls) == "done"
    assert calls.at[-1] - calls.at[-2] == pytest.approx(1)


async def test_the_public_function_passes_the_arguments_on_and_returns_the_result() -> None:
    seen = []

    async def add(first: int, *, second: int) -> int:
        seen.append((first, second))
        if len(seen) == 1:
            raise OSError
        return first + second

    policy = RetryPolicy(base_delay_seconds=1e-9)
    assert await retry_with_backoff(add, policy, 1, second=2) == 3
    assert seen == [(1, 2), (1, 2)]


async def test_a_cancelled_call_is_not_tried_again() -> None:
    clock = VirtualClock()
    begun = []

    async def hang() -> str:
        begun.append(clock.monotonic())
        await anyio.sleep_forever()
        return "never"

    async with anyio.create_task_group() as group:
        group.start_soon(retry_on, clock, RetryPolicy(), hang)
        await settle()
        group.cancel_scope.cancel()
    assert len(begun) == 1


@pytest.mark.parametrize("wrong", [{"max_retries": -1}, {"base_delay_seconds": 0}, {"max_delay_seconds": float("inf")}])
def test_a_policy_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        RetryPolicy(**wrong)
