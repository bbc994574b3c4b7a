"""What became of each plugin, for people and programs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum

from roomkit_core.plugin import Component, PluginInfo
from roomkit_core.registry.discovery import Candidate

_log = logging.getLogger("roomkit.plugins")


class PluginState(StrEnum):
    """Where a plugin stands; every state but ``LOADED`` has a hint."""

    LOADED = "LOADED"
    """It works, as far as it was used."""
    IMPORT_ERROR = "IMPORT_ERROR"
    """Its module raised, or its distribution cannot be read."""
    NO_METADATA = "NO_METADATA"
    """Its module has no ``PLUGIN``, or one of another id."""
    INCOMPATIBLE = "INCOMPATIBLE"
    """It was written for another version of the plugin interface."""
    INVALID_HOOKS = "INVALID_HOOKS"
    """One of its implementations does not fit the specification."""
    CONFLICT = "CONFLICT"
    """Another plugin has the same id."""
    HOOK_ERROR = "HOOK_ERROR"
    """One of its implementations raised, took too long, or answered something else than specified."""
    TARGET_ERROR = "TARGET_ERROR"
    """One of its components was wanted and could not be imported; the others can still be used."""


@dataclass(frozen=True, slots=True)
class PluginReport:
    """One line of the report.

    Attributes:
        id: The plugin's id, as far as it is known: that of its entry point, or the name of its module.
        state: Where it stands.
        named: Whether the kit names it. A named plugin that is broken stops the start; any other is a warning.
        distribution: What brought it; None for a plugin that code passed in.
        version: That distribution's version.
        info: Its ``PLUGIN``, once that was read.
        exception: What was raised; None for states that need none.
        hint: What is wrong and what to do about it; empty while loaded.
        components: What can be used from it.
    """

    id: str
    state: PluginState
    named: bool = False
    distribution: str | None = None
    version: str | None = None
    info: PluginInfo | None = None
    exception: BaseException | None = None
    hint: str = ""
    components: tuple[Component, ...] = ()

    def __str__(self) -> str:
        """One line for people: who, what, why."""
        origin = f" ({self.distribution} {self.version or ''}".rstrip() + ")" if self.distribution else ""
        reason = f": {self.hint}" if self.hint else ""
        return f"{self.id}{origin} {self.state}{reason}"


def describe(error: BaseException) -> str:
    """An exception in one line, with its type."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@dataclass(slots=True, eq=False)
class PluginRecord:
    """What the registry remembers of one plugin; a report is its frozen copy."""

    id: str
    source: Candidate | None = None
    plugin: object = None
    info: PluginInfo | None = None
    state: PluginState = PluginState.LOADED
    exception: BaseException | None = None
    hint: str = ""
    components: tuple[Component, ...] = ()
    named: bool = False
    registered: bool = False
    hooked: bool = False

    @property
    def broken(self) -> bool:
        return self.state is not PluginState.LOADED

    def fail(self, state: PluginState, hint: str, error: BaseException | None = None) -> None:
        """Record and log what is wrong."""
        self.state, self.hint, self.exception = state, hint, error
        extra = {"plugin": self.id, "state": state.value}
        _log.warning("plugin %s", self.report(), exc_info=error, extra=extra)

    def report(self) -> PluginReport:
        source = self.source
        return PluginReport(
            id=self.id,
            state=self.state,
            named=self.named,
            distribution=source.distribution if source else None,
            version=source.version if source else None,
            info=self.info,
            exception=self.exception,
            hint=self.hint,
            components=self.components,
        )
