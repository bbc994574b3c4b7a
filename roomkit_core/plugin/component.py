"""A part that a plugin offers, announced without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from roomkit_core.plugin.names import check_name, check_names, check_target


class Kind:
    """The kinds of component that the core itself uses. Kinds are open: any other valid name is a kind, too (T34)."""

    CHANNEL: Final = "channel"
    PROVIDER: Final = "provider"
    STORE: Final = "store"
    LOCK: Final = "lock"
    REALTIME: Final = "realtime"
    IDENTITY: Final = "identity"
    ROUTER: Final = "router"
    TASK_RUNNER: Final = "task_runner"
    DELIVERY_STRATEGY: Final = "delivery_strategy"
    DELIVERY_BACKEND: Final = "delivery_backend"
    STATUS_BACKEND: Final = "status_backend"
    TELEMETRY: Final = "telemetry"
    ORCHESTRATION: Final = "orchestration"
    AI: Final = "ai"
    MEMORY: Final = "memory"
    STT: Final = "stt"
    TTS: Final = "tts"
    VAD: Final = "vad"
    VOICE_BACKEND: Final = "voice_backend"
    SOURCE: Final = "source"
    TRANSCODER: Final = "transcoder"
    CONTENT: Final = "content"
    SECRET: Final = "secret"
    AUTH: Final = "auth"
    BLOB_STORE: Final = "blob_store"


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
