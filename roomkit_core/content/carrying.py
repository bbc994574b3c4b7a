"""Whether a channel carries a piece of content as it is; and why not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from roomkit_core.models.channel import ChannelCapabilities
from roomkit_core.models.content import (
    AudioContent,
    DeleteContent,
    EditContent,
    LocationContent,
    MediaContent,
    RichContent,
    TemplateContent,
    TextContent,
    VideoContent,
)
from roomkit_core.models.kinds import ChannelMediaType

_FORMS: dict[type, ChannelMediaType] = {
    TextContent: ChannelMediaType.TEXT,
    RichContent: ChannelMediaType.RICH,
    MediaContent: ChannelMediaType.MEDIA,
    AudioContent: ChannelMediaType.AUDIO,
    VideoContent: ChannelMediaType.VIDEO,
    LocationContent: ChannelMediaType.LOCATION,
    TemplateContent: ChannelMediaType.TEMPLATE,
}

_NAME = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}", re.ASCII)  # anything else is a sender's text, not for reports


def obstacle(content: Any, able: ChannelCapabilities) -> str | None:
    """Why the channel does not carry this content as it is; None if it does.

    Args:
        content: Anything but a composite.
        able: What the channel can do.
    """
    if type(content) is EditContent:
        return None if able.supports_edit else "the channel has no edits"
    if type(content) is DeleteContent:
        return None if able.supports_delete else "the channel has no deletions"
    form = _FORMS.get(type(content))
    if form is None or form not in able.media_types:
        return f"the channel does not carry {content.type}"
    if type(content) is MediaContent:
        return _file(content, able)
    if type(content) is AudioContent:
        sorts, longest = able.supported_audio_formats, able.max_audio_duration_seconds
        return _sort(content.mime_type, sorts) or _length(content.duration_seconds, longest)
    if type(content) is VideoContent:
        sorts, longest = able.supported_video_formats, able.max_video_duration_seconds
        return _sort(content.mime_type, sorts) or _length(content.duration_seconds, longest)
    return None


def _file(content: MediaContent, able: ChannelCapabilities) -> str | None:
    most = able.max_media_size_bytes
    if most is not None and content.size_bytes is not None and content.size_bytes > most:
        return f"it has {content.size_bytes} bytes and the channel takes {most}"
    return _sort(content.mime_type, able.supported_media_types)


def _sort(mime_type: str, sorts: Sequence[str]) -> str | None:
    """``image/*`` stands for all of its kind, and a name without a slash for the second half."""
    whole = mime_type.partition(";")[0].strip().lower()
    kind, _, name = whole.partition("/")
    if not sorts or any(sort.lower() in (whole, f"{kind}/*", name, "*/*") for sort in sorts):
        return None
    return f"the channel takes no {whole if _NAME.fullmatch(whole) else 'files of this kind'}"


def _length(seconds: float | None, longest: float | None) -> str | None:
    if seconds is None or longest is None or seconds <= longest:
        return None
    return f"it lasts {seconds:g} s and the channel takes {longest:g} s"
