"""Commits that are handed in again after their answer was lost (PROTOCOL 4)."""

from __future__ import annotations

import pytest

from roomkit_core.interfaces.store import ConversationStore, WorkFilter
from roomkit_core.models.changes import ABSENT, Committed, Discharge, Refused
from roomkit_core.models.room import Room
from roomkit_core.models.work import WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.commits import everything
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.makers import (
    ANSWERED,
    SENT,
    Writer,
    binding,
    claim,
    decided,
    delivery,
    text_event,
)

IN_FLIGHT, PENDING = WorkState.IN_FLIGHT, WorkState.PENDING


class RepeatSuite(StoreContract):
    async def test_a_repeated_batch_is_answered_as_the_first_time_and_written_once(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        changes = writer.batch(
            events=(text_event("one"), text_event("two")), keys=(decided("new"),), work=(delivery(state=IN_FLIGHT),)
        )
        first = await store.commit(changes)
        before = await everything(store)

        second = await store.commit(changes)

        assert isinstance(first, Committed)
        assert len(first.claims) == 1
        assert second == first
        assert await everything(store) == before

    async def test_a_repeat_is_recognised_before_the_version_is_compared(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        changes = writer.batch(events=(text_event(),), keys=(decided("new"),))
        first = await writer.submit(changes)
        await writer.say("something later")

        second = await store.commit(changes)

        assert second == first
        assert await store.get_event_count("room") == 2

    async def test_a_batch_without_events_is_recognised_by_its_commit_id(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        creation = writer.batch(expected=ABSENT, epoch="epoch", room=Room(id="room"), claims=(("sms", "new"),))
        first = await writer.submit(creation)
        mute = writer.batch(bindings={"sms": binding(muted=True)})
        muted = await writer.submit(mute)
        await writer.write(bindings={"sms": binding()})
        before = await everything(store)

        assert await store.commit(creation) == first
        assert await store.commit(mute) == muted
        assert await everything(store) == before

    async def test_a_repeated_discharge_is_not_lost(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        ask = delivery(("room", "ai"), state=IN_FLIGHT)
        await writer.owe(ask)
        answer = writer.batch(events=(text_event("answer"),), discharges=(Discharge(ask.id, 1, ANSWERED),))
        empty = delivery(("room", "ai"), state=IN_FLIGHT)

        first = await writer.submit(answer)
        assert await store.commit(answer) == first
        await writer.owe(empty)
        nothing = writer.batch(expected=None, discharges=(Discharge(empty.id, 1, ANSWERED),))
        assert await store.commit(nothing) == await store.commit(nothing) == Committed(None)

    async def test_a_repeat_returns_the_claims_that_the_same_owner_still_holds(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        sent, lost, held = (delivery(("room", name), state=IN_FLIGHT) for name in ("a", "b", "c"))
        changes = writer.batch(events=(text_event(),), work=(sent, lost, held), lease=30.0)
        first = await store.commit(changes)
        await store.settle(sent.id, 1, SENT)
        clock.advance(31)
        assert [row.id for row in await claim(store, "kit-2", lanes=[("room", "b")])] == [lost.id]

        second = await store.commit(changes)

        assert isinstance(first, Committed)
        assert isinstance(second, Committed)
        assert [row.id for row in first.claims] == [sent.id, lost.id, held.id]
        assert [row.id for row in second.claims] == [held.id]

    async def test_a_repeat_by_another_owner_gets_no_claims(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        event = text_event()
        await writer.write(events=(event,), work=(delivery(state=IN_FLIGHT, event_id=event.id),))

        answer = await writer.commit(owner="kit-2", events=(event,), work=(delivery(state=IN_FLIGHT),))

        assert isinstance(answer, Committed)
        assert (answer.indexes, answer.claims) == ((0,), ())

    async def test_a_new_plan_for_an_event_that_is_stored_finds_the_claims_of_the_first(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        event = text_event()
        owed = delivery(state=IN_FLIGHT, event_id=event.id)
        await writer.write(events=(event,), work=(owed,))

        again = await writer.commit(events=(event,), work=(delivery(state=IN_FLIGHT, event_id=event.id),))

        assert isinstance(again, Committed)
        assert [row.id for row in again.claims] == [owed.id]
        assert len(await store.list_work(WorkFilter())) == 1

    async def test_new_events_beside_a_stored_one_are_a_mistake(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        event = await writer.say()

        for events in ((event, text_event()), (text_event(), event)):
            with pytest.raises(ValueError, match="another commit has written"):
                await writer.commit(events=events)

        assert await store.get_event_count("room") == 1

    async def test_a_refused_batch_may_be_handed_in_again(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        changes = writer.batch(claims=(("sms", "new"),), releases=())
        other = Writer(store, room_id="elsewhere")
        await other.create(claims=(("sms", "new"),))

        assert await store.commit(changes) == Refused("taken", room_id="elsewhere")
        await store.delete_room("elsewhere")
        assert isinstance(await store.commit(changes), Committed)
