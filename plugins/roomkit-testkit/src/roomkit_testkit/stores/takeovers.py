"""Taking over from a holder that is silent: after its lease, and after the quiet time of the row (PROTOCOL L5)."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.work import WorkKind, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.lanes import ids, state_of
from roomkit_testkit.stores.makers import AGAIN, LANE, SENT, UNKNOWN, Writer, claim, delivery

IN_FLIGHT = WorkState.IN_FLIGHT
SECOND = 1_000_000
WAYS: list[dict[str, Any]] = [
    {},
    {"lanes": [LANE]},
    {"channels": ["sms"]},
    {"kinds": [WorkKind.DELIVERY]},
    {"lanes": [LANE], "channels": ["sms"], "kinds": [WorkKind.DELIVERY]},
]
EACH_WAY = pytest.mark.parametrize("way", WAYS, ids=lambda way: " and ".join(way) or "any")


class TakeoverSuite(StoreContract):
    @EACH_WAY
    async def test_a_takeover_waits_for_the_end_of_the_lease_and_then_for_the_quiet_time(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, way: dict[str, Any]
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT, quiet=30 * SECOND)
        await writer.write(work=(owed, delivery()), lease=60.0)

        clock.advance(61)
        assert await claim(store, "kit-2", **way) == []
        clock.advance(28)
        assert await claim(store, "kit-2", **way) == []
        clock.advance(1)
        (taken,) = await claim(store, "kit-2", **way)

        assert (taken.id, taken.owner, taken.token, taken.quiet) == (owed.id, "kit-2", 2, 30 * SECOND)
        assert (taken.attempts, taken.takeovers, taken.maybe_sent) == (1, 1, True)
        assert taken.lease_until == clock.microseconds + 60 * SECOND

    @EACH_WAY
    async def test_the_next_takeover_waits_as_long_again(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, way: dict[str, Any]
    ) -> None:
        await writer.create()
        await writer.write(work=(delivery(state=IN_FLIGHT, quiet=30 * SECOND),), lease=60.0)
        clock.advance(90)
        await claim(store, "kit-2", lease=10.0)

        clock.advance(39)
        assert await claim(store, **way) == []
        clock.advance(1)
        assert [row.takeovers for row in await claim(store, **way)] == [2]

    async def test_each_row_has_its_own_quiet_time_and_those_that_waited_longest_are_first(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        quiet = {"slow": 50, "quick": 0, "middle": 20}
        await writer.write(
            work=tuple(
                delivery((name,), row_id=name, state=IN_FLIGHT, quiet=seconds * SECOND)
                for name, seconds in quiet.items()
            ),
            lease=60.0,
        )

        clock.advance(79)
        assert ids(await claim(store, limit=5, lease=1000.0)) == ["quick"]
        clock.advance(100)
        assert ids(await claim(store, limit=5, lease=1000.0)) == ["middle", "slow"]

    @EACH_WAY
    async def test_renewing_keeps_others_away_for_lease_and_quiet_time(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, way: dict[str, Any]
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT, quiet=30 * SECOND)
        await writer.write(work=(owed,), lease=60.0)
        clock.advance(50)

        assert await store.renew([(owed.id, 1)], lease=60.0) == []

        clock.advance(89)
        assert await claim(store, "kit-2", **way) == []
        clock.advance(1)
        assert ids(await claim(store, "kit-2", **way)) == [owed.id]

    @EACH_WAY
    async def test_a_tenure_can_be_renewed_in_its_quiet_time(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, way: dict[str, Any]
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT, quiet=30 * SECOND)
        await writer.write(work=(owed,), lease=60.0)
        clock.advance(70)
        await claim(store, "kit-2", **way)

        assert await store.renew([(owed.id, 1)], lease=60.0) == []

        clock.advance(89)
        assert await claim(store, "kit-2", **way) == []
        assert await store.settle(owed.id, 1, SENT)

    async def test_a_holder_may_settle_in_the_quiet_time_and_the_lane_goes_on(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        owed, following = delivery(state=IN_FLIGHT, quiet=30 * SECOND), delivery()
        await writer.write(work=(owed, following), lease=60.0)
        clock.advance(70)

        assert await store.settle(owed.id, 1, SENT)

        assert ids(await claim(store)) == [following.id]

    @pytest.mark.parametrize("outcome", [AGAIN, UNKNOWN], ids=["again", "unknown"])
    async def test_a_row_that_was_settled_is_due_when_its_holder_said(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, outcome: Any
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT, quiet=3600 * SECOND)
        await writer.write(work=(owed,), lease=60.0)

        await store.settle(owed.id, 1, outcome, due_in=5)

        clock.advance(5)
        assert ids(await claim(store, lanes=[LANE])) == [owed.id]
        assert (await state_of(store, owed)).takeovers == 0
