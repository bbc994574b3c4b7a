"""The registry of one kit: which plugins it has, what they offer, and how they are doing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from roomkit_core.errors import PluginError
from roomkit_core.plugin import HookRegistrar
from roomkit_core.registry import lookup
from roomkit_core.registry.admission import Admission
from roomkit_core.registry.bringing import Bringing
from roomkit_core.registry.catalog import Catalog, CatalogEntry
from roomkit_core.registry.changes import SHUTDOWN, STARTUP, Changes, HookLedger
from roomkit_core.registry.contributions import CommandEntry, Contributions, RouteEntry
from roomkit_core.registry.discovery import Candidate
from roomkit_core.registry.lifecycle import Lifecycle
from roomkit_core.registry.loader import Loader
from roomkit_core.registry.report import PluginReport, PluginState, Refused
from roomkit_core.registry.settings import settings_of
from roomkit_core.registry.shelf import Shelf

if TYPE_CHECKING:
    from roomkit_core.interfaces.kit import KitProtocol


class PluginRegistry:
    """The plugins of one kit. Two registries share nothing but the modules that Python imported.

    A plugin that is *named* (given to :meth:`load`) may register message hooks and has to work; one that is merely
    *discovered* offers its components and is a warning when broken. Not for use from several threads.

    Args:
        candidates: The installed plugins; those of this Python environment if omitted, read at first need and once.
        allow: Ids of the installed plugins that may be loaded; all if None. The others are reported as DISABLED, and
            nothing of them is imported.
        deny: Ids of installed plugins that may not, whatever ``allow`` says. Neither list is about plugins that code
            passes in as objects, such as the built-in one.

    Attributes:
        changes: What can be done to a single plugin while a kit runs; used by ``kit.plugins``.
    """

    def __init__(
        self,
        candidates: Iterable[Candidate] | None = None,
        *,
        allow: Collection[str] | None = None,
        deny: Collection[str] = (),
    ) -> None:
        self._loader = Loader()
        self._shelf = Shelf(self._loader, candidates, Admission(allow, deny))
        self._catalog = Catalog(self._shelf.records)
        self._lifecycle = Lifecycle(self._loader)
        self._contributions = Contributions(self._loader, self._shelf.records)
        self.changes = Changes(self._loader, self._shelf, self._lifecycle)
        self._bringing = Bringing(self._shelf)

    def load(self, plugin: object, *, required: bool = True) -> PluginReport:
        """Load a plugin that the kit names.

        Args:
            plugin: A module (or other object) with ``PLUGIN`` and implementations; or the id of an installed plugin, of
                which only that one is imported. What is loaded already is only marked as named.
            required: Whether the kit does not start if the plugin is broken. If false, that is a warning.

        Returns:
            What came of it. A broken plugin does not raise here: it stops :meth:`startup`.

        Raises:
            PluginError: No plugin of this id is installed.
        """
        shelf = self._shelf
        taken = shelf.take_installed(plugin) if isinstance(plugin, str) else [shelf.take_object(plugin)]
        for record in taken:
            record.named = True
            record.required = record.required or required
        return taken[0].report()

    def discover(self) -> tuple[PluginReport, ...]:
        """Load every installed plugin that is not loaded yet, and report on all. Imports no component. Never raises.

        An id that several distributions claim is refused to all of them. One that was loaded before stays where it is.
        """
        self._shelf.take_all()
        return self.report()

    def report(self) -> tuple[PluginReport, ...]:
        """Every plugin that was looked at, in the order in which that happened. Never raises."""
        return tuple(record.report() for record in self._shelf.records)

    def components(self, kind: str | None = None) -> tuple[CatalogEntry, ...]:
        """What the loaded plugins offer, of one kind or of all."""
        return self._catalog.of_kind(kind)

    def find(self, kind: str, name: str) -> CatalogEntry:
        """The component of that name, or of ``"plugin:name"``. Imports nothing.

        Raises:
            PluginError: Several plugins offer the name; or nobody does, and the message says what is close to it and
                which installed plugin might, if it were loaded or not broken.
        """
        matches = self._catalog.matches(kind, name)
        if len(matches) > 1:
            raise lookup.ambiguous(kind, name, matches)
        if not matches:
            raise lookup.unknown_component(kind, name, self._catalog, self._shelf.records, self._shelf.installed)
        return matches[0]

    def resolve(self, kind: str, name: str) -> Any:
        """Import the component of that name, once.

        Returns:
            The object that its target names; for the kinds of the core a subclass of that kind's abstract class. Any,
            because kinds are open and only the caller knows what to do with one.

        Raises:
            PluginError: As :meth:`find`; or the target does not import or is of the wrong class. The plugin is then
                reported as TARGET_ERROR, and its other components stay usable.
        """
        entry = self.find(kind, name)
        record = self._shelf.working(entry.plugin)
        key = (kind, entry.component.name)
        if key not in record.resolved:
            record.resolved[key] = self._bringing.component(entry)
        record.in_use = True
        return record.resolved[key]

    def examine(self) -> tuple[PluginError, ...]:
        """Import all that the loaded plugins name, use none of it, and return what is wrong. Never raises.

        Components have to be of the class of their kind and to take the fields of their settings; commands, routes and
        the models of configurations have to import. Left out are routes of plugins that want settings nobody gave. What
        is found is in :meth:`report`, too, the first of each plugin.
        """
        routes = self._contributions.announced_routes()
        return tuple(self._bringing.examine(self.components(), self.commands(), routes))

    def commands(self) -> tuple[CommandEntry, ...]:
        """What the loaded plugins add to the ``roomkit`` command. Imports no command. Never raises.

        A plugin that cannot say what it adds is reported as HOOK_ERROR, and adds nothing.
        """
        return self._contributions.commands()

    def import_command(self, entry: CommandEntry) -> Any:
        """Import a command: a function, or whatever else its target names.

        Raises:
            PluginError: Its target does not import. The plugin is then reported as TARGET_ERROR.
        """
        return self._bringing.command(entry)

    def routes(self) -> tuple[RouteEntry, ...]:
        """What the plugins serve that the kit names or of which it uses a component. Imports no route.

        A plugin that cannot say what it serves is reported as HOOK_ERROR, and serves nothing.

        Raises:
            PluginError: Two plugins serve the same path; or a required plugin is broken.
        """
        return self._contributions.routes()

    def build_route(self, entry: RouteEntry, kit: KitProtocol) -> Any:
        """The ASGI application of a route for a kit; None if there is nothing to serve in this one.

        Raises:
            PluginError: Its target does not import or raises. The plugin is then reported as TARGET_ERROR.
        """
        return self._bringing.route(entry, kit)

    def configure(self, plugin_id: str, settings: object) -> None:
        """Give a loaded plugin its settings: what its own model made of them. Implementations called later get them.

        Raises:
            PluginError: No such plugin works.
        """
        self._shelf.working(plugin_id).settings = settings

    def settings(self, plugin_id: str) -> Any:
        """The plugin's settings: what :meth:`configure` was given, else what its model makes of nothing, else None.

        Raises:
            PluginError: No such plugin works; or its model needs settings, and it is then reported as CONFIG_ERROR.
        """
        record = self._shelf.working(plugin_id)
        try:
            return settings_of(record)
        except Refused as refusal:
            record.fail(refusal.state, refusal.hint, refusal.__cause__)
            message = f"plugin {plugin_id!r}: {refusal.hint}"
            raise PluginError(message, plugin=plugin_id, state=record.state, code="plugin.settings") from refusal

    def report_config_error(self, plugin_id: str, hint: str, error: Exception | None = None) -> None:
        """Record that the configuration of the plugin, or of one of its components, is not valid.

        Other components stay usable. The kit does not start if it requires the plugin. A plugin that does not work for
        another reason keeps that one.

        Args:
            plugin_id: The plugin.
            hint: What is wrong and how to mend it, for people, without any value that may be secret.
            error: What was raised, if anything; it is logged.
        """
        for record in self._shelf.records:
            if record.id == plugin_id and record.registered:
                record.fail(PluginState.CONFIG_ERROR, hint, error)

    def apply_hooks(self, registrar: HookRegistrar, ledger: HookLedger | None = None) -> None:
        """Let the named plugins register their message hooks, each plugin once. Never raises.

        A plugin that fails is withdrawn with its components and with the hooks that it had registered by then.

        Args:
            registrar: Usually the kit.
            ledger: Its hooks. Without it, hooks of a plugin that fails stay; they meet no message if the plugin is
                required, because it then stops :meth:`startup`.
        """
        for record in self._shelf.records:
            if record.registered and record.named and not record.hooked:
                self.changes.apply_hooks(record, registrar, ledger)

    async def startup(self, kit: KitProtocol, *, timeout: float = STARTUP) -> None:
        """Run ``roomkit_startup`` of each plugin, one after the other in the order of loading.

        Args:
            kit: What the plugins receive.
            timeout: Seconds for each implementation.

        Raises:
            PluginError: A required plugin is broken, before anything is run; or it failed to start, and then those that
                did start have been shut down again.
        """
        await self._lifecycle.startup(self._shelf.records, kit, timeout)

    async def shutdown(self, kit: KitProtocol, *, timeout: float = SHUTDOWN) -> None:
        """Run ``roomkit_shutdown`` of each plugin that was started, the last one first. A raise is only reported.

        To be called also when :meth:`startup` was cancelled. Shielded from cancellation, within the timeout.

        Args:
            kit: What the plugins receive.
            timeout: Seconds for each implementation.
        """
        await self._lifecycle.shutdown(kit, timeout)
