"""What becomes of rows: settling, withdrawing, expiring (PROTOCOL 2; L5, L7, L12)."""

from __future__ import annotations

import pytest

from roomkit_core.interfaces.store import ConversationStore, WorkFilter
from roomkit_core.models.changes import Withdrawal
from roomkit_core.models.work import Outcome, WorkKind, WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.lanes import ids, state_of
from roomkit_testkit.stores.makers import (
    AGAIN,
    FAILED,
    HANDED_BACK,
    SENT,
    UNKNOWN,
    Writer,
    claim,
    delivery,
)

IN_FLIGHT, PENDING, SUPPRESSED = WorkState.IN_FLIGHT, WorkState.PENDING, WorkState.SUPPRESSED
SECOND = 1_000_000
FINAL = [state for state in WorkState if state not in (PENDING, IN_FLIGHT, WorkState.UNKNOWN)]


def sent(*provider_ids: str) -> Outcome:
    return Outcome(WorkState.SENT, provider_ids=provider_ids)


class OutcomeSuite(StoreContract):
    # ----------------------------------------------------------------------------------------------- settling

    @pytest.mark.parametrize("state", FINAL)
    async def test_a_final_outcome_stays_and_cannot_be_settled_again(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock, state: WorkState
    ) -> None:
        clock.advance(3)

        assert await store.settle(held.id, 1, Outcome(state, "code", "a reason", ("SM1",)))
        assert not await store.settle(held.id, 1, AGAIN, due_in=0)
        assert not await store.settle(held.id, 1, FAILED)

        row = await state_of(store, held)
        assert (row.state, row.code, row.reason, row.provider_ids) == (state, "code", "a reason", ("SM1",))
        assert (row.settled_at, row.lease_until, row.due, row.owner) == (clock.microseconds, None, None, None)
        assert not row.is_open

    async def test_tr7_settling_what_is_not_there_or_not_claimed_is_false(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        assert not await store.settle("unknown", 1, SENT)
        assert not await store.settle("queued", 0, SENT)

    async def test_a_certain_refusal_is_tried_again_at_its_time(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        assert await store.settle(held.id, 1, AGAIN, due_in=2.5)

        row = await state_of(store, held)
        assert (row.state, row.code, row.reason) == (PENDING, AGAIN.code, AGAIN.reason)
        assert (row.due, row.owner, row.lease_until) == (clock.microseconds + 2_500_000, None, None)
        assert (row.attempts, row.maybe_sent, row.settled_at) == (1, False, None)

    async def test_an_unknown_outcome_marks_the_row_for_good(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        await store.settle(held.id, 1, UNKNOWN, due_in=30)
        unknown = await state_of(store, held)
        clock.advance(30)
        (second,) = await claim(store)
        await store.settle(held.id, second.token, AGAIN, due_in=0)
        (third,) = await claim(store)
        await store.settle(held.id, third.token, FAILED)

        assert (unknown.state, unknown.maybe_sent, unknown.due) == (WorkState.UNKNOWN, True, clock.microseconds)
        assert (second.attempts, second.takeovers, second.maybe_sent, third.maybe_sent) == (2, 0, True, True)
        assert (await state_of(store, held)).maybe_sent

    @pytest.mark.parametrize("outcome", [AGAIN, UNKNOWN], ids=["pending", "unknown"])
    async def test_a_row_without_a_next_time_is_parked(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock, outcome: Outcome
    ) -> None:
        await store.settle(held.id, 1, outcome)
        clock.advance(10_000_000)

        assert (await state_of(store, held)).due is None
        assert await claim(store) == []
        assert await claim(store, lanes=[held.lane]) == []

    async def test_a_row_handed_back_untouched_has_spent_no_attempt(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        await store.settle(held.id, 1, AGAIN, due_in=0)
        (claimed,) = await claim(store)

        assert await store.settle(held.id, claimed.token, HANDED_BACK, due_in=0)

        row = await state_of(store, held)
        assert (row.state, row.attempts, row.token, row.code) == (PENDING, 1, 2, AGAIN.code)
        assert [again.attempts for again in await claim(store)] == [2]

    async def test_a_row_handed_back_untouched_may_say_what_it_waits_for(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        waits = Outcome(PENDING, "hook.not_registered", "no such hook", untouched=True)
        assert await store.settle(held.id, 1, waits, due_in=0)

        row = await state_of(store, held)
        assert (row.state, row.attempts, row.code, row.reason) == (PENDING, 0, "hook.not_registered", "no such hook")
        assert await store.work_history(held.id) == []

    async def test_a_part_that_is_done_is_recorded_and_the_tenure_goes_on(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        assert await store.settle(held.id, 1, Outcome(IN_FLIGHT, provider_ids=("SM1",)), parts_done=1)
        part = await state_of(store, held)
        assert await store.settle(held.id, 1, Outcome(IN_FLIGHT, provider_ids=("SM2",)), parts_done=2)
        assert await store.settle(held.id, 1, sent("SM2", "SM3"), parts_done=3)

        done = await state_of(store, held)
        assert (part.state, part.parts_done, part.lease_until) == (IN_FLIGHT, 1, held.lease_until)
        assert (done.state, done.parts_done, done.provider_ids) == (WorkState.SENT, 3, ("SM1", "SM2", "SM3"))

    async def test_parts_done_survive_another_attempt(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        await store.settle(held.id, 1, Outcome(IN_FLIGHT, provider_ids=("SM1",)), parts_done=1)
        clock.advance(61)

        (taken,) = await claim(store, "kit-2")

        assert (taken.parts_done, taken.provider_ids) == (1, ("SM1",))

    # -------------------------------------------------------------------------------------------- withdrawing

    async def test_tr11_withdrawing_ends_what_waits_and_flags_what_is_in_flight(
        self, store: ConversationStore, writer: Writer, held: WorkRow, clock: ManualClock
    ) -> None:
        await writer.owe(delivery(("x",), row_id="unknown", state=IN_FLIGHT), delivery(("y",), row_id="later"))
        await store.settle("unknown", 1, UNKNOWN, due_in=30)

        await writer.write(withdrawals=(Withdrawal("detached"),))

        rows = {row.id: row for row in await store.list_work(WorkFilter())}
        assert {row_id: (row.state, row.cancel) for row_id, row in rows.items()} == {
            "held": (IN_FLIGHT, True),
            "queued": (SUPPRESSED, False),
            "unknown": (SUPPRESSED, False),
            "later": (SUPPRESSED, False),
        }
        assert [rows[name].reason for name in ("queued", "unknown", "later")] == ["detached"] * 3
        assert (rows["unknown"].maybe_sent, rows["later"].settled_at) == (True, clock.microseconds)
        clock.advance(59)
        assert await claim(store) == []

    @pytest.mark.parametrize("outcome", [AGAIN, UNKNOWN, HANDED_BACK], ids=["again", "unknown", "untouched"])
    async def test_a_withdrawn_row_gets_no_further_attempt(
        self, store: ConversationStore, writer: Writer, held: WorkRow, outcome: Outcome
    ) -> None:
        await writer.write(withdrawals=(Withdrawal("room_closed"),))
        following = delivery(state=IN_FLIGHT)
        await writer.owe(following)

        assert await store.settle(held.id, 1, outcome, due_in=0)

        row = await state_of(store, held)
        assert (row.state, row.reason, row.maybe_sent) == (SUPPRESSED, "room_closed", outcome is UNKNOWN)
        assert ids(await claim(store)) == [following.id]

    async def test_a_withdrawn_row_that_got_through_says_so(
        self, store: ConversationStore, writer: Writer, held: WorkRow
    ) -> None:
        await writer.write(withdrawals=(Withdrawal("room_closed"),))

        await store.settle(held.id, 1, SENT)

        assert (await state_of(store, held)).state is WorkState.SENT

    async def test_a_withdrawal_meets_only_what_it_names(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        await writer.create()
        other.room_id = "elsewhere"
        await other.create()
        rows = {
            "hit": delivery(("1",), row_id="hit", event_id="event"),
            "channel": delivery(("2",), row_id="channel", event_id="event", channel_id="mail"),
            "kind": delivery(("3",), row_id="kind", event_id="event", kind=WorkKind.ASK),
            "event": delivery(("4",), row_id="event"),
        }
        await writer.owe(*rows.values())
        await other.owe(delivery(("5",), row_id="room", room_id="elsewhere", event_id="event"))

        await writer.write(withdrawals=(Withdrawal("deleted", channel_id="sms", kind="delivery", event_id="event"),))

        open_rows = await store.list_work(WorkFilter(states=frozenset({PENDING})))
        assert sorted(ids(open_rows)) == ["channel", "event", "kind", "room"]

    async def test_the_lane_goes_on_past_withdrawn_rows(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        rows = [delivery(event_id="gone" if number != 3 else None, row_id=str(number)) for number in range(5)]
        await writer.owe(*rows)

        await writer.write(withdrawals=(Withdrawal("deleted", event_id="gone"),))

        assert ids(await claim(store)) == ["3"]

    async def test_a_row_of_the_same_batch_is_not_withdrawn(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        await writer.owe(delivery(row_id="old"))

        await writer.write(withdrawals=(Withdrawal("detached"),), work=(delivery(row_id="new"),))

        assert [row.state for row in await store.list_work(WorkFilter())] == [PENDING, SUPPRESSED]

    # ----------------------------------------------------------------------------------------------- expiring

    async def test_tr9_waiting_rows_expire_head_or_not_and_whoever_serves_their_channel(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        at = clock.microseconds + 10 * SECOND
        await writer.owe(
            delivery(("a",), row_id="head", expires_at=at),
            delivery(("a",), row_id="kept"),
            delivery(("a",), row_id="middle", expires_at=at),
            delivery(("b",), row_id="unknown", state=IN_FLIGHT, expires_at=at, channel_id="nobody"),
            delivery(("c",), row_id="in flight", state=IN_FLIGHT, expires_at=at),
            delivery(("d",), row_id="later", expires_at=at + 1000 * SECOND),
        )
        await store.settle("unknown", 1, UNKNOWN, due_in=500)

        assert await store.expire(at - 1) == 0
        assert await store.expire(at + 1) == 3
        assert await store.expire(at + 1) == 0

        rows = {row.id: row for row in await store.list_work(WorkFilter())}
        assert {name for name, row in rows.items() if row.state is WorkState.EXPIRED} == {"head", "middle", "unknown"}
        assert rows["unknown"].maybe_sent
        assert rows["head"].code == "expired"
        assert rows["head"].reason
        assert sorted(ids(await claim(store))) == ["kept", "later"]

    async def test_a_row_that_was_in_flight_expires_when_it_comes_back(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        at = clock.microseconds + 10 * SECOND
        owed = delivery(state=IN_FLIGHT, expires_at=at)
        await writer.owe(owed)
        assert await store.expire(at + 1) == 0
        await store.settle(owed.id, 1, AGAIN, due_in=100)

        assert await store.expire(at + 1) == 1
        assert (await state_of(store, owed)).state is WorkState.EXPIRED
