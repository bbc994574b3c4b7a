"""Trying a call again after it failed, for channels and providers; what the kit itself owes is tried again by time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from roomkit_core.builtin.clock import SystemClock
from roomkit_core.interfaces.clock import Clock
from roomkit_core.models.channel import RetryPolicy

P = ParamSpec("P")
T = TypeVar("T")


async def retry_with_backoff(
    fn: Callable[P, Awaitable[T]], policy: RetryPolicy, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call ``fn`` until it succeeds, at most ``1 + max_retries`` times.

    Between the calls it waits ``base_delay_seconds * exponential_base ** n``, n from 0, and at most
    ``max_delay_seconds``. It stops at once after an exception whose ``retryable`` is False, or whose type is not named
    in ``retryable_errors`` where the policy names any. Cancellation is not caught.

    Args:
        fn: What is called, with ``args`` and ``kwargs``.
        policy: How often and after which delays.
        *args: For ``fn``.
        **kwargs: For ``fn``.

    Returns:
        What ``fn`` returned.

    Raises:
        Exception: The last exception of ``fn``.
    """
    return await retry_on(SystemClock(), policy, lambda: fn(*args, **kwargs))


async def retry_on(clock: Clock, policy: RetryPolicy, call: Callable[[], Awaitable[T]]) -> T:
    """As :func:`retry_with_backoff`, with the delays of this clock."""
    failed = 0
    while True:
        try:
            return await call()
        except Exception as error:
            if failed >= policy.max_retries or not _is_retryable(error, policy):
                raise
        await clock.sleep_until(clock.monotonic() + _delay(failed, policy))
        failed += 1


def _is_retryable(error: Exception, policy: RetryPolicy) -> bool:
    if getattr(error, "retryable", None) is False:
        return False
    return policy.retryable_errors is None or type(error).__name__ in policy.retryable_errors


def _delay(failed: int, policy: RetryPolicy) -> float:
    try:
        return min(policy.base_delay_seconds * policy.exponential_base**failed, policy.max_delay_seconds)
    except OverflowError:  # a float has no room for the power
        return policy.max_delay_seconds
