"""What ``roomkit serve`` tells the garbage collector, and when."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial
from types import TracebackType

import pytest
from anyio import create_task_group

from roomkit_core import Health
from roomkit_server.app import create_app
from roomkit_server.collecting import THRESHOLDS, settle
from roomkit_server.serve import serve

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # uvicorn needs it


@pytest.fixture(autouse=True)
def _collector_as_it_was() -> Iterator[None]:
    gc.unfreeze()
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Kit:
    """In the place of a kit: notes how many objects were left alone when it started."""

    frozen_at_start = -1

    async def __aenter__(self) -> Kit:
        self.frozen_at_start = gc.get_freeze_count()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def health(self) -> Health:
        return Health(is_alive=True, is_ready=True, problems=[])


async def test_what_is_there_when_the_kit_has_started_is_left_alone() -> None:
    kit = Kit()
    async with create_task_group() as tasks:
        await tasks.start(partial(serve, create_app(kit), "127.0.0.1", 0, on_start=settle))
        assert kit.frozen_at_start == 0
        assert gc.get_freeze_count() > 1_000
        assert gc.get_threshold() == THRESHOLDS
        tasks.cancel_scope.cancel()


async def test_a_bot_that_is_being_written_can_be_freed() -> None:
    settle(is_replaced=True)

    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == THRESHOLDS


async def test_the_library_leaves_the_collector_to_its_host() -> None:
    before = gc.get_threshold()
    async with create_task_group() as tasks:
        await tasks.start(serve, create_app(Kit()), "127.0.0.1", 0)
        assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)
        tasks.cancel_scope.cancel()
