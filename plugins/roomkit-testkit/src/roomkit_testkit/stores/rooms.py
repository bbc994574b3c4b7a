"""What belongs to a room, and goes with it."""

from __future__ import annotations

import pytest

from roomkit_core.errors import EventNotFoundError
from roomkit_core.interfaces.store import ConversationStore, WorkFilter
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import Value
from roomkit_core.models.content import TextContent
from roomkit_core.models.enums import RoomStatus
from roomkit_core.models.packing import pack_event
from roomkit_core.models.room import Room
from roomkit_core.models.task import Observation, Task
from roomkit_core.models.work import Outcome, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.commits import all_parts
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.makers import SENT, Writer, binding, claim, delivery, person, said, text_event

IN_FLIGHT, PENDING = WorkState.IN_FLIGHT, WorkState.PENDING


class RoomSuite(StoreContract):
    # ------------------------------------------------------------------------------------------------- events

    async def test_indexes_follow_one_another_over_all_commits(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()

        first = await writer.write(events=(text_event("0"), text_event("1"), text_event("2")))
        second = await writer.write(events=(text_event("3"),))

        events = await store.list_events("room")
        assert (first.indexes, second.indexes) == ((0, 1, 2), (3,))
        assert [(event.index, said(event)) for event in events] == [(0, "0"), (1, "1"), (2, "2"), (3, "3")]

    async def test_an_event_gets_its_index_from_the_store_whatever_it_says_itself(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        event = text_event(index=17)

        await writer.write(events=(event,), packed=(pack_event(event),))

        assert await store.get_event(event.id) == evolve(event, index=0)

    async def test_events_that_come_packed_are_stored_as_they_are(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        event = text_event("packed", metadata={"a": [1, {"b": None}]})

        await writer.write(events=(event,), packed=(pack_event(event),))

        assert await store.get_event(event.id) == event

    async def test_the_counters_of_the_room_move_with_its_events(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        began = clock.now()
        await writer.create(Room(id="room", created_at=began, updated_at=began, event_count=9, latest_index=9))
        clock.advance(5)

        await writer.write(events=(text_event(created_at=began), text_event(created_at=clock.now())))

        room = await store.get_room("room")
        assert room is not None
        assert (room.event_count, room.latest_index) == (2, 1)
        assert room.timers.last_activity_at == room.updated_at == clock.now()

    async def test_changing_the_room_leaves_its_counters_alone(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        await writer.write(events=(text_event(), text_event()))
        room = await store.get_room("room")
        assert room is not None

        await writer.write(room=evolve(room, status=RoomStatus.PAUSED, event_count=0, latest_index=0))

        changed = await store.get_room("room")
        assert changed == evolve(room, status=RoomStatus.PAUSED)

    async def test_a_patch_replaces_an_event_where_it_stands(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        events = [await writer.say(text) for text in ("one", "two", "three")]
        edited = evolve(events[1], content=TextContent(body="TWO"), index=0)

        committed = await writer.write(events=(text_event("edit"),), patches=(edited,))

        bodies = [said(event) for event in await store.list_events("room")]
        assert committed.indexes == (3,)
        assert bodies == ["one", "TWO", "three", "edit"]
        assert await store.get_event(edited.id) == evolve(edited, index=1)

    async def test_a_patch_of_an_event_of_another_room_is_a_mistake(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        await writer.create()
        other.room_id = "elsewhere"
        await other.create()
        foreign = await other.say()

        with pytest.raises(EventNotFoundError):
            await writer.commit(patches=(foreign,))
        assert await store.get_event(foreign.id) == foreign

    # --------------------------------------------------------------------------------- bindings, participants

    async def test_bindings_are_added_replaced_and_removed_in_their_order(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create(bindings={name: binding(name) for name in ("a", "b", "c")})

        await writer.write(bindings={"b": binding("b", muted=True), "a": None, "d": binding("d"), "unknown": None})

        snapshot = await store.load_room("room")
        assert snapshot is not None
        assert list(snapshot.bindings) == ["b", "c", "d"]
        assert snapshot.bindings["b"].muted

    async def test_participants_are_added_replaced_and_removed(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create(participants={name: person(name) for name in ("ada", "bob")})

        await writer.write(participants={"ada": person("ada", display_name="Ada"), "bob": None, "cyd": person("cyd")})

        snapshot = await store.load_room("room")
        assert snapshot is not None
        assert [(name, who.display_name) for name, who in snapshot.participants.items()] == [
            ("ada", "Ada"),
            ("cyd", None),
        ]

    # ----------------------------------------------------------------------------- what belongs to no version

    async def test_read_markers_only_move_forward(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()

        for index in (3, 1):
            await writer.write(expected=None, read_markers=(("sms", index), ("web", index)))

        assert await store.list_read_markers("room") == {"sms": 3, "web": 3}

    async def test_tasks_and_observations_are_replaced_by_their_id(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        task = Task(room_id="room", title="call back")
        seen = Observation(room_id="room", channel_id="ai", content="calm")
        await writer.write(expected=None, tasks=(task,), observations=(seen,))

        changed, other = evolve(task, title="write back"), evolve(seen, content="angry")
        await writer.write(expected=None, tasks=(changed,), observations=(other,))

        assert await store.list_tasks("room") == [changed]
        assert await store.get_task(task.id) == changed
        assert await store.list_observations("room") == [other]

    async def test_values_of_plugins_are_set_and_deleted(self, store: ConversationStore, writer: Writer) -> None:
        await writer.write(room_id=None, expected=None, kv={("a", "x"): Value("1"), ("b", "x"): Value("2")})
        await writer.write(
            room_id=None, expected=None, kv={("a", "x"): None, ("a", "y"): Value("3"), ("a", "unknown"): None}
        )

        assert [await store.kv_get("a", "x"), await store.kv_get("b", "x"), await store.kv_get("a", "y")] == [
            None,
            "2",
            "3",
        ]

    # ----------------------------------------------------------------------------------------------- deletion

    async def test_deleting_a_room_removes_all_that_belongs_to_it(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        other.room_id = "elsewhere"
        await other.create(bindings={"sms": binding(room_id="elsewhere", participant_id="ada")})
        kept = await other.say("kept")
        owed = delivery(("elsewhere",), room_id="elsewhere")
        await other.owe(owed)
        await writer.create(Room(id="room", organization_id="acme"))
        held, queued, settled = (delivery(row_id=name, state=IN_FLIGHT) for name in ("held", "queued", "settled"))
        await writer.owe(settled)
        await store.settle("settled", 1, Outcome(WorkState.SENT, provider_ids=("SM1",)))
        await writer.owe(held, queued)
        parts = all_parts(Room(id="room", organization_id="acme"))
        await writer.write(**{**parts, "work": (), "keys": ()})

        assert await store.delete_room("room")

        assert not await store.room_exists("room")
        assert await store.load_room("room") is None
        assert await store.timeline("room", -1, 10) is None
        assert await store.list_events("room") == []
        assert await store.get_event(parts["events"][0].id) is None
        assert await store.find_conversation(("sms", "new")) is None
        assert await store.find_rooms("acme") == []
        assert (await store.list_tasks("room"), await store.list_observations("room")) == ([], [])
        assert await store.get_task(parts["tasks"][0].id) is None
        assert await store.list_read_markers("room") == {}
        assert [row.room_id for row in await store.list_work(WorkFilter())] == ["elsewhere"]
        assert await store.find_room_ids_by_channel("sms") == ["elsewhere"]
        latest = await store.find_latest_room("ada")
        assert latest is not None
        assert latest.id == "elsewhere"
        assert await store.get_event(kept.id) == kept

    async def test_tr14_a_settle_after_the_deletion_is_dropped_quietly(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        held, queued = delivery(state=IN_FLIGHT), delivery()
        await writer.owe(held, queued)

        await store.delete_room("room")

        assert not await store.settle(held.id, 1, SENT)
        assert await store.renew([(held.id, 1)], lease=60.0) == [held.id]
        assert await claim(store) == []

    async def test_a_room_made_anew_under_the_id_has_nothing_of_the_former_one(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create(bindings={"sms": binding()}, epoch="first")
        await writer.say()
        await store.delete_room("room")

        await writer.create(epoch="second")

        snapshot = await store.load_room("room", tail=10)
        assert snapshot is not None
        assert (snapshot.version.epoch, snapshot.bindings, snapshot.next_index) == ("second", {}, 0)
        assert (await writer.say()).index == 0

    async def test_deleting_a_room_that_is_not_there_is_false(self, store: ConversationStore) -> None:
        assert not await store.delete_room("room")
