"""Reading: pages, cursors, and finding rooms (T26, T28)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import Value
from roomkit_core.models.channel import Route
from roomkit_core.models.enums import RoomStatus, TaskStatus
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.packing import pack_event
from roomkit_core.models.participant import Identity
from roomkit_core.models.room import Cursor, Room
from roomkit_core.models.task import Observation, Task
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.makers import Writer, binding, person, text_event

THEN = datetime(2024, 1, 1, tzinfo=UTC)


def bodies(events: list[Any]) -> str:
    return "".join(event.content.body for event in events)


def names(rooms: list[Room]) -> list[str]:
    return [room.id for room in rooms]


class ReadSuite(StoreContract):
    @pytest.fixture
    async def ten(self, store: ConversationStore, writer: Writer) -> ConversationStore:
        """A store with the events 0 to 9 in ``room``, of which 1, 4 and 7 are internal."""
        await writer.create(epoch="epoch")
        await writer.write(
            events=tuple(
                text_event(str(number), visibility="internal" if number % 3 == 1 else "all") for number in range(10)
            )
        )
        return store

    # ------------------------------------------------------------------------------------------------- pages

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, "0123456789"),
            ({"limit": 3}, "012"),
            ({"offset": 8, "limit": 5}, "89"),
            ({"offset": 10}, ""),
            ({"limit": 0}, ""),
            ({"after_index": -1, "limit": 2}, "01"),
            ({"after_index": 6, "limit": 2}, "78"),
            ({"after_index": 9}, ""),
            ({"after_index": 5, "offset": 3, "limit": 2}, "67"),
            ({"before_index": 6, "limit": 2}, "45"),
            ({"before_index": 2, "limit": 5}, "01"),
            ({"before_index": 0}, ""),
            ({"before_index": 100, "limit": 2}, "89"),
            ({"before_index": 6, "offset": 3, "limit": 2}, "45"),
            ({"newest_first": True, "limit": 3}, "789"),
            ({"newest_first": True, "offset": 2, "limit": 3}, "567"),
            ({"newest_first": True, "offset": 9, "limit": 3}, "0"),
            ({"newest_first": True, "after_index": 2, "limit": 2}, "34"),
            ({"visibility_filter": "internal"}, "147"),
            ({"visibility_filter": "all", "offset": 1, "limit": 3}, "235"),
            ({"visibility_filter": "internal", "after_index": 1, "limit": 1}, "4"),
            ({"visibility_filter": "internal", "before_index": 7, "limit": 1}, "4"),
            ({"visibility_filter": "internal", "newest_first": True, "offset": 1, "limit": 1}, "4"),
            ({"visibility_filter": "intern"}, ""),
        ],
        ids=lambda value: value if isinstance(value, str) else " ".join(f"{k}={v}" for k, v in value.items()) or "all",
    )
    async def test_a_page_is_ascending_and_follows_its_cursor(
        self, ten: ConversationStore, options: dict[str, Any], expected: str
    ) -> None:
        assert bodies(await ten.list_events("room", **options)) == expected

    async def test_a_page_with_two_cursors_is_a_mistake(self, ten: ConversationStore) -> None:
        for room_id in ("room", "unknown"):
            with pytest.raises(ValueError, match="cursor"):
                await ten.list_events(room_id, after_index=1, before_index=5)

    async def test_the_page_of_an_unknown_room_is_empty(self, store: ConversationStore) -> None:
        assert await store.list_events("unknown") == []

    async def test_a_gap_is_read_with_the_head_as_of_the_same_moment(self, ten: ConversationStore) -> None:
        assert await ten.timeline("unknown", -1, 10) is None
        for after, limit, expected in (
            (-1, 3, "012"),
            (7, 10, "89"),
            (9, 10, ""),
            (-5, 1, "0"),
            (20, 1, ""),
            (3, 0, ""),
        ):
            found = await ten.timeline("room", after, limit)
            assert found is not None
            assert found[0] == Cursor("epoch", 9)
            assert bodies(found[1]) == expected

    async def test_heads_tell_how_far_each_room_goes(self, ten: ConversationStore, other: Writer) -> None:
        other.room_id = "empty"
        await other.create(epoch="other")

        heads = await ten.heads(["room", "empty", "unknown"])

        assert heads == {"room": Cursor("epoch", 9), "empty": Cursor("other", -1)}

    async def test_a_snapshot_has_as_much_of_the_tail_as_was_asked_for(self, ten: ConversationStore) -> None:
        events = [pack_event(event) for event in await ten.list_events("room")]

        for tail, expected in ((0, []), (3, events[7:]), (50, events)):
            snapshot = await ten.load_room("room", tail=tail)
            assert snapshot is not None
            assert [tuple(entry) for entry in snapshot.tail] == expected
            assert snapshot.next_index == 10

    async def test_what_is_unknown_is_none(self, store: ConversationStore) -> None:
        assert await store.load_room("unknown") is None
        assert await store.get_event("unknown") is None
        assert await store.get_identity("unknown") is None
        assert await store.resolve_identity("sms", "unknown") is None
        assert await store.get_task("unknown") is None
        assert await store.find_key(("sms", "x", "unknown")) is None
        assert await store.find_conversation(("sms", "unknown")) is None
        assert await store.kv_get("plugin", "unknown") is None
        assert await store.kv_scan("unknown") == []
        assert await store.list_tasks("unknown") == []
        assert await store.list_observations("unknown") == []
        assert await store.list_read_markers("unknown") == {}
        assert await store.find_latest_room("unknown") is None
        assert await store.find_room_ids_by_channel("unknown") == []

    # ------------------------------------------------------------------------------------------ finding rooms

    @pytest.fixture
    async def rooms(self, store: ConversationStore) -> ConversationStore:
        """Rooms in an order of their ids that is not the order of their creation."""
        made: list[tuple[str, str | None, RoomStatus, dict[str, Any]]] = [
            ("d", "acme", RoomStatus.ACTIVE, {"tier": "gold", "n": 1}),
            ("b", "acme", RoomStatus.CLOSED, {"tier": "gold", "n": None}),
            ("a", None, RoomStatus.ACTIVE, {"tier": "silver"}),
            ("c", None, RoomStatus.ACTIVE, {"tier": {"name": "gold"}}),
        ]
        for number, (room_id, organization, status, metadata) in enumerate(made):
            created = THEN + timedelta(seconds=min(number, 2))
            await Writer(store, room_id=room_id).create(
                Room(id=room_id, organization_id=organization, status=status, metadata=metadata, created_at=created)
            )
        return store

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, "dbac"),
            ({"limit": 2, "offset": 1}, "ba"),
            ({"offset": 4}, ""),
            ({"organization_id": "acme"}, "db"),
            ({"organization_id": "nobody"}, ""),
            ({"status": RoomStatus.ACTIVE}, "dac"),
            ({"status": RoomStatus.PAUSED}, ""),
            ({"organization_id": "acme", "status": RoomStatus.CLOSED}, "b"),
            ({"metadata_filter": {"tier": "gold"}}, "db"),
            ({"metadata_filter": {"tier": "gold", "n": 1}}, "d"),
            ({"metadata_filter": {"tier": {"name": "gold"}}}, "c"),
            ({"metadata_filter": {"n": None}}, "b"),
            ({"metadata_filter": {}}, "dbac"),
            ({"metadata_filter": {"tier": "gold"}, "limit": 1, "offset": 1}, "b"),
        ],
        ids=lambda value: value if isinstance(value, str) else " ".join(f"{k}={v}" for k, v in value.items()) or "all",
    )
    async def test_rooms_are_found_oldest_first_with_the_id_as_tie_break(
        self, rooms: ConversationStore, options: dict[str, Any], expected: str
    ) -> None:
        assert names(await rooms.find_rooms(**options)) == list(expected)

    async def test_a_changed_room_is_found_by_what_it_is_now(self, store: ConversationStore, writer: Writer) -> None:
        room = Room(id="room", organization_id="acme", created_at=THEN)
        await writer.create(room, bindings={"sms": binding(participant_id="ada")})
        await Writer(store, room_id="next").create(Room(id="next", created_at=THEN + timedelta(seconds=1)))

        await writer.write(
            room=evolve(room, organization_id=None, status=RoomStatus.CLOSED, created_at=THEN + timedelta(seconds=2))
        )

        assert names(await store.find_rooms()) == ["next", "room"]
        assert await store.find_rooms("acme") == []
        assert names(await store.find_rooms(status=RoomStatus.CLOSED)) == ["room"]
        assert names(await store.find_rooms(status=RoomStatus.ACTIVE)) == ["next"]
        assert await store.find_room_ids_by_channel("sms") == ["room"]
        latest = await store.find_latest_room("ada")
        assert latest is not None
        assert latest.status is RoomStatus.CLOSED

    @pytest.mark.parametrize("field", ["organization_id", "status"])
    async def test_a_room_that_changes_one_thing_is_found_by_it(
        self, store: ConversationStore, writer: Writer, field: str
    ) -> None:
        before: dict[str, Any] = {"organization_id": "acme", "status": RoomStatus.ACTIVE}
        after: dict[str, Any] = {"organization_id": "umbrella", "status": RoomStatus.CLOSED}
        room = Room(id="room", **before)
        await writer.create(room)

        await writer.write(room=evolve(room, **{field: after[field]}))

        assert names(await store.find_rooms(**{field: after[field]})) == ["room"]
        assert await store.find_rooms(**{field: before[field]}) == []

    async def test_rooms_of_a_channel_are_found_oldest_first(self, rooms: ConversationStore) -> None:
        for room_id in "abcd":
            await rooms.add_binding(binding(room_id=room_id))
        await rooms.add_binding(binding("web", room_id="c"))

        assert await rooms.find_room_ids_by_channel("sms") == ["d", "b"]
        assert await rooms.find_room_ids_by_channel("sms", limit=10) == ["d", "b", "a", "c"]
        assert await rooms.find_room_ids_by_channel("sms", RoomStatus.ACTIVE, limit=2) == ["d", "a"]
        assert await rooms.find_room_ids_by_channel("web") == ["c"]
        await rooms.remove_binding("d", "sms")
        assert await rooms.find_room_ids_by_channel("sms", limit=1) == ["b"]

    async def test_the_latest_room_of_a_participant_is_the_newest_that_leads_to_them(
        self, rooms: ConversationStore
    ) -> None:
        async def latest(participant_id: str, *args: Any) -> str | None:
            room = await rooms.find_latest_room(participant_id, *args)
            return None if room is None else room.id

        await rooms.add_participant(person("ada", room_id="d"))
        await rooms.add_binding(binding(room_id="b", participant_id="ada"))
        await rooms.add_binding(binding(room_id="a", routes={"bob": Route(address="+2"), "ada": Route(address="+1")}))
        await rooms.add_binding(binding("web", room_id="c", channel_type=ChannelType.WEBSOCKET, participant_id="ada"))

        assert await latest("ada") == "c"
        assert await latest("ada", ChannelType.SMS) == "a"
        assert await latest("ada", None, RoomStatus.CLOSED) == "b"
        assert await latest("ada", ChannelType.WEBSOCKET) == "c"
        assert await latest("ada", ChannelType.EMAIL) == "d"  # as a participant, whatever the type
        assert await latest("bob") == "a"
        assert await latest("eve") is None

    async def test_a_room_leads_to_a_participant_until_the_last_way_is_gone(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        ways = {"sms": binding(participant_id="ada"), "web": binding("web", routes={"ada": Route(address="x")})}
        await writer.create(bindings=ways, participants={"ada": person()})

        for parts in ({"participants": {"ada": None}}, {"bindings": {"sms": binding()}}):
            await writer.write(**parts)
            assert await store.find_latest_room("ada") is not None
        await writer.write(bindings={"web": None})

        assert await store.find_latest_room("ada") is None

    # ----------------------------------------------------------------------------------------------- the rest

    async def test_tasks_and_observations_are_listed_oldest_first(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        times = {"c": 1, "b": 0, "a": 1}
        tasks = {
            name: Task(id=name, room_id="room", title=name, created_at=THEN + timedelta(seconds=second))
            for name, second in times.items()
        }
        tasks["c"] = evolve(tasks["c"], status=TaskStatus.COMPLETED)
        seen = [
            Observation(
                id=name, room_id="room", channel_id="ai", content=name, created_at=THEN + timedelta(seconds=second)
            )
            for name, second in times.items()
        ]
        await writer.write(expected=None, tasks=tuple(tasks.values()), observations=tuple(seen))

        assert [task.id for task in await store.list_tasks("room")] == ["b", "a", "c"]
        assert [task.id for task in await store.list_tasks("room", TaskStatus.PENDING)] == ["b", "a"]
        assert [note.id for note in await store.list_observations("room")] == ["b", "a", "c"]

    async def test_an_address_leads_to_the_identity_that_named_it_last(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        async def resolved(address: str) -> str | None:
            identity = await store.resolve_identity("sms", address)
            return None if identity is None else identity.id

        async def put(name: str, *addresses: str) -> None:
            identity = Identity(id=name, channel_addresses={"sms": list(addresses)})
            await writer.write(room_id=None, expected=None, identities=(identity,))

        await put("ada", "+1", "+2")
        await put("bob", "+2", "+3")
        await put("ada", "+4")

        assert [await resolved(f"+{number}") for number in (1, 2, 3, 4)] == [None, "bob", "bob", "ada"]
        assert await store.resolve_identity("email", "+2") is None

    async def test_values_are_scanned_by_prefix_in_the_order_of_their_keys(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        values = {("plugin", name): Value(f'"{name}"') for name in ("b", "a%x", "a_", "aa", "a", "A")}
        await writer.write(room_id=None, expected=None, kv={**values, ("other", "a"): Value("1")})

        assert [name for name, _ in await store.kv_scan("plugin")] == ["A", "a", "a%x", "a_", "aa", "b"]
        assert await store.kv_scan("plugin", "a_") == [("a_", '"a_"')]
        assert [name for name, _ in await store.kv_scan("plugin", "a")] == ["a", "a%x", "a_", "aa"]
