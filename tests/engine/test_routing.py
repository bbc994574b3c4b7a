"""Which room a message belongs to, what a key remembers, and what closed and remade rooms do to both."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core import (
    ConversationTakenError,
    DuplicateError,
    RoomClosedError,
    RoomExistsError,
    RoomStatus,
    Route,
    TextContent,
)
from tests.support.channels import LiveProbe, ScriptedChannel, message
from tests.support.kits import open_kit, texts_of, whole_timeline


def sms_from(sender: str, text: str = "hi", **fields: Any) -> Any:
    """A text message on the shared number."""
    return message(text, channel_id="sms", sender_id=sender, **fields)


async def test_t1_strangers_on_one_number_never_share_a_room_however_many_rooms_it_serves() -> None:
    async with open_kit(ScriptedChannel("sms")) as kit:
        rooms = {}
        for text in ("one", "two"):
            for sender in ("+1", "+2", "+3"):
                result = await kit.process_inbound(sms_from(sender, text))
                assert rooms.setdefault(sender, result.event.room_id) == result.event.room_id

        assert len(set(rooms.values())) == 3
        for room_id in rooms.values():
            assert await texts_of(kit, room_id) == ["one", "two"]


async def test_t1_a_thread_is_a_conversation_of_its_own() -> None:
    async with open_kit(ScriptedChannel("sms")) as kit:
        found = [await kit.process_inbound(sms_from(who, thread_id=thread)) for who, thread in ["ab", "cb", "ad"]]

        one, same, other = (result.event.room_id for result in found)
        assert one == same != other


async def test_t3_making_a_room_that_exists_changes_nothing() -> None:
    async with open_kit(LiveProbe()) as kit:
        await kit.process_inbound(message(), room_id="room")
        before = await kit.get_room("room")

        with pytest.raises(RoomExistsError):
            await kit.create_room("room", {"new": True})
        again = await kit.create_room("room", {"new": True}, exist_ok=True)

        assert again == before == await kit.get_room("room")
        assert await texts_of(kit, "room") == ["hi"]


async def test_t4_a_redelivery_to_another_room_is_answered_with_the_first_result() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await kit.create_room("first")
        await kit.attach_channel("first", "sms")
        first = await kit.process_inbound(message(provider_message_id="id 1"), room_id="first")

        again = await kit.process_inbound(message("changed", provider_message_id="id 1"), room_id="second")

        assert (again.event, again.blocked) == (first.event, False)
        assert not await kit.store.room_exists("second")
        assert sms.texts == ["hi"]


async def test_t4_ids_of_two_senders_and_of_two_channels_are_not_the_same_key() -> None:
    async with open_kit(LiveProbe(), LiveProbe("door")) as kit:
        for channel_id in ("live", "door"):
            for sender in ("ann", "bob"):
                incoming = message(sender, channel_id=channel_id, sender_id=sender, idempotency_key="1")
                await kit.process_inbound(incoming, room_id="room")

        assert await texts_of(kit, "room") == ["ann", "bob", "ann", "bob"]


async def test_t4_a_verdict_about_a_key_is_the_only_one() -> None:
    async with open_kit(LiveProbe()) as kit:
        await kit.process_inbound(message("first"), room_id="room")
        for undo, cause, reason in (
            (kit.unmute, kit.mute, "source_muted"),
            (kit.attach_channel, kit.detach_channel, "channel_detached"),
        ):
            incoming = message("verdict", idempotency_key=reason)
            await cause("room", "live")
            refused = await kit.process_inbound(incoming, room_id="room")
            await undo("room", "live")

            again = await kit.process_inbound(incoming, room_id="room")

            assert (refused.reason, again.reason, again.event) == (reason, reason, refused.event)
        assert await texts_of(kit, "room") == ["first", "verdict"]


async def test_t4_keys_outlive_their_room() -> None:
    async with open_kit(LiveProbe()) as kit:
        await kit.process_inbound(message(idempotency_key="1"), room_id="room")
        await kit.send_event("room", "live", TextContent(body="x"), idempotency_key="1")
        await kit.delete_room("room")

        again = await kit.process_inbound(message(idempotency_key="1"), room_id="room")

        assert (again.blocked, again.reason, again.event) == (True, "deleted", None)
        assert not await kit.store.room_exists("room")
        await kit.process_inbound(message(), room_id="room")
        with pytest.raises(DuplicateError):
            await kit.send_event("room", "live", TextContent(body="x"), idempotency_key="1")


async def test_t4_a_send_with_a_key_says_the_same_again_whatever_has_become_of_its_channel() -> None:
    async with open_kit(LiveProbe()) as kit:
        await kit.process_inbound(message(), room_id="room")
        first = await kit.send_event("room", "live", TextContent(body="once"), idempotency_key="1")
        await kit.detach_channel("room", "live")
        await kit.close_room("room")

        assert await kit.send_event("room", "live", TextContent(body="once"), idempotency_key="1") == first


async def test_t4_a_send_that_a_closed_room_refused_is_refused_again_in_the_same_way() -> None:
    async with open_kit(LiveProbe()) as kit:
        await kit.process_inbound(message(), room_id="room")
        await kit.close_room("room")

        for _ in range(2):
            with pytest.raises(RoomClosedError):
                await kit.send_event("room", "live", TextContent(body="x"), idempotency_key="1")


async def test_after_its_room_was_closed_a_conversation_goes_on_in_a_new_one() -> None:
    async with open_kit(ScriptedChannel("sms")) as kit:
        first = await kit.process_inbound(sms_from("+1"))
        await kit.close_room(first.event.room_id)

        second = await kit.process_inbound(sms_from("+1"))

        assert second.event is not None
        assert second.event.room_id != first.event.room_id
        assert (await kit.get_room(first.event.room_id)).status is RoomStatus.CLOSED


@pytest.mark.parametrize("how", ["a message that names it", "an attached route"])
async def test_a_closed_room_takes_no_conversation(how: str) -> None:
    async with open_kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        await kit.process_inbound(message(), room_id="closed")
        await kit.close_room("closed")
        before = await kit.list_bindings("closed")
        if how == "an attached route":
            await kit.attach_channel("closed", "sms", route=Route(address="+1", participant_id="+1"))
        else:
            refused = await kit.process_inbound(sms_from("+1"), room_id="closed")
            assert (refused.reason, refused.event) == ("room_closed", None)
            assert await kit.list_bindings("closed") == before

        result = await kit.process_inbound(sms_from("+1"))

        assert (result.blocked, result.event is not None) == (False, True)
        assert result.event.room_id != "closed"


async def test_a_conversation_belongs_to_one_room_unless_it_is_taken_over() -> None:
    async with open_kit(ScriptedChannel("sms")) as kit:
        first = await kit.process_inbound(sms_from("+1"))
        await kit.create_room("desk")
        route = Route(address="+1", participant_id="+1")
        with pytest.raises(ConversationTakenError) as taken:
            await kit.attach_channel("desk", "sms", route=route)
        assert taken.value.room_id == first.event.room_id
        assert await kit.list_bindings("desk") == []

        await kit.attach_channel("desk", "sms", route=route, takeover=True)

        assert (await kit.process_inbound(sms_from("+1"))).event.room_id == "desk"


async def test_a_room_that_a_message_names_wins_and_its_conversation_stays_where_it_is() -> None:
    async with open_kit(ScriptedChannel("sms")) as kit:
        home = (await kit.process_inbound(sms_from("+1"))).event.room_id

        elsewhere = await kit.process_inbound(sms_from("+1"), room_id="elsewhere")

        assert elsewhere.event.room_id == "elsewhere"
        assert (await kit.process_inbound(sms_from("+1"))).event.room_id == home


async def test_a_message_does_not_bring_back_a_channel_that_was_detached_on_purpose() -> None:
    async with open_kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        room_id = (await kit.process_inbound(sms_from("+1"))).event.room_id
        await kit.detach_channel(room_id, "sms")

        named = await kit.process_inbound(sms_from("+1"), room_id=room_id)
        routed = await kit.process_inbound(sms_from("+1"))

        assert (named.reason, await kit.list_bindings(room_id)) == ("channel_detached", [])
        assert routed.event.room_id != room_id


async def test_t29_indexes_begin_at_zero_and_blocked_events_have_their_own() -> None:
    async with open_kit(LiveProbe()) as kit:
        first = await kit.process_inbound(message("one"), room_id="room")
        await kit.mute("room", "live")
        blocked = await kit.process_inbound(message("muted"), room_id="room")
        await kit.unmute("room", "live")
        last = await kit.process_inbound(message("two"), room_id="room")

        assert [event.index for event in await whole_timeline(kit, "room")] == list(range(6))
        results = [(result.event.index, result.blocked) for result in (first, blocked, last)]
        assert results == [(1, False), (3, True), (5, False)]


@pytest.mark.parametrize("room_id", ["", "a room", "a,b", "all", "internal", "room\n", "x" * 129])
async def test_an_id_that_cannot_be_used_is_refused_by_whatever_would_make_the_room(room_id: str) -> None:
    async with open_kit(LiveProbe()) as kit:
        with pytest.raises(ValueError, match="not usable"):
            await kit.create_room(room_id)
        with pytest.raises(ValueError, match="not usable"):
            await kit.process_inbound(message(), room_id=room_id)

        assert await kit.store.list_rooms() == []


async def test_a_room_that_a_message_names_takes_a_conversation_that_has_become_free() -> None:
    async with open_kit(ScriptedChannel("sms")) as kit:
        await kit.process_inbound(sms_from("+1"), room_id="first")
        await kit.process_inbound(sms_from("+1"), room_id="second")
        assert (await kit.process_inbound(sms_from("+1"))).event.room_id == "first"

        await kit.close_room("first")
        await kit.process_inbound(sms_from("+1"), room_id="second")
        assert (await kit.process_inbound(sms_from("+1"))).event.room_id == "second"
