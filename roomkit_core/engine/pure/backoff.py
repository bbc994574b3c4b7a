"""When a row is tried again: later each time, and at no moment on which everybody else has settled too."""

from __future__ import annotations

from collections.abc import Callable

BASE = 1.0  # seconds
CEILING = 300.0  # seconds


def retry_delay(
    attempt: int,
    *,
    base: float = BASE,
    ceiling: float = CEILING,
    factor: float = 2.0,
    retry_after: float | None = None,
    random: Callable[[], float],
) -> float:
    """Seconds until the next attempt, with full jitter: anything from 0 to a bound that grows with the attempts.

    What the provider asked for is added whole, so nobody is earlier than that and not everybody comes at that moment.
    The caller cuts it off at the row's expiry.

    Args:
        attempt: How many attempts there were, at least 1.
        base: The bound after the first, in seconds, above 0.
        ceiling: What the bound never exceeds, in seconds.
        factor: By how much the bound grows with each attempt, above 0.
        retry_after: How long the provider asked to be left alone, in seconds; less than 0 is 0.
        random: Uniform between 0 (included) and 1.

    Raises:
        ValueError: ``attempt`` is below 1.
    """
    if attempt < 1:
        raise ValueError(f"attempt counts from 1, not {attempt}")
    try:
        bound = min(base * factor ** (attempt - 1), ceiling)
    except OverflowError:  # a float has no room for the power
        bound = ceiling
    return max(0.0, retry_after or 0.0) + bound * random()
