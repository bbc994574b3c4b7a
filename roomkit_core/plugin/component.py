"""A part that a plugin offers, announced without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from roomkit_core.plugin.names import check_name, check_names, check_target


class Kind:
    """The kinds of component that have a name in the core. Kinds are open: any other valid name is one, too (T34)."""

    CHANNEL: Final = "channel"
    """A way to people or to a model. Every section of the kind is a channel of the kit."""
    PROVIDER: Final = "provider"
    """A provider's API behind a channel; a channel that has several takes one in a key of its section."""
    STORE: Final = "store"
    """Where rooms, events and owed work are kept. Without any, SQLite in `room.db` beside the file."""
    LOCK: Final = "lock"
    """Who may write a room at a time. Without any, locks of this process."""
    REALTIME: Final = "realtime"
    """What passes on what is not kept, such as that somebody types."""
    IDENTITY: Final = "identity"
    """Who a sender is. No kit takes one yet."""
    ROUTER: Final = "router"
    """Which room a message belongs to. Without any, that of its conversation key."""
    TASK_RUNNER: Final = "task_runner"
    """What runs tasks that agents delegate."""
    DELIVERY_STRATEGY: Final = "delivery_strategy"
    """When messages that nobody asked for are sent."""
    DELIVERY_BACKEND: Final = "delivery_backend"
    """What keeps messages that nobody asked for until they are sent."""
    STATUS_BACKEND: Final = "status_backend"
    """What keeps how far workers are."""
    TELEMETRY: Final = "telemetry"
    """Where measurements go."""
    ORCHESTRATION: Final = "orchestration"
    """Which agent answers, and when it changes."""
    AI: Final = "ai"
    """A model that answers."""
    MEMORY: Final = "memory"
    """What a model is told of the past of a room."""
    STT: Final = "stt"
    """Speech to text."""
    TTS: Final = "tts"
    """Text to speech."""
    VAD: Final = "vad"
    """When somebody speaks."""
    VOICE_BACKEND: Final = "voice_backend"
    """What carries calls."""
    SOURCE: Final = "source"
    """What brings messages in by itself, such as a connection that is kept open."""
    TRANSCODER: Final = "transcoder"
    """Makes of content what a channel can carry."""
    CONTENT: Final = "content"
    """A kind of content beside those of the core."""
    SECRET: Final = "secret"
    """Where secrets are kept. `{ NAME = "reference" }` in the place of a value is what the section or component has."""
    AUTH: Final = "auth"
    """Who a client is."""
    BLOB_STORE: Final = "blob_store"
    """Where media are kept."""


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that can be used by name. Announcing it imports nothing; its target is imported at first use.

    Args:
        kind: What it is: a constant of :class:`Kind` or another name of lowercase letters, digits and underscores.
        name: Its name among the plugin's components of that kind, of the same form.
        target: Where it is: ``"package.module:Name"``. For a kind of the core, a subclass of its abstract class. A
            configuration calls it with every field of the model of its settings, by keyword; a channel gets the id of
            its section before them, and a router the store.
        config: Where the model of its settings is, in the same form: a subclass of ``roomkit_core.Settings``, whose
            fields are the keys of a section in the file. Without one it takes no settings.
        capabilities: What it can do, as names. What is declared here is what conformance tests hold it to.
        summary: One line for people.
        extra: Facts that others than the core read, by whatever keys they agree on. Copied, and read-only from then on.

    Raises:
        ValueError: A name or a target does not have its form.
        TypeError: ``capabilities`` is a single string.
    """

    kind: str
    name: str
    target: str
    config: str | None = None
    capabilities: tuple[str, ...] = ()
    summary: str = ""
    extra: Mapping[str, object] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        check_name(self.kind, "component kind")
        check_name(self.name, "component name")
        check_target(self.target, "component target")
        if self.config is not None:
            check_target(self.config, "component configuration")
        object.__setattr__(self, "capabilities", check_names(self.capabilities, "capability"))
        if self.extra is not None:
            object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))
