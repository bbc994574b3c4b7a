"""What became of each plugin, for people and programs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from roomkit_core.errors import PluginError
from roomkit_core.plugin import Command, Component, PluginInfo, RouteSpec
from roomkit_core.registry.discovery import Candidate

_log = logging.getLogger("roomkit.plugins")


class PluginState(StrEnum):
    """Where a plugin stands; every state but ``LOADED`` has a hint."""

    LOADED = "LOADED"
    """It works, as far as it was used."""
    DISABLED = "DISABLED"
    """It is on the list of denied plugins, or not on that of allowed ones; nothing of it was imported."""
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
    CONFIG_ERROR = "CONFIG_ERROR"
    """Its own settings, or those of one of its components, are not valid; the other components can still be used."""


class Refused(Exception):
    """A plugin is not taken; the exception behind it, if there is one, is the ``__cause__``."""

    def __init__(self, state: PluginState, hint: str) -> None:
        super().__init__(hint)
        self.state = state
        self.hint = hint


@dataclass(frozen=True, slots=True)
class PluginReport:
    """One line of the report.

    Attributes:
        id: The plugin's id, as far as it is known: that of its entry point, or the name of its module.
        state: Where it stands.
        named: Whether the kit names it; only then are its message hooks asked for.
        required: Whether the kit does not start without it. Of any other plugin, what is broken is a warning.
        distribution: What brought it; None for a plugin that code passed in.
        version: That distribution's version.
        info: Its ``PLUGIN``, once that was read.
        exception: What was raised; None for states that need none.
        hint: What is wrong and what to do about it; empty while loaded.
        components: What can be used from it.
        commands: What it adds to the ``roomkit`` command, once the command line asked for that.
        implements: The specifications that it implements, by name.
    """

    id: str
    state: PluginState
    named: bool = False
    required: bool = False
    distribution: str | None = None
    version: str | None = None
    info: PluginInfo | None = None
    exception: BaseException | None = None
    hint: str = ""
    components: tuple[Component, ...] = ()
    commands: tuple[Command, ...] = ()
    implements: tuple[str, ...] = ()

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
    commands: tuple[Command, ...] | None = None
    routes: tuple[RouteSpec, ...] | None = None
    implements: tuple[str, ...] = ()
    settings: Any = None
    named: bool = False
    required: bool = False
    in_use: bool = False
    registered: bool = False
    hooked: bool = False
    hooks: tuple[Any, ...] = ()
    resolved: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def broken(self) -> bool:
        return self.state is not PluginState.LOADED

    @property
    def stops_start(self) -> bool:
        """Whether the kit must not start: it requires the plugin, or uses what the plugin could not prepare."""
        if self.named:
            return self.required and self.broken
        return self.in_use and self.state in (PluginState.HOOK_ERROR, PluginState.CONFIG_ERROR)

    def fail(self, state: PluginState, hint: str, error: BaseException | None = None) -> None:
        """Record and log what is wrong."""
        self.state, self.hint, self.exception = state, hint, error
        extra = {"plugin": self.id, "state": state.value}
        level = logging.INFO if state is PluginState.DISABLED else logging.WARNING
        _log.log(level, "plugin %s", self.report(), exc_info=error, extra=extra)

    def recover(self) -> None:
        """Forget what was wrong, before another attempt."""
        self.state, self.hint, self.exception = PluginState.LOADED, "", None

    def blame(self, hook: str, error: Exception) -> None:
        """Record that an implementation of the plugin raised, or could not be called with what it wants."""
        if isinstance(error, Refused):
            self.fail(error.state, error.hint, error.__cause__)
        else:
            self.fail(PluginState.HOOK_ERROR, f"{hook} failed: {describe(error)}", error)

    def report(self) -> PluginReport:
        source = self.source
        return PluginReport(
            id=self.id,
            state=self.state,
            named=self.named,
            required=self.required,
            distribution=source.distribution if source else None,
            version=source.version if source else None,
            info=self.info,
            exception=self.exception,
            hint=self.hint,
            components=self.components,
            commands=self.commands or (),
            implements=self.implements,
        )


def require(records: Iterable[PluginRecord]) -> None:
    """Raise PluginError if any of these is broken without which the kit does not start; tells of all of them."""
    broken = [record for record in records if record.stops_start]
    if broken:
        first = broken[0]
        reasons = "; ".join(str(record.report()) for record in broken)
        raise PluginError(
            f"the kit requires plugins that do not work: {reasons}",
            plugin=first.id,
            state=first.state,
            code="plugin.required",
            hint=first.hint,
        ) from first.exception
