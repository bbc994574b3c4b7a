"""Reading timelines: pages by offset and by cursor, what a viewer may see, and what a hook sees of its own unit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from roomkit_core import (
    Access,
    ChannelBinding,
    ChannelCategory,
    ChannelDirection,
    ChannelNotFoundError,
    ChannelType,
    Cursor,
    EventStatus,
    EventType,
    HookResult,
    HookTrigger,
    Page,
    RoomContext,
    RoomEvent,
    RoomKit,
    RoomNotFoundError,
    TextContent,
)
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.kits import open_kit, texts_of, whole_timeline

# ------------------------------------------------------------------------------------------------------- pages


async def room_without_bookkeeping(kit: RoomKit, room_id: str) -> None:
    """A room with the live channel, whose first event has index 0."""
    await kit.create_room(room_id)
    binding = ChannelBinding(channel_id="live", room_id=room_id, channel_type=ChannelType.WEBSOCKET)
    await kit.store.add_binding(binding)


@asynccontextmanager
async def ten_messages() -> AsyncIterator[RoomKit]:
    """A room with ten messages ``0`` to ``9`` at these indexes, every third one for ``sms`` only."""
    async with open_kit(LiveProbe()) as kit:
        await room_without_bookkeeping(kit, "room")
        for number in range(10):
            visibility = "all" if number % 3 else "sms"
            await kit.process_inbound(message(str(number), visibility=visibility), room_id="room")
        yield kit


PAGES: list[tuple[dict[str, Any], str]] = [
    ({}, "0123456789"),
    ({"limit": 3}, "012"),
    ({"limit": 0}, ""),
    ({"offset": 8}, "89"),
    ({"offset": 2, "limit": 3}, "234"),
    ({"offset": 10}, ""),
    ({"newest_first": True, "limit": 3}, "789"),
    ({"newest_first": True, "offset": 2, "limit": 3}, "567"),
    ({"newest_first": True, "offset": 9, "limit": 3}, "0"),
    ({"after_index": -1, "limit": 2}, "01"),
    ({"after_index": 3, "limit": 2}, "45"),
    ({"after_index": 3, "limit": 2, "newest_first": True}, "45"),
    ({"after_index": 9}, ""),
    ({"before_index": 4, "limit": 2}, "23"),
    ({"before_index": 0}, ""),
    ({"before_index": 99, "limit": 2}, "89"),
    ({"visibility_filter": "sms"}, "0369"),
    ({"visibility_filter": "sms", "offset": 1, "limit": 2}, "36"),
    ({"visibility_filter": "sms", "newest_first": True, "limit": 2}, "69"),
    ({"visibility_filter": "sms", "newest_first": True, "offset": 1, "limit": 2}, "36"),
    ({"visibility_filter": "sms", "after_index": 3, "limit": 1}, "6"),
    ({"visibility_filter": "sms", "before_index": 6, "limit": 1}, "3"),
    ({"visibility_filter": "nobody"}, ""),
]


@pytest.mark.parametrize(("page", "expected"), PAGES, ids=[str(page) for page, _ in PAGES])
async def test_a_page_is_ascending_and_counts_from_where_it_was_asked_to(page: dict[str, Any], expected: str) -> None:
    async with ten_messages() as kit:
        events = await kit.get_timeline("room", **page)

        assert "".join(map(text_of, events)) == expected


@pytest.mark.parametrize("size", [1, 3, 10])
async def test_both_ways_of_paging_lead_through_the_whole_timeline(size: int) -> None:
    async with ten_messages() as kit:
        by_offset, forwards, backwards = [], [], []
        while page := await kit.get_timeline("room", offset=len(by_offset), limit=size):
            by_offset += page
        while page := await kit.get_timeline("room", after_index=len(forwards) - 1, limit=size):
            forwards += page
        while page := await kit.get_timeline("room", before_index=10 - len(backwards), limit=size):
            backwards = [*page, *backwards]

        assert by_offset == forwards == backwards == await whole_timeline(kit, "room")


async def test_a_page_between_messages_that_arrive_is_not_moved_by_them_if_it_has_a_cursor() -> None:
    async with ten_messages() as kit:
        page = await kit.get_timeline("room", before_index=10, limit=5)
        await kit.process_inbound(message("new"), room_id="room")

        page = [*await kit.get_timeline("room", before_index=page[0].index, limit=5), *page]

        assert "".join(map(text_of, page)) == "0123456789"


async def test_two_cursors_and_unknown_rooms_are_refused() -> None:
    async with ten_messages() as kit:
        with pytest.raises(ValueError, match="one cursor"):
            await kit.get_timeline("room", after_index=1, before_index=3)
        with pytest.raises(RoomNotFoundError):
            await kit.get_timeline("nowhere")
        with pytest.raises(RoomNotFoundError):
            await kit.rooms.read("nowhere", viewer="live")


async def test_an_empty_room_has_an_empty_timeline() -> None:
    async with open_kit(LiveProbe()) as kit:
        room = await kit.create_room()

        assert await kit.get_timeline(room.id) == []


# --------------------------------------------------------------------------------------------- what a viewer may see

VIEWERS = ("web", "sms", "ai")

VISIBLE = [
    ("all", {"web", "sms", "ai"}),
    ("none", set()),
    ("internal", set()),
    ("transport", {"web", "sms"}),
    ("intelligence", {"ai"}),
    ("web", {"web"}),
    ("sms,ai", {"sms", "ai"}),
    (" web , sms ", {"web", "sms"}),
    ("somebody-else", set()),
]


@asynccontextmanager
async def a_room_with_viewers(**web: Any) -> AsyncIterator[RoomKit]:
    """A room with a source, a live and a durable channel, and one that answers."""
    channels = LiveProbe("door"), LiveProbe("web"), ScriptedChannel("sms"), Answering(reply=lambda event: [])
    async with open_kit(*channels) as kit:
        await kit.create_room("room")
        await kit.attach_channel("room", "door")
        await kit.attach_channel("room", "web", **web)
        await kit.attach_channel("room", "sms")
        await kit.attach_channel("room", "ai", ChannelCategory.INTELLIGENCE)
        yield kit


async def seen_by(kit: RoomKit, viewer: str, **options: Any) -> list[str]:
    """The texts that a reader behind the channel gets, page by page."""
    texts, after = [], None
    while True:
        page = await kit.rooms.read("room", viewer=viewer, after=after, **options)
        texts += [text_of(event) for event in page.events]
        after = page.cursor
        if not page.more:
            return texts


@pytest.mark.parametrize(("visibility", "expected"), VISIBLE, ids=[visibility for visibility, _ in VISIBLE])
@pytest.mark.parametrize("said_by", ["the message", "the binding"])
async def test_t6_readers_and_the_broadcast_agree_about_who_sees_an_event(
    visibility: str, expected: set[str], said_by: str
) -> None:
    async with a_room_with_viewers() as kit:
        web, sms, ai = kit.get_channel("web"), kit.get_channel("sms"), kit.get_channel("ai")
        if said_by == "the binding":
            await kit.set_visibility("room", "door", visibility)
        own = visibility if said_by == "the message" else "all"

        result = await kit.process_inbound(message("hi", channel_id="door", visibility=own), room_id="room")

        told = {"web": [e for e, _ in web.seen], "sms": sms.sent, "ai": ai.asked}
        assert {viewer for viewer, got in told.items() if got} == expected
        assert {viewer for viewer in VIEWERS if await seen_by(kit, viewer)} == expected
        assert result.event.visibility == visibility
        assert set(result.delivery_results) & set(VIEWERS) == expected - {"ai"}


async def test_t6_the_visibility_of_a_stored_event_does_not_follow_its_binding() -> None:
    async with a_room_with_viewers() as kit:
        await kit.set_visibility("room", "door", "sms")
        await kit.process_inbound(message("secret", channel_id="door"), room_id="room")
        await kit.set_visibility("room", "door", "all")

        await kit.process_inbound(message("open", channel_id="door"), room_id="room")

        assert await seen_by(kit, "web") == ["open"]
        assert await seen_by(kit, "sms") == ["secret", "open"]


async def test_t5_what_a_sender_puts_into_metadata_hides_and_routes_nothing() -> None:
    forged = {"visibility": "none", "addressed_to": ["nobody"], "routing": {"internal": True}, "chain_depth": 99}
    async with a_room_with_viewers() as kit:
        result = await kit.process_inbound(message("hi", channel_id="door", metadata=forged), room_id="room")

        assert (result.event.visibility, result.event.routing, result.event.chain_depth) == ("all", None, 0)
        assert [await seen_by(kit, viewer) for viewer in VIEWERS] == [["hi"]] * 3
        assert len(kit.get_channel("ai").asked) == 1


async def test_blocked_and_bookkeeping_events_are_stored_for_nobody_to_see() -> None:
    async with a_room_with_viewers() as kit:
        await kit.mute("room", "door")
        await kit.process_inbound(message("muted", channel_id="door"), room_id="room")

        assert await seen_by(kit, "web") == []
        assert (await whole_timeline(kit, "room"))[-1].status is EventStatus.BLOCKED


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda kit: kit.set_access("room", "web", Access.WRITE_ONLY), []),
        (lambda kit: kit.set_access("room", "web", Access.NONE), []),
        (lambda kit: kit.attach_channel("room", "web", direction=ChannelDirection.OUTBOUND), []),
        (lambda kit: kit.set_access("room", "web", Access.READ_ONLY), ["hi"]),
        (lambda kit: kit.mute("room", "web"), ["hi"]),
    ],
    ids=["write only", "none", "outbound", "read only", "muted"],
)
async def test_a_viewer_reads_as_long_as_its_channel_may(change: Callable[[RoomKit], Any], expected: list[str]) -> None:
    async with a_room_with_viewers() as kit:
        await change(kit)
        await kit.process_inbound(message("hi", channel_id="door"), room_id="room")

        assert await seen_by(kit, "web") == expected
        assert [text_of(event) for event, _ in kit.get_channel("web").seen] == expected


async def test_who_is_not_attached_reads_nothing() -> None:
    async with a_room_with_viewers() as kit:
        await kit.detach_channel("room", "web")

        with pytest.raises(ChannelNotFoundError):
            await kit.rooms.read("room", viewer="web")
        with pytest.raises(ValueError, match="at least 1"):
            await kit.rooms.read("room", viewer="sms", limit=0)


# ------------------------------------------------------------------------------------------------------------ cursors


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_a_cursor_moves_over_what_its_viewer_may_not_see(limit: int) -> None:
    async with a_room_with_viewers() as kit:
        for number in range(6):
            visibility = "all" if number % 2 else "sms"
            await kit.process_inbound(
                message(str(number), channel_id="door", visibility=visibility), room_id="room", wait="committed"
            )

        assert await seen_by(kit, "web", limit=limit) == ["1", "3", "5"]
        page = await kit.rooms.read("room", viewer="web", limit=4)
        assert (page.events, page.cursor.index, page.reset, page.more) == ((), 3, False, True)


async def test_a_client_that_comes_back_reads_exactly_what_it_missed() -> None:
    async with a_room_with_viewers() as kit:
        await kit.process_inbound(message("one", channel_id="door"), room_id="room")
        _, cursor = kit.get_channel("web").seen[-1]
        for text in ("two", "three"):
            await kit.process_inbound(message(text, channel_id="door"), room_id="room")

        page = await kit.rooms.read("room", viewer="web", after=cursor)

        assert [text_of(event) for event in page.events] == ["two", "three"]
        again = await kit.rooms.read("room", viewer="web", after=page.cursor)
        assert again == Page((), page.cursor, False, False)


async def test_t29_a_cursor_of_a_room_that_was_made_anew_is_reset_and_reading_begins_anew() -> None:
    async with a_room_with_viewers() as kit:
        await kit.process_inbound(message("old", channel_id="door"), room_id="room")
        old = (await kit.rooms.read("room", viewer="web")).cursor
        await kit.delete_room("room")
        await kit.create_room("room")
        await kit.attach_channel("room", "web")
        await kit.process_inbound(message("new", channel_id="door"), room_id="room")

        page = await kit.rooms.read("room", viewer="web", after=old)

        assert [text_of(event) for event in page.events] == ["new"]
        assert (page.reset, page.more, page.cursor.index) == (True, False, 2)
        assert page.cursor.epoch != old.epoch
        assert not (await kit.rooms.read("room", viewer="web", after=page.cursor)).reset


async def test_a_cursor_of_an_empty_room_that_was_made_anew_is_reset_too() -> None:
    async with open_kit(LiveProbe()) as kit:
        await kit.process_inbound(message("old"), room_id="room")
        old = (await kit.rooms.read("room", viewer="live")).cursor
        await kit.delete_room("room")
        await kit.create_room("room")
        await kit.attach_channel("room", "live")

        page = await kit.rooms.read("room", viewer="live", after=Cursor(old.epoch, 99))

        assert (page.reset, page.events, page.cursor.index) == (True, (), 0)


async def test_history_joined_shows_nothing_from_before_the_channel_was_attached() -> None:
    async with open_kit(LiveProbe("door"), LiveProbe("late"), LiveProbe("early")) as kit:
        await kit.process_inbound(message("before", channel_id="door"), room_id="room")
        await kit.attach_channel("room", "late", history="joined")
        await kit.attach_channel("room", "early")
        await kit.process_inbound(message("after", channel_id="door"), room_id="room")

        assert await seen_by(kit, "late") == ["after"]
        assert await seen_by(kit, "early") == ["before", "after"]
        head = await kit.rooms.read("room", viewer="early")
        page = await kit.rooms.read("room", viewer="late", after=Cursor(head.cursor.epoch, -1), limit=1)
        assert (page.events, page.cursor.index, page.more) == ((), 2, True)


async def test_a_channel_that_left_and_joined_again_sees_nothing_of_the_time_between() -> None:
    async with open_kit(LiveProbe("door"), LiveProbe("late")) as kit:
        await kit.process_inbound(message("one", channel_id="door"), room_id="room")
        await kit.attach_channel("room", "late", history="joined")
        cursor = (await kit.rooms.read("room", viewer="late")).cursor
        await kit.detach_channel("room", "late")
        await kit.process_inbound(message("two", channel_id="door"), room_id="room")
        await kit.attach_channel("room", "late", history="joined")
        await kit.process_inbound(message("three", channel_id="door"), room_id="room")

        page = await kit.rooms.read("room", viewer="late", after=cursor)

        assert [text_of(event) for event in page.events] == ["three"]
        assert await seen_by(kit, "late") == ["three"]


# --------------------------------------------------------------------------------- what a hook sees of its own room


def in_a_hook(kit: RoomKit, look: Callable[[RoomEvent, RoomContext], Any]) -> None:
    """Let ``look`` run in a deciding hook of messages that say "look"."""

    @kit.hook(HookTrigger.BEFORE_BROADCAST, on_error="block")
    async def decide(event: RoomEvent, context: RoomContext) -> HookResult:
        if text_of(event) == "look":
            await look(event, context)
        return HookResult.allow()


JOINED_PAGES: list[tuple[dict[str, Any], str]] = [
    # Four messages are stored, the message that is decided has index 4, and its hook has said "ab" at 5 and 6.
    ({}, "0123ab"),
    ({"limit": 5}, "0123a"),
    ({"offset": 3}, "3ab"),
    ({"offset": 5}, "b"),
    ({"offset": 6}, ""),
    ({"newest_first": True, "limit": 3}, "3ab"),
    ({"newest_first": True, "offset": 1, "limit": 3}, "23a"),
    ({"newest_first": True, "offset": 3, "limit": 2}, "12"),
    ({"after_index": 2}, "3ab"),
    ({"after_index": 5}, "b"),
    ({"after_index": 2, "limit": 1}, "3"),
    ({"after_index": 2, "limit": 1, "newest_first": True}, "3"),
    ({"before_index": 6, "limit": 2}, "3a"),
    ({"before_index": 3, "limit": 2}, "12"),
    ({"visibility_filter": "sms"}, "0b"),
    ({"visibility_filter": "sms", "offset": 1}, "b"),
    ({"limit": 0}, ""),
    ({"limit": 0, "newest_first": True}, ""),
]


@pytest.mark.parametrize(("page", "expected"), JOINED_PAGES, ids=[str(page) for page, _ in JOINED_PAGES])
async def test_a_page_that_a_hook_reads_has_what_the_hooks_have_said(page: dict[str, Any], expected: str) -> None:
    found: list[str] = []
    async with open_kit(LiveProbe()) as kit:

        async def look(event: RoomEvent, _: RoomContext) -> None:
            await kit.send_event("room", "live", TextContent(body="a"))
            await kit.send_event("room", "live", TextContent(body="b"), visibility="sms")
            found.append("".join(map(text_of, await kit.get_timeline("room", **page))))

        in_a_hook(kit, look)
        await room_without_bookkeeping(kit, "room")
        for number in range(4):
            visibility = "all" if number else "sms"
            await kit.process_inbound(message(str(number), visibility=visibility), room_id="room")

        result = await kit.process_inbound(message("look"), room_id="room")

        assert (found, result.reason) == ([expected], None)
        assert await texts_of(kit, "room") == ["0", "1", "2", "3", "look", "a", "b"]


async def test_reads_from_inside_a_hook_see_the_working_copy_and_from_outside_they_do_not() -> None:
    inside: list[Any] = []
    async with open_kit(LiveProbe(), ScriptedChannel("sms"), ScriptedChannel("fax")) as kit:

        async def look(event: RoomEvent, context: RoomContext) -> None:
            await kit.attach_channel("room", "sms")
            await kit.mute("room", "live")
            await kit.update_binding_metadata("room", "sms", {"note": "new"})
            await kit.detach_channel("room", "fax")
            await kit.send_event("room", "sms", TextContent(body="said"))
            bindings = [(b.channel_id, b.muted) for b in await kit.list_bindings("room")]
            note = (await kit.get_binding("room", "sms")).metadata["note"]
            room = await kit.get_room("room")
            inside.append((bindings, note, room.event_count, [e.type for e in await kit.get_timeline("room")][-1]))
            # What is durable has not moved, and a context is a snapshot of the moment at which its hook began.
            inside.append([b.channel_id for b in (await kit.store.load_room("room")).bindings.values()])
            inside.append([b.channel_id for b in context.bindings])

        in_a_hook(kit, look)
        await kit.create_room("room")
        await kit.attach_channel("room", "live")
        await kit.attach_channel("room", "fax")

        result = await kit.process_inbound(message("look"), room_id="room")

        assert result.reason == "source_muted"
        working, durable, context = inside
        assert working == ([("live", True), ("sms", False)], "new", 7, EventType.MESSAGE)
        assert durable == context == ["live", "fax"]
        after = await kit.list_bindings("room")
        assert [(b.channel_id, b.muted) for b in after] == [("live", True), ("sms", False)]


async def test_a_later_hook_sees_what_an_earlier_one_did() -> None:
    seen: list[Any] = []
    async with open_kit(LiveProbe(), ScriptedChannel("sms")) as kit:

        async def first(event: RoomEvent, _: RoomContext) -> None:
            await kit.attach_channel("room", "sms")
            await kit.send_event("room", "live", TextContent(body="from the first"))

        in_a_hook(kit, first)

        @kit.hook(HookTrigger.BEFORE_BROADCAST, priority=1)
        async def second(event: RoomEvent, context: RoomContext) -> HookResult:
            if text_of(event) == "look":
                seen.append([binding.channel_id for binding in context.bindings])
                seen.append([text_of(event) for event in context.recent_events])
            return HookResult.allow()

        await kit.process_inbound(message("earlier"), room_id="room")
        await kit.process_inbound(message("look"), room_id="room")

        assert seen == [["live", "sms"], ["earlier", "from the first"]]


async def test_a_hook_reads_other_rooms_as_they_are_stored() -> None:
    seen: list[list[str]] = []
    async with open_kit(LiveProbe()) as kit:

        async def look(event: RoomEvent, _: RoomContext) -> None:
            seen.append(await texts_of(kit, "other"))
            await kit.process_inbound(message("over there"), room_id="other")
            seen.append(await texts_of(kit, "other"))
            with pytest.raises(RoomNotFoundError):
                await kit.get_timeline("nowhere")

        in_a_hook(kit, look)
        await kit.process_inbound(message("there"), room_id="other")

        result = await kit.process_inbound(message("look"), room_id="room")

        assert (seen, result.reason) == ([["there"], ["there", "over there"]], None)
