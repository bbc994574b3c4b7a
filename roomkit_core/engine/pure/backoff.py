"""How long to wait before the next try: exponential with full jitter."""

from __future__ import annotations

from collections.abc import Callable


def retry_delay(
    attempt: int,
    *,
    base: float = 1.0,
    ceiling: float = 300.0,
    factor: float = 2.0,
    random: Callable[[], float],
) -> float:
    """Seconds until the next try."""
    return max(base, min(ceiling, base * factor ** min(attempt, 64)) * random())
