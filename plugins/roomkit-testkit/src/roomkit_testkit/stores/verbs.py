"""The names that every store has because they are derived from commits and reads (T3, T26, T27)."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.errors import (
    ChannelNotFoundError,
    ConflictError,
    EventNotFoundError,
    IdentityNotFoundError,
    ParticipantNotFoundError,
    RoomExistsError,
    RoomNotFoundError,
)
from roomkit_core.interfaces.store import ConversationStore, Ticket
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import ChangeSet, Refused
from roomkit_core.models.content import TextContent
from roomkit_core.models.enums import RoomStatus, TaskStatus
from roomkit_core.models.participant import Identity
from roomkit_core.models.room import Room
from roomkit_core.models.task import Observation, Task
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.makers import Writer, binding, person, text_event


class Refusal(Ticket):
    def __init__(self, reason: str) -> None:
        self.answer = Refused(reason)

    async def wait(self) -> Any:
        return self.answer


def interrupt(store: ConversationStore, monkeypatch: pytest.MonkeyPatch, times: int) -> list[ChangeSet]:
    """Another writer is faster, so many times; returns the batches that were handed in."""
    handed_in: list[ChangeSet] = []
    submit = store.submit

    def slower(changes: ChangeSet) -> Ticket:
        handed_in.append(changes)
        return Refusal("stale") if len(handed_in) <= times else submit(changes)

    monkeypatch.setattr(store, "submit", slower)
    return handed_in


class VerbSuite(StoreContract):
    # ------------------------------------------------------------------------------------------------- rooms

    async def test_a_created_room_is_there(self, store: ConversationStore) -> None:
        room = Room(id="room", metadata={"a": 1})

        assert await store.create_room(room) == room
        assert await store.get_room("room") == room
        assert await store.room_exists("room")
        assert not await store.room_exists("other")
        assert await store.get_room("other") is None

    async def test_creating_a_room_that_exists_raises_and_does_not_reset_it(self, store: ConversationStore) -> None:
        room = await store.create_room(Room(id="room", metadata={"a": 1}))

        with pytest.raises(RoomExistsError):
            await store.create_room(Room(id="room"))

        assert await store.get_room("room") == room

    async def test_updating_a_room_replaces_all_but_its_counters(self, store: ConversationStore) -> None:
        room = await store.create_room(Room(id="room"))
        await store.add_event(text_event())

        updated = await store.update_room(evolve(room, status=RoomStatus.PAUSED))

        stored = await store.get_room("room")
        assert stored == updated
        assert (updated.status, updated.event_count) == (RoomStatus.PAUSED, 1)
        with pytest.raises(RoomNotFoundError):
            await store.update_room(Room(id="other"))

    async def test_patching_metadata_leaves_the_other_keys_alone(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room", metadata={"a": 1, "b": 2, "c": 3}))

        patched = await store.patch_room_metadata("room", {"b": {"x": [1]}, "d": 4}, unset=["a", "unknown"])

        assert patched == await store.get_room("room")
        assert patched is not None
        assert patched.metadata == {"b": {"x": [1]}, "c": 3, "d": 4}
        assert await store.patch_room_metadata("other", {"a": 1}) is None
        with pytest.raises(ValueError, match="JSON"):
            await store.patch_room_metadata("room", {"a": object()})

    async def test_rooms_are_listed_in_pages(self, store: ConversationStore) -> None:
        for name in "abc":
            await store.create_room(Room(id=name))

        assert [room.id for room in await store.list_rooms()] == ["a", "b", "c"]
        assert [room.id for room in await store.list_rooms(1, 1)] == ["b"]

    async def test_a_plan_is_made_anew_when_another_writer_was_faster(
        self, store: ConversationStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await store.create_room(Room(id="room"))
        handed_in = interrupt(store, monkeypatch, times=4)

        await store.patch_room_metadata("room", {"a": 1})

        assert len({changes.commit_id for changes in handed_in}) == 5
        room = await store.get_room("room")
        assert room is not None
        assert room.metadata == {"a": 1}

    async def test_after_five_plans_it_is_a_conflict(
        self, store: ConversationStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await store.create_room(Room(id="room"))
        handed_in = interrupt(store, monkeypatch, times=5)

        with pytest.raises(ConflictError) as caught:
            await store.patch_room_metadata("room", {"a": 1})

        assert caught.value.retryable
        assert len(handed_in) == 5

    # -------------------------------------------------------------------------------- bindings, participants

    async def test_bindings_are_added_read_replaced_and_removed(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room"))
        first, second = binding("sms"), binding("web")

        assert [await store.add_binding(one) for one in (first, second)] == [first, second]
        assert await store.list_bindings("room") == [first, second]
        muted = await store.update_binding(evolve(first, muted=True))
        assert await store.get_binding("room", "sms") == muted
        assert await store.binding_exists("room", "sms")
        assert await store.remove_binding("room", "sms")
        assert not await store.remove_binding("room", "sms")
        assert not await store.binding_exists("room", "sms")
        assert await store.get_binding("room", "sms") is None
        assert await store.find_room_id_by_channel("web") == "room"
        assert await store.find_room_id_by_channel("sms") is None

    async def test_participants_are_added_read_and_replaced(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room"))
        ada = await store.add_participant(person("ada"))
        await store.add_participant(person("bob"))

        named = await store.update_participant(evolve(ada, display_name="Ada"))

        assert await store.get_participant("room", "ada") == named
        assert await store.get_participant("room", "eve") is None
        assert [someone.id for someone in await store.list_participants("room")] == ["ada", "bob"]

    async def test_what_is_not_in_the_room_cannot_be_updated(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room"))

        with pytest.raises(ChannelNotFoundError):
            await store.update_binding(binding())
        with pytest.raises(ParticipantNotFoundError):
            await store.update_participant(person())

    async def test_an_unknown_room_has_nothing_and_takes_nothing(self, store: ConversationStore) -> None:
        assert await store.list_bindings("room") == []
        assert await store.list_participants("room") == []
        assert not await store.remove_binding("room", "sms")
        assert (await store.get_event_count("room"), await store.get_unread_count("room", "sms")) == (0, 0)
        for adding in (
            store.add_binding(binding()),
            store.add_participant(person()),
            store.add_event(text_event()),
            store.add_task(Task(room_id="room", title="x")),
            store.add_observation(Observation(room_id="room", channel_id="ai", content="x")),
            store.mark_all_read("room", "sms"),
        ):
            with pytest.raises(RoomNotFoundError):
                await adding

    # ------------------------------------------------------------------------------------------------ events

    async def test_a_committed_event_gets_the_next_index(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room"))

        first = await store.commit_event("room", text_event("one", index=9))
        second = await store.add_event(text_event("two"))

        assert [first.index, second.index] == [0, 1]
        assert await store.list_events("room") == [first, second]
        assert await store.get_event_count("room") == 2

    async def test_committing_an_event_again_changes_nothing(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room"))
        event = text_event()
        first = await store.commit_event("room", event)
        await store.add_event(text_event("later"))

        assert await store.commit_event("room", event) == first
        assert await store.get_event_count("room") == 2

    async def test_an_event_is_updated_where_it_stands(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room"))
        await store.add_event(text_event("one"))
        event = await store.add_event(text_event("two"))

        updated = await store.update_event(evolve(event, content=TextContent(body="TWO"), index=0))

        assert updated.index == 1
        assert await store.get_event(event.id) == updated
        with pytest.raises(EventNotFoundError):
            await store.update_event(text_event())

    # ----------------------------------------------------------------------------------------------- reading

    async def test_a_read_marker_moves_forward_only(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room"))
        events = [await store.add_event(text_event(str(number))) for number in range(4)]
        assert await store.get_unread_count("room", "sms") == 4

        await store.mark_read("room", "sms", events[2].id)
        await store.mark_read("room", "sms", events[0].id)

        assert await store.get_unread_count("room", "sms") == 1
        assert await store.get_unread_count("room", "web") == 4
        await store.mark_all_read("room", "sms")
        assert await store.get_unread_count("room", "sms") == 0
        await store.add_event(text_event("new"))
        assert await store.get_unread_count("room", "sms") == 1
        assert await store.list_read_markers("room") == {"sms": 3}

    async def test_marking_an_unknown_or_foreign_event_raises(self, store: ConversationStore) -> None:
        for name in ("room", "other"):
            await store.create_room(Room(id=name))
        foreign = await store.add_event(text_event(room_id="other"))

        for event_id in ("unknown", foreign.id):
            with pytest.raises(EventNotFoundError):
                await store.mark_read("room", "sms", event_id)
        assert await store.list_read_markers("room") == {}

    async def test_marking_all_of_an_empty_room_leaves_no_marker(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room"))

        await store.mark_all_read("room", "sms")

        assert await store.list_read_markers("room") == {}

    async def test_reading_does_not_disturb_a_plan(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        event = await writer.say()

        await store.mark_read("room", "sms", event.id)
        await store.add_task(Task(room_id="room", title="x"))

        assert (await writer.say()).index == 1

    # ------------------------------------------------------------------------------------- identities, tasks

    async def test_an_address_is_linked_to_an_identity(self, store: ConversationStore) -> None:
        await store.create_identity(Identity(id="ada", channel_addresses={"sms": ["+1"]}))

        for _ in range(2):
            await store.link_address("ada", "sms", "+2")
        await store.link_address("ada", "email", "ada@example.org")

        identity = await store.resolve_identity("sms", "+2")
        assert identity is not None
        assert identity.channel_addresses == {"sms": ["+1", "+2"], "email": ["ada@example.org"]}
        assert await store.resolve_identity("email", "ada@example.org") == identity
        with pytest.raises(IdentityNotFoundError):
            await store.link_address("eve", "sms", "+3")

    async def test_tasks_and_observations_are_added_and_updated(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room"))
        task = await store.add_task(Task(room_id="room", title="call"))
        seen = await store.add_observation(Observation(room_id="room", channel_id="ai", content="calm"))

        done = await store.update_task(evolve(task, status=TaskStatus.COMPLETED))

        assert await store.list_tasks("room") == [done]
        assert await store.list_observations("room") == [seen]

    # -------------------------------------------------------------------------------------------------- life

    async def test_opening_and_closing_again_does_nothing(self, store: ConversationStore) -> None:
        await store.open()
        await store.create_room(Room(id="room"))

        await store.open()
        assert await store.room_exists("room")
        for _ in range(2):
            await store.close()

    async def test_a_store_that_works_has_not_failed_and_can_be_probed(self, store: ConversationStore) -> None:
        await store.create_room(Room(id="room"))

        await store.probe()

        assert store.failure is None
        assert await store.room_exists("room")
