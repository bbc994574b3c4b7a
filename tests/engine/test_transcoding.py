"""What a channel cannot carry reaches it as text; the result, the row and the story tell what became of each piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roomkit_core import (
    ChannelCapabilities,
    ChannelMediaType,
    CompositeContent,
    ConversationStore,
    CustomContent,
    InMemoryStore,
    MediaContent,
    TextContent,
)
from roomkit_core.builtin.sqlite.store import SQLiteStore
from tests.support.channels import LiveProbe, ScriptedChannel, message
from tests.support.kits import make_room, open_kit, rows_of

pytestmark = pytest.mark.anyio

PICTURE = MediaContent(url="https://example.org/cat.png", mime_type="image/png", caption="a cat")
MIXED = CompositeContent(parts=[TextContent(body="look"), PICTURE, CustomContent(type="poll")])


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ConversationStore:
    return InMemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "room.db")


class Pictures(ScriptedChannel):
    def capabilities(self) -> ChannelCapabilities:
        return ChannelCapabilities(media_types=[ChannelMediaType.TEXT, ChannelMediaType.MEDIA])


def told(loss: Any) -> list[tuple[str, str, str]]:
    return [(piece.path, piece.kind, piece.outcome) for piece in loss]


async def test_t14_what_becomes_of_each_piece_is_in_the_result_the_row_and_the_story(store: ConversationStore) -> None:
    sms, phone = ScriptedChannel("sms"), Pictures("phone")
    async with open_kit(LiveProbe(), sms, phone, store=store) as kit:
        await make_room(kit, "room", "live", sms, phone)

        said = await kit.process_inbound(message().model_copy(update={"content": MIXED}), room_id="room")

        assert sms.texts == ["look\n[Media: a cat] https://example.org/cat.png"]
        assert [delivery.part for delivery in phone.sent] == [TextContent(body="look"), PICTURE]
        expected = [
            ("/parts/0", "text", "kept"),
            ("/parts/1", "media", "converted"),
            ("/parts/2", "poll", "dropped"),
        ]
        assert told(said.delivery_results["sms"].loss) == expected
        assert [outcome for *_, outcome in told(said.delivery_results["phone"].loss)] == ["kept", "kept", "dropped"]
        [row] = await rows_of(kit, "room", "sms")
        assert told((await kit.deliveries.get(row.id)).loss) == expected
        story = str(await kit.deliveries.why(row.id))
        assert "media /parts/1 converted: the channel does not carry media: sent as text" in story
        assert "poll /parts/2 dropped: the channel does not carry poll, and there is no text for it" in story


class Short(ScriptedChannel):
    def capabilities(self) -> ChannelCapabilities:
        return ChannelCapabilities(max_length=5)


@pytest.mark.parametrize("channel", [ScriptedChannel("sms"), Short("sms")], ids=["any length", "a longest text"])
async def test_a_text_that_fits_is_not_transcoded(channel: ScriptedChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    def transcode(*_: Any) -> Any:
        raise AssertionError("work for nothing")

    monkeypatch.setattr("roomkit_core.content.transcode.transcode", transcode)

    assert channel.render(TextContent(body="plain")).parts == (TextContent(body="plain"),)


async def test_a_channel_that_carries_everything_has_no_report(store: ConversationStore) -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms, store=store) as kit:
        await make_room(kit, "room", "live", sms)

        said = await kit.process_inbound(message("plain"), room_id="room")

        assert said.delivery_results["sms"].loss == []
        [row] = await rows_of(kit, "room", "sms")
        assert row.loss == ()


async def test_a_retry_sends_what_was_made_and_tells_the_same(store: ConversationStore) -> None:
    sms = ScriptedChannel("sms", "fail")
    async with open_kit(LiveProbe(), sms, store=store) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message().model_copy(update={"content": PICTURE}), room_id="room")
        [first] = await rows_of(kit, "room", "sms")
        sms.behave = "send"

        await kit.deliveries.retry(first.id)
        await kit.idle()

        again = (await rows_of(kit, "room", "sms"))[-1]
        assert again.retry_of == first.id
        assert again.loss == first.loss != ()
        assert sms.texts[-1] == "[Media: a cat] https://example.org/cat.png"
