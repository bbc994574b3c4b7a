"""The journal: messages that wait to be worked on, each once (PROTOCOL 1 and C1; T4)."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from roomkit_core.interfaces.store import Accepted, ConversationStore, Cutoffs, Known, WorkFilter
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import Committed, Discharge, KeyResult, Refused
from roomkit_core.models.content import TextContent
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.work import Outcome, WorkKind, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.lanes import ids
from roomkit_testkit.stores.makers import Writer, claim, decided, get_row, key, text_event

PENDING = WorkState.PENDING
DONE = Outcome(WorkState.DONE)


def message(text: str = "hello", **fields: Any) -> InboundMessage:
    return InboundMessage(**{"channel_id": "sms", "sender_id": "+1", "content": TextContent(body=text), **fields})


class JournalSuite(StoreContract):
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
        assert InboundMessage.model_validate_json(payload) == evolve(received, session=None)
        assert "session" not in json.loads(payload)

    async def test_tr1_an_accepted_message_is_claimed_at_birth_only_in_an_empty_lane(
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

    # --------------------------------------------------------------------------------------------------- keys

    async def test_of_many_deliveries_of_one_message_at_one_moment_one_is_accepted(
        self, store: ConversationStore
    ) -> None:
        answers: list[Accepted | Known] = []

        async def deliver() -> None:
            answers.append(await store.accept(message(), ("sms", "+1"), key("SM1"), owner="kit-1", lease=60.0))

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(deliver)

        (accepted,) = (answer for answer in answers if isinstance(answer, Accepted))
        assert accepted.claim is not None
        assert [answer for answer in answers if answer != accepted] == [Known(accepted.id, WorkState.IN_FLIGHT)] * 9
        assert ids(await store.list_work(WorkFilter())) == [accepted.id]

    async def test_one_message_of_two_senders_is_two_messages(self, store: ConversationStore) -> None:
        for sender in ("+1", "+2"):
            assert isinstance(await store.accept(message(), ("sms", sender), key("SM1", sender=sender)), Accepted)

    @pytest.mark.parametrize("state", [WorkState.REFUSED, WorkState.QUARANTINED, WorkState.DONE])
    async def test_a_message_that_was_settled_is_known_by_how_it_ended(
        self, store: ConversationStore, state: WorkState
    ) -> None:
        accepted = await store.accept(message(), ("sms", "+1"), key("SM1"), owner="kit-1", lease=60.0)
        await store.settle(accepted.id, 1, Outcome(state, "code"))

        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known(accepted.id, state)

    async def test_a_message_whose_body_was_forgotten_is_known_all_the_same(
        self, store: ConversationStore, clock: ManualClock
    ) -> None:
        accepted = await store.accept(message(), ("sms", "+1"), key("SM1"), owner="kit-1", lease=60.0)
        await store.settle(accepted.id, 1, DONE)
        clock.advance(1)
        assert await store.purge(Cutoffs(bodies=clock.microseconds)) == 1

        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known(accepted.id, WorkState.DONE)

    async def test_a_message_whose_row_was_forgotten_is_known_by_its_decided_key(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        accepted = await store.accept(message(), ("sms", "+1"), key("SM1"), owner="kit-1", lease=60.0)
        event = text_event()
        await writer.write(
            events=(event,), keys=(decided("SM1", event.id),), discharges=(Discharge(accepted.id, 1, DONE),)
        )
        clock.advance(1)
        await store.purge(Cutoffs(settled=clock.microseconds))

        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known(event.id, WorkState.DONE)

    async def test_a_message_whose_key_belongs_to_a_deleted_room_is_not_accepted_again(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create(events=(text_event(),), keys=(decided("SM1"),))
        await store.delete_room("room")

        known = await store.accept(message(), ("sms", "+1"), key("SM1"))

        assert isinstance(known, Known)
        assert known.state is WorkState.REFUSED
        assert await store.list_work(WorkFilter()) == []

    async def test_of_a_direct_call_and_the_journal_the_first_to_decide_the_key_wins(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        await writer.create()
        accepted = await store.accept(message(), ("sms", "+1"), key("SM1"), owner="kit-2", lease=60.0)
        direct = text_event("direct")
        await writer.write(events=(direct,), keys=(decided("SM1", direct.id),))
        other.version = writer.version
        through = Discharge(accepted.id, 1, DONE)

        refused = await other.refused(events=(text_event("journal"),), keys=(decided("SM1"),), discharges=(through,))
        known = await store.accept(message(), ("sms", "+1"), key("SM1"))
        repeat = await other.commit(expected=None, discharges=(through,))

        assert refused == Refused("known", key=key("SM1"), result=KeyResult("room", direct.id))
        assert known == Known(accepted.id, WorkState.IN_FLIGHT)
        assert repeat == Committed(None)
        assert await store.accept(message(), ("sms", "+1"), key("SM1")) == Known(accepted.id, WorkState.DONE)
        assert await store.get_event_count("room") == 1
