"""Lanes, claims and leases: one holder at a time, in order (PROTOCOL 2; L3 to L6)."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.interfaces.store import ConversationStore, WorkFilter
from roomkit_core.models.work import WorkKind, WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.makers import AGAIN, FAILED, HANDED_BACK, SENT, UNKNOWN, Writer, claim, delivery, get_row

IN_FLIGHT, PENDING = WorkState.IN_FLIGHT, WorkState.PENDING
SECOND = 1_000_000


async def state_of(store: ConversationStore, row: WorkRow) -> WorkRow:
    found = await get_row(store, row.id)
    assert found is not None
    return found


def ids(rows: list[WorkRow] | tuple[WorkRow, ...]) -> list[str]:
    return [row.id for row in rows]


class LaneSuite(StoreContract):
    # -------------------------------------------------------------------------------------------------- order

    async def test_only_the_head_of_a_lane_can_be_claimed(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        rows = [delivery() for _ in range(3)]
        await writer.owe(*rows)

        for row in rows:
            (claimed,) = await claim(store)
            assert claimed.id == row.id
            assert await claim(store, "kit-2") == []
            assert await store.settle(row.id, claimed.token, SENT)

        assert await claim(store) == []

    @pytest.mark.parametrize("outcome", [SENT, FAILED], ids=["sent", "failed"])
    async def test_the_next_row_is_due_when_the_head_is_final(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, outcome: Any
    ) -> None:
        await writer.create()
        first, second = delivery(state=IN_FLIGHT), delivery(state=IN_FLIGHT)
        await writer.owe(first, second)
        clock.advance(7)

        await store.settle(first.id, 1, outcome)

        assert (await state_of(store, second)).due == clock.microseconds
        assert ids(await claim(store)) == [second.id]

    @pytest.mark.parametrize("outcome", [AGAIN, UNKNOWN], ids=["again", "unknown"])
    async def test_the_lane_waits_while_its_head_waits(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, outcome: Any
    ) -> None:
        await writer.create()
        first, second = delivery(state=IN_FLIGHT), delivery(state=IN_FLIGHT)
        await writer.owe(first, second)

        await store.settle(first.id, 1, outcome, due_in=30)

        clock.advance(29)
        assert await claim(store) == []
        clock.advance(1)
        assert ids(await claim(store)) == [first.id]

    async def test_a_lane_that_emptied_is_like_one_that_never_was(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        first, second = delivery(state=IN_FLIGHT), delivery(state=IN_FLIGHT)
        await writer.owe(first)
        await store.settle(first.id, 1, SENT)

        committed = await writer.owe(second)

        assert ids(committed.claims) == [second.id]

    async def test_a_slow_lane_holds_up_no_other(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        stuck = delivery(("room", "sms", "+1"), state=IN_FLIGHT)
        await writer.owe(stuck, delivery(("room", "sms", "+1")))

        committed = await writer.owe(delivery(("room", "sms", "+2"), state=IN_FLIGHT, row_id="other"))

        assert ids(committed.claims) == ["other"]

    # ------------------------------------------------------------------------------------------------- claims

    async def test_tr2_a_claim_counts_before_the_work_begins(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        owed = delivery()
        await writer.owe(owed)

        (claimed,) = await claim(store, "kit-2", lease=45.0)

        assert claimed == await state_of(store, owed)
        assert (claimed.state, claimed.owner, claimed.token, claimed.attempts) == (IN_FLIGHT, "kit-2", 1, 1)
        assert (claimed.due, claimed.lease_until) == (None, clock.microseconds + 45 * SECOND)

    async def test_those_that_have_waited_longest_are_claimed_first(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        now = clock.microseconds
        late, early, later = (
            delivery((), due=now + 20, channel_id="a"),
            delivery((), due=now + 10, channel_id="b"),
            delivery((), due=now + 30, channel_id="a"),
        )
        await writer.owe(late, early, later)
        clock.advance(1)

        assert ids(await claim(store, limit=2)) == [early.id, late.id]
        assert ids(await claim(store, limit=2)) == [later.id]

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_a_claim_without_room_for_a_row_takes_none(
        self, store: ConversationStore, writer: Writer, limit: int
    ) -> None:
        await writer.create()
        await writer.owe(delivery(), delivery(("b",)))

        assert await claim(store, limit=limit) == []
        assert await claim(store, limit=limit, lanes=[("b",)]) == []

    async def test_a_claim_takes_only_the_kinds_channels_and_lanes_that_it_names(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        sms = delivery(("a",))
        mail = delivery(("b",), channel_id="mail")
        ask = delivery(("c",), channel_id="ai", kind=WorkKind.ASK)
        await writer.owe(sms, mail, ask)

        assert await claim(store, kinds=[], channels=["sms"]) == []
        assert await claim(store, channels=["sms"], lanes=[("b",), ("c",), ()]) == []
        assert ids(await claim(store, kinds=[WorkKind.ASK])) == [ask.id]
        assert ids(await claim(store, kinds=[WorkKind.DELIVERY], channels=["mail", "ai"])) == [mail.id]
        assert ids(await claim(store, lanes=[("a",), ("a",), ("nowhere",)])) == [sms.id]

    async def test_a_row_is_claimed_once_whichever_way_it_is_claimed(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        rows = [delivery(("lane", str(number))) for number in range(100)]
        await writer.owe(*rows)
        by_lane = await claim(store, lanes=[row.lane for row in rows[:90]])
        for row in by_lane[:50]:
            await store.settle(row.id, row.token, AGAIN, due_in=0)

        again = await claim(store, "kit-2", limit=1000)

        assert sorted(ids(again)) == sorted(ids(by_lane[:50]) + ids(rows[90:]))
        assert await claim(store) == []

    async def test_a_row_that_comes_back_at_once_is_claimed_once(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        owed = delivery()
        await writer.owe(owed)
        await claim(store, lanes=[owed.lane])
        await store.settle(owed.id, 1, AGAIN, due_in=0)

        assert [(row.id, row.token) for row in await claim(store)] == [(owed.id, 2)]

    async def test_a_head_that_is_not_due_is_not_claimed_by_its_lane_either(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT)
        await writer.owe(owed, delivery())
        await store.settle(owed.id, 1, AGAIN, due_in=10)

        assert await claim(store, lanes=[owed.lane]) == []
        clock.advance(10)
        assert ids(await claim(store, lanes=[owed.lane])) == [owed.id]

    async def test_a_second_attempt_counts_as_one_and_has_a_token_of_its_own(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT)
        await writer.owe(owed)
        await store.settle(owed.id, 1, AGAIN, due_in=0)

        (claimed,) = await claim(store)

        assert (claimed.token, claimed.attempts, claimed.takeovers, claimed.maybe_sent) == (2, 2, 0, False)

    # ------------------------------------------------------------------------------------------------- leases

    async def test_a_lease_that_holds_keeps_others_away(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT)
        await writer.owe(owed)

        clock.advance(59.9)

        assert await claim(store, "kit-2") == []
        assert await claim(store, "kit-2", lanes=[owed.lane]) == []

    @pytest.mark.parametrize("by_lane", [False, True], ids=["by time", "by lane"])
    async def test_taking_over_counts_apart_from_attempts_and_marks_the_row(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, by_lane: bool
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT)
        await writer.owe(owed, delivery())
        clock.advance(60.1)

        (taken,) = await claim(store, "kit-2", **({"lanes": [owed.lane]} if by_lane else {}))

        assert (taken.id, taken.owner, taken.token) == (owed.id, "kit-2", 2)
        assert (taken.attempts, taken.takeovers, taken.maybe_sent) == (1, 1, True)
        assert await claim(store) == []

    async def test_a_stale_holder_can_write_nothing(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT)
        await writer.owe(owed)
        clock.advance(61)
        (taken,) = await claim(store, "kit-2")

        for outcome in (SENT, AGAIN, UNKNOWN, HANDED_BACK):
            assert not await store.settle(owed.id, 1, outcome, due_in=0)
        assert await store.renew([(owed.id, 1)], lease=60.0) == [owed.id]

        assert await state_of(store, owed) == taken

    async def test_the_token_decides_and_not_the_owner(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT)
        await writer.owe(owed)
        clock.advance(61)
        (taken,) = await claim(store, "kit-1")

        assert not await store.settle(owed.id, 1, SENT)
        assert await store.settle(owed.id, taken.token, SENT)

    async def test_a_late_holder_may_settle_while_nobody_has_taken_over(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        owed, following = delivery(state=IN_FLIGHT), delivery()
        await writer.owe(owed, following)
        clock.advance(61)

        assert await store.settle(owed.id, 1, SENT)

        assert ids(await claim(store)) == [following.id]

    async def test_a_holder_that_settles_after_its_lapse_was_noticed_ends_the_row_for_good(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        first, second = delivery(("a",), state=IN_FLIGHT), delivery(("b",), state=IN_FLIGHT)
        await writer.owe(first, second)
        clock.advance(61)
        (taken,) = await claim(store, "kit-2", limit=1)

        assert await store.settle(second.id, 1, SENT)

        assert taken.id == first.id
        assert await claim(store, "kit-2") == []

    async def test_tr10_renewing_prolongs_the_tenures_that_are_named_and_tells_which_are_lost(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        kept, dropped = delivery(("a",), state=IN_FLIGHT), delivery(("b",), state=IN_FLIGHT)
        await writer.owe(kept, dropped)
        clock.advance(50)

        lost = await store.renew([(kept.id, 1), (dropped.id, 7), ("unknown", 1)], lease=60.0)

        assert lost == [dropped.id, "unknown"]
        clock.advance(20)
        assert ids(await claim(store, "kit-2")) == [dropped.id]
        assert (await state_of(store, kept)).token == 1

    async def test_a_tenure_can_be_renewed_after_its_lease_while_nobody_has_taken_over(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        late, other = delivery(("a",), state=IN_FLIGHT), delivery(("b",), state=IN_FLIGHT)
        await writer.owe(other, late)
        clock.advance(61)
        await claim(store, "kit-2", limit=1)

        assert await store.renew([(late.id, 1)], lease=60.0) == []

        clock.advance(59)
        assert await claim(store, "kit-2") == []
        clock.advance(2)
        assert sorted(ids(await claim(store, "kit-2"))) == sorted([late.id, other.id])

    async def test_leases_of_different_lengths_end_each_at_its_own_time(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        await writer.write(work=(delivery(("a",), state=IN_FLIGHT, row_id="long"),), lease=100.0)
        await writer.write(work=(delivery(("b",), state=IN_FLIGHT, row_id="short"),), lease=10.0)
        clock.advance(11)

        assert ids(await claim(store, "kit-2", lease=200.0)) == ["short"]
        clock.advance(90)
        assert ids(await claim(store, "kit-2", lease=200.0)) == ["long"]

    async def test_two_kits_share_the_work_without_sharing_a_row(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        rows = [delivery(("lane", str(number))) for number in range(10)]
        await writer.owe(*rows)

        shares = [await claim(store, owner, limit=3) for owner in ("kit-1", "kit-2", "kit-1", "kit-2")]

        assert sorted(row.id for share in shares for row in share) == sorted(ids(rows))
        assert len(await store.list_work(WorkFilter(states=frozenset({IN_FLIGHT})))) == 10
