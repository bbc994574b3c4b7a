"""The journal, receipts, retries, and what is listed and forgotten (PROTOCOL 2; L11)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from roomkit_core.interfaces.store import Accepted, ConversationStore, Cutoffs, Known, WorkFilter
from roomkit_core.models.changes import Committed, Discharge, KeyResult
from roomkit_core.models.content import TextContent
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.work import Outcome, WorkKind, WorkRow, WorkState
from tests.stores.clock import ManualClock
from tests.stores.contract import StoreContract
from tests.stores.lanes import ids, state_of
from tests.stores.makers import (
    FAILED,
    SENT,
    UNKNOWN,
    Writer,
    claim,
    decided,
    delivery,
    get_row,
    key,
    text_event,
)
from tests.stores.outcomes import sent

IN_FLIGHT, PENDING, SUPPRESSED = WorkState.IN_FLIGHT, WorkState.PENDING, WorkState.SUPPRESSED
SECOND = 1_000_000
FINAL = [state for state in WorkState if state not in (PENDING, IN_FLIGHT, WorkState.UNKNOWN)]


def message(text: str = "hello", **fields: Any) -> InboundMessage:
    return InboundMessage(**{"channel_id": "sms", "sender_id": "+1", "content": TextContent(body=text), **fields})


class RecordSuite(StoreContract):
    @pytest.fixture
    async def held(self, store: ConversationStore, writer: Writer) -> WorkRow:
        """A row in flight, token 1, with another one queued behind it."""
        await writer.create()
        committed = await writer.owe(delivery(row_id="held", state=IN_FLIGHT), delivery(row_id="queued"))
        return committed.claims[0]

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

    async def test_a_receipt_that_overtakes_the_settle_is_joined_by_it(
        self, store: ConversationStore, held: WorkRow
    ) -> None:
        assert not await store.note_receipt("sms", "SM1", "delivered", 0)
        assert not await store.note_receipt("sms", "SM1", "accepted", 0)
        assert not await store.note_receipt("mail", "SM1", "read", 0)

        await store.settle(held.id, 1, sent("SM1"))

        assert (await state_of(store, held)).receipt_rank == "delivered"
        assert not await store.note_receipt("sms", "SM1", "delivered", 0)

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

    async def test_a_rank_that_is_none_is_a_mistake(self, store: ConversationStore, held: WorkRow) -> None:
        with pytest.raises(ValueError, match="delightful"):
            await store.note_receipt("sms", held.id, "delightful", 0)

    # ------------------------------------------------------------------------------------------------ journal

    async def test_an_accepted_message_is_a_row_that_holds_the_message(
        self, store: ConversationStore, clock: ManualClock
    ) -> None:
        received = message("hi", metadata={"a": [1]}, session=object(), provider_message_id="SM1")

        accepted = await store.accept(received, ("sms", "+1"), key("SM1"))

        assert isinstance(accepted, Accepted)
        assert accepted.claim is None
        row = await get_row(store, accepted.id)
        assert row is not None
        assert (row.kind, row.state, row.lane, row.channel_id) == (WorkKind.INBOUND, PENDING, ("sms", "+1"), "sms")
        assert (row.room_id, row.key, row.due) == (None, key("SM1"), clock.microseconds)
        (payload,) = row.payload
        assert InboundMessage.model_validate_json(payload) == received.model_copy(update={"session": None})
        assert "session" not in json.loads(payload)

    async def test_an_accepted_message_is_claimed_at_birth_only_in_an_empty_lane(
        self, store: ConversationStore
    ) -> None:
        first = await store.accept(message(), ("sms", "+1"), None, owner="kit-1", lease=30.0)
        second = await store.accept(message(), ("sms", "+1"), None, owner="kit-1", lease=30.0)
        third = await store.accept(message(), ("sms", "+2"), None, owner="kit-1")

        assert isinstance(first, Accepted)
        assert first.claim is not None
        assert (first.claim.owner, first.claim.token, first.claim.attempts) == ("kit-1", 1, 1)
        assert isinstance(second, Accepted)
        assert isinstance(third, Accepted)
        assert (second.claim, third.claim) == (None, None)
        assert ids(await claim(store)) == [third.id]

    async def test_a_redelivered_message_is_known_whatever_became_of_it(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        accepted = await store.accept(message(), ("sms", "+1"), key("SM1"))
        assert isinstance(accepted, Accepted)

        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known(accepted.id, PENDING)
        (claimed,) = await claim(store)
        await writer.write(
            events=(text_event(),),
            keys=(decided("SM1"),),
            discharges=(Discharge(claimed.id, 1, Outcome(WorkState.DONE)),),
        )
        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known(accepted.id, WorkState.DONE)
        assert len(await store.list_work(WorkFilter())) == 1

    @pytest.mark.parametrize(("blocked", "state"), [(False, WorkState.DONE), (True, WorkState.REFUSED)])
    async def test_a_message_that_was_decided_without_the_journal_is_known_too(
        self, store: ConversationStore, writer: Writer, blocked: bool, state: WorkState
    ) -> None:
        event = text_event()
        await writer.create(events=(event,), keys=((key("SM1"), KeyResult("room", event.id, blocked)),))

        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known(event.id, state)
        assert await store.list_work(WorkFilter()) == []

    async def test_a_message_without_a_key_is_new_each_time(self, store: ConversationStore) -> None:
        for _ in range(2):
            assert isinstance(await store.accept(message(), ("sms", "+1"), None), Accepted)

    async def test_a_journaled_message_does_not_decide_its_key(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        await store.accept(message(), ("sms", "+1"), key("SM1"))

        direct = await writer.commit(events=(text_event(),), keys=(decided("SM1"),))

        assert isinstance(direct, Committed)

    # ------------------------------------------------------------------------------------ retries, forgetting

    async def test_a_retry_is_a_copy_at_the_tail_and_the_old_row_stays_final(
        self, store: ConversationStore, writer: Writer, held: WorkRow
    ) -> None:
        await store.settle(held.id, 1, UNKNOWN, due_in=0)
        (second,) = await claim(store)
        await store.settle(held.id, second.token, FAILED, parts_done=1)
        failed = await state_of(store, held)
        retry = delivery(
            row_id="retry",
            retry_of="held",
            provider_key=failed.provider_key,
            parts_done=1,
            maybe_sent=True,
            state=IN_FLIGHT,
        )

        committed = await writer.write(work=(retry,))

        assert committed.claims == ()
        assert ids(await claim(store)) == ["queued"]
        await store.settle("queued", 1, SENT)
        (claimed,) = await claim(store)
        assert (claimed.id, claimed.provider_key, claimed.parts_done) == ("retry", "held", 1)
        assert (claimed.maybe_sent, claimed.attempts) == (True, 1)
        assert await state_of(store, held) == failed

    async def test_purging_forgets_what_was_settled_before_a_moment(
        self, store: ConversationStore, writer: Writer, held: WorkRow, clock: ManualClock
    ) -> None:
        await store.settle("held", 1, sent("SM1"))
        accepted = await store.accept(message(), ("sms", "+1"), key("SM1"), owner="kit-1", lease=60.0)
        assert isinstance(accepted, Accepted)
        await store.settle(accepted.id, 1, Outcome(WorkState.QUARANTINED))
        clock.advance(100)
        await claim(store)
        await store.settle("queued", 1, SENT)

        cutoffs = Cutoffs(settled=clock.microseconds, dead=clock.microseconds)
        assert await store.purge(cutoffs) == 2
        assert await store.purge(cutoffs) == 0

        assert ids(await store.list_work(WorkFilter())) == ["queued"]
        assert not await store.note_receipt("sms", "SM1", "read", 0)
        assert isinstance(await store.accept(message(), ("sms", "+1"), key("SM1")), Accepted)

    async def test_purging_forgets_no_open_row(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        clock.advance(1_000_000)

        now = clock.microseconds
        assert await store.purge(Cutoffs(settled=now, dead=now, bodies=now)) == 0
        assert len(await store.list_work(WorkFilter())) == 2

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

        async def found(**where: Any) -> str:
            return "".join(ids(await store.list_work(WorkFilter(**where))))

        assert await found() == "abcd"
        assert await found(states=frozenset({PENDING})) == "bd"
        assert await found(states=frozenset({PENDING, WorkState.SENT})) == "bcd"
        assert await found(kinds=frozenset({WorkKind.ASK})) == "b"
        assert await found(channel_id="sms") == "acd"
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
