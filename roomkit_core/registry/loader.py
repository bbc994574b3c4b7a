"""Loading one plugin: metadata, interface version, implementations, components, in that order and all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pluggy

from roomkit_core.plugin import Component, specs
from roomkit_core.plugin.markers import PROJECT
from roomkit_core.registry.checks import SPECIFIED, check_components, check_implementations, check_info
from roomkit_core.registry.report import PluginRecord, PluginState, Refused, describe
from roomkit_core.registry.settings import settings_of


class Loader:
    """The plugins that are registered, with the implementations they brought.

    pluggy keeps and validates the implementations. It is never asked to call them: it would call those of all plugins
    together, and a raise would have no name.
    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(specs)

    def load(self, record: PluginRecord, bring: Callable[[], object]) -> None:
        """Register what ``bring`` gives, and say in ``record`` what came of it. Never raises, but for Ctrl-C.

        Args:
            record: Its id is what the plugin is expected to be.
            bring: Imports the plugin.
        """
        try:
            record.plugin = _import(bring)
            record.info = check_info(record.plugin, record.id)
            self._register(record)
            record.components = self._announced(record)
        except Refused as refusal:
            self.take_back(record)
            record.fail(refusal.state, refusal.hint, refusal.__cause__)

    def take_back(self, record: PluginRecord) -> None:
        """Take back all that was registered of a plugin."""
        if record.registered:
            self._manager.unregister(record.plugin)
        record.registered = False
        record.components = ()
        record.commands = record.routes = None
        record.implements = ()
        record.resolved.clear()

    def implementations(self, record: PluginRecord, hook: str) -> Iterator[Callable[..., Any]]:
        """The plugin's own implementations of one specification; each takes the specified arguments by name.

        ``settings`` are added, where an implementation has that parameter; it then also raises what
        :func:`settings_of` raises.
        """
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            if implementation.plugin is record.plugin:
                yield _by_name(implementation, record)

    def _register(self, record: PluginRecord) -> None:
        try:
            self._manager.register(record.plugin, record.id)
            record.registered = True
        except Exception as error:
            # Some versions of pluggy register one implementation after the other and stop at the one that does not fit.
            record.registered = self._manager.get_plugin(record.id) is record.plugin
            hint = f"an implementation does not fit roomkit_core.plugin.specs: {describe(error)}"
            raise Refused(PluginState.INVALID_HOOKS, hint) from error
        check_implementations(self._manager, record.plugin)
        record.implements = tuple(name for name in SPECIFIED if any(self.implementations(record, name)))

    def _announced(self, record: PluginRecord) -> tuple[Component, ...]:
        try:
            return check_components(announce() for announce in self.implementations(record, "roomkit_components"))
        except Exception as error:
            raise Refused(PluginState.HOOK_ERROR, f"roomkit_components failed: {describe(error)}") from error


def _import(bring: Callable[[], object]) -> object:
    try:
        return bring()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may also call sys.exit(), or panic in an extension
        hint = f"importing it failed: {describe(error)}"
        if isinstance(error, ModuleNotFoundError):
            hint += "; install what is missing, or reinstall the plugin with its dependencies"
        raise Refused(PluginState.IMPORT_ERROR, hint) from error


def _by_name(implementation: Any, record: PluginRecord) -> Callable[..., Any]:
    def call(**arguments: object) -> Any:
        if "settings" in implementation.argnames:
            arguments["settings"] = settings_of(record)
        return implementation.function(*(arguments[name] for name in implementation.argnames))

    return call
