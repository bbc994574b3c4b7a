"""Withdrawing one row by its id: how an operator or a caller cancels what was scheduled (PROTOCOL 2, 11)."""

from __future__ import annotations

import pytest

from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.changes import Committed, Refused, Withdrawal
from roomkit_core.models.work import WorkKind, WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.journal import message
from roomkit_testkit.stores.lanes import ids, state_of
from roomkit_testkit.stores.makers import AGAIN, SENT, UNKNOWN, Writer, claim, delivery, get_row, key

IN_FLIGHT, PENDING, SUPPRESSED = WorkState.IN_FLIGHT, WorkState.PENDING, WorkState.SUPPRESSED


class WithdrawalSuite(StoreContract):
    @pytest.mark.parametrize("room_id", ["room", None])
    async def test_one_row_is_withdrawn_without_a_version(
        self, store: ConversationStore, writer: Writer, held: WorkRow, clock: ManualClock, room_id: str | None
    ) -> None:
        before = writer.version
        clock.advance(3)

        answer = await writer.commit(
            room_id=room_id, expected=None, withdrawals=(Withdrawal("cancelled", row_id="queued"),)
        )

        row = await get_row(store, "queued")
        assert answer == Committed(None)
        assert row is not None
        assert (row.state, row.code, row.reason) == (SUPPRESSED, "cancelled", "cancelled")
        assert (row.settled_at, row.due, row.cancel) == (clock.microseconds, None, False)
        assert (await state_of(store, held)).cancel is False
        snapshot = await store.load_room("room")
        assert snapshot is not None
        assert snapshot.version == before

    async def test_a_row_whose_outcome_is_unknown_is_withdrawn_with_its_mark_and_the_lane_goes_on(
        self, store: ConversationStore, writer: Writer, held: WorkRow
    ) -> None:
        await store.settle("held", 1, UNKNOWN, due_in=30)

        await writer.write(room_id=None, expected=None, withdrawals=(Withdrawal("cancelled", row_id="held"),))

        row = await state_of(store, held)
        assert (row.state, row.reason, row.maybe_sent) == (SUPPRESSED, "cancelled", True)
        assert ids(await claim(store)) == ["queued"]

    async def test_a_row_in_flight_is_marked_and_gets_no_further_attempt(
        self, store: ConversationStore, writer: Writer, held: WorkRow
    ) -> None:
        await writer.write(room_id=None, expected=None, withdrawals=(Withdrawal("cancelled", row_id="held"),))
        marked = await state_of(store, held)

        assert await store.settle("held", 1, AGAIN, due_in=0)

        row = await state_of(store, held)
        assert (marked.state, marked.cancel, marked.token, marked.code) == (IN_FLIGHT, True, 1, "cancelled")
        assert (row.state, row.code, row.reason) == (SUPPRESSED, "cancelled", "cancelled")
        assert ids(await claim(store)) == ["queued"]

    async def test_rows_of_other_rooms_and_of_none_are_withdrawn_by_their_id(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        await writer.create()
        other.room_id = "elsewhere"
        await other.create()
        await other.owe(delivery(("1",), row_id="theirs", room_id="elsewhere"))
        timer = delivery((), row_id="timer", room_id=None, kind=WorkKind.TIMER)
        await writer.write(room_id=None, expected=None, work=(timer,))
        accepted = await store.accept(message(), ("sms", "+1"), key("SM1"))

        await writer.write(
            expected=None,
            withdrawals=tuple(Withdrawal("cancelled", row_id=row_id) for row_id in ("theirs", "timer", accepted.id)),
        )

        for row_id in ("theirs", "timer", accepted.id):
            row = await get_row(store, row_id)
            assert row is not None
            assert (row.state, row.reason) == (SUPPRESSED, "cancelled")
        assert await claim(store) == []

    async def test_what_is_final_or_unknown_is_left_alone(
        self, store: ConversationStore, writer: Writer, held: WorkRow
    ) -> None:
        await store.settle("held", 1, SENT)
        before = await state_of(store, held)

        for row_id in ("held", "unknown"):
            await writer.write(room_id=None, expected=None, withdrawals=(Withdrawal("cancelled", row_id=row_id),))

        assert await state_of(store, held) == before

    async def test_a_row_is_withdrawn_only_if_it_is_what_the_withdrawal_says(
        self, store: ConversationStore, writer: Writer, held: WorkRow
    ) -> None:
        for near in (
            Withdrawal("cancelled", channel_id="mail", row_id="queued"),
            Withdrawal("cancelled", kind=WorkKind.ASK.value, row_id="queued"),
            Withdrawal("cancelled", event_id="event", row_id="queued"),
        ):
            await writer.write(expected=None, withdrawals=(near,))

        row = await get_row(store, "queued")
        assert row is not None
        assert row.is_open

    async def test_a_repeated_withdrawal_is_answered_as_the_first_time(
        self, store: ConversationStore, writer: Writer, held: WorkRow, clock: ManualClock
    ) -> None:
        batch = writer.batch(room_id=None, expected=None, withdrawals=(Withdrawal("cancelled", row_id="queued"),))
        first = await store.commit(batch)
        before = await get_row(store, "queued")
        clock.advance(5)

        assert await store.commit(batch) == first == Committed(None)

        assert await get_row(store, "queued") == before

    async def test_a_withdrawal_that_names_no_row_still_needs_the_version(
        self, store: ConversationStore, writer: Writer, held: WorkRow
    ) -> None:
        for room_id in ("room", None):
            with pytest.raises(ValueError, match="version"):
                await writer.commit(
                    room_id=room_id,
                    expected=None,
                    withdrawals=(Withdrawal("cancelled", row_id="queued"), Withdrawal("cancelled")),
                )

        row = await get_row(store, "queued")
        assert row is not None
        assert row.is_open

    async def test_a_withdrawal_in_a_room_that_is_gone_is_refused(self, writer: Writer) -> None:
        refused = await writer.refused(expected=None, withdrawals=(Withdrawal("cancelled", row_id="queued"),))

        assert refused == Refused("gone")

    async def test_a_row_may_be_set_anew_in_the_batch_that_withdraws_the_old_one(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        timer = delivery((), row_id="old", kind=WorkKind.TIMER)
        await writer.write(work=(timer,))

        await writer.write(
            expected=None,
            withdrawals=(Withdrawal("set anew", row_id="old"),),
            work=(timer._replace(id="new", provider_key="new"),),
        )

        assert ids(await claim(store)) == ["new"]
