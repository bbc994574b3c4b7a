"""What plugins give to others than the core: commands for the command line, routes for a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from roomkit_core.errors import PluginError
from roomkit_core.plugin import Command, RouteSpec
from roomkit_core.registry.checks import check_commands, check_routes
from roomkit_core.registry.loader import Loader
from roomkit_core.registry.report import PluginRecord, require

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command and the plugin that brings it."""

    plugin: str
    command: Command

    @property
    def full_name(self) -> str:
        """``"plugin:name"``, which is unique."""
        return f"{self.plugin}:{self.command.name}"


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """A route and the plugin that brings it."""

    plugin: str
    route: RouteSpec


class Contributions:
    """Asks each plugin once, alone, and keeps its answer."""

    def __init__(self, loader: Loader, records: Sequence[PluginRecord]) -> None:
        self._loader = loader
        self._records = records

    def commands(self) -> tuple[CommandEntry, ...]:
        """Those of all loaded plugins. Never raises."""
        for record in self._records:
            if record.registered and record.commands is None:
                record.commands = self._ask(record, "roomkit_commands", check_commands)
        return tuple(CommandEntry(record.id, command) for record in self._records for command in record.commands or ())

    def routes(self) -> tuple[RouteEntry, ...]:
        """Those of the plugins that are named or in use; PluginError for what must not be left out in silence."""
        asked = [record for record in self._records if record.registered and (record.named or record.in_use)]
        for record in asked:
            if record.routes is None:
                record.routes = self._ask(record, "roomkit_routes", check_routes)
        require(asked)
        return _each_path_once([RouteEntry(record.id, route) for record in asked for route in record.routes or ()])

    def announced_routes(self) -> tuple[RouteEntry, ...]:
        """Those of all loaded plugins that can say without settings what they would serve. Never raises."""
        for record in self._records:
            has_all = record.settings is not None or record.info is None or record.info.config is None
            if record.registered and record.routes is None and has_all:
                record.routes = self._ask(record, "roomkit_routes", check_routes)
        return tuple(RouteEntry(record.id, route) for record in self._records for route in record.routes or ())

    def _ask(
        self, record: PluginRecord, hook: str, check: Callable[[Iterable[object]], tuple[T, ...]]
    ) -> tuple[T, ...]:
        try:
            return check(announce() for announce in self._loader.implementations(record, hook))
        except Exception as error:
            record.blame(hook, error)
            return ()


def _each_path_once(entries: Sequence[RouteEntry]) -> tuple[RouteEntry, ...]:
    first: dict[str, RouteEntry] = {}
    for entry in entries:
        other = first.setdefault(entry.route.path, entry)
        if other is not entry:
            raise PluginError(
                f"the plugins {other.plugin!r} and {entry.plugin!r} both serve {entry.route.path}",
                plugin=entry.plugin,
                code="plugin.route_conflict",
                hint="Do without one of them, or give one another path where its settings have one.",
            )
    return tuple(entries)
