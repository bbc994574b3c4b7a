"""The one path from content to the parts that a channel sends, with a report of each piece."""

from __future__ import annotations

from typing import Any

from roomkit_core.content.carrying import obstacle
from roomkit_core.content.fallbacks import as_text
from roomkit_core.content.rich import fit_rich
from roomkit_core.errors import UnsupportedError
from roomkit_core.models.base import evolve
from roomkit_core.models.channel import ChannelCapabilities
from roomkit_core.models.content import CompositeContent, EditContent, RichContent, TextContent
from roomkit_core.models.delivery import Loss, Rendering
from roomkit_core.models.kinds import ChannelMediaType


def transcode(content: Any, able: ChannelCapabilities, whose: str = "the channel") -> Rendering:
    """What a channel sends in place of a content. Pure.

    A piece that the channel carries stays as it is. Any other becomes text, and texts that follow each other become one
    part. What can become no text is dropped if something else is left, and refused otherwise.

    Args:
        content: What was said.
        able: What the channel can do.
        whose: How to call the channel in an error.

    Returns:
        The parts in the order of the pieces; and for each piece, if anything of the whole was converted or dropped,
        what became of it, by its path (``/parts/1``; empty for the content itself).

    Raises:
        UnsupportedError: Nothing of it can be carried (``content.unsupported``), or a text is longer than the channel
            takes (``content.too_long``).
    """
    work = _Transcoding(able)
    work.take(content, "")
    work.finish()
    if not work.parts:
        notes = "; ".join(dict.fromkeys(loss.note for loss in work.loss))
        raise UnsupportedError(f"{whose} cannot carry {content.type} content: {notes}", code="content.unsupported")
    for part in work.parts:
        _check_length(part, able, whose)
    is_whole = all(loss.outcome == "kept" for loss in work.loss)
    return Rendering(tuple(work.parts), () if is_whole else tuple(work.loss))


def _check_length(part: Any, able: ChannelCapabilities, whose: str) -> None:
    text = part.new_content if type(part) is EditContent else part
    if able.max_length is not None and type(text) is TextContent and len(text.body) > able.max_length:
        raise UnsupportedError(
            f"the text has {len(text.body)} characters and {whose} takes {able.max_length}", code="content.too_long"
        )


def _speak_alike(one: TextContent, other: TextContent) -> bool:
    return one.language is None or other.language is None or one.language == other.language


class _Transcoding:
    def __init__(self, able: ChannelCapabilities) -> None:
        self.parts: list[Any] = []
        self.loss: list[Loss] = []
        self._able = able
        self._texts: list[str] = []

    def take(self, content: Any, path: str) -> None:
        if type(content) is CompositeContent:
            for number, part in enumerate(content.parts):
                self.take(part, f"{path}/parts/{number}")
            return
        reason = obstacle(content, self._able)
        if reason is not None:
            self._convert(content, path, reason)
        elif type(content) is RichContent:
            self._keep_rich(content, path)
        elif type(content) is EditContent:
            self._keep_edit(content, path)
        else:
            self._keep(content, path)

    def _keep(self, content: Any, path: str) -> None:
        self.loss.append(Loss(path=path, kind=content.type, outcome="kept"))
        self._add(content)

    def _add(self, part: Any) -> None:
        """Texts in a row are one message: nobody wants three for one."""
        last = self.parts[-1] if self.parts else None
        if type(part) is TextContent and type(last) is TextContent and _speak_alike(last, part):
            self._texts.append(part.body)
            if last.language is None and part.language is not None:
                self.parts[-1] = evolve(last, language=part.language)
            return
        self.finish()
        self.parts.append(part)
        self._texts = [part.body] if type(part) is TextContent else []

    def finish(self) -> None:
        """Put the texts in a row together, once: each time anew would cost the square of their number."""
        if len(self._texts) > 1:
            self.parts[-1] = evolve(self.parts[-1], body="\n".join(self._texts))
        self._texts = []

    def _convert(self, content: Any, path: str, reason: str) -> None:
        fallback = as_text(content) if ChannelMediaType.TEXT in self._able.media_types else None
        if fallback is None or not fallback.text:
            what = "there is no text for it" if fallback is None else "it says nothing as text"
            self.loss.append(Loss(path=path, kind=content.type, outcome="dropped", note=f"{reason}, and {what}"))
            return
        missing = f"; without {fallback.missing}" if fallback.missing else ""
        note = f"{reason}: sent as text{missing}"
        self.loss.append(Loss(path=path, kind=content.type, outcome="converted", note=note))
        self._add(TextContent(body=fallback.text))

    def _keep_rich(self, content: RichContent, path: str) -> None:
        fitting, reasons = fit_rich(content, self._able)
        self._keep(fitting, path)
        for name, reason in reasons.items():
            note = reason
            self.loss.append(Loss(path=f"{path}/{name}", kind=content.type, outcome="converted", note=note))

    def _keep_edit(self, content: EditContent, path: str) -> None:
        """An edit of one part; what takes several cannot be put in the place of one message."""
        inner = _Transcoding(self._able)
        inner.take(content.new_content, f"{path}/new_content")
        inner.finish()
        if len(inner.parts) != 1:
            self._convert(content, path, f"the new content has {len(inner.parts)} parts here")
            return
        self.loss += [Loss(path=path, kind=content.type, outcome="kept"), *inner.loss]
        self._add(evolve(content, new_content=inner.parts[0]))
