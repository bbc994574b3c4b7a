"""Open kinds: strings with well-known constants, to which a plugin adds its own without a release of the core."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_pattern = re.compile(r"[a-z][a-z0-9_]{0,63}")


class OpenKind(str):
    """A lowercase name; every valid name is accepted, the known ones are constants of the subclass.

    Raises:
        ValueError: The name does not match ``[a-z][a-z0-9_]{0,63}``.
    """

    __slots__ = ()
    known: ClassVar[frozenset[str]] = frozenset()

    def __new__(cls, value: str) -> Self:
        """The kind named ``value``."""
        if not _pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not a {cls.__name__}: expected [a-z][a-z0-9_]{{0,63}}")
        return str.__new__(cls, value)

    @property
    def value(self) -> str:
        """The plain string, as an enum member has it."""
        return str(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str.__repr__(self)})"

    __str__ = str.__str__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Instances pass as they are; other strings are checked."""
        parse = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        return core_schema.json_or_python_schema(
            json_schema=parse,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), parse], mode="left_to_right"),
            serialization=core_schema.plain_serializer_function_ser_schema(
                str.__str__, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def _define(cls, names: str) -> None:
        for name in names.split():
            setattr(cls, name.upper(), cls(name))
        cls.known = frozenset(names.split())


class ChannelType(OpenKind):
    """What a channel is, e.g. ``ChannelType.SMS``."""

    __slots__ = ()
    SMS: ClassVar[ChannelType]
    MMS: ClassVar[ChannelType]
    RCS: ClassVar[ChannelType]
    EMAIL: ClassVar[ChannelType]
    WHATSAPP: ClassVar[ChannelType]
    WHATSAPP_PERSONAL: ClassVar[ChannelType]
    WEBSOCKET: ClassVar[ChannelType]
    AI: ClassVar[ChannelType]
    VOICE: ClassVar[ChannelType]
    REALTIME_VOICE: ClassVar[ChannelType]
    REALTIME_AUDIO_VIDEO: ClassVar[ChannelType]
    PUSH: ClassVar[ChannelType]
    MESSENGER: ClassVar[ChannelType]
    TELEGRAM: ClassVar[ChannelType]
    TEAMS: ClassVar[ChannelType]
    SLACK: ClassVar[ChannelType]
    WEBHOOK: ClassVar[ChannelType]
    VIDEO: ClassVar[ChannelType]
    AUDIO_VIDEO: ClassVar[ChannelType]
    CLI: ClassVar[ChannelType]
    SYSTEM: ClassVar[ChannelType]
    BOT: ClassVar[ChannelType]


ChannelType._define(
    "sms mms rcs email whatsapp whatsapp_personal websocket ai voice realtime_voice realtime_audio_video push "
    "messenger telegram teams slack webhook video audio_video cli system bot "
)


class EventType(OpenKind):
    """What an event is; everything but ``MESSAGE`` is bookkeeping or a change to a message."""

    __slots__ = ()
    MESSAGE: ClassVar[EventType]
    SYSTEM: ClassVar[EventType]
    TYPING: ClassVar[EventType]
    READ_RECEIPT: ClassVar[EventType]
    DELIVERY_RECEIPT: ClassVar[EventType]
    PRESENCE: ClassVar[EventType]
    REACTION: ClassVar[EventType]
    EDIT: ClassVar[EventType]
    DELETE: ClassVar[EventType]
    PARTICIPANT_JOINED: ClassVar[EventType]
    PARTICIPANT_LEFT: ClassVar[EventType]
    PARTICIPANT_IDENTIFIED: ClassVar[EventType]
    PARTICIPANT_UPDATED: ClassVar[EventType]
    CHANNEL_ATTACHED: ClassVar[EventType]
    CHANNEL_DETACHED: ClassVar[EventType]
    CHANNEL_MUTED: ClassVar[EventType]
    CHANNEL_UNMUTED: ClassVar[EventType]
    CHANNEL_UPDATED: ClassVar[EventType]
    TASK_CREATED: ClassVar[EventType]
    TASK_DELEGATED: ClassVar[EventType]
    TASK_COMPLETED: ClassVar[EventType]
    OBSERVATION: ClassVar[EventType]
    DTMF: ClassVar[EventType]
    RECORDING_STARTED: ClassVar[EventType]
    RECORDING_STOPPED: ClassVar[EventType]
    TOOL_CALL_START: ClassVar[EventType]
    TOOL_CALL_END: ClassVar[EventType]


EventType._define(
    "message system typing read_receipt delivery_receipt presence reaction edit delete participant_joined "
    "participant_left participant_identified participant_updated channel_attached channel_detached channel_muted "
    "channel_unmuted channel_updated task_created task_delegated task_completed observation dtmf "
    "recording_started recording_stopped tool_call_start tool_call_end "
)


class ChannelMediaType(OpenKind):
    """A form of content that a channel can carry."""

    __slots__ = ()
    TEXT: ClassVar[ChannelMediaType]
    RICH: ClassVar[ChannelMediaType]
    MEDIA: ClassVar[ChannelMediaType]
    AUDIO: ClassVar[ChannelMediaType]
    VIDEO: ClassVar[ChannelMediaType]
    LOCATION: ClassVar[ChannelMediaType]
    TEMPLATE: ClassVar[ChannelMediaType]


ChannelMediaType._define("text rich media audio video location template ")
