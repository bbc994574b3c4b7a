"""What exists once: idempotency keys, conversations, and the tenure that a discharge names (PROTOCOL C1, C2, C4)."""

from __future__ import annotations

import pytest

from roomkit_core.interfaces.store import ConversationStore, Cutoffs
from roomkit_core.models.changes import ABSENT, Committed, Discharge, KeyResult, Refused
from roomkit_core.models.ids import new_id
from roomkit_core.models.room import Room
from roomkit_core.models.work import Outcome, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.makers import (
    ANSWERED,
    Writer,
    claim,
    decided,
    delivery,
    get_row,
    key,
    text_event,
)

IN_FLIGHT, PENDING = WorkState.IN_FLIGHT, WorkState.PENDING


class KeySuite(StoreContract):
    # --------------------------------------------------------------------------------------------------- keys

    async def test_a_key_is_decided_once(self, store: ConversationStore, writer: Writer, other: Writer) -> None:
        await writer.create()
        event = text_event()
        result = KeyResult("room", event.id, True, "blocked_by:guard")
        await writer.write(events=(event,), keys=((key("new"), result),))
        other.room_id = "elsewhere"
        await other.create()

        refused = await other.refused(events=(text_event(room_id="elsewhere"),), keys=(decided("new"),))

        assert refused == Refused("known", key=key("new"), result=result)
        assert await store.find_key(key("new")) == result
        assert await store.get_event_count("elsewhere") == 0

    @pytest.mark.parametrize("near", [key("other"), key("new", channel_id="web"), key("new", sender="+1")])
    async def test_a_key_is_its_channel_sender_and_id(
        self, store: ConversationStore, writer: Writer, near: tuple[str, str, str]
    ) -> None:
        await writer.create(keys=(decided("new"),))

        assert await store.find_key(near) is None
        await writer.write(keys=((near, KeyResult("room", None)),))

    async def test_a_key_outlives_its_room_as_deleted(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        await writer.create()
        event = text_event()
        await writer.write(events=(event,), keys=(decided("new", event.id),))

        await store.delete_room("room")
        deleted = KeyResult("room", None, True, "deleted")
        assert await store.find_key(key("new")) == deleted
        await other.create()
        assert await store.find_key(key("new")) == deleted
        assert await other.refused(keys=(decided("new"),)) == Refused("known", key=key("new"), result=deleted)

    async def test_a_key_can_be_decided_without_a_room(self, store: ConversationStore, writer: Writer) -> None:
        result = KeyResult("", None, True, "no_route")

        await writer.write(room_id=None, expected=None, keys=((key("new"), result),))

        assert await store.find_key(key("new")) == result

    async def test_purging_forgets_keys_from_before_a_moment_and_no_others(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create(keys=(decided("old"),))
        clock.advance(100)
        await writer.write(keys=(decided("young"),))

        assert await store.purge(Cutoffs(keys=clock.microseconds)) >= 1

        assert await store.find_key(key("old")) is None
        assert await store.find_key(key("young")) is not None

    # ------------------------------------------------------------------------------------------ conversations

    async def test_a_conversation_has_one_room_and_the_loser_learns_which(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        await writer.create(claims=(("sms", "+1"),))
        other.room_id = "elsewhere"

        answer = await other.commit(expected=ABSENT, epoch=new_id(), room=Room(id="elsewhere"), claims=(("sms", "+1"),))

        assert answer == Refused("taken", room_id="room")
        assert not await store.room_exists("elsewhere")

    async def test_a_room_may_claim_again_what_it_holds(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create(claims=(("sms", "+1"),))

        await writer.write(claims=(("sms", "+1"), ("sms", "+2")))

        assert await store.find_conversation(("sms", "+2")) == "room"

    async def test_a_takeover_takes_the_conversation_from_the_other_room(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        taken = ("sms", "+1")
        await writer.create(claims=(taken, ("sms", "+2")))
        other.room_id = "elsewhere"
        await other.create(claims=(taken,), takeover=frozenset({taken}))

        await writer.write(releases=(None,))

        assert await store.find_conversation(taken) == "elsewhere"
        assert await store.find_conversation(("sms", "+2")) is None

    async def test_releasing_a_channel_releases_its_conversations_only(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create(claims=(("sms", "+1"), ("sms", "+2"), ("web", "x")))

        await writer.write(releases=("sms",), claims=(("sms", "+3"),))

        found = [await store.find_conversation(("sms", f"+{number}")) for number in (1, 2, 3)]
        assert found == [None, None, "room"]
        assert await store.find_conversation(("web", "x")) == "room"

    # --------------------------------------------------------------------------------------------- discharges

    @pytest.mark.parametrize("token", [0, 2])
    async def test_a_discharge_names_the_tenure_that_holds_the_row(
        self, store: ConversationStore, writer: Writer, token: int
    ) -> None:
        await writer.create()
        ask = delivery(("room", "ai"), state=IN_FLIGHT)
        await writer.owe(ask)

        refused = await writer.refused(events=(text_event("late"),), discharges=(Discharge(ask.id, token, ANSWERED),))

        assert refused == Refused("lost")
        assert await store.get_event_count("room") == 1

    async def test_a_frozen_workers_answer_is_refused_after_the_takeover(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        ask = delivery(("room", "ai"), state=IN_FLIGHT)
        await writer.owe(ask)
        clock.advance(61)
        (taken,) = await claim(store, "kit-2")

        late = await writer.commit(events=(text_event("answer"),), discharges=(Discharge(ask.id, 1, ANSWERED),))
        good = await writer.commit(
            owner="kit-2", events=(text_event("answer"),), discharges=(Discharge(ask.id, taken.token, ANSWERED),)
        )

        assert late == Refused("lost")
        assert isinstance(good, Committed)
        assert await store.get_event_count("room") == 2

    async def test_a_discharge_ends_the_row_and_the_lane_goes_on(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        ask, following = delivery(("room", "ai"), state=IN_FLIGHT), delivery(("room", "ai"))
        await writer.owe(ask, following)

        await writer.write(
            events=(text_event("answer"),), discharges=(Discharge(ask.id, 1, Outcome(WorkState.ANSWERED, "ok")),)
        )

        row = await get_row(store, ask.id)
        assert row is not None
        assert (row.state, row.code, row.lease_until) == (WorkState.ANSWERED, "ok", None)
        assert [row.id for row in await claim(store)] == [following.id]

    async def test_a_row_may_be_claimed_at_birth_in_the_lane_that_its_cause_leaves(self, writer: Writer) -> None:
        await writer.create()
        ask, following = (delivery(("room", "ai"), state=IN_FLIGHT) for _ in range(2))
        await writer.owe(ask)

        committed = await writer.write(work=(following,), discharges=(Discharge(ask.id, 1, ANSWERED),))

        assert [row.id for row in committed.claims] == [following.id]

    async def test_a_discharge_cannot_leave_its_row_open(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        ask = delivery(("room", "ai"), state=IN_FLIGHT)
        await writer.owe(ask)

        with pytest.raises(ValueError, match="ends its row"):
            await writer.commit(expected=None, discharges=(Discharge(ask.id, 1, Outcome(PENDING)),))
