"""What was said, as lines for a terminal. Other people's text cannot steer the terminal or pass for somebody else's."""

from __future__ import annotations

import unicodedata
from typing import Any

from roomkit_core.models.content import TextContent
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.kinds import EventType

SYMBOLS = 0x2400
"""Where Unicode has pictures of the control characters, in their order."""

INDENT = "  "


def harmless(text: str) -> str:
    """The text with every character that steers a terminal, or turns the order of what is read, made visible."""
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return character
    code = ord(character)
    if character == "\u200d":  # joins the parts of an emoji
        return character
    if code < 0x20:
        return chr(SYMBOLS + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"


def line_of(event: RoomEvent, reason: str | None = None) -> str | None:
    """Who says what; None for what is only bookkeeping. A text of several lines is indented below its first."""
    if event.type == EventType.DELETE:
        return "* a message was deleted"
    if event.type != EventType.MESSAGE:
        return None
    text = harmless(words_of(event.content)).replace("\n", f"\n{INDENT}")
    blocked = event.status is EventStatus.BLOCKED
    end = f"  [blocked: {harmless(reason or event.blocked_by or 'no reason given')}]" if blocked else ""
    return f"{speaker_of(event)}: {text}{end}"


def speaker_of(event: RoomEvent) -> str:
    """A name for whoever said it: the participant, or the channel."""
    name = event.source.participant_id or event.metadata.get("name") or event.source.channel_id
    return harmless(str(name)).replace("\n", " ")


def words_of(content: Any) -> str:
    """The text of a content; for other kinds the kind, and the text that goes with it."""
    if isinstance(content, TextContent):
        return content.body
    text = getattr(content, "body", None) or getattr(content, "plain_text", None) or getattr(content, "caption", None)
    return f"[{content.type}]" if not text else f"[{content.type}] {text}"
