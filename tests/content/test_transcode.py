"""From content to parts: what a channel carries stays, the rest becomes text, and nothing goes without being told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomkit_core import (
    AudioContent,
    ChannelCapabilities,
    ChannelMediaType,
    CompositeContent,
    CustomContent,
    DeleteContent,
    EditContent,
    LocationContent,
    MediaContent,
    RichContent,
    SystemContent,
    TemplateContent,
    TextContent,
    UnsupportedError,
    VideoContent,
)
from roomkit_core.content.transcode import transcode
from roomkit_core.models.base import evolve

TEXT, RICH, MEDIA = ChannelMediaType.TEXT, ChannelMediaType.RICH, ChannelMediaType.MEDIA
AUDIO, VIDEO = ChannelMediaType.AUDIO, ChannelMediaType.VIDEO

PICTURE = MediaContent(url="https://example.org/cat.png", mime_type="image/png", size_bytes=2_000)
SAMPLES = {
    "text": (TextContent(body="hi"), "hi"),
    "markdown": (RichContent(body="**hi**"), "**hi**"),
    "plain": (RichContent(body="**hi**", plain_text="hi"), "hi"),
    "html": (RichContent(body="<p>a <b>b</b></p><script>x</script><p>c&amp;d</p>", format="html"), "a b\nc&d"),
    "link": (
        RichContent(body='see <a href="https://example.org/a">the page</a>', format="html"),
        "see the page (https://example.org/a)",
    ),
    "list": (RichContent(body="<ul><li>one<li>two</ul>", format="html"), "- one\n- two"),
    "buttons": (
        RichContent(
            body="Tea?",
            buttons=[{"label": "Yes", "id": "y"}, {"title": "Shop", "url": "https://example.org"}],
            cards=[{"title": "Green", "subtitle": "1 euro", "buttons": [{"text": "Take it"}]}],
            quick_replies=["later"],
        ),
        "Tea?\nGreen\n1 euro\n- Take it\n- Yes\n- Shop: https://example.org\n- later",
    ),
    "empty plain": (RichContent(body="*hi*", plain_text=""), "*hi*"),
    "odd buttons": (
        RichContent(body="Tea?", buttons=[{"payload": "y"}, {"label": "Go", "url": "data:text/html,x"}]),
        "Tea?\n- Go",
    ),
    "odd card": (
        RichContent(body="Tea", cards=[{"header": {"type": "image"}, "title": "Green", "url": "https://example.org"}]),
        "Tea\nGreen: https://example.org",
    ),
    "card picture": (RichContent(body="Tea", cards=[{"image_url": "https://a.b/c"}]), "Tea\n[Media: https://a.b/c]"),
    "picture": (PICTURE, "[Media: https://example.org/cat.png]"),
    "caption": (PICTURE.model_copy(update={"caption": "a cat"}), "[Media: a cat] https://example.org/cat.png"),
    "inline": (MediaContent(url="data:image/png;base64,AA", mime_type="image/png"), "[Media: image/png]"),
    "voice": (AudioContent(url="https://example.org/v.ogg"), "[Voice message: https://example.org/v.ogg]"),
    "transcript": (AudioContent(url="https://example.org/v.ogg", transcript="hello"), "hello"),
    "film": (VideoContent(url="https://example.org/v.mp4"), "[Video: https://example.org/v.mp4]"),
    "exact place": (
        LocationContent(latitude=50.123456, longitude=-122.0840951),
        "[Location: (50.123456, -122.084095)]",
    ),
    "place": (LocationContent(latitude=50.25, longitude=-7, label="Home"), "[Location: Home (50.25, -7)]"),
    "template": (TemplateContent(template_id="t", body="Hi {{name}}", parameters={"name": "Ann"}), "Hi Ann"),
    "parameters": (
        TemplateContent(template_id="t", body="{{a}} {{ b }}", parameters={"a": "{{b}}", "b": "{{a}}"}),
        "{{b}} {{a}}",
    ),
    "template id": (TemplateContent(template_id="t"), "[Template: t]"),
    "edit": (EditContent(target_event_id="e", new_content=TextContent(body="hi")), "Correction: hi"),
    "delete": (DeleteContent(target_event_id="e"), "[Message deleted]"),
    "system": (SystemContent(body="Ann joined", code="joined"), "Ann joined"),
}


def able(*forms: ChannelMediaType, **fields: Any) -> ChannelCapabilities:
    return ChannelCapabilities(media_types=list(forms or (TEXT,)), **fields)


def told(loss: tuple[Any, ...]) -> list[tuple[str, str, str]]:
    return [(piece.path, piece.kind, piece.outcome) for piece in loss]


@pytest.mark.parametrize(("content", "text"), SAMPLES.values(), ids=SAMPLES)
def test_a_channel_of_text_gets_each_kind_as_text_and_is_told_what_that_cost(content: Any, text: str) -> None:
    made = transcode(content, able())

    assert made.parts == (TextContent(body=text),)
    assert told(made.loss) == ([] if content.type == "text" else [("", content.type, "converted")])


@pytest.mark.parametrize(("content", "text"), SAMPLES.values(), ids=SAMPLES)
def test_a_channel_that_carries_all_of_it_gets_it_as_it_is(content: Any, text: str) -> None:
    everything = able(
        *(TEXT, RICH, MEDIA, AUDIO, VIDEO, ChannelMediaType.LOCATION, ChannelMediaType.TEMPLATE),
        **dict.fromkeys(
            ("supports_edit", "supports_delete", "supports_buttons", "supports_cards", "supports_quick_replies"), True
        ),
    )

    made = transcode(content, everything)

    if content.type != "system":  # no channel has a form for it but text
        assert (made.parts, made.loss) == ((content,), ())


@pytest.mark.parametrize(
    ("content", "limits", "note"),
    [
        (PICTURE, {"max_media_size_bytes": 1_999}, "it has 2000 bytes and the channel takes 1999"),
        (PICTURE, {"supported_media_types": ["image/jpeg", "video/*"]}, "the channel takes no image/png"),
        (
            AudioContent(url="https://example.org/v", duration_seconds=61),
            {"max_audio_duration_seconds": 60},
            "it lasts 61 s and the channel takes 60 s",
        ),
        (VideoContent(url="https://example.org/v"), {"supported_video_formats": ["webm"]}, "takes no video/mp4"),
    ],
)
def test_what_is_beyond_the_limits_of_a_channel_becomes_a_text_with_its_address(
    content: Any, limits: dict[str, Any], note: str
) -> None:
    made = transcode(content, able(TEXT, MEDIA, AUDIO, VIDEO, **limits))

    assert content.url in made.parts[0].body
    assert note in made.loss[0].note


@pytest.mark.parametrize("sort", ["image/png", "image/*", "PNG", "*/*"])
def test_a_sort_of_file_is_named_in_several_ways(sort: str) -> None:
    assert transcode(PICTURE, able(TEXT, MEDIA, supported_media_types=[sort])).parts == (PICTURE,)


def test_the_pieces_of_a_message_keep_their_order_and_texts_in_a_row_are_one_part() -> None:
    place = LocationContent(latitude=1, longitude=2)
    pieces = [TextContent(body="a", language="en"), RichContent(body="b"), PICTURE, place, CustomContent(type="poll")]

    made = transcode(CompositeContent(parts=[CompositeContent(parts=pieces[:2]), *pieces[2:]]), able(TEXT, MEDIA))

    assert made.parts == (
        TextContent(body="a\nb", language="en"),
        PICTURE,
        TextContent(body="[Location: (1, 2)]"),
    )
    assert told(made.loss) == [
        ("/parts/0/parts/0", "text", "kept"),
        ("/parts/0/parts/1", "rich", "converted"),
        ("/parts/1", "media", "kept"),
        ("/parts/2", "location", "converted"),
        ("/parts/3", "poll", "dropped"),
    ]


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (
            TemplateContent(template_id="t", body="Hi {{1}}, {{2}}", parameters={"2": "Ann"}),
            "the values of 1 of its places",
        ),
        (EditContent(target_event_id="e", new_content=SAMPLES["inline"][0]), "the file, which has no address"),
        (EditContent(target_event_id="e", new_content=CustomContent(type="poll")), "what it says now"),
        (
            EditContent(target_event_id="e", new_content=CompositeContent(parts=[PICTURE, CustomContent(type="poll")])),
            "a part",
        ),
        (SAMPLES["odd buttons"][0], "what a button has no text for"),
        (RichContent(body="Tea", cards=[{"rating": 5}]), "what a card has no text for"),
    ],
)
def test_what_a_text_does_not_say_is_told(content: Any, missing: str) -> None:
    assert missing in transcode(content, able()).loss[0].note


def test_what_a_sender_called_its_file_does_not_get_into_the_report() -> None:
    odd = PICTURE.model_copy(update={"mime_type": "image/\x1b[2J" + "x" * 1_000})

    made = transcode(odd, able(TEXT, MEDIA, supported_media_types=["image/png"]))

    assert made.loss[0].note == "the channel takes no files of this kind: sent as text"


def test_a_thousand_texts_are_put_together_once(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = 0

    def counted(model: Any, **changes: Any) -> Any:
        nonlocal copied
        copied += len(changes.get("body", ""))
        return evolve(model, **changes)

    monkeypatch.setattr("roomkit_core.content.transcode.evolve", counted)

    [part] = transcode(CompositeContent(parts=[TextContent(body="a")] * 1_000), able()).parts

    assert part.body == "\n".join("a" * 1_000)
    assert copied <= len(part.body)


@pytest.mark.parametrize("within", [lambda inner: inner, lambda inner: CompositeContent(parts=[inner])])
def test_edits_of_edits_end_before_they_are_too_deep_to_be_read(within: Any) -> None:
    def edited(times: int) -> Any:
        content: Any = edited(times - 1) if times > 1 else TextContent(body="hi")
        return EditContent(target_event_id="e", new_content=within(content))

    assert edited(2)
    with pytest.raises(ValueError, match="nested deeper than 5"):
        edited(6)


def test_what_is_written_below_says_what_it_does_not_say() -> None:
    content = RichContent(body="Tea?", buttons=[{"payload": "y"}], cards=[{"title": "Green"}])

    made = transcode(content, able(TEXT, RICH))

    assert [piece.note for piece in made.loss[1:]] == [
        "the channel has no buttons: written below the text; without what a button has no text for",
        "the channel has no cards: written below the text",
    ]


def test_texts_of_two_languages_stay_apart() -> None:
    texts = [TextContent(body="yes", language="en"), TextContent(body="ja", language="de")]

    assert transcode(CompositeContent(parts=texts), able()).parts == tuple(texts)


def test_buttons_that_a_channel_has_no_room_for_are_written_below() -> None:
    labels = [{"label": "<one>"}, {"label": "two"}, {"label": "<three>"}]
    content = RichContent(body="<p>Tea?</p>", format="html", plain_text="Tea?", buttons=labels, quick_replies=["no"])

    made = transcode(content, able(TEXT, RICH, supports_buttons=True, max_buttons=1))

    [part] = made.parts
    assert (part.buttons, part.quick_replies) == (labels[:1], [])
    assert part.body == "<p>Tea?</p><ul><li>two</li><li>&lt;three&gt;</li><li>no</li></ul>"
    assert part.plain_text == "Tea?\n- two\n- <three>\n- no"
    assert [(piece.path, piece.outcome) for piece in made.loss] == [
        ("", "kept"),
        ("/buttons", "converted"),
        ("/quick_replies", "converted"),
    ]


def test_an_edit_is_made_of_what_the_channel_carries() -> None:
    edit = EditContent(target_event_id="e", new_content=RichContent(body="*hi*", plain_text="hi"))
    two = EditContent(target_event_id="e", new_content=CompositeContent(parts=[TextContent(body="hi"), PICTURE]))
    channel = able(TEXT, MEDIA, supports_edit=True)

    made, parted = transcode(edit, channel), transcode(two, channel)

    assert made.parts == (EditContent(target_event_id="e", new_content=TextContent(body="hi")),)
    assert told(made.loss) == [("", "edit", "kept"), ("/new_content", "rich", "converted")]
    assert parted.parts == (TextContent(body="Correction: hi\n[Media: https://example.org/cat.png]"),)


@pytest.mark.parametrize(
    ("content", "channel"),
    [
        (CustomContent(type="poll"), able()),
        (CompositeContent(parts=[CustomContent(type="poll")]), able()),
        (TextContent(body="hi"), able(MEDIA)),
        (RichContent(body="<script>x</script>", format="html"), able()),
    ],
)
def test_what_can_become_nothing_is_refused_with_the_reason(content: Any, channel: ChannelCapabilities) -> None:
    with pytest.raises(UnsupportedError, match=f"cannot carry {content.type} content: the channel does not") as caught:
        transcode(content, channel)

    assert caught.value.code == "content.unsupported"


@pytest.mark.parametrize(
    "content",
    [
        TextContent(body="123456"),
        EditContent(target_event_id="e", new_content=TextContent(body="123456")),
        CompositeContent(parts=[TextContent(body="123"), TextContent(body="45")]),
    ],
)
def test_a_text_that_is_too_long_is_refused(content: Any) -> None:
    with pytest.raises(UnsupportedError, match="has 6 characters and channel 'sms' takes 5") as caught:
        transcode(content, able(max_length=5, supports_edit=True), "channel 'sms'")

    assert caught.value.code == "content.too_long"


@given(st.text())
def test_any_text_is_html_that_can_be_read(html: str) -> None:
    made = [RichContent(body=html, format="html"), TextContent(body="below")]

    [part] = transcode(CompositeContent(parts=made), able()).parts

    assert part.body.endswith("below")


@given(
    st.recursive(
        st.sampled_from([content for content, _ in SAMPLES.values()]),
        lambda inner: st.lists(inner, min_size=1, max_size=3),
        max_leaves=6,
    ),
    st.sets(st.sampled_from([TEXT, RICH, MEDIA, AUDIO, VIDEO])),
)
def test_whatever_is_said_each_piece_is_in_the_report_once_or_all_of_it_is_kept(
    pieces: Any, forms: set[ChannelMediaType]
) -> None:
    def made_of(value: Any, depth: int = 0) -> Any:
        if not isinstance(value, list):
            return value
        parts = [made_of(item, depth + 1) for item in value]
        return CompositeContent(parts=parts) if depth < 4 else parts[0]

    def leaves(content: Any) -> int:
        return sum(map(leaves, content.parts)) if isinstance(content, CompositeContent) else 1

    content = made_of(pieces)
    try:
        made = transcode(content, able(*forms) if forms else ChannelCapabilities(media_types=[]))
    except UnsupportedError:
        assert TEXT not in forms
        return
    assert made.parts
    if made.loss:
        paths = [piece.path for piece in made.loss if piece.path.rpartition("/")[2].isdigit() or not piece.path]
        assert len(paths) == len(set(paths)) == leaves(content)
        assert any(piece.outcome != "kept" for piece in made.loss)
