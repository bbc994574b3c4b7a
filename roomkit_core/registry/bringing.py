"""Importing what plugins name, and knowing whose fault it is if that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from roomkit_core.errors import PluginError
from roomkit_core.registry.catalog import CatalogEntry
from roomkit_core.registry.contributions import CommandEntry, RouteEntry
from roomkit_core.registry.imports import import_name
from roomkit_core.registry.report import PluginState, describe
from roomkit_core.registry.shelf import Shelf
from roomkit_core.registry.targets import check_fields, import_target

if TYPE_CHECKING:
    from roomkit_core.interfaces.kit import KitProtocol

T = TypeVar("T")

USER = "Install what it needs; the plugin's README says what."
AUTHOR = "This is for the author of the plugin to mend."


class Bringing:
    """Brings components, commands, routes and models; each raises PluginError and leaves the reason in the report."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def component(self, entry: CatalogEntry) -> Any:
        component = entry.component
        label = f"{component.kind} {component.name!r} cannot be imported from {component.target}"
        return self._bring(entry.plugin, label, partial(import_target, component))

    def command(self, entry: CommandEntry) -> Any:
        target = entry.command.target
        label = f"command {entry.command.name!r} cannot be imported from {target}"
        return self._bring(entry.plugin, label, partial(import_name, target))

    def model(self, plugin_id: str, of: str, name: str) -> Any:
        label = f"the configuration model of its {of} cannot be imported from {name}"
        return self._bring(plugin_id, label, partial(import_name, name), PluginState.CONFIG_ERROR)

    def route(self, entry: RouteEntry, kit: KitProtocol) -> Any:
        target = entry.route.target

        def build() -> Any:
            make: Any = import_name(target) if isinstance(target, str) else target
            return make(kit)

        name = target if isinstance(target, str) else getattr(target, "__qualname__", repr(target))
        return self._bring(entry.plugin, f"route {entry.route.path} cannot be made by {name}", build)

    def examine(
        self, components: Iterable[CatalogEntry], commands: Iterable[CommandEntry], routes: Iterable[RouteEntry]
    ) -> Iterator[PluginError]:
        """Import all of these, and the models of their configurations, and give what is wrong."""
        for bring in self._examinations(components, commands, routes):
            try:
                bring()
            except PluginError as problem:
                yield problem

    def _examinations(
        self, components: Iterable[CatalogEntry], commands: Iterable[CommandEntry], routes: Iterable[RouteEntry]
    ) -> Iterator[Callable[[], Any]]:
        for record in self._shelf.records:
            if record.registered and record.info is not None and record.info.config is not None:
                yield partial(self.model, record.id, "settings", record.info.config)
        for entry in components:
            component = entry.component
            yield partial(self.component, entry)
            if component.config is not None:
                yield partial(self.model, entry.plugin, f"{component.kind} {component.name!r}", component.config)
                yield partial(self._hold_to_settings, entry, component.config)
        for command in commands:
            yield partial(self.command, command)
        for route in routes:
            yield partial(self._route_target, route)

    def _hold_to_settings(self, entry: CatalogEntry, config: str) -> None:
        component = entry.component
        try:
            target, model = import_target(component), import_name(config)
        except Exception:
            return  # that has been told by those who import only one of them
        label = f"{component.kind} {component.name!r} cannot be made with the fields of {config}"
        self._bring(entry.plugin, label, partial(check_fields, component, target, model))

    def _route_target(self, entry: RouteEntry) -> None:
        target = entry.route.target
        if isinstance(target, str):
            label = f"route {entry.route.path} cannot be imported from {target}"
            self._bring(entry.plugin, label, partial(import_name, target))

    def _bring(
        self, plugin_id: str, label: str, bring: Callable[[], T], state: PluginState = PluginState.TARGET_ERROR
    ) -> T:
        """What ``bring`` gives. If it raises, the plugin is in that state from then on, unless it was in another."""
        try:
            return bring()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as in the loader: sys.exit() in a module is that module's failure
            reason = f"{label}: {describe(error)}"
            record = self._shelf.working(plugin_id)
            if not record.broken:
                record.fail(state, reason, error)
            origin = f" ({record.source.origin})" if record.source else ""
            raise PluginError(
                f"plugin {plugin_id!r}{origin}: {reason}",
                plugin=plugin_id,
                state=state,
                code="plugin.target",
                hint=AUTHOR if isinstance(error, TypeError) else USER,
            ) from error
