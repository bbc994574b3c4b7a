"""The one error tree: every error has a stable code, a hint, and says whether trying again can help.

The codes (``area.reason``) are the same in exceptions, delivery results, logs and the wire protocol, so that
what a user sees in one place can be searched for in every other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple


class Explanation(NamedTuple):
    """What a code means: a sentence without its full stop, so that a reason can follow; and what to do, if anything.

    Attributes:
        cause: The sentence.
        hint: What to do, in sentences; ``{id}`` and ``{channel}`` are those of the row that it is about.
    """

    cause: str
    hint: str = ""


class RoomKitError(Exception):
    """Root of everything RoomKit raises on purpose.

    Args:
        message: What was expected and what was found, for a person.
        code: Stable ``area.reason`` code; the class's own when omitted.
        hint: What to do next; the class's own when omitted.
        retryable: Whether the same call can succeed later without a change by the caller.
    """

    default_code: ClassVar[str] = "roomkit.error"
    default_hint: ClassVar[str] = ""
    default_retryable: ClassVar[bool] = False

    def __init__(
        self, message: str = "", *, code: str | None = None, hint: str | None = None, retryable: bool | None = None
    ) -> None:
        super().__init__(message or self.default_hint or self.default_code)
        self.code = code or self.default_code
        self.hint = self.default_hint if hint is None else hint
        self.retryable = self.default_retryable if retryable is None else retryable


class RoomNotFoundError(RoomKitError):
    """The room does not exist."""

    default_code = "room.not_found"
    default_hint = "Create the room first, or check the id."


class RoomExistsError(RoomKitError):
    """A room of this id exists already."""

    default_code = "room.exists"
    default_hint = "Pass exist_ok=True to get the existing room unchanged, or choose another id."


class RoomClosedError(RoomKitError):
    """The room is closed or archived and takes no more events."""

    default_code = "room.closed"
    default_hint = "Open a new room for the conversation."


class ChannelNotFoundError(RoomKitError):
    """The channel has no binding in that room."""

    default_code = "channel.not_attached"
    default_hint = "Attach the channel to the room with attach_channel()."


class ChannelNotRegisteredError(RoomKitError):
    """The kit knows no channel of this id, or it is not of the needed kind."""

    default_code = "channel.not_registered"
    default_hint = "Register the channel with register_channel() before it is used."


class ChannelAlreadyRegisteredError(RoomKitError):
    """Another channel of this id is registered."""

    default_code = "channel.already_registered"
    default_hint = "Channel ids are unique per kit; unregister the old channel first or choose another id."


class ParticipantNotFoundError(RoomKitError):
    """No participant of this id in the room."""

    default_code = "participant.not_found"


class IdentityNotFoundError(RoomKitError):
    """No identity of this id."""

    default_code = "identity.not_found"


class EventNotFoundError(RoomKitError):
    """No event of this id."""

    default_code = "event.not_found"


class WorkNotFoundError(RoomKitError):
    """No row of owed work of this id; or, where somebody asks why, nothing at all that goes by this name."""

    default_code = "work.not_found"
    default_hint = "Check the id; rows that ended well are forgotten after a week, others after a month."


class SourceAlreadyAttachedError(RoomKitError):
    """The channel has a source already."""

    default_code = "source.already_attached"


class SourceNotFoundError(RoomKitError):
    """The channel has no source."""

    default_code = "source.not_found"


class VoiceNotConfiguredError(RoomKitError):
    """A speech operation was asked of a kit without speech-to-text or text-to-speech."""

    default_code = "voice.not_configured"


class VoiceBackendNotConfiguredError(RoomKitError):
    """A call operation was asked of a kit without a voice backend."""

    default_code = "voice.backend_not_configured"


class ConflictError(RoomKitError):
    """The same room changed underneath, five times in a row, or a rule of order forbids this step."""

    default_code = "store.conflict"
    default_hint = "Other writers changed the room faster than this call could plan; try again."
    default_retryable = True


class ConversationTakenError(RoomKitError):
    """The conversation key belongs to another room.

    Args:
        message: As in the base class.
        room_id: The room that holds the key.
    """

    default_code = "conversation.taken"
    default_hint = "Pass takeover=True to move the conversation, or send without a route of your own."

    def __init__(self, message: str = "", *, room_id: str | None = None, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.room_id = room_id


class DuplicateError(RoomKitError):
    """The idempotency key was used before."""

    default_code = "message.duplicate"


class StaleLeaseError(RoomKitError):
    """The work row belongs to somebody else by now; nothing was written."""

    default_code = "work.stale_lease"


class StoreError(RoomKitError):
    """The store failed; whether the write happened is unknown until it is looked up."""

    default_code = "store.failed"
    default_retryable = True


class StoreBusyError(StoreError):
    """The store belongs to another process."""

    default_code = "store.busy"


class DeliveryFailedError(RoomKitError):
    """A provider refused or could not be reached; channels may raise it from ``send`` or ``deliver``."""

    default_code = "delivery.failed"


class ProcessTimeoutError(RoomKitError):
    """The call ran out of ``process_timeout`` before it was committed; nothing of it is written."""

    default_code = "process_timeout"
    default_hint = "Try again; if it happens often, look for a slow hook or a room that many write to."
    default_retryable = True


class HookError(RoomKitError):
    """A hook is registered in a way that makes no sense, or the module of a bot cannot be used.

    Args:
        message: As in the base class; made of the problems if empty.
        problems: All that is wrong in the modules of a bot.
    """

    default_code = "hook.invalid"

    def __init__(
        self,
        message: str = "",
        *,
        problems: Iterable[ConfigProblem] = (),
        code: str | None = None,
        hint: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        self.problems: tuple[ConfigProblem, ...] = tuple(problems)
        message = message or "\n".join(map(str, self.problems))
        super().__init__(message, code=code, hint=hint, retryable=retryable)


class UnsupportedError(RoomKitError):
    """The operation is not offered here, by design."""

    default_code = "kit.unsupported"


class KitStateError(RoomKitError):
    """The kit is not in the state that this call needs (not started, closed, another event loop, inside itself)."""

    default_code = "kit.state"


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong in a configuration.

    Attributes:
        file: The file.
        line: The line, counted from 1; None if it stands in none.
        key: Which key, as ``channels.support.from_number``; empty for the file as a whole.
        what: What is wrong, without any value that may be a secret.
        fix: What to do about it.
        variable: The variable of the environment from which the value came, or was to come.
    """

    file: str
    line: int | None
    key: str
    what: str
    fix: str
    variable: str | None = None

    def __str__(self) -> str:
        """One line: where, what, and how to mend it."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        origin = f" (from {self.variable})" if self.variable else ""
        key = f" {self.key}{origin}:" if self.key else ""
        end = "" if self.what.endswith((".", "?", "!")) else "."
        return f"{where}:{key} {self.what}{end} {self.fix}".rstrip()


class ConfigError(RoomKitError):
    """The configuration is wrong.

    Args:
        message: As in the base class; made of the problems if empty.
        problems: All that is wrong, in the order of the file.
    """

    default_code = "config.invalid"

    def __init__(
        self,
        message: str = "",
        *,
        problems: Iterable[ConfigProblem] = (),
        code: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.problems = tuple(problems)
        super().__init__(message or "\n".join(map(str, self.problems)), code=code, hint=hint)


class PluginError(RoomKitError):
    """A plugin could not be loaded or used.

    Args:
        message: As in the base class.
        plugin: Id of the plugin.
        state: The loader's state for it, e.g. ``"IMPORT_ERROR"``.
    """

    default_code = "plugin.failed"

    def __init__(
        self, message: str = "", *, plugin: str = "", state: str = "", code: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.plugin = plugin
        self.state = state
