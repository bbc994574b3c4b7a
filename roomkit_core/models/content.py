"""Content: what a message says, as an open union discriminated by ``type``.

The known kinds are models of their own; any other valid name becomes :class:`CustomContent`, which keeps its data as it
came, so that content of a plugin survives the removal of the plugin.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from roomkit_core.models.base import EMPTY, Base, Data, freeze
from roomkit_core.models.enums import DeleteType


def _check_url(url: str) -> str:
    if not url.startswith(("http://", "https://", "data:")):
        raise ValueError("a URL must begin with http://, https:// or data:")
    return url


Url = Annotated[str, AfterValidator(_check_url)]
Strings = Annotated[list[str], AfterValidator(freeze)]
Records = Annotated[list[dict[str, Any]], AfterValidator(freeze)]


class TextContent(Base):
    """Plain text; ``language`` is a BCP 47 tag."""

    type: Literal["text"] = "text"
    body: str
    language: str | None = None


class RichContent(Base):
    """Formatted text with optional buttons, cards and quick replies; ``plain_text`` is for channels without them."""

    type: Literal["rich"] = "rich"
    body: str
    format: Literal["html", "markdown"] = "markdown"
    plain_text: str | None = None
    buttons: Records = Field(default_factory=lambda: freeze([]))
    cards: Records = Field(default_factory=lambda: freeze([]))
    quick_replies: Strings = Field(default_factory=lambda: freeze([]))


class MediaContent(Base):
    """A file at a URL."""

    type: Literal["media"] = "media"
    url: Url
    mime_type: str
    filename: str | None = None
    size_bytes: int | None = Field(default=None, ge=0)
    caption: str | None = None


class LocationContent(Base):
    """A place; degrees in WGS 84."""

    type: Literal["location"] = "location"
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    label: str | None = None
    address: str | None = None


class AudioContent(Base):
    """A sound at a URL."""

    type: Literal["audio"] = "audio"
    url: Url
    mime_type: str = "audio/ogg"
    duration_seconds: float | None = Field(default=None, ge=0)
    transcript: str | None = None


class VideoContent(Base):
    """A film at a URL."""

    type: Literal["video"] = "video"
    url: Url
    mime_type: str = "video/mp4"
    duration_seconds: float | None = Field(default=None, ge=0)
    thumbnail_url: Url | None = None


class SystemContent(Base):
    """What the system says about the room; ``code`` is stable, ``body`` is for people."""

    type: Literal["system"] = "system"
    body: str
    code: str | None = None
    data: Data = EMPTY


class TemplateContent(Base):
    """A message that the provider holds under ``template_id``; ``body`` is its text where that is known."""

    type: Literal["template"] = "template"
    template_id: str
    language: str = "en"
    parameters: Annotated[dict[str, str], AfterValidator(freeze)] = EMPTY
    body: str | None = None


class DeleteContent(Base):
    """Deletes an event of the room."""

    type: Literal["delete"] = "delete"
    target_event_id: str
    delete_type: DeleteType = DeleteType.SENDER
    reason: str | None = None


class ToolCallContent(Base):
    """A tool that an agent calls or has called; ``duration_ms`` in milliseconds."""

    type: Literal["tool_call"] = "tool_call"
    tool_name: str
    tool_id: str
    arguments: Data = EMPTY
    result: str | None = None
    status: Literal["pending", "completed", "failed"] = "pending"
    duration_ms: float | None = Field(default=None, ge=0)
    error: str | None = None
    structured_content: Data | None = None


class CustomContent(Base):
    """Content of a kind that the core does not know; ``data`` is kept as it came."""

    type: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    data: Data = EMPTY

    @field_validator("type")
    @classmethod
    def _is_not_a_known_kind(cls, value: str) -> str:
        if value in KNOWN_CONTENT:
            raise ValueError(f"{value!r} is a known kind of content with a model of its own")
        return value


MAX_DEPTH = 5


class CompositeContent(Base):
    """Several contents in one message: at least one part, nested at most five deep."""

    type: Literal["composite"] = "composite"
    parts: Annotated[list[EventContent], AfterValidator(freeze)] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_not_too_deep(self) -> CompositeContent:
        if _depth(self) > MAX_DEPTH:
            raise ValueError(f"composite content is nested deeper than {MAX_DEPTH}")
        return self


class EditContent(Base):
    """Replaces the content of an event of the room; edits and composites are nested at most five deep."""

    type: Literal["edit"] = "edit"
    target_event_id: str
    new_content: EventContent
    edit_source: str | None = None

    @model_validator(mode="after")
    def _is_not_too_deep(self) -> EditContent:
        if _depth(self) > MAX_DEPTH:
            raise ValueError(f"edits and composites are nested deeper than {MAX_DEPTH}")
        return self


def _depth(content: Any) -> int:
    if isinstance(content, CompositeContent):
        return 1 + max(_depth(part) for part in content.parts)
    if isinstance(content, EditContent):
        return 1 + _depth(content.new_content)
    return 0


KNOWN_CONTENT = frozenset(
    {
        "text",
        "rich",
        "media",
        "location",
        "audio",
        "video",
        "composite",
        "system",
        "template",
        "edit",
        "delete",
        "tool_call",
    }
)


def _kind(value: Any) -> str:
    kind = value.get("type", "text") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if kind in KNOWN_CONTENT else "custom"


EventContent = Annotated[
    Annotated[TextContent, Tag("text")]
    | Annotated[RichContent, Tag("rich")]
    | Annotated[MediaContent, Tag("media")]
    | Annotated[LocationContent, Tag("location")]
    | Annotated[AudioContent, Tag("audio")]
    | Annotated[VideoContent, Tag("video")]
    | Annotated[CompositeContent, Tag("composite")]
    | Annotated[SystemContent, Tag("system")]
    | Annotated[TemplateContent, Tag("template")]
    | Annotated[EditContent, Tag("edit")]
    | Annotated[DeleteContent, Tag("delete")]
    | Annotated[ToolCallContent, Tag("tool_call")]
    | Annotated[CustomContent, Tag("custom")],
    Discriminator(_kind),
]
"""Any content; discriminated by ``type``, unknown types are :class:`CustomContent`."""

# CompositeContent and EditContent name EventContent before it exists; they are completed when first used.
