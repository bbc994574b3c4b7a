"""What an operator does by hand: a copy of a row that is final, at the tail of its lane (PROTOCOL 2, 12; T16)."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.interfaces.store import ConversationStore, Cutoffs, Known, WorkFilter
from roomkit_core.models.changes import ChangeSet, Committed, Refused
from roomkit_core.models.work import Outcome, WorkKind, WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.journal import message
from roomkit_testkit.stores.lanes import ids, state_of
from roomkit_testkit.stores.makers import FAILED, SENT, UNKNOWN, Writer, claim, delivery, get_row, key

IN_FLIGHT, PENDING = WorkState.IN_FLIGHT, WorkState.PENDING
QUARANTINED = Outcome(WorkState.QUARANTINED, "poison", "it failed too often")


def copy_of(row: WorkRow, row_id: str = "retry", *, state: WorkState = IN_FLIGHT) -> WorkRow:
    """A new row for the work of an old one, as an operator's retry makes it."""
    return WorkRow(
        id=row_id,
        kind=row.kind,
        channel_id=row.channel_id,
        lane=row.lane,
        room_id=row.room_id,
        event_id=row.event_id,
        payload=row.payload,
        route=row.route,
        provider_key=row.provider_key,
        correlation_id=row.correlation_id,
        state=state,
        maybe_sent=row.maybe_sent,
        parts_done=row.parts_done,
        provider_ids=row.provider_ids,
        retry_of=row.id,
        key=row.key,
        quiet=row.quiet,
    )


def retry(row: WorkRow, commit_id: str = "retry-1", *, owner: str = "kit-1", **fields: Any) -> ChangeSet:
    """The batch of an operator's retry."""
    return ChangeSet(row.room_id, commit_id, None, owner=owner, lease=60.0, work=(copy_of(row, **fields),))


class RetrySuite(StoreContract):
    @pytest.fixture
    async def tried(self, store: ConversationStore, writer: Writer) -> WorkRow:
        """A row in flight, token 1, with another one queued behind it."""
        await writer.create()
        committed = await writer.owe(
            delivery(row_id="held", state=IN_FLIGHT, event_id="event", correlation_id="trace", quiet=7),
            delivery(row_id="queued"),
        )
        return committed.claims[0]

    async def test_tr12_a_retry_is_a_copy_at_the_tail_and_the_old_row_stays_final(
        self, store: ConversationStore, writer: Writer, tried: WorkRow
    ) -> None:
        await store.settle(tried.id, 1, UNKNOWN, due_in=0)
        (second,) = await claim(store)
        await store.settle(tried.id, second.token, FAILED, parts_done=1)
        failed = await state_of(store, tried)
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
        assert await state_of(store, tried) == failed

    async def test_a_retry_needs_no_version_and_moves_none(
        self, store: ConversationStore, writer: Writer, tried: WorkRow
    ) -> None:
        await store.settle("held", 1, FAILED)

        answer = await store.commit(retry(await state_of(store, tried)))

        assert answer == Committed(None)
        assert (await writer.say()).index == 1

    async def test_a_retry_into_a_busy_lane_waits_at_the_tail(self, store: ConversationStore, tried: WorkRow) -> None:
        await store.settle("held", 1, UNKNOWN, due_in=0)
        await claim(store)
        await store.settle("held", 2, Outcome(WorkState.PARTIAL, "code", provider_ids=("SM1",)), parts_done=1)
        old = await state_of(store, tried)

        await store.commit(retry(old))

        copy = await get_row(store, "retry")
        assert copy is not None
        assert (copy.state, copy.due, copy.token, copy.attempts) == (PENDING, None, 0, 0)
        assert (copy.retry_of, copy.provider_key, copy.parts_done) == ("held", "held", 1)
        assert (copy.maybe_sent, copy.provider_ids, copy.quiet) == (True, ("SM1",), 7)
        assert (copy.lane, copy.event_id, copy.correlation_id) == (old.lane, "event", "trace")
        assert copy.seq > old.seq
        assert await state_of(store, tried) == old
        assert await store.work_history("retry") == []
        assert ids(await store.list_work(WorkFilter(name="SM1"))) == ["held", "retry"]
        assert await store.note_receipt("sms", "SM1", "delivered", 0)
        ranks = [row.receipt_rank for row in await store.list_work(WorkFilter(name="SM1"))]
        assert ranks == ["none", "delivered"]

    async def test_a_retry_into_an_empty_lane_is_claimed_at_birth(
        self, store: ConversationStore, tried: WorkRow, clock: ManualClock
    ) -> None:
        await store.settle("held", 1, FAILED)
        await claim(store)
        await store.settle("queued", 1, SENT)

        answer = await store.commit(retry(await state_of(store, tried)))

        assert isinstance(answer, Committed)
        (claimed,) = answer.claims
        assert claimed == await get_row(store, "retry")
        assert (claimed.state, claimed.owner, claimed.token, claimed.attempts) == (IN_FLIGHT, "kit-1", 1, 1)
        assert claimed.lease_until == clock.microseconds + 60_000_000

    async def test_a_retry_that_does_not_ask_is_due_in_an_empty_lane(
        self, store: ConversationStore, tried: WorkRow
    ) -> None:
        await store.settle("held", 1, FAILED)
        await claim(store)
        await store.settle("queued", 1, SENT)

        assert await store.commit(retry(await state_of(store, tried), state=PENDING)) == Committed(None)

        assert ids(await claim(store)) == ["retry"]

    async def test_a_retry_whose_answer_was_lost_finds_it(self, store: ConversationStore, tried: WorkRow) -> None:
        await store.settle("held", 1, FAILED)
        await claim(store)
        await store.settle("queued", 1, SENT)
        batch = retry(await state_of(store, tried))
        first = await store.commit(batch)

        again = await store.commit(batch)
        elsewhere = await store.commit(retry(await state_of(store, tried), owner="kit-2"))
        await store.settle("retry", 1, SENT)
        later = await store.commit(batch)

        assert again == first
        assert elsewhere == later == Committed(None)
        assert ids(await store.list_work(WorkFilter(retry_of="held"))) == ["retry"]

    async def test_a_retry_for_a_room_that_is_gone_is_refused(self, store: ConversationStore, tried: WorkRow) -> None:
        await store.settle("held", 1, FAILED)
        old = await state_of(store, tried)
        await store.delete_room("room")

        assert await store.commit(retry(old)) == Refused("gone")

        assert await store.list_work(WorkFilter()) == []

    # --------------------------------------------------------------------------------------- quarantined messages

    @pytest.fixture
    async def quarantined(self, store: ConversationStore) -> WorkRow:
        """A journaled message that was given up, in a lane that went on."""
        accepted = await store.accept(message("poison"), ("sms", "+1"), key("SM1"), owner="kit-1", lease=60.0)
        await store.settle(accepted.id, 1, QUARANTINED)
        row = await get_row(store, accepted.id)
        assert row is not None
        return row

    async def test_a_quarantined_message_is_retried_without_a_room(
        self, store: ConversationStore, quarantined: WorkRow
    ) -> None:
        answer = await store.commit(retry(quarantined))

        assert isinstance(answer, Committed)
        (claimed,) = answer.claims
        assert (claimed.kind, claimed.lane, claimed.payload) == (
            WorkKind.INBOUND,
            ("sms", "+1"),
            quarantined.payload,
        )
        assert await store.commit(retry(quarantined)) == answer

    async def test_a_quarantined_message_waits_behind_what_came_later(
        self, store: ConversationStore, quarantined: WorkRow
    ) -> None:
        later = await store.accept(message("later"), ("sms", "+1"), key("SM2"))

        assert await store.commit(retry(quarantined)) == Committed(None)

        assert ids(await claim(store)) == [later.id]

    async def test_after_a_retry_a_redelivery_finds_the_copy(
        self, store: ConversationStore, quarantined: WorkRow
    ) -> None:
        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known(quarantined.id, WorkState.QUARANTINED)

        await store.commit(retry(quarantined))

        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known("retry", IN_FLIGHT)
        await store.settle("retry", 1, Outcome(WorkState.DONE))
        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known("retry", WorkState.DONE)
        old = await get_row(store, quarantined.id)
        assert old is not None
        assert old.state is WorkState.QUARANTINED
        assert "retry" in ids(await store.list_work(WorkFilter(name="SM1")))

    async def test_a_redelivery_finds_the_copy_also_after_the_old_row_is_forgotten(
        self, store: ConversationStore, quarantined: WorkRow, clock: ManualClock
    ) -> None:
        await store.commit(retry(quarantined))
        clock.advance(1)

        assert await store.purge(Cutoffs(dead=clock.microseconds)) == 1

        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known("retry", IN_FLIGHT)
        assert ids(await store.list_work(WorkFilter(name="SM1"))) == ["retry"]

    async def test_a_message_that_is_poison_again_can_be_retried_again(
        self, store: ConversationStore, quarantined: WorkRow
    ) -> None:
        await store.commit(retry(quarantined))
        await store.settle("retry", 1, QUARANTINED)
        second = await get_row(store, "retry")
        assert second is not None

        await store.commit(retry(second, "retry-2", row_id="again"))

        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known("again", IN_FLIGHT)
