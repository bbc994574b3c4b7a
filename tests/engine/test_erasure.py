"""``delete_event``: what an event said is gone everywhere, its place stays, and who may have it is told."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core import (
    ChannelCapabilities,
    DeleteContent,
    EventNotFoundError,
    EventStatus,
    EventType,
    FrameworkEvent,
    HookResult,
    HookTrigger,
    RoomContext,
    RoomEvent,
    RoomKit,
    RoomNotFoundError,
    Route,
    SystemContent,
    TextContent,
    WorkKind,
    WorkState,
)
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.homes import Home
from tests.support.rooms import say, texts, timeline, wait_for, work

BEFORE = HookTrigger.BEFORE_BROADCAST
SECRET = "the secret"


class Deleting(ScriptedChannel):
    """A durable channel whose provider can delete."""

    def capabilities(self) -> ChannelCapabilities:
        return ChannelCapabilities(supports_delete=True)

    @property
    def asked_to_delete(self) -> list[str]:
        contents = [delivery.parts[0] for delivery in self.sent]
        return [content.target_event_id for content in contents if isinstance(content, DeleteContent)]


async def arrive(kit: RoomKit, text: str = SECRET, **options: Any) -> RoomEvent:
    event = (await kit.process_inbound(message(text, **options), room_id="room")).event
    assert event is not None
    return event


def is_tombstone(event: RoomEvent) -> bool:
    return isinstance(event.content, SystemContent) and event.content.code == "event.deleted"


# ------------------------------------------------------------------------------------------------ what is left of it


async def test_its_place_stays_without_what_it_said_and_an_event_says_so(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        raw = {"Body": SECRET}
        event = await arrive(kit, raw_payload=raw, metadata={"note": SECRET}, thread_id=SECRET)
        await arrive(kit, "another")
        before = await timeline(kit)

        notice = await kit.delete_event("room", event.id, reason="asked to")

        after = await timeline(kit)
        assert after[-1] == notice
        assert (notice.type, notice.index, notice.room_id) == (EventType.DELETE, len(before), "room")
        assert notice.content == DeleteContent(target_event_id=event.id, delete_type="system", reason="asked to")
        grave = after[event.index]
        assert is_tombstone(grave)
        kept = ("id", "index", "type", "status", "created_at", "visibility")
        assert [getattr(grave, name) for name in kept] == [getattr(event, name) for name in kept]
        assert SECRET not in grave.model_dump_json()
        assert [e for e in after if e.index not in (event.index, notice.index)] == [
            e for e in before if e.index != event.index
        ]
    async with home.kit(LiveProbe()) as kit:
        assert await timeline(kit) == after


async def test_nothing_that_reads_shows_it_any_more(home: Home) -> None:
    seen: list[list[str]] = []
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(BEFORE)
        async def look(event: RoomEvent, context: RoomContext) -> HookResult:
            seen.append([text_of(recent) for recent in context.recent_events])
            return HookResult.allow()

        event = await arrive(kit)
        await arrive(kit, "two")
        await kit.delete_event("room", event.id)
        await arrive(kit, "three")

        assert seen[1:] == [[SECRET], ["", "two"]]
        page = await kit.rooms.read("room", viewer="live")
        assert [text_of(event) for event in page.events] == ["", "two", "", "three"]
        assert [event.type for event in page.events][2] == EventType.DELETE
        assert SECRET not in "".join(event.model_dump_json() for event in await timeline(kit))
        stored = await kit.store.get_event(event.id)
        assert stored is not None
        assert is_tombstone(stored)


async def test_a_redelivery_of_a_deleted_message_brings_nothing_back(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        event = await arrive(kit, idempotency_key="k")
        await kit.delete_event("room", event.id)

        again = await kit.process_inbound(message(SECRET, idempotency_key="k"), room_id="room")

        assert again.event is not None
        assert is_tombstone(again.event)
        assert await texts(kit) == [""]


async def test_deleting_it_again_appends_another_notice(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        event = await arrive(kit)
        first = await kit.delete_event("room", event.id)
        second = await kit.delete_event("room", event.id)

        events = await timeline(kit)
        assert [e.id for e in events[-2:]] == [first.id, second.id]
        assert is_tombstone(events[event.index])


async def test_a_room_that_takes_no_messages_can_still_be_told_to_forget(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        event = await arrive(kit)
        await kit.close_room("room")

        notice = await kit.delete_event("room", event.id)

        assert (await timeline(kit))[-1].id == notice.id
        assert await texts(kit) == [""]


async def test_what_is_not_there_cannot_be_deleted_and_nothing_is_written(home: Home) -> None:
    async with home.kit(LiveProbe(), rooms=["room", "other"]) as kit:
        event = await arrive(kit)
        before = await timeline(kit)
        for room_id, event_id in (("room", "nothing"), ("other", event.id)):
            with pytest.raises(EventNotFoundError):
                await kit.delete_event(room_id, event_id)
        with pytest.raises(RoomNotFoundError):
            await kit.delete_event("nowhere", event.id)

        assert await timeline(kit) == before
        assert len(await timeline(kit, "other")) == 1


# ------------------------------------------------------------------------------------------------------ who is told


async def test_live_clients_are_told_and_see_no_more_than_they_may(home: Home) -> None:
    live, other = LiveProbe(), LiveProbe("other")
    async with home.kit(live, other) as kit:
        whispered = await arrive(kit, visibility="live")
        notice = await kit.delete_event("room", whispered.id)
        await kit.idle()

        assert [event.id for event in live.got] == [whispered.id, notice.id]
        assert other.got == []


async def test_nobody_learns_of_the_end_of_what_nobody_has_seen(home: Home) -> None:
    live = LiveProbe()
    async with home.kit(live) as kit:
        await kit.mute("room", "live")
        blocked = await arrive(kit)
        assert blocked.status is EventStatus.BLOCKED

        await kit.delete_event("room", blocked.id)
        await kit.idle()

        assert live.seen == []
        assert (await kit.rooms.read("room", viewer="live")).events == ()
        assert is_tombstone((await timeline(kit))[blocked.index])


async def test_what_was_owed_for_it_ends_and_what_is_owed_for_others_does_not(home: Home) -> None:
    sms, ai = ScriptedChannel("sms", "later"), Answering("ai", lambda event: [])
    async with home.kit(LiveProbe(), sms, ai) as kit:
        event = await arrive(kit)
        await arrive(kit, "another")

        await kit.delete_event("room", event.id)

        first, second = await work(kit, WorkKind.DELIVERY)
        assert (first.state, first.code, first.event_id) == (WorkState.SUPPRESSED, "event.deleted", event.id)
        assert second.is_open
        sms.behave = "send"
        await home.later(kit, 60)
        assert sms.texts == ["another"]


@pytest.mark.parametrize(
    ("behaviour", "ends"),
    [
        ("send", [WorkState.SENT]),
        ("lose", [WorkState.SENT]),
        ("fail", []),
        ("later", [WorkState.SUPPRESSED]),  # planned while the delivery was still open, and never sent either
    ],
)
async def test_only_where_it_may_have_been_sent_is_a_deletion_owed(
    home: Home, behaviour: str, ends: list[WorkState]
) -> None:
    mail = Deleting("mail", behaviour)
    async with home.kit(LiveProbe(), mail) as kit:
        event = await arrive(kit)
        mail.behave = "send"

        notice = await kit.delete_event("room", event.id)
        await home.later(kit, 120)

        assert mail.asked_to_delete == ([event.id] if WorkState.SENT in ends else [])
        rows = [row for row in await work(kit, WorkKind.DELIVERY) if row.event_id == notice.id]
        assert [row.state for row in rows] == ends
        first = next(row for row in await work(kit, WorkKind.DELIVERY) if row.event_id == event.id)
        assert not first.is_open


async def test_a_deletion_follows_what_is_on_its_way_when_it_is_asked_for(home: Home) -> None:
    mail = Deleting("mail", "wait")
    async with home.kit(LiveProbe(), mail) as kit:
        event = (await kit.process_inbound(message(SECRET), room_id="room", wait="committed")).event
        assert event is not None
        await wait_for(lambda: mail.called.is_set())

        await kit.delete_event("room", event.id)
        mail.gate.set()
        await kit.idle()

        assert [delivery.event.id == event.id for delivery in mail.sent] == [True, False]
        assert mail.asked_to_delete == [event.id]


async def test_a_channel_that_cannot_delete_is_not_asked_to(home: Home) -> None:
    sms = ScriptedChannel("sms")
    async with home.kit(LiveProbe(), sms) as kit:
        event = await arrive(kit)
        await kit.delete_event("room", event.id)
        await kit.idle()

        assert sms.texts == [SECRET]
        assert len(await work(kit, WorkKind.DELIVERY)) == 1


async def test_each_route_that_has_it_is_told_however_many_there_are(home: Home) -> None:
    mail = Deleting("mail", lambda delivery: "fail" if delivery.route.address.endswith("7") else "send")
    routes = {str(n): Route(address=str(n), participant_id=str(n)) for n in range(1_050)}
    async with home.kit(LiveProbe(), spare=[mail]) as kit:
        await kit.attach_channel("room", "mail", routes=routes)
        event = await arrive(kit)
        await kit.idle()

        await kit.delete_event("room", event.id)
        await kit.idle()

        told = {delivery.route.address for delivery in mail.sent if isinstance(delivery.parts[0], DeleteContent)}
        assert told == {address for address in routes if not address.endswith("7")}


async def test_hooks_and_handlers_are_told_and_filters_look_at_who_said_it(home: Home) -> None:
    called: list[tuple[str, str, bool]] = []
    told: list[tuple[str | None, str | None]] = []
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:

        def note(name: str) -> Any:
            async def hook(event: RoomEvent, context: RoomContext) -> None:
                called.append((name, event.content.target_event_id, any(map(text_of, context.recent_events))))

            return hook

        on = HookTrigger.ON_EVENT_DELETED
        kit.hook(on, name="all")(note("all"))
        kit.hook(on, name="live", channel_ids={"live"})(note("live"))
        kit.hook(on, name="sms", channel_ids={"sms"})(note("sms"))
        kit.hook(on, name="type", channel_types={"scripted"})(note("type"))

        @kit.on("event_deleted")
        def tell(event: FrameworkEvent) -> None:
            told.append((event.channel_id, event.event_id))

        event = await say(kit, SECRET, channel_id="sms")
        await kit.delete_event("room", event.id)
        await kit.idle()

        assert called == [("all", event.id, False), ("sms", event.id, False), ("type", event.id, False)]
        assert told == [("sms", event.id)]


async def test_t44_a_hook_that_deletes_what_says_that_something_was_deleted_ends(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        calls = 0

        @kit.hook(HookTrigger.ON_EVENT_DELETED)
        async def again(event: RoomEvent, context: RoomContext) -> None:
            nonlocal calls
            calls += 1
            await kit.delete_event("room", event.id)

        event = await arrive(kit)
        await kit.delete_event("room", event.id)
        await kit.idle()

        assert calls == 1, "what a hook does is not shown to it"


# ------------------------------------------------------------------------------------------------------ inside a hook


@pytest.mark.parametrize("raises", [False, True])
async def test_inside_a_hook_it_belongs_to_the_message_and_is_taken_back_with_the_hook(
    home: Home, raises: bool
) -> None:
    inside: list[Any] = []
    live, sms = LiveProbe(), ScriptedChannel("sms", "later")
    async with home.kit(live, sms) as kit:
        event = await arrive(kit)

        @kit.hook(BEFORE)
        async def forget(trigger: RoomEvent, context: RoomContext) -> HookResult:
            await kit.delete_event("room", event.id)
            await kit.delete_event("room", event.id)
            page = await kit.get_timeline("room")
            inside.append([(e.type, text_of(e)) for e in page if e.id == event.id or e.type == EventType.DELETE])
            inside.append(text_of((await kit.get_timeline("room", after_index=event.index - 1, limit=1))[0]))
            if raises:
                raise RuntimeError("no")
            return HookResult.allow()

        @kit.hook(BEFORE, priority=1)
        async def look(trigger: RoomEvent, context: RoomContext) -> HookResult:
            inside.append([text_of(recent) for recent in context.recent_events])
            return HookResult.allow()

        await arrive(kit, "two")

        notices = [(EventType.DELETE, "")] * 2
        assert inside == [[(EventType.MESSAGE, ""), *notices], "", [SECRET] if raises else [""]]
        assert await texts(kit) == ([SECRET, "two"] if raises else ["", "two"])
        first = (await work(kit, WorkKind.DELIVERY))[0]
        assert first.state is (WorkState.PENDING if raises else WorkState.SUPPRESSED)
        kinds = [event.type for event in live.got]
        assert kinds.count(EventType.DELETE) == (0 if raises else 2)


async def test_the_message_that_is_being_decided_is_not_there_to_be_deleted(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:

        @kit.hook(BEFORE, on_error="block")
        async def forget(event: RoomEvent, context: RoomContext) -> HookResult:
            with pytest.raises(EventNotFoundError):
                await kit.delete_event("room", event.id)
            return HookResult.allow()

        assert (await arrive(kit)).content == TextContent(body=SECRET)
