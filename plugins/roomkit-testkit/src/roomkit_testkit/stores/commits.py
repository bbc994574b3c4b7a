"""Commits: guards before writes, and all or nothing (PROTOCOL 2 and 3)."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.errors import EventNotFoundError
from roomkit_core.interfaces.store import ConversationStore, WorkFilter
from roomkit_core.models.changes import ABSENT, Committed, Discharge, KeyResult, Refused, Value, Withdrawal
from roomkit_core.models.event import EventSource
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.packing import pack_event
from roomkit_core.models.participant import Identity
from roomkit_core.models.room import Room, Version
from roomkit_core.models.task import Observation, Task
from roomkit_core.models.work import WorkState
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.makers import (
    ANSWERED,
    Writer,
    binding,
    decided,
    delivery,
    key,
    person,
    text_event,
)

IN_FLIGHT, PENDING = WorkState.IN_FLIGHT, WorkState.PENDING


async def everything(store: ConversationStore) -> dict[str, Any]:
    """All that a batch of these tests can have changed."""
    return {
        "room": await store.load_room("room", tail=100),
        "work": await store.list_work(WorkFilter(), limit=1000),
        "key": await store.find_key(key("new")),
        "conversation": await store.find_conversation(("sms", "new")),
        "tasks": await store.list_tasks("room"),
        "observations": await store.list_observations("room"),
        "markers": await store.list_read_markers("room"),
        "identity": await store.get_identity("new"),
        "value": await store.kv_get("plugin", "new"),
    }


def all_parts(changed: Room) -> dict[str, Any]:
    """A batch that writes something of every kind, so that a guard which fails has all of it to hold back."""
    return {
        "room": changed,
        "events": (text_event(),),
        "bindings": {"sms": binding(), "old": None},
        "participants": {"ada": person()},
        "claims": (("sms", "new"),),
        "releases": ("old",),
        "keys": (decided("new"),),
        "work": (delivery(state=IN_FLIGHT),),
        "withdrawals": (Withdrawal("detached", channel_id="old"),),
        "tasks": (Task(room_id="room", title="call back"),),
        "observations": (Observation(room_id="room", channel_id="ai", content="is in a hurry"),),
        "identities": (Identity(id="new"),),
        "read_markers": (("sms", 0),),
        "kv": {("plugin", "new"): Value("1")},
    }


class CommitSuite(StoreContract):
    # ----------------------------------------------------------------------------------------------- creation

    async def test_a_created_room_has_the_epoch_and_commit_that_created_it(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        answer = await writer.commit(expected=ABSENT, epoch="epoch-1", commit_id="commit-1", room=Room(id="room"))

        snapshot = await store.load_room("room")
        assert answer == Committed(Version("epoch-1", "commit-1"))
        assert snapshot is not None
        assert (snapshot.version, snapshot.next_index, snapshot.tail) == (Version("epoch-1", "commit-1"), 0, [])

    async def test_a_room_that_exists_is_not_created_again_nor_reset(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        await writer.create(Room(id="room", metadata={"first": True}))
        before = await everything(store)

        answer = await other.commit(expected=ABSENT, epoch="epoch-2", room=Room(id="room"), keys=(decided("new"),))

        assert answer == Refused("exists")
        assert await everything(store) == before

    async def test_a_room_comes_with_its_binding_event_and_conversation_in_one_batch(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        event = text_event()

        created = await writer.create(
            bindings={"sms": binding()}, participants={"ada": person()}, events=(event,), claims=(("sms", "+1"),)
        )

        snapshot = await store.load_room("room", tail=5)
        assert created.indexes == (0,)
        assert snapshot is not None
        assert list(snapshot.bindings) == ["sms"]
        assert list(snapshot.participants) == ["ada"]
        assert snapshot.tail == [pack_event(event)]
        assert await store.find_conversation(("sms", "+1")) == "room"

    async def test_a_batch_that_creates_brings_the_room_and_its_epoch(self, writer: Writer) -> None:
        with pytest.raises(ValueError, match="epoch"):
            await writer.commit(expected=ABSENT, epoch=None, room=Room(id="room"))
        with pytest.raises(ValueError, match="brings the room"):
            await writer.commit(expected=ABSENT, epoch="epoch", room=None)

    # ------------------------------------------------------------------------------------------------ version

    async def test_a_commit_moves_the_version_to_its_own_id(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create(epoch="epoch-1")

        committed = await writer.write(commit_id="commit-2", events=(text_event(),))

        snapshot = await store.load_room("room")
        assert snapshot is not None
        assert committed.version == snapshot.version == Version("epoch-1", "commit-2")

    async def test_a_plan_on_an_older_version_is_refused_as_stale(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        await writer.create()
        other.version = writer.version
        await writer.write(bindings={"sms": binding(muted=True)})
        before = await everything(store)

        answer = await other.commit(**all_parts(Room(id="room")))

        assert answer == Refused("stale")
        assert await everything(store) == before

    async def test_a_version_of_a_former_incarnation_is_stale_although_the_commit_id_is_the_same(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create(epoch="first")
        await store.delete_room("room")
        await writer.create(epoch="second")
        assert writer.version is not None

        answer = await writer.commit(expected=Version("first", writer.version.commit_id), events=(text_event(),))

        assert answer == Refused("stale")

    async def test_a_batch_for_a_room_that_is_not_there_is_refused_as_gone(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        await store.delete_room("room")

        with_version = await writer.commit(events=(text_event(),), keys=(decided("new"),))
        without = await writer.commit(expected=None, tasks=(Task(room_id="room", title="call"),))

        assert (with_version, without) == (Refused("gone"), Refused("gone"))
        assert await store.find_key(key("new")) is None

    async def test_a_batch_without_version_leaves_the_version_alone(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()

        answer = await writer.commit(
            expected=None,
            tasks=(Task(room_id="room", title="call"),),
            observations=(Observation(room_id="room", channel_id="ai", content="x"),),
            read_markers=(("sms", 3),),
            keys=(decided("new"),),
            kv={("plugin", "new"): Value("1")},
        )

        snapshot = await store.load_room("room")
        assert answer == Committed(None)
        assert snapshot is not None
        assert snapshot.version == writer.version

    @pytest.mark.parametrize(
        "parts",
        [
            {"events": (text_event(),)},
            {"room": Room(id="room")},
            {"bindings": {"sms": binding()}},
            {"participants": {"ada": person()}},
            {"claims": (("sms", "new"),)},
            {"releases": (None,)},
            {"withdrawals": (Withdrawal("closed"),)},
        ],
        ids=lambda parts: next(iter(parts)),
    )
    async def test_what_changes_the_room_names_the_version_it_was_planned_on(
        self, store: ConversationStore, writer: Writer, parts: dict[str, Any]
    ) -> None:
        await writer.create()
        before = await everything(store)

        with pytest.raises(ValueError, match="version"):
            await writer.commit(expected=None, **parts)

        assert await everything(store) == before

    # ----------------------------------------------------------------------------------------- all or nothing

    @pytest.mark.parametrize("guard", ["stale", "known", "taken", "lost"])
    async def test_when_a_guard_fails_nothing_is_written(
        self, store: ConversationStore, writer: Writer, other: Writer, guard: str
    ) -> None:
        await writer.create(bindings={"old": binding("old")}, claims=(("old", "+1"),))
        await writer.owe(delivery(("room", "old", ""), channel_id="old"))
        other.room_id = "elsewhere"
        await other.create(keys=(decided("used"),), claims=(("sms", "used"),))
        parts = all_parts(Room(id="room", metadata={"changed": True}))
        broken: dict[str, dict[str, Any]] = {
            "stale": {"expected": Version("epoch", "other")},
            "known": {"keys": (decided("new"), decided("used"))},
            "taken": {"claims": (("sms", "new"), ("sms", "used"))},
            "lost": {"discharges": (Discharge("no such row", 1, ANSWERED),)},
        }
        before = await everything(store)

        refused = await writer.refused(**{**parts, **broken[guard]})

        assert refused.reason == guard
        assert await everything(store) == before

    @pytest.mark.parametrize(
        "bad",
        [
            {"room": Room(id="room", metadata={"x": "\ud800"})},
            {"room": Room(id="another")},
            {"events": (text_event(), text_event(room_id="another"))},
            {"bindings": {"sms": binding(metadata={"x": "\ud800"})}},
            {"bindings": {"sms": binding("another")}},
            {"bindings": {"sms": binding(room_id="another")}},
            {"participants": {"ada": person(metadata={"x": "\ud800"})}},
            {"participants": {"ada": person("another")}},
            {"tasks": (Task(room_id="room", title="x", metadata={"x": "\ud800"}),)},
            {"tasks": (Task(room_id="another", title="x"),)},
            {"observations": (Observation(room_id="another", channel_id="ai", content="x"),)},
            {"identities": (Identity(id="new", metadata={"x": "\ud800"}),)},
            {"patches": (text_event(),)},
            {"keys": (decided("new"), decided("new"))},
            {"work": (delivery(row_id="a"), delivery(row_id="a"))},
            {"work": (delivery(["a", "list"]),)},  # type: ignore[arg-type] # what a store has to refuse
        ],
        ids=lambda bad: next(iter(bad)),
    )
    async def test_when_a_part_cannot_be_written_none_is(
        self, store: ConversationStore, writer: Writer, bad: dict[str, Any]
    ) -> None:
        await writer.create(bindings={"old": binding("old")}, claims=(("old", "+1"),))
        await writer.owe(delivery(("room", "old", ""), channel_id="old"))
        before = await everything(store)

        with pytest.raises((ValueError, TypeError, EventNotFoundError)):
            await writer.commit(**{**all_parts(Room(id="room", metadata={"changed": True})), **bad})

        assert await everything(store) == before

    async def test_tr3_a_batch_with_everything_writes_everything(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create(bindings={"old": binding("old")}, claims=(("old", "+1"),))
        await writer.owe(delivery(("room", "old", ""), channel_id="old"))
        parts = all_parts(Room(id="room", metadata={"changed": True}))

        committed = await writer.write(**parts)

        after = await everything(store)
        assert after["room"].room.metadata == {"changed": True}
        assert (list(after["room"].bindings), list(after["room"].participants)) == (["sms"], ["ada"])
        assert [row.state for row in after["work"]] == [WorkState.SUPPRESSED, IN_FLIGHT]
        assert committed.claims == (after["work"][1],)
        assert after["key"] == KeyResult("room", None)
        assert after["conversation"] == "room"
        assert await store.find_conversation(("old", "+1")) is None
        assert (after["tasks"], after["observations"]) == (list(parts["tasks"]), list(parts["observations"]))
        assert (after["markers"], after["identity"], after["value"]) == ({"sms": 0}, parts["identities"][0], "1")

    # ---------------------------------------------------------------------------------------------- isolation

    async def test_what_the_caller_does_to_its_own_objects_does_not_reach_the_store(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        metadata: dict[str, Any] = {"list": [1]}
        room = Room(id="room", metadata=metadata)
        bindings = {"sms": binding(metadata=metadata)}
        await writer.create(room, bindings=bindings)

        metadata["list"].append(2)
        bindings["web"] = binding("web")

        snapshot = await store.load_room("room")
        assert snapshot is not None
        assert snapshot.room.metadata == snapshot.bindings["sms"].metadata == {"list": [1]}
        snapshot.bindings.clear()
        snapshot.tail.append(())
        assert await store.binding_exists("room", "sms")

    async def test_of_two_kits_that_plan_on_one_version_one_wins(
        self, store: ConversationStore, writer: Writer, other: Writer
    ) -> None:
        await writer.create()
        other.version = writer.version

        answers = [await kit.commit(events=(text_event(),)) for kit in (writer, other)]

        assert [isinstance(answer, Committed) for answer in answers] == [True, False]
        assert await store.get_event_count("room") == 1

    async def test_the_ticket_of_a_batch_leads_to_its_answer(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()

        ticket = store.submit(writer.batch(events=(text_event(),)))

        answer = await ticket.wait()
        assert isinstance(answer, Committed)
        assert ticket.answer == answer

    async def test_events_of_every_source_and_type_keep_them(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        source = EventSource(channel_id="fax-7", channel_type=ChannelType("fax"))
        event = text_event(source=source)

        await writer.write(events=(event,))

        assert await store.get_event(event.id) == event
