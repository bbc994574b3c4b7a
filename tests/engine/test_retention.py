"""How long what is over is kept: each number of ``Retention`` does what it says (T25)."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from roomkit_core import InMemoryStore, Retention, RoomKit
from roomkit_core.engine.flow.chores import PURGE_EVERY
from roomkit_core.interfaces.store import Cutoffs
from roomkit_core.models.time import to_microseconds
from tests.support.channels import LiveProbe, ScriptedChannel, message
from tests.support.clock import VirtualClock
from tests.support.kits import make_room, open_kit

DAY = 86_400


class Watched(InMemoryStore):
    """Keeps what it was told to forget."""

    def __init__(self, *, clock: VirtualClock) -> None:
        super().__init__(clock=clock)
        self.told: list[Cutoffs] = []
        self.was_told = anyio.Event()

    async def purge(self, before: Cutoffs, *args: Any, **options: Any) -> int:
        self.told.append(before)
        forgotten = await super().purge(before, *args, **options)
        self.was_told.set()
        return forgotten

    async def next_purge(self, clock: VirtualClock) -> Cutoffs:
        self.was_told = anyio.Event()
        await clock.advance(PURGE_EVERY)
        with anyio.fail_after(30):
            await self.was_told.wait()
        return self.told[-1]


@pytest.mark.parametrize(
    ("retention", "days"),
    [
        (None, (7, 30, 1, 7, 30)),
        (Retention(settled=1 * DAY, dead=2 * DAY, bodies=4 * DAY, keys=8 * DAY, blocked=16 * DAY), (1, 2, 4, 8, 16)),
    ],
)
async def test_a_store_is_told_what_to_forget_by_each_of_the_numbers(
    retention: Retention | None, days: tuple[int, ...]
) -> None:
    clock = VirtualClock()
    store = Watched(clock=clock)
    async with RoomKit(store, clock=clock, retention=retention):
        cutoffs = await store.next_purge(clock)
        moment = to_microseconds(clock.now())

    assert [round((moment - cutoff) / 1_000_000 / DAY, 2) for cutoff in cutoffs] == list(days)


async def test_a_dead_letter_is_there_until_its_time_is_over() -> None:
    clock = VirtualClock()
    store = Watched(clock=clock)
    sms = ScriptedChannel("sms")
    sms.behave = "fail"
    async with open_kit(LiveProbe(), sms, store=store, clock=clock, retention=Retention(dead=2 * PURGE_EVERY)) as kit:
        await make_room(kit, "room", "live", "sms")
        await kit.process_inbound(message(), room_id="room")

        await store.next_purge(clock)
        young = await kit.deliveries.list(channel_id="sms")
        await store.next_purge(clock)
        await store.next_purge(clock)
        old = await kit.deliveries.list(channel_id="sms")

    assert [row.state for row in young] == ["failed"]
    assert old == []


def test_keys_are_kept_for_as_long_as_providers_are_promised() -> None:
    assert Retention(keys=72 * 3_600).keys == 72 * 3_600
    with pytest.raises(ValidationError, match="72 hours"):
        Retention(keys=72 * 3_600 - 1)


@pytest.mark.parametrize("name", ["settled", "dead", "bodies", "keys", "blocked"])
@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "soon", True])
def test_a_time_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Retention(**{name: value})
