"""A room that a message makes, or a channel that a message attaches, is made and attached like any other."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core import (
    ChannelBinding,
    ChannelNotRegisteredError,
    EventType,
    FrameworkEvent,
    HookResult,
    HookTrigger,
    InMemoryStore,
    KitStateError,
    RoomContext,
    RoomEvent,
    RoomKit,
)
from tests.support.channels import LiveProbe, ScriptedChannel, message, text_of
from tests.support.homes import Home
from tests.support.rooms import timeline

TOLD = ("room_created", "room_channel_attached", "session_started", "event_processed")


class Attentive(ScriptedChannel):
    """A channel that notes what it is told about its rooms."""

    def __init__(self, channel_id: str = "sms") -> None:
        super().__init__(channel_id)
        self.told: list[tuple[str, str, str]] = []

    def update_binding(self, room_id: str, binding: ChannelBinding) -> None:
        self.told.append(("update", room_id, binding.channel_id))

    async def on_room_attached(self, room_id: str, binding: ChannelBinding) -> None:
        self.told.append(("attached", room_id, binding.channel_id))


def watch(kit: RoomKit) -> list[tuple[Any, ...]]:
    """What handlers and hooks are told about rooms and channels that come."""
    told: list[tuple[Any, ...]] = []

    def note(event: FrameworkEvent) -> None:
        told.append((event.type, event.room_id, event.channel_id))

    for name in TOLD[:2]:
        kit.on(name)(note)
    for trigger in (HookTrigger.ON_ROOM_CREATED, HookTrigger.ON_CHANNEL_ATTACHED):

        @kit.hook(trigger)
        async def hook(event: RoomEvent, context: RoomContext, trigger: HookTrigger = trigger) -> None:
            told.append((trigger, event.content.code, context.room_id))

    return told


async def by_hand(kit: RoomKit) -> None:
    await kit.create_room("room")
    await kit.attach_channel("room", "sms")


async def by_message(kit: RoomKit) -> None:
    await kit.process_inbound(message(channel_id="sms"), room_id="room")


async def test_the_same_is_told_and_noted_as_if_somebody_had_made_it(home: Home) -> None:
    found = []
    for make in (by_hand, by_message):
        place = Home() if make is by_hand else home
        sms = Attentive()
        async with place.kit(spare=[sms], rooms=[]) as kit:
            told = watch(kit)
            await make(kit)
            await kit.idle()
            notes = [event for event in await timeline(kit) if event.type != EventType.MESSAGE]
            shapes = [(e.index, e.type, e.visibility, e.source, e.content, e.status) for e in notes]
            [binding] = await kit.list_bindings("room")
            found.append((sorted(map(str, told)), sms.told, shapes, binding.attached_index))

    assert found[0] == found[1]
    assert len(found[0][0]) == 4
    assert found[0][1] == [("update", "room", "sms"), ("attached", "room", "sms")]


async def test_a_channel_that_a_message_brings_into_a_room_is_attached_like_any_other(home: Home) -> None:
    sms = Attentive()
    async with home.kit(LiveProbe(), spare=[sms]) as kit:
        told = watch(kit)
        await by_message(kit)
        await kit.idle()

        events = await timeline(kit)
        assert [event.type for event in events[1:]] == [EventType.CHANNEL_ATTACHED, EventType.MESSAGE]
        assert events[1].content.data["channel_id"] == "sms"
        assert (await kit.get_binding("room", "sms")).attached_index == 1
        assert sorted(map(str, told)) == sorted(
            map(
                str,
                [
                    ("room_channel_attached", "room", "sms"),
                    (HookTrigger.ON_CHANNEL_ATTACHED, "channel_attached", "room"),
                ],
            )
        )
        assert sms.told == [("update", "room", "sms"), ("attached", "room", "sms")]
        await by_message(kit)
        await kit.idle()
        assert len(told) == 2, "once"


@pytest.mark.parametrize("blocks", [False, True])
async def test_c4_room_binding_conversation_and_note_are_one_commit(blocks: bool) -> None:
    class Counting(InMemoryStore):
        batches = 0

        def submit(self, changes: Any) -> Any:
            type(self).batches += 1
            return super().submit(changes)

    home = Home()
    home._memory = Counting(clock=home.clock)
    async with home.kit(ScriptedChannel("sms"), rooms=[]) as kit:

        @kit.hook(HookTrigger.BEFORE_BROADCAST)
        async def decide(event: RoomEvent, context: RoomContext) -> HookResult:
            return HookResult.block("no") if blocks else HookResult.allow()

        first = await kit.process_inbound(message(channel_id="sms"))
        made = Counting.batches
        assert first.event is not None
        assert made == 2, "the room, and the message"
        snapshot = await kit.store.load_room(first.event.room_id)
        assert snapshot is not None
        assert list(snapshot.bindings) == ["sms"]
        assert await kit.store.find_conversation(("sms", "ann")) == first.event.room_id
        assert [event.index for event in await timeline(kit, first.event.room_id)] == [0, 1]

        await kit.process_inbound(message(channel_id="sms"))

        assert Counting.batches == made + 1


async def test_filters_look_at_the_channel_that_was_attached(home: Home) -> None:
    called: list[str] = []
    async with home.kit(spare=[ScriptedChannel("sms"), LiveProbe()], rooms=[]) as kit:
        for channel_id in ("sms", "live"):

            @kit.hook(HookTrigger.ON_CHANNEL_ATTACHED, channel_ids={channel_id})
            async def note(event: RoomEvent, context: RoomContext, channel_id: str = channel_id) -> None:
                called.append(channel_id)

        await by_message(kit)
        await kit.idle()

        assert called == ["sms"]


async def test_a_hook_of_the_new_room_may_speak_in_it_and_the_message_is_there(home: Home) -> None:
    async with home.kit(LiveProbe(), spare=[ScriptedChannel("sms")], rooms=[]) as kit:

        @kit.hook(HookTrigger.ON_ROOM_CREATED)
        async def welcome(event: RoomEvent, context: RoomContext) -> None:
            await kit.attach_channel(event.room_id, "live")
            await kit.send_event(event.room_id, "live", message("welcome").content)

        result = await kit.process_inbound(message("hi", channel_id="sms"))
        await kit.idle()

        assert result.event is not None
        said = [text_of(e) for e in await timeline(kit, result.event.room_id) if e.type == EventType.MESSAGE]
        assert sorted(said) == ["hi", "welcome"]


async def test_t44_a_hook_that_makes_a_room_for_each_room_ends() -> None:
    async with Home().kit(rooms=[]) as kit:
        made: list[str] = []

        @kit.hook(HookTrigger.ON_ROOM_CREATED)
        async def another(event: RoomEvent, context: RoomContext) -> None:
            made.append((await kit.create_room()).id)

        @kit.on("room_created")
        async def and_another(event: FrameworkEvent) -> None:
            if event.room_id not in made:
                await kit.create_room()

        await kit.create_room("first")
        await kit.idle()

        assert 1 <= len(await kit.store.list_rooms(limit=1_000)) <= 200


# --------------------------------------------------------------------------------------------------- reading verbs


READS = [
    lambda kit: kit.get_room("room"),
    lambda kit: kit.list_bindings("room"),
    lambda kit: kit.get_binding("room", "live"),
    lambda kit: kit.get_timeline("room"),
    lambda kit: kit.rooms.read("room", viewer="live"),
    lambda kit: kit.check_all_timers(),
    lambda kit: kit.check_room_timers("room"),
]
NAMES = ["get_room", "list_bindings", "get_binding", "get_timeline", "rooms.read", "check_all_timers", "check_room"]


@pytest.mark.parametrize("read", READS, ids=NAMES)
async def test_a_reading_verb_is_refused_by_a_closed_kit_and_works_while_it_closes(home: Home, read: Any) -> None:
    found: list[Any] = []
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(HookTrigger.AFTER_BROADCAST)
        async def look(event: RoomEvent, context: RoomContext) -> None:
            kit._engine.ports.background.draining = True  # as kit.close() does, which waits for this hook
            found.append(await read(kit))

        await kit.process_inbound(message(), room_id="room", wait="committed")
    assert len(found) == 1
    with pytest.raises(KitStateError) as refused:
        await read(kit)
    assert refused.value.code == "kit.closed"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has no tasks that nobody holds
@pytest.mark.parametrize("read", READS, ids=NAMES)
async def test_a_reading_verb_starts_a_bare_kit(home: Home, read: Any) -> None:
    async with home.kit(LiveProbe()):
        pass
    kit = RoomKit(home.store(), clock=home.clock)
    kit.register_channel(LiveProbe())
    assert not kit._engine.ports.background.is_started

    await read(kit)

    assert kit._engine.ports.background.is_started
    await kit.close()


async def test_a_room_that_a_message_makes_has_the_channels_that_each_new_room_is_to_have(home: Home) -> None:
    sms, bot = Attentive(), Attentive("bot")
    async with home.kit(spare=[sms, bot], rooms=[], attach=["bot", "sms"]) as kit:
        told = watch(kit)

        first = await kit.process_inbound(message(channel_id="sms"), room_id="room")
        await kit.idle()

        assert [binding.channel_id for binding in await kit.list_bindings("room")] == ["sms", "bot"]
        assert [binding.attached_index for binding in await kit.list_bindings("room")] == [0, 1]
        assert [event.type for event in await timeline(kit)] == [EventType.CHANNEL_ATTACHED] * 2 + [EventType.MESSAGE]
        assert first.event is not None
        assert first.event.index == 2
        assert [entry[0] for entry in told].count("room_channel_attached") == 2
        assert [entry[0] for entry in told].count("room_created") == 1
        assert bot.told == [("update", "room", "bot"), ("attached", "room", "bot")]
        assert first.delivery_results["bot"].state == "sent"


async def test_a_channel_that_each_new_room_is_to_have_and_nobody_registered_is_told_and_no_room_is_made(
    home: Home,
) -> None:
    async with home.kit(spare=[Attentive()], rooms=[], attach=["bot"]) as kit:
        with pytest.raises(ChannelNotRegisteredError, match="'bot'"):
            await by_message(kit)

        assert await kit.store.list_rooms() == []


async def test_a_room_that_is_there_keeps_the_channels_that_it_has(home: Home) -> None:
    async with home.kit(spare=[Attentive(), Attentive("bot")], rooms=[], attach=["bot"]) as kit:
        await by_hand(kit)
        await by_message(kit)

        assert [binding.channel_id for binding in await kit.list_bindings("room")] == ["sms"]
