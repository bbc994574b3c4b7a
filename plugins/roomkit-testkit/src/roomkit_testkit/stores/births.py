"""Rows as they are born: who gets them at once, and what stays as it was given (PROTOCOL 2, 3; L2)."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.work import WorkKind, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.lanes import ids, state_of
from roomkit_testkit.stores.makers import AGAIN, SENT, UNKNOWN, Writer, claim, delivery

IN_FLIGHT, PENDING = WorkState.IN_FLIGHT, WorkState.PENDING
SECOND = 1_000_000


class BirthSuite(StoreContract):
    async def test_a_row_that_asks_is_claimed_at_birth_in_an_empty_lane(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        owed = delivery(state=IN_FLIGHT)

        committed = await writer.write(work=(owed,), lease=30.0)

        row = await state_of(store, owed)
        assert committed.claims == (row,)
        assert (row.state, row.owner, row.token, row.attempts, row.takeovers) == (IN_FLIGHT, "kit-1", 1, 1, 0)
        assert (row.due, row.lease_until) == (None, clock.microseconds + 30 * SECOND)
        assert not row.maybe_sent

    async def test_a_row_that_asks_waits_behind_an_open_row_of_its_lane(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        first, second = delivery(state=IN_FLIGHT), delivery(state=IN_FLIGHT)
        await writer.owe(first)

        committed = await writer.write(work=(second,))

        row = await state_of(store, second)
        assert committed.claims == ()
        assert (row.state, row.owner, row.token, row.attempts, row.due) == (PENDING, None, 0, 0, None)
        assert await claim(store) == []

    @pytest.mark.parametrize("outcome", [AGAIN, UNKNOWN, None], ids=["in back-off", "unknown", "in flight"])
    async def test_no_row_is_claimed_at_birth_while_the_head_of_its_lane_is_open(
        self, store: ConversationStore, writer: Writer, outcome: Any
    ) -> None:
        await writer.create()
        first = delivery(state=IN_FLIGHT)
        await writer.owe(first)
        if outcome is not None:
            await store.settle(first.id, 1, outcome, due_in=10)

        committed = await writer.write(work=(delivery(state=IN_FLIGHT),))

        assert committed.claims == ()

    async def test_lanes_are_looked_at_row_by_row_in_the_order_of_the_batch(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        rows = [delivery(("room", name), state=IN_FLIGHT) for name in ("a", "a", "b")]

        committed = await writer.owe(*rows)

        assert ids(committed.claims) == [rows[0].id, rows[2].id]

    async def test_rows_without_a_lane_wait_for_nobody(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        rows = [delivery((), state=IN_FLIGHT), delivery((), state=IN_FLIGHT), delivery(())]

        committed = await writer.owe(*rows)

        assert ids(committed.claims) == ids(rows[:2])
        assert ids(await claim(store)) == [rows[2].id]

    async def test_a_row_that_does_not_ask_is_due_at_once_as_the_head_of_its_lane(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        first, second = delivery(), delivery()

        committed = await writer.owe(first, second)

        assert committed.claims == ()
        assert (await state_of(store, first)).due == clock.microseconds
        assert (await state_of(store, second)).due is None
        assert ids(await claim(store)) == [first.id]

    async def test_a_row_with_a_due_time_of_its_own_keeps_it(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        at = clock.microseconds + 3600 * SECOND
        timer, queued = delivery((), kind=WorkKind.TIMER, due=at), delivery(due=at)
        await writer.owe(timer, delivery(state=IN_FLIGHT, row_id="head"), queued)
        await store.settle("head", 1, SENT)

        assert await claim(store) == []
        clock.advance(3600)
        assert sorted(ids(await claim(store))) == sorted([timer.id, queued.id])

    async def test_a_row_that_failed_at_birth_is_stored_as_it_is_and_holds_nobody_up(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        failed = delivery(state=WorkState.FAILED, code="render.failed", reason="too long")
        following = delivery(state=IN_FLIGHT)

        committed = await writer.owe(failed, following)

        row = await state_of(store, failed)
        assert (row.state, row.code, row.reason) == (WorkState.FAILED, "render.failed", "too long")
        assert row.settled_at == clock.microseconds
        assert ids(committed.claims) == [following.id]

    async def test_the_place_in_the_lane_grows_with_each_row(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        rows = [delivery() for _ in range(3)]
        await writer.owe(*rows[:2])
        await writer.owe(rows[2])

        places = [(await state_of(store, row)).seq for row in rows]

        assert places == sorted(set(places))

    async def test_what_a_row_was_given_stays_as_it_was(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        owed = delivery(
            event_id="event",
            payload=(("text", "héllo", None), "{}"),
            route="+15550100",
            provider_key="first-row",
            correlation_id="trace",
            maybe_sent=True,
            expires_at=clock.microseconds + 3600 * SECOND,
            parts_done=1,
            retry_of="first-row",
            created_at=clock.microseconds - 5,
            provider_ids=("SM1",),
            key=("sms", "+1", "SM0"),
            quiet=30 * SECOND,
            loss=(("/parts/0", "média", "converted", "no médias"), ("/parts/1", "poll", "dropped", "")),
        )
        await writer.owe(owed)
        await claim(store)
        claimed = await state_of(store, owed)
        await store.settle(owed.id, 1, SENT)

        settled = await state_of(store, owed)

        kept = (
            "id",
            "kind",
            "channel_id",
            "lane",
            "room_id",
            "event_id",
            "payload",
            "loss",
            "route",
            "provider_key",
            "correlation_id",
            "expires_at",
            "parts_done",
            "retry_of",
            "created_at",
            "maybe_sent",
            "provider_ids",
            "key",
            "quiet",
        )
        for name in kept:
            assert getattr(owed, name) == getattr(claimed, name) == getattr(settled, name), name

    async def test_a_row_without_a_time_of_birth_gets_the_present(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        owed = delivery()

        await writer.owe(owed)

        assert (await state_of(store, owed)).created_at == clock.microseconds

    async def test_the_id_of_a_row_is_taken_once(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        await writer.owe(delivery(row_id="open", state=IN_FLIGHT), delivery(("x",), row_id="final", state=IN_FLIGHT))
        await store.settle("final", 1, SENT)

        for row_id in ("open", "final"):
            with pytest.raises(ValueError, match="work row"):
                await writer.commit(work=(delivery(row_id=row_id),))
