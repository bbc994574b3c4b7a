"""Receipts of providers, and rows as they are listed (PROTOCOL 2; L11)."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.interfaces.store import ConversationStore, WorkFilter
from roomkit_core.models.enums import ReceiptRank
from roomkit_core.models.work import Outcome, WorkKind, WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.journal import message
from roomkit_testkit.stores.lanes import ids, state_of
from roomkit_testkit.stores.makers import AGAIN, FAILED, SENT, UNKNOWN, Writer, claim, delivery, get_row, key
from roomkit_testkit.stores.outcomes import sent

IN_FLIGHT, PENDING = WorkState.IN_FLIGHT, WorkState.PENDING


class RecordSuite(StoreContract):
    # ----------------------------------------------------------------------------------------------- receipts

    async def test_the_rank_of_a_receipt_only_grows(self, store: ConversationStore, held: WorkRow) -> None:
        await store.settle(held.id, 1, sent("SM1", "SM2"))

        grew = [
            await store.note_receipt("sms", provider_id, rank, 0)
            for provider_id, rank in (
                ("SM1", "accepted"),
                ("SM2", "delivered"),
                ("SM1", "accepted"),
                ("SM1", "delivered"),
                ("SM1", "read"),
            )
        ]

        assert grew == [True, True, False, False, True]
        assert (await state_of(store, held)).receipt_rank == "read"

    async def test_tr13_a_receipt_that_overtakes_the_settle_is_joined_by_it(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        assert not await store.note_receipt("sms", "SM1", "delivered", 0)
        assert not await store.note_receipt("sms", "SM1", "accepted", 0)
        assert not await store.note_receipt("mail", "SM1", "read", 0)

        await store.settle(held.id, 1, sent("SM1"))

        assert (await state_of(store, held)).receipt_rank == "delivered"
        assert not await store.note_receipt("sms", "SM1", "delivered", 0)

    async def test_a_receipt_keeps_the_time_that_the_provider_gave_to_its_rank(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        assert (await state_of(store, held)).receipt_at is None
        await store.note_receipt("sms", "SM1", "accepted", 10)
        await store.note_receipt("sms", "SM1", "delivered", 20)
        await store.note_receipt("sms", "SM1", "delivered", 30)  # once more, and later: it was there at 20

        await store.settle(held.id, 1, sent("SM1"))
        joined = await state_of(store, held)
        await store.note_receipt("sms", "SM1", "read", 15)  # a clock of the provider's own
        await store.note_receipt("sms", "SM1", "accepted", 40)
        last = await state_of(store, held)

        assert (joined.receipt_rank, joined.receipt_at) == ("delivered", 20)
        assert (last.receipt_rank, last.receipt_at) == ("read", 15)

    async def test_a_receipt_finds_its_delivery_by_our_own_key(self, store: ConversationStore, held: WorkRow) -> None:
        assert await store.note_receipt("sms", held.provider_key, "accepted", 0)
        assert not await store.note_receipt("mail", held.provider_key, "read", 0)
        await store.settle(held.id, 1, SENT)
        assert await store.note_receipt("sms", held.provider_key, "delivered", 0)

        assert (await state_of(store, held)).receipt_rank == "delivered"

    async def test_a_receipt_by_the_key_of_the_first_row_is_about_its_retry(
        self, store: ConversationStore, writer: Writer, held: WorkRow
    ) -> None:
        await store.settle(held.id, 1, FAILED)
        await writer.write(work=(delivery(("r",), row_id="retry", provider_key="held", retry_of="held"),))

        assert await store.note_receipt("sms", "held", "delivered", 0)

        retry = await get_row(store, "retry")
        assert retry is not None
        assert (retry.receipt_rank, (await state_of(store, held)).receipt_rank) == ("delivered", "none")

    async def test_each_part_of_a_delivery_is_reported_by_its_own_id(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        await store.settle(held.id, 1, Outcome(IN_FLIGHT, provider_ids=("SM1",)), parts_done=1)
        assert await store.note_receipt("sms", "SM1", "accepted", 0)
        assert not await store.note_receipt("sms", "SM2", "delivered", 0)
        assert (await state_of(store, held)).receipt_rank == "accepted"

        await store.settle(held.id, 1, Outcome(IN_FLIGHT, provider_ids=("SM2",)), parts_done=2)

        assert (await state_of(store, held)).receipt_rank == "delivered"

    @pytest.mark.parametrize("ranks", [("read", "delivered"), ("delivered", "read")], ids=" then ".join)
    async def test_of_several_early_reports_the_highest_is_joined(
        self, store: ConversationStore, held: WorkRow, ranks: tuple[str, str]
    ) -> None:
        for number, rank in enumerate(ranks):
            assert not await store.note_receipt("sms", f"SM{number}", rank, 0)

        await store.settle(held.id, 1, sent("SM0", "SM1"))

        assert (await state_of(store, held)).receipt_rank == "read"

    async def test_an_early_report_is_joined_once(
        self, store: ConversationStore, writer: Writer, held: WorkRow
    ) -> None:
        await store.note_receipt("sms", "SM1", "read", 0)
        await store.settle(held.id, 1, sent("SM1"))
        await writer.owe(delivery(("other",), row_id="other", state=IN_FLIGHT))

        await store.settle("other", 1, sent("SM1"))

        row = await get_row(store, "other")
        assert row is not None
        assert row.receipt_rank == "none"

    async def test_a_report_between_the_call_and_a_takeover_is_kept_by_the_row(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        clock.advance(61)
        assert await store.note_receipt("sms", held.provider_key, "delivered", 0)

        (taken,) = await claim(store, "kit-2")

        assert (taken.token, taken.receipt_rank) == (2, "delivered")
        await store.settle(held.id, 2, FAILED)
        assert (await state_of(store, held)).receipt_rank == "delivered"

    @pytest.mark.parametrize("outcome", [AGAIN, UNKNOWN], ids=["again", "unknown"])
    async def test_a_report_about_a_row_that_waits_changes_nothing_but_its_rank(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock, outcome: Outcome
    ) -> None:
        await store.settle(held.id, 1, outcome, due_in=10)
        before = await state_of(store, held)

        assert await store.note_receipt("sms", held.provider_key, "delivered", 0)

        assert await state_of(store, held) == before._replace(receipt_rank="delivered", receipt_at=0)
        clock.advance(10)
        assert ids(await claim(store)) == [held.id]

    async def test_a_report_from_a_channel_that_nobody_knows_is_kept_without_harm(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        assert not await store.note_receipt("nowhere", "SM1", "read", 0)
        await store.settle(held.id, 1, sent("SM1"))

        assert (await state_of(store, held)).receipt_rank == "none"

    async def test_an_id_of_an_incoming_message_is_no_name_of_a_delivery(self, store: ConversationStore) -> None:
        accepted = await store.accept(message(), ("sms", "+1"), key("SM1"))

        assert not await store.note_receipt("sms", "SM1", "delivered", 0)

        row = await get_row(store, accepted.id)
        assert row is not None
        assert row.receipt_rank == "none"

    async def test_after_its_room_is_gone_a_report_finds_nothing(self, store: ConversationStore, held: WorkRow) -> None:
        await store.settle(held.id, 1, sent("SM1"))
        await store.delete_room("room")

        for name in ("SM1", held.provider_key):
            assert not await store.note_receipt("sms", name, "read", 0)

    @pytest.mark.parametrize("low", list(ReceiptRank))
    async def test_ranks_have_one_order(self, store: ConversationStore, held: WorkRow, low: ReceiptRank) -> None:
        await store.settle(held.id, 1, sent("SM1"))
        ranks = list(ReceiptRank)
        await store.note_receipt("sms", "SM1", low, 0)

        for high in ranks:
            before = (await state_of(store, held)).receipt_rank
            grew = ranks.index(high) > ranks.index(ReceiptRank(before))
            assert await store.note_receipt("sms", "SM1", high, 0) is grew
            assert (await state_of(store, held)).receipt_rank == (high if grew else before)

    async def test_a_rank_that_is_none_is_a_mistake(self, store: ConversationStore, held: WorkRow) -> None:
        with pytest.raises(ValueError, match="delightful"):
            await store.note_receipt("sms", held.id, "delightful", 0)

    # ------------------------------------------------------------------------------------------------ listing

    async def test_rows_are_listed_by_every_field_of_the_filter(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        await writer.create()
        other.room_id = "elsewhere"
        await other.create()
        await writer.owe(
            delivery(("1",), row_id="a", event_id="e1", state=IN_FLIGHT),
            delivery(("2",), row_id="b", event_id="e1", kind=WorkKind.ASK, channel_id="ai"),
            delivery(("3",), row_id="c", event_id="e2", state=IN_FLIGHT),
        )
        await other.owe(delivery(("4",), row_id="d", room_id="elsewhere"))
        await store.settle("c", 1, SENT)
        await other.owe(delivery(("5",), row_id="e", room_id="elsewhere", state=IN_FLIGHT))
        await store.settle("e", 1, FAILED)

        async def found(**where: Any) -> str:
            return "".join(ids(await store.list_work(WorkFilter(**where))))

        assert await found() == "abcde"
        assert await found(states=frozenset({PENDING})) == "bd"
        assert await found(states=frozenset({PENDING, WorkState.SENT})) == "bcd"
        assert await found(kinds=frozenset({WorkKind.ASK})) == "b"
        assert await found(states=frozenset({WorkState.SENT, WorkState.FAILED})) == "ce"
        assert await found(states=frozenset({WorkState.FAILED, PENDING})) == "bde"
        assert await found(states=frozenset({WorkState.SENT})) == "c"
        assert await found(channel_id="sms") == "acde"
        assert await found(room_id="room") == "abc"
        assert await found(room_id="room", states=frozenset({WorkState.SENT})) == "c"
        assert await found(event_id="e1") == "ab"
        assert await found(row_id="c") == "c"
        assert await found(row_id="c", room_id="elsewhere") == ""
        assert await found(room_id="nowhere") == ""

    async def test_rows_are_listed_in_pages_ordered_by_id(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        for name in ("d", "b", "a", "c", "e"):
            await writer.owe(delivery((name,), row_id=name, state=IN_FLIGHT))
        await store.settle("b", 1, SENT)

        pages = [ids(await store.list_work(WorkFilter(), limit=2, after=after)) for after in (None, "b", "d", "e")]

        assert pages == [["a", "b"], ["c", "d"], ["e"], []]
