"""The wire protocol as data: what clients may say, what they are told, codes and limits.

It is described for people in ``docs/reference/websocket.md``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from roomkit_core.errors import RoomKitError
from roomkit_core.models.content import EventContent, TextContent
from roomkit_core.models.ids import ID_PATTERN, check_id
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.room import Cursor

if TYPE_CHECKING:
    from roomkit_core.models.event import RoomEvent
    from roomkit_core.models.message import InboundResult
    from roomkit_websocket.admission import Visitor

VERSION = 1
MAX_FRAME = 64 * 1024  # characters of one message from a client
MAX_TEXT = 8_000  # characters of one text
MAX_NAME = 40
MAX_ERRORS = 10  # how much nonsense one connection may send
CONTENT_KINDS = frozenset({"text", "rich", "media", "audio", "video", "location"})  # what a client may send


class ProtocolError(RoomKitError):
    """The client said something that is not in the protocol."""

    default_code = "protocol.invalid"


def _is_a_name(name: str) -> str:
    if not name.isprintable():
        raise ValueError("a name must consist of printable characters")
    return name


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME),
    AfterValidator(_is_a_name),
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
MessageId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
ClientId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{16,128}$")]
RoomId = Annotated[str, AfterValidator(lambda value: check_id(value, "room id"))]


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class WireCursor(_Message):
    """How far the client has read."""

    epoch: str = Field(min_length=1, max_length=128)
    index: int = Field(ge=-1, lt=2**53)


class Join(_Message):
    """The first message: who comes, into which room, and from where they want to read on."""

    type: Literal["join"]
    protocol: Literal[1] = 1
    room: RoomId
    client: ClientId | None = None
    token: Token | None = None
    name: Name | None = None
    cursor: WireCursor | None = None

    @property
    def after(self) -> Cursor | None:
        """The cursor, as the kit has it."""
        return Cursor(self.cursor.epoch, self.cursor.index) if self.cursor else None


class Send(_Message):
    """Something to say in the room; ``id`` is the client's own name for it."""

    type: Literal["send"]
    id: MessageId
    text: Text | None = None
    content: EventContent | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Send:
        if (self.text is None) == (self.content is None):
            raise ValueError("either 'text' or 'content' is needed")
        if self.content is not None and self.content.type not in CONTENT_KINDS:
            raise ValueError(f"a client may not send {self.content.type!r} content")
        if isinstance(self.content, TextContent) and not 0 < len(self.content.body) <= MAX_TEXT:
            raise ValueError(f"a text has 1 to {MAX_TEXT} characters")
        return self

    @property
    def said(self) -> Any:
        """The content."""
        return self.content if self.text is None else TextContent(body=self.text)


class Ping(_Message):
    """Asks for a pong."""

    type: Literal["ping"]


FromClient = Join | Send | Ping
_from_client: TypeAdapter[FromClient] = TypeAdapter(Annotated[FromClient, Field(discriminator="type")])


def parse(text: str) -> FromClient:
    """What a client said.

    Raises:
        ProtocolError: It is too long (``protocol.too_large``) or not a message of the protocol (``protocol.invalid``).
    """
    if len(text) > MAX_FRAME:
        raise ProtocolError(f"a message has at most {MAX_FRAME} characters", code="protocol.too_large")
    try:
        return _from_client.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ProtocolError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def message_id(text: str) -> str | None:
    """The id in a message that could not be parsed, so that the client knows which one was refused."""
    try:
        found = json.loads(text).get("id")
    except (ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) and len(found) <= 128 else None


# ------------------------------------------------------------------------------------------------ server to client


def asgi(**message: Any) -> dict[str, Any]:
    """A message of the protocol as an ASGI message; in ASCII, so that half a surrogate pair cannot break a send."""
    return {"type": "websocket.send", "text": json.dumps(message, separators=(",", ":"))}


def welcome(room: str, visitor: Visitor, cursor: Cursor) -> dict[str, Any]:
    """The client is in; reading goes on after ``cursor``."""
    return asgi(
        type="welcome",
        protocol=VERSION,
        room=room,
        participant=visitor.participant_id,
        name=visitor.name,
        epoch=cursor.epoch,
        cursor=cursor._asdict(),
        limits={"text": MAX_TEXT, "name": MAX_NAME, "message": MAX_FRAME},
    )


def event_message(event: RoomEvent, cursor: Cursor) -> dict[str, Any]:
    """An event. What a sender or a hook noted in the metadata stays inside, except the name to display."""
    source = event.source
    content = event.content
    name = event.metadata.get("name")
    body = {
        "id": event.id,
        "index": event.index,
        "type": event.type,
        "at": event.created_at.isoformat(),
        "from": {
            "channel": source.channel_id,
            "channel_type": source.channel_type,
            "participant": source.participant_id,
            "name": name[:MAX_NAME] if isinstance(name, str) else None,
        },
        "content": (
            {"type": "text", "body": content.body}
            if type(content) is TextContent
            else json.loads(content.model_dump_json(exclude_none=True))  # what is not a number becomes null
        ),
        "key": event.idempotency_key if source.channel_type == ChannelType.WEBSOCKET else None,
    }
    if event.parent_event_id is not None:
        body["parent"] = event.parent_event_id
    return asgi(type="event", cursor=cursor._asdict(), event=body)


def cursor_message(cursor: Cursor, *, more: bool) -> dict[str, Any]:
    """All up to ``cursor`` has been sent, or is not for this client; ``more`` of the past is to come."""
    return asgi(type="cursor", cursor=cursor._asdict(), more=more)


def reset(cursor: Cursor) -> dict[str, Any]:
    """The client's cursor belonged to another incarnation of the room; reading begins anew after ``cursor``."""
    return asgi(type="reset", epoch=cursor.epoch, cursor=cursor._asdict())


def ack(client_id: str, result: InboundResult) -> dict[str, Any]:
    """What became of a message of the client."""
    event = result.event
    return asgi(
        type="ack",
        id=client_id,
        event_id=event.id if event else None,
        index=event.index if event else None,
        blocked=result.blocked,
        reason=result.reason,
    )


def pong() -> dict[str, Any]:
    """The answer to a ping."""
    return asgi(type="pong")


def error_message(error: RoomKitError, *, message_id: str | None = None, fatal: bool = False) -> dict[str, Any]:
    """Something went wrong; ``fatal`` if the connection is closed after it."""
    message: dict[str, Any] = {"type": "error", "code": error.code, "message": str(error)}
    if message_id is not None:
        message["id"] = message_id
    return asgi(**message, retryable=error.retryable, fatal=fatal)
