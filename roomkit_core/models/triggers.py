"""The moments at which hooks run, each with what the reference says about it."""

from __future__ import annotations

from typing import ClassVar

from roomkit_core.models.kinds import OpenKind


class HookTrigger(OpenKind):
    """A moment at which hooks run.

    The core brings about the moments whose description says what a hook gets. The others are names that are taken:
    what they mean is the same in whatever plugin brings them about.
    """

    __slots__ = ()

    BEFORE_BROADCAST: ClassVar[HookTrigger]
    """A message that came in, was sent or was answered is about to be stored and passed on.

    Gets: The event with its index, not stored yet; as the hooks before this one left it.

    May: Let it pass, change it, block it with a reason, inject events, note tasks and observations. What it does to its
    room joins the commit of the message.
    """

    AFTER_BROADCAST: ClassVar[HookTrigger]
    """A message was stored and is passed on; not one that was blocked or injected, and no bookkeeping.

    Gets: The event as it was stored.
    """

    # ------------------------------------------------------------------------------------------ rooms and channels

    ON_CHANNEL_ATTACHED: ClassVar[HookTrigger]
    """A channel was attached to a room, by a call or because a message came through it.

    Gets: The event of type `channel_attached` in the timeline. Filters look at the channel.
    """

    ON_CHANNEL_DETACHED: ClassVar[HookTrigger]
    """A channel was detached from a room.

    Gets: The event of type `channel_detached` in the timeline. Filters look at the channel.
    """

    ON_CHANNEL_MUTED: ClassVar[HookTrigger]
    """A channel was muted in a room.

    Gets: The event of type `channel_muted` in the timeline. Filters look at the channel.
    """

    ON_CHANNEL_UNMUTED: ClassVar[HookTrigger]
    """A channel may be heard in its room again.

    Gets: The event of type `channel_unmuted` in the timeline. Filters look at the channel.
    """

    ON_ROOM_CREATED: ClassVar[HookTrigger]
    """A room was made, by a call or by the first message of a conversation.

    Gets: A system event with the code `room_created`, which is in no timeline.
    """

    ON_ROOM_PAUSED: ClassVar[HookTrigger]
    """A room was paused by its timers after a silence.

    Gets: The system event with the code `room_paused_by_timer` in the timeline.
    """

    ON_ROOM_CLOSED: ClassVar[HookTrigger]
    """A room was closed, by a call or by its timers.

    Gets: A system event with the code `room_closed`, which is in no timeline, or `room_closed_by_timer`, which is.
    """

    # --------------------------------------------------------------------------------------------- people and tasks

    ON_IDENTITY_AMBIGUOUS: ClassVar[HookTrigger]
    """A sender can be any of several known people."""

    ON_IDENTITY_UNKNOWN: ClassVar[HookTrigger]
    """A sender is nobody who is known."""

    ON_PARTICIPANT_IDENTIFIED: ClassVar[HookTrigger]
    """It became known who a participant is."""

    ON_PARTICIPANT_JOINED: ClassVar[HookTrigger]
    """A participant came into a room."""

    ON_PARTICIPANT_LEFT: ClassVar[HookTrigger]
    """A participant left a room."""

    ON_PARTICIPANT_UPDATED: ClassVar[HookTrigger]
    """Something about a participant changed."""

    ON_TASK_CREATED: ClassVar[HookTrigger]
    """A task was noted in a room."""

    ON_FEEDBACK: ClassVar[HookTrigger]
    """Somebody rated an answer."""

    ON_USER_INPUT_REQUIRED: ClassVar[HookTrigger]
    """Work waits for an answer of a person."""

    # ------------------------------------------------------------------------------------------ events and delivery

    ON_EVENT_UPDATED: ClassVar[HookTrigger]
    """A stored event was edited."""

    ON_EVENT_DELETED: ClassVar[HookTrigger]
    """A stored event was deleted.

    Gets: The event of type `delete` in the timeline, whose content names the deleted one. Filters look at the source
    of the deleted one.
    """

    BEFORE_DELIVER: ClassVar[HookTrigger]
    """A delivery is about to be handed to its channel."""

    AFTER_DELIVER: ClassVar[HookTrigger]
    """A delivery was handed to its channel."""

    ON_DELIVERY_STATUS: ClassVar[HookTrigger]
    """A provider reported what became of a message that it took, and the room is known.

    Gets: The `DeliveryStatus`, in the place of an event. Filters look at the channel of the delivery.
    """

    ON_ERROR: ClassVar[HookTrigger]
    """An intelligence channel was asked about an event and failed for good.

    Gets: That event, with `error` and `error_category`, which is the code, in its metadata.
    """

    # -------------------------------------------------------------------------------------- intelligence and agents

    BEFORE_AI_GENERATION: ClassVar[HookTrigger]
    """A model is about to be asked for an answer."""

    ON_AI_THINKING: ClassVar[HookTrigger]
    """A model tells what it considers."""

    ON_AI_RESPONSE: ClassVar[HookTrigger]
    """A model gave an answer."""

    BEFORE_TOOL_USE: ClassVar[HookTrigger]
    """A tool is about to be called for a model."""

    ON_TOOL_CALL: ClassVar[HookTrigger]
    """A model wants a tool to be called."""

    ON_HANDOFF: ClassVar[HookTrigger]
    """A conversation passed from one agent to another."""

    ON_HANDOFF_REJECTED: ClassVar[HookTrigger]
    """A conversation was to pass to another agent and did not."""

    ON_PHASE_TRANSITION: ClassVar[HookTrigger]
    """A conversation entered another phase."""

    ON_PLAN_UPDATED: ClassVar[HookTrigger]
    """An agent changed its plan."""

    ON_TASK_DELEGATED: ClassVar[HookTrigger]
    """An agent gave a task to another one."""

    ON_TASK_COMPLETED: ClassVar[HookTrigger]
    """A delegated task has ended."""

    ON_STATUS_POSTED: ClassVar[HookTrigger]
    """A worker told how far it is."""

    # --------------------------------------------------------------------------------------------------------- voice

    ON_SESSION_STARTED: ClassVar[HookTrigger]
    """A session of a channel has begun, such as a call."""

    ON_SPEECH_START: ClassVar[HookTrigger]
    """Somebody began to speak."""

    ON_SPEECH_END: ClassVar[HookTrigger]
    """Somebody ceased to speak."""

    ON_PARTIAL_TRANSCRIPTION: ClassVar[HookTrigger]
    """The text of what is being said so far."""

    ON_TRANSCRIPTION: ClassVar[HookTrigger]
    """The text of what was said, before it becomes a message."""

    ON_TURN_COMPLETE: ClassVar[HookTrigger]
    """A speaker has ended their turn."""

    ON_TURN_INCOMPLETE: ClassVar[HookTrigger]
    """A speaker pauses and has more to say."""

    ON_BACKCHANNEL: ClassVar[HookTrigger]
    """A listener shows that they listen, without wanting the turn."""

    ON_BARGE_IN: ClassVar[HookTrigger]
    """Somebody speaks while something is being said to them."""

    BEFORE_TTS: ClassVar[HookTrigger]
    """A text is about to be spoken."""

    AFTER_TTS: ClassVar[HookTrigger]
    """A text was spoken."""

    ON_TTS_CANCELLED: ClassVar[HookTrigger]
    """What was being spoken was broken off."""

    ON_VAD_SILENCE: ClassVar[HookTrigger]
    """Nobody has spoken for a while."""

    ON_VAD_AUDIO_LEVEL: ClassVar[HookTrigger]
    """How loud the detector of speech finds the sound."""

    ON_INPUT_AUDIO_LEVEL: ClassVar[HookTrigger]
    """How loud the sound is that comes in."""

    ON_OUTPUT_AUDIO_LEVEL: ClassVar[HookTrigger]
    """How loud the sound is that goes out."""

    ON_SPEAKER_CHANGE: ClassVar[HookTrigger]
    """Somebody else speaks than before."""

    ON_DTMF: ClassVar[HookTrigger]
    """A key was pressed during a call."""

    ON_RECORDING_STARTED: ClassVar[HookTrigger]
    """A recording has begun."""

    ON_RECORDING_STOPPED: ClassVar[HookTrigger]
    """A recording has ended."""

    ON_REALTIME_TEXT_INJECTED: ClassVar[HookTrigger]
    """A text was put into a running session of a model that speaks."""

    ON_PROTOCOL_TRACE: ClassVar[HookTrigger]
    """A message of a provider's protocol was sent or received."""

    BEFORE_BRIDGE_AUDIO: ClassVar[HookTrigger]
    """A piece of sound is about to pass from one side of a bridge to the other."""

    # --------------------------------------------------------------------------------------------------------- video

    BEFORE_BRIDGE_VIDEO: ClassVar[HookTrigger]
    """A picture is about to pass from one side of a bridge to the other."""

    ON_VIDEO_SESSION_STARTED: ClassVar[HookTrigger]
    """A session with pictures has begun."""

    ON_VIDEO_SESSION_ENDED: ClassVar[HookTrigger]
    """A session with pictures has ended."""

    ON_VIDEO_TRACK_ADDED: ClassVar[HookTrigger]
    """A source of pictures was added to a session."""

    ON_VIDEO_TRACK_REMOVED: ClassVar[HookTrigger]
    """A source of pictures was removed from a session."""

    ON_VISION_RESULT: ClassVar[HookTrigger]
    """A model told what it sees."""

    ON_VIDEO_DETECTION: ClassVar[HookTrigger]
    """Something was found in a picture."""

    ON_SCREEN_SHARE_STARTED: ClassVar[HookTrigger]
    """Somebody began to show their screen."""

    ON_SCREEN_SHARE_STOPPED: ClassVar[HookTrigger]
    """Somebody ceased to show their screen."""


HookTrigger._define(" ".join(HookTrigger.__annotations__).lower())
