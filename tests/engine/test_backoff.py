"""When a row is tried again: the bounds, and that those who fail together do not come back together."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomkit_core.engine.pure.backoff import retry_delay

ALMOST_ONE = 1 - 2**-53


def bound(attempt: int, **options: float) -> float:
    """The longest delay; the random number is below 1, so nobody waits quite that long."""
    return retry_delay(attempt, random=lambda: 1.0, **options)


def test_the_bound_grows_from_one_second_to_five_minutes() -> None:
    assert [bound(attempt) for attempt in range(1, 12)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_base_ceiling_and_factor_are_those_of_a_policy() -> None:
    assert [bound(attempt, base=0.5, ceiling=10, factor=3) for attempt in range(1, 6)] == [0.5, 1.5, 4.5, 10, 10]


@given(st.integers(1, 10**9), st.floats(0, ALMOST_ONE), st.none() | st.floats(-10, 1e6))
def test_a_delay_stays_within_its_bounds(attempt: int, chance: float, asked: float | None) -> None:
    delay = retry_delay(attempt, retry_after=asked, random=lambda: chance)
    least = max(0.0, asked or 0.0)
    assert least <= delay <= least + min(300.0, 2.0 ** min(attempt - 1, 100))


def test_nobody_is_earlier_than_the_provider_asked_and_not_all_come_at_that_moment() -> None:
    chance = random.Random(7)
    delays = [retry_delay(1, retry_after=30, random=chance.random) for _ in range(1000)]
    assert min(delays) >= 30
    assert len(set(delays)) == 1000


@pytest.mark.parametrize("nonsense", [float("nan"), -5.0, 0.0])
def test_nonsense_from_the_provider_is_as_good_as_nothing(nonsense: float) -> None:
    assert retry_delay(3, retry_after=nonsense, random=lambda: 0.5) == 2.0


def test_the_jitter_is_full_and_even() -> None:
    """Chi-square over ten equal parts: 99.9 % of fair draws stay below 27.9."""
    chance = random.Random(11)
    draws = 10_000
    parts = [0] * 10
    for _ in range(draws):
        parts[int(retry_delay(5, random=chance.random) / 16 * 10)] += 1
    chi_square = sum((part - draws / 10) ** 2 / (draws / 10) for part in parts)
    assert chi_square < 27.9


def test_a_thousand_rows_that_failed_at_once_are_spread_over_the_time() -> None:
    chance = random.Random(3)
    seconds = [int(retry_delay(8, random=chance.random)) for _ in range(1000)]
    busiest = max(seconds.count(second) for second in set(seconds))
    assert busiest < 25  # 1000 over 128 seconds are 8 each


def test_attempts_count_from_one() -> None:
    with pytest.raises(ValueError, match="counts from 1"):
        retry_delay(0, random=random.random)
