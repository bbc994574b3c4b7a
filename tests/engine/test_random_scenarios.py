"""Random scenarios of hooks, bots, observers and callers: each is brought back by its seed alone."""

from __future__ import annotations

import pytest

from tests.engine.random_driver import run_scenario

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quiet_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Hooks that fail on purpose have much to say."""
    caplog.set_level("CRITICAL")


@pytest.mark.parametrize("seed", range(30))
async def test_a_random_scenario_ends_with_everything_there_as_often_as_it_should(seed: int) -> None:
    await run_scenario(seed)


@pytest.mark.prove
@pytest.mark.timeout(1500)
async def test_a_thousand_random_scenarios_end_with_everything_there_as_often_as_it_should() -> None:
    for seed in range(1_000, 2_000):
        await run_scenario(seed)
