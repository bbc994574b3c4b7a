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


class HookTrigger(OpenKind):
    """A moment at which hooks run."""

    __slots__ = ()
    BEFORE_BROADCAST: ClassVar[HookTrigger]
    AFTER_BROADCAST: ClassVar[HookTrigger]
    ON_CHANNEL_ATTACHED: ClassVar[HookTrigger]
    ON_CHANNEL_DETACHED: ClassVar[HookTrigger]
    ON_CHANNEL_MUTED: ClassVar[HookTrigger]
    ON_CHANNEL_UNMUTED: ClassVar[HookTrigger]
    ON_ROOM_CREATED: ClassVar[HookTrigger]
    ON_ROOM_PAUSED: ClassVar[HookTrigger]
    ON_ROOM_CLOSED: ClassVar[HookTrigger]
    ON_IDENTITY_AMBIGUOUS: ClassVar[HookTrigger]
    ON_IDENTITY_UNKNOWN: ClassVar[HookTrigger]
    ON_PARTICIPANT_IDENTIFIED: ClassVar[HookTrigger]
    ON_TASK_CREATED: ClassVar[HookTrigger]
    ON_DELIVERY_STATUS: ClassVar[HookTrigger]
    BEFORE_DELIVER: ClassVar[HookTrigger]
    AFTER_DELIVER: ClassVar[HookTrigger]
    ON_ERROR: ClassVar[HookTrigger]
    ON_SPEECH_START: ClassVar[HookTrigger]
    ON_SPEECH_END: ClassVar[HookTrigger]
    ON_TRANSCRIPTION: ClassVar[HookTrigger]
    BEFORE_TTS: ClassVar[HookTrigger]
    AFTER_TTS: ClassVar[HookTrigger]
    ON_BARGE_IN: ClassVar[HookTrigger]
    ON_TTS_CANCELLED: ClassVar[HookTrigger]
    ON_PARTIAL_TRANSCRIPTION: ClassVar[HookTrigger]
    ON_VAD_SILENCE: ClassVar[HookTrigger]
    ON_VAD_AUDIO_LEVEL: ClassVar[HookTrigger]
    ON_INPUT_AUDIO_LEVEL: ClassVar[HookTrigger]
    ON_OUTPUT_AUDIO_LEVEL: ClassVar[HookTrigger]
    ON_SPEAKER_CHANGE: ClassVar[HookTrigger]
    ON_SESSION_STARTED: ClassVar[HookTrigger]
    ON_DTMF: ClassVar[HookTrigger]
    ON_TURN_COMPLETE: ClassVar[HookTrigger]
    ON_TURN_INCOMPLETE: ClassVar[HookTrigger]
    ON_BACKCHANNEL: ClassVar[HookTrigger]
    ON_RECORDING_STARTED: ClassVar[HookTrigger]
    ON_RECORDING_STOPPED: ClassVar[HookTrigger]
    BEFORE_TOOL_USE: ClassVar[HookTrigger]
    ON_TOOL_CALL: ClassVar[HookTrigger]
    ON_REALTIME_TEXT_INJECTED: ClassVar[HookTrigger]
    BEFORE_BRIDGE_AUDIO: ClassVar[HookTrigger]
    BEFORE_AI_GENERATION: ClassVar[HookTrigger]
    ON_AI_THINKING: ClassVar[HookTrigger]
    ON_AI_RESPONSE: ClassVar[HookTrigger]
    ON_PROTOCOL_TRACE: ClassVar[HookTrigger]
    ON_PHASE_TRANSITION: ClassVar[HookTrigger]
    ON_HANDOFF: ClassVar[HookTrigger]
    ON_HANDOFF_REJECTED: ClassVar[HookTrigger]
    ON_TASK_DELEGATED: ClassVar[HookTrigger]
    ON_TASK_COMPLETED: ClassVar[HookTrigger]
    ON_STATUS_POSTED: ClassVar[HookTrigger]
    BEFORE_BRIDGE_VIDEO: ClassVar[HookTrigger]
    ON_VIDEO_SESSION_STARTED: ClassVar[HookTrigger]
    ON_VIDEO_SESSION_ENDED: ClassVar[HookTrigger]
    ON_VIDEO_TRACK_ADDED: ClassVar[HookTrigger]
    ON_VIDEO_TRACK_REMOVED: ClassVar[HookTrigger]
    ON_VISION_RESULT: ClassVar[HookTrigger]
    ON_SCREEN_SHARE_STARTED: ClassVar[HookTrigger]
    ON_SCREEN_SHARE_STOPPED: ClassVar[HookTrigger]
    ON_VIDEO_DETECTION: ClassVar[HookTrigger]
    ON_PLAN_UPDATED: ClassVar[HookTrigger]
    ON_FEEDBACK: ClassVar[HookTrigger]
    ON_EVENT_UPDATED: ClassVar[HookTrigger]
    ON_EVENT_DELETED: ClassVar[HookTrigger]
    ON_PARTICIPANT_JOINED: ClassVar[HookTrigger]
    ON_PARTICIPANT_LEFT: ClassVar[HookTrigger]
    ON_PARTICIPANT_UPDATED: ClassVar[HookTrigger]
    ON_USER_INPUT_REQUIRED: ClassVar[HookTrigger]


HookTrigger._define(
    "before_broadcast after_broadcast on_channel_attached on_channel_detached on_channel_muted on_channel_unmuted "
    "on_room_created on_room_paused on_room_closed on_identity_ambiguous on_identity_unknown "
    "on_participant_identified on_task_created on_delivery_status before_deliver after_deliver on_error "
    "on_speech_start on_speech_end on_transcription before_tts after_tts on_barge_in on_tts_cancelled "
    "on_partial_transcription on_vad_silence on_vad_audio_level on_input_audio_level on_output_audio_level "
    "on_speaker_change on_session_started on_dtmf on_turn_complete on_turn_incomplete on_backchannel "
    "on_recording_started on_recording_stopped before_tool_use on_tool_call on_realtime_text_injected "
    "before_bridge_audio before_ai_generation on_ai_thinking on_ai_response on_protocol_trace on_phase_transition "
    "on_handoff on_handoff_rejected on_task_delegated on_task_completed on_status_posted before_bridge_video "
    "on_video_session_started on_video_session_ended on_video_track_added on_video_track_removed on_vision_result "
    "on_screen_share_started on_screen_share_stopped on_video_detection on_plan_updated on_feedback "
    "on_event_updated on_event_deleted on_participant_joined on_participant_left on_participant_updated "
    "on_user_input_required "
)
