"""Formatted text with more in it than a channel has forms for."""

from __future__ import annotations

from html import escape
from typing import Any

from roomkit_core.content.fallbacks import extras, unsaid
from roomkit_core.models.base import evolve, freeze
from roomkit_core.models.channel import ChannelCapabilities
from roomkit_core.models.content import RichContent

_NO_EXTRAS: dict[str, Any] = dict.fromkeys(("buttons", "cards", "quick_replies"), freeze([]))


def fit_rich(content: RichContent, able: ChannelCapabilities) -> tuple[RichContent, dict[str, str]]:
    """The content with what the channel has no form for written below its text.

    Returns:
        The content, and for each field that lost something the reason why.
    """
    most = able.max_buttons if able.supports_buttons else 0
    limits = {
        "buttons": len(content.buttons) if most is None else most,
        "cards": len(content.cards) if able.supports_cards else 0,
        "quick_replies": len(content.quick_replies) if able.supports_quick_replies else 0,
    }
    below: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for name, limit in limits.items():
        everything = getattr(content, name)
        kept[name], below[name] = freeze(list(everything[:limit])), freeze(list(everything[limit:]))
        if below[name]:
            why = f"the channel takes {limit} of {len(everything)}" if limit else f"the channel has no {name}"
            lost = unsaid(evolve(content, **_NO_EXTRAS | {name: below[name]}))
            reasons[name] = f"{why}: written below the text" + (f"; without {lost}" if lost else "")
    if not reasons:
        return content, {}
    lines = list(extras(evolve(content, **below)))
    return evolve(content, **kept, **_written_below(content, lines)), reasons


def _written_below(content: RichContent, lines: list[str]) -> dict[str, Any]:
    plain = None if content.plain_text is None else "\n".join([content.plain_text, *lines])
    if content.format == "html":
        items = "".join(f"<li>{escape(line.removeprefix('- '), quote=False)}</li>" for line in lines)
        return {"body": f"{content.body}<ul>{items}</ul>", "plain_text": plain}
    return {"body": "\n".join([content.body, "", *lines]), "plain_text": plain}
