"""Each kind of content as text, for channels that carry nothing else of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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

_PLACE = re.compile(r"\{\{([^{}]*+)\}\}")


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
        yield from _card(card)
        yield from _options(_records(card.get("buttons")))
    yield from _options(content.buttons)
    yield from (f"- {reply}" for reply in content.quick_replies)


def unsaid(content: RichContent) -> str:
    """Which of its cards and buttons no line says anything of, or not where they lead to; empty if there are none."""
    buttons = [*content.buttons, *(button for card in content.cards for button in _records(card.get("buttons")))]
    lost = {
        "what a card has no text for": any(not _card(card) for card in content.cards),
        "what a button has no text for": any(not _option(button) or _hides(button) for button in buttons),
    }
    return ", ".join(what for what, is_lost in lost.items() if is_lost)


def _card(card: Mapping[str, Any]) -> list[str]:
    title = _first(card, "title", "header")
    address, picture = _address(card, "url", "link", "href"), _address(card, "image_url", "image")
    lines = [
        f"{title}: {address}" if title and address else title or address,
        _first(card, "subtitle", "text", "body", "description"),
        f"[Media: {picture}]" if picture else "",
    ]
    return [line for line in lines if line]


def _options(buttons: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield from (f"- {option}" for option in map(_option, buttons) if option)


def _option(button: Mapping[str, Any]) -> str:
    label, address = _first(button, "label", "title", "text", "name", "id"), _address(button, "url", "href")
    return f"{label}: {address}" if label and address else label or address


def _hides(button: Mapping[str, Any]) -> bool:
    return bool(button.get("url") or button.get("href")) and not _address(button, "url", "href")


def _records(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list | tuple):
        yield from (record for record in value if isinstance(record, Mapping))


def _first(record: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that is something to read; no part of a structure is."""
    values = (record.get(name) for name in names)
    return next((str(value) for value in values if value and isinstance(value, str | int | float)), "")


def _address(record: Mapping[str, Any], *names: str) -> str:
    """An address that somebody can go to; the bytes of a file are none."""
    address = _first(record, *names)
    return "" if address.lower().startswith("data:") else address


def _rich(content: RichContent) -> Fallback:
    text = content.plain_text or (text_of_html(content.body) if content.format == "html" else content.body)
    missing = ", ".join(filter(None, ["its formatting", unsaid(content)]))
    return Fallback("\n".join(filter(None, [text, *extras(content)])), missing)


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
    place = f"({_degrees(content.latitude)}, {_degrees(content.longitude)})"
    label = content.label or content.address
    both = f"{content.label}, {content.address}" if content.label and content.address else label
    return Fallback(f"[Location: {both} {place}]" if both else f"[Location: {place}]")


def _degrees(value: float) -> str:
    """To a millionth: a tenth of a metre."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _template(content: TemplateContent) -> Fallback:
    if content.body is None:
        return Fallback(f"[Template: {content.template_id}]", "its text, which only the provider has")
    absent: set[str] = set()

    def value(place: re.Match[str]) -> str:
        name = place[1].strip()
        if name not in content.parameters:
            absent.add(name)
        return content.parameters.get(name, place[0])

    text = _PLACE.sub(value, content.body)  # in one pass: a value that looks like a place is a value
    return Fallback(text, f"the values of {len(absent)} of its places" if absent else "")


def _edit(content: EditContent) -> Fallback:
    inner = as_text(content.new_content)
    if inner is None or not inner.text:
        return Fallback("[Correction]", "which message it corrects, and what it says now")
    return Fallback(f"Correction: {inner.text}", ", ".join(filter(None, ["which message it corrects", inner.missing])))


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
