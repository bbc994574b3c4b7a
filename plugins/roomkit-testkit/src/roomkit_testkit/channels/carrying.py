"""What a channel says that it can carry, it carries; what it does not, it refuses or tells what was lost (T38)."""

from __future__ import annotations

from typing import Any, Final

import pytest

from roomkit_core import (
    AudioContent,
    Channel,
    ChannelMediaType,
    DeleteContent,
    EditContent,
    LocationContent,
    MediaContent,
    Rendering,
    RichContent,
    RoomKit,
    TemplateContent,
    TextContent,
    UnsupportedError,
    VideoContent,
)
from roomkit_testkit.channels.contract import ChannelContract
from roomkit_testkit.channels.provider import HTTPProvider

TEXT: Final = TextContent(body="hello")
CONTENTS: Final[dict[ChannelMediaType, Any]] = {
    ChannelMediaType.TEXT: TEXT,
    ChannelMediaType.RICH: RichContent(body="<b>hello</b>", format="html", plain_text="hello"),
    ChannelMediaType.MEDIA: MediaContent(url="https://example.org/x.png", mime_type="image/png", caption="hello"),
    ChannelMediaType.AUDIO: AudioContent(url="https://example.org/x.ogg", mime_type="audio/ogg"),
    ChannelMediaType.VIDEO: VideoContent(url="https://example.org/x.mp4", mime_type="video/mp4"),
    ChannelMediaType.LOCATION: LocationContent(latitude=1.5, longitude=2.5, label="here"),
    ChannelMediaType.TEMPLATE: TemplateContent(template_id="welcome", body="hello"),
}
EDIT: Final = EditContent(target_event_id="event", new_content=TEXT)
DELETE: Final = DeleteContent(target_event_id="event")


def rendered(channel: Channel, content: Any) -> Rendering | None:
    """What a channel makes of a content; None if it refuses."""
    try:
        return channel.render(content)
    except UnsupportedError:
        return None


class CarryingSuite(ChannelContract):
    """Capabilities, held to what is done."""

    def test_what_it_can_does_not_change_while_nobody_changes_it(self, channel: Channel) -> None:
        assert channel.capabilities() == channel.capabilities()

    @pytest.mark.parametrize("kind", list(CONTENTS))
    async def test_what_it_can_carry_is_sent_and_nothing_else_is_dropped_in_silence(
        self, kind: ChannelMediaType, kit: RoomKit, channel: Channel, provider: HTTPProvider
    ) -> None:
        made = rendered(channel, CONTENTS[kind])
        if kind not in channel.capabilities().media_types:
            assert made is None or made.loss, f"{kind} is not declared, and no loss is told"
            return
        assert made is not None, f"{kind} is declared and refused"
        assert made.parts == channel.render(CONTENTS[kind]).parts, "render is pure"
        for number in range(len(made.parts)):
            assert (await self.send(channel, CONTENTS[kind], part=number)).state == "sent"
        assert provider.requests

    @pytest.mark.parametrize(("able", "content"), [("supports_edit", EDIT), ("supports_delete", DELETE)])
    def test_edits_and_deletions_are_carried_or_refused_as_declared(
        self, able: str, content: Any, channel: Channel
    ) -> None:
        made = rendered(channel, content)

        if getattr(channel.capabilities(), able):
            assert made is not None
        else:
            assert made is None or made.loss

    async def test_the_longest_text_arrives_whole_and_a_longer_one_is_split_or_refused(
        self, kit: RoomKit, channel: Channel, provider: HTTPProvider
    ) -> None:
        length = channel.capabilities().max_length
        if length is None or ChannelMediaType.TEXT not in channel.capabilities().media_types:
            return
        longest = TextContent(body="Z" * length)
        assert len(channel.render(longest).parts) == 1
        assert (await self.send(channel, longest)).state == "sent"
        assert max(request.body.count(b"Z") for request in provider.requests) >= length

        made = rendered(channel, TextContent(body="Z" * (length + 1)))
        if made is not None:
            texts = [getattr(part, "body", "") for part in made.parts]
            assert max(map(len, texts)) <= length
            assert sum(text.count("Z") for text in texts) == length + 1 or made.loss
