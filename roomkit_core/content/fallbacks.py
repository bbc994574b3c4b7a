"""Each kind of content as text, for channels that carry nothing else of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from roomkit_core.content.markup import text_of_html
from roomkit_core.models.content import (
    AudioContent,
    CompositeContent,
    DeleteContent,
    EditContent,
    LocationContent,
    MediaContent,
    RichContent,
    SystemContent,
    TemplateContent,
    TextContent,
    VideoContent,
)


class Fallback(NamedTuple):
    """A text in place of a content, and what the text does not say."""

    text: str
    missing: str = ""


def as_text(content: Any) -> Fallback | None:
    """The content as text; None for kinds of which no text can be made."""
    make = _FALLBACKS.get(type(content))
    return None if make is None else make(content)


def extras(content: RichContent) -> Iterator[str]:
    """Cards, buttons and quick replies of a rich content, a line each."""
    for card in content.cards:
        lines = [_first(card, "title", "header"), _first(card, "subtitle", "text", "body", "description")]
        yield from filter(None, lines)
        yield from (f"- {_option(button)}" for button in _records(card.get("buttons")))
    yield from (f"- {_option(button)}" for button in content.buttons)
    yield from (f"- {reply}" for reply in content.quick_replies)


def _option(button: Mapping[str, Any]) -> str:
    label = _first(button, "label", "title", "text", "name", "id")
    address = _first(button, "url", "href")
    return f"{label}: {address}" if label and address else label or address


def _records(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list | tuple):
        yield from (record for record in value if isinstance(record, Mapping))


def _first(record: Mapping[str, Any], *names: str) -> str:
    return next((str(record[name]) for name in names if record.get(name)), "")


def _rich(content: RichContent) -> Fallback:
    text = content.plain_text
    if text is None:
        text = text_of_html(content.body) if content.format == "html" else content.body
    return Fallback("\n".join(filter(None, [text, *extras(content)])), "its formatting")


def _media(content: MediaContent) -> Fallback:
    label = content.caption or content.filename
    if not content.url.startswith("data:"):
        return Fallback(f"[Media: {label}] {content.url}" if label else f"[Media: {content.url}]")
    return Fallback(f"[Media: {label or content.mime_type}]", "the file, which has no address that could be shown")


def _audio(content: AudioContent) -> Fallback:
    if content.transcript:
        return Fallback(content.transcript, "the sound")
    return _linked("Voice message", content.url, "the sound")


def _video(content: VideoContent) -> Fallback:
    return _linked("Video", content.url, "the film")


def _linked(name: str, url: str, what: str) -> Fallback:
    if url.startswith("data:"):
        return Fallback(f"[{name}]", f"{what}, which has no address that could be shown")
    return Fallback(f"[{name}: {url}]")


def _location(content: LocationContent) -> Fallback:
    place = f"({content.latitude:g}, {content.longitude:g})"
    label = content.label or content.address
    both = f"{content.label}, {content.address}" if content.label and content.address else label
    return Fallback(f"[Location: {both} {place}]" if both else f"[Location: {place}]")


def _template(content: TemplateContent) -> Fallback:
    if content.body is None:
        return Fallback(f"[Template: {content.template_id}]", "its text, which only the provider has")
    text = content.body
    for name, value in content.parameters.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return Fallback(text)


def _edit(content: EditContent) -> Fallback:
    inner = as_text(content.new_content)
    missing = "which message it corrects"
    return Fallback("[Correction]" if inner is None else f"Correction: {inner.text}", missing)


def _composite(content: CompositeContent) -> Fallback:
    made = [as_text(part) for part in content.parts]
    missing = dict.fromkeys("a part" if one is None else one.missing for one in made)
    return Fallback("\n".join(one.text for one in made if one is not None), ", ".join(filter(None, missing)))


def _delete(content: DeleteContent) -> Fallback:
    return Fallback("[Message deleted]", "which message it was")


_FALLBACKS: Mapping[type, Any] = {
    TextContent: lambda content: Fallback(content.body),
    SystemContent: lambda content: Fallback(content.body),
    RichContent: _rich,
    MediaContent: _media,
    AudioContent: _audio,
    VideoContent: _video,
    LocationContent: _location,
    TemplateContent: _template,
    EditContent: _edit,
    DeleteContent: _delete,
    CompositeContent: _composite,
}
