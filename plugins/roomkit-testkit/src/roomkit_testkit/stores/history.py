"""What is told about tenures that did not bring their row to a good end (T16)."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.interfaces.store import ConversationStore, Cutoffs
from roomkit_core.models.changes import Discharge, Withdrawal
from roomkit_core.models.work import GOOD_ENDS, OPEN_STATES, Attempt, Outcome, WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.lanes import state_of
from roomkit_testkit.stores.makers import (
    AGAIN,
    FAILED,
    HANDED_BACK,
    LANE,
    SENT,
    UNKNOWN,
    Writer,
    claim,
    delivery,
    text_event,
)

IN_FLIGHT, PENDING, SUPPRESSED = WorkState.IN_FLIGHT, WorkState.PENDING, WorkState.SUPPRESSED
BAD_ENDS = [state for state in WorkState if state not in OPEN_STATES | GOOD_ENDS]


class HistorySuite(StoreContract):
    async def test_a_row_that_is_unknown_or_untried_has_no_history(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        assert await store.work_history("unknown") == []
        assert await store.work_history("held") == []
        assert await store.work_history("queued") == []

    @pytest.mark.parametrize("outcome", [AGAIN, UNKNOWN], ids=["again", "unknown"])
    async def test_an_attempt_that_leaves_the_row_open_is_told(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock, outcome: Outcome
    ) -> None:
        clock.advance(7)

        await store.settle("held", 1, outcome, due_in=3)

        assert await store.work_history("held") == [
            Attempt(
                "held",
                1,
                1,
                "kit-1",
                clock.microseconds,
                outcome.state,
                outcome.code,
                outcome.reason,
                maybe_sent=outcome is UNKNOWN,
            )
        ]

    @pytest.mark.parametrize("state", BAD_ENDS)
    async def test_an_attempt_that_ends_the_row_badly_is_told(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock, state: WorkState
    ) -> None:
        await store.settle("held", 1, Outcome(state, "code", "a reason"))

        assert await store.work_history("held") == [
            Attempt("held", 1, 1, "kit-1", clock.microseconds, state, "code", "a reason")
        ]

    @pytest.mark.parametrize("state", sorted(GOOD_ENDS))
    async def test_of_an_attempt_that_ends_the_row_well_nothing_is_told(
        self, store: ConversationStore, held: WorkRow, state: WorkState
    ) -> None:
        await store.settle("held", 1, Outcome(state, "code", "a reason", ("SM1",)))

        assert await store.work_history("held") == []

    async def test_a_row_handed_back_untouched_and_a_part_that_is_done_are_no_attempts(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        await store.settle("held", 1, Outcome(IN_FLIGHT, provider_ids=("SM1",)), parts_done=1)
        await store.settle("held", 1, HANDED_BACK, due_in=0)

        assert await store.work_history("held") == []

    async def test_a_report_that_comes_too_late_is_not_told(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        await store.settle("held", 1, SENT)

        assert not await store.settle("held", 1, FAILED)

        assert await store.work_history("held") == []

    @pytest.mark.parametrize("by_lane", [False, True], ids=["by time", "by lane"])
    async def test_a_holder_that_never_settled_is_told_when_it_is_taken_over_from(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock, by_lane: bool
    ) -> None:
        way: dict[str, Any] = {"lanes": [LANE]} if by_lane else {}
        clock.advance(61)
        await claim(store, "kit-2", **way)
        first = clock.microseconds
        clock.advance(62)
        await claim(store, "kit-3", **way)

        assert await store.work_history("held") == [
            Attempt("held", 1, 1, "kit-1", first, IN_FLIGHT, maybe_sent=True),
            Attempt("held", 2, 1, "kit-2", clock.microseconds, IN_FLIGHT, maybe_sent=True),
        ]

    async def test_attempts_are_told_in_their_order_however_many_there_are(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        token = 1
        for number in range(12):
            clock.advance(1)
            await store.settle("held", token, Outcome(PENDING, f"code {number}"), due_in=0)
            (row,) = await claim(store)
            token = row.token
        await store.settle("held", token, SENT)

        history = await store.work_history("held")

        assert [attempt.code for attempt in history] == [f"code {number}" for number in range(12)]
        assert [(attempt.token, attempt.attempt) for attempt in history] == [(n, n) for n in range(1, 13)]
        assert [attempt.ended_at for attempt in history] == sorted({attempt.ended_at for attempt in history})

    async def test_a_mark_that_was_set_once_is_told_with_every_later_attempt(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        for token, outcome in enumerate((AGAIN, UNKNOWN, AGAIN, FAILED), 1):
            await store.settle("held", token, outcome, due_in=0)
            await claim(store)

        assert [attempt.maybe_sent for attempt in await store.work_history("held")] == [False, True, True, True]

    async def test_an_attempt_at_a_withdrawn_row_is_told_with_what_the_holder_said(
        self, store: ConversationStore, writer: Writer, held: WorkRow, clock: ManualClock
    ) -> None:
        await writer.write(withdrawals=(Withdrawal("room_closed"),))

        await store.settle("held", 1, AGAIN, due_in=0)

        assert (await state_of(store, held)).reason == "room_closed"
        assert await store.work_history("held") == [
            Attempt("held", 1, 1, "kit-1", clock.microseconds, SUPPRESSED, AGAIN.code, AGAIN.reason)
        ]

    async def test_the_end_of_a_row_that_nobody_held_is_told_by_the_row_alone(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        failed = delivery((), row_id="born", state=WorkState.FAILED, code="render.failed")
        await writer.owe(delivery(row_id="late", expires_at=clock.microseconds + 1), delivery(row_id="out"), failed)
        clock.advance(1)
        await store.expire(clock.microseconds)
        await writer.write(withdrawals=(Withdrawal("room_closed"),))

        for row_id in ("late", "out", "born"):
            assert await store.work_history(row_id) == []

    @pytest.mark.parametrize(("state", "told"), [(WorkState.ANSWERED, []), (WorkState.DEAD, [WorkState.DEAD])])
    async def test_a_discharge_is_an_end_like_any_other(
        self, store: ConversationStore, writer: Writer, held: WorkRow, state: WorkState, told: list[WorkState]
    ) -> None:
        await writer.write(events=(text_event(),), discharges=(Discharge("held", 1, Outcome(state, "code")),))

        assert [attempt.state for attempt in await store.work_history("held")] == told

    # ---------------------------------------------------------------------------------------------- forgetting

    async def test_a_history_lasts_as_long_as_its_row(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        await store.settle("held", 1, AGAIN, due_in=0)
        await claim(store)
        await store.settle("held", 2, SENT)
        clock.advance(10)
        now = clock.microseconds

        await store.purge(Cutoffs(dead=now, bodies=now, keys=now))
        assert len(await store.work_history("held")) == 1
        await store.purge(Cutoffs(settled=now))
        assert await store.work_history("held") == []

    async def test_histories_go_with_their_room_also_of_rows_that_are_open(
        self, store: ConversationStore, writer: Writer, held: WorkRow
    ) -> None:
        await writer.owe(delivery(("other",), row_id="done", state=IN_FLIGHT))
        await store.settle("held", 1, AGAIN, due_in=0)
        await store.settle("done", 1, FAILED)

        await store.delete_room("room")

        assert await store.work_history("held") == await store.work_history("done") == []
