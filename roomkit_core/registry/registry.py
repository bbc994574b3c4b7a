"""The registry of one kit: which plugins it has, what they offer, and how they are doing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from roomkit_core.errors import PluginError
from roomkit_core.plugin import HookRegistrar
from roomkit_core.registry import lookup
from roomkit_core.registry.catalog import Catalog, CatalogEntry
from roomkit_core.registry.discovery import Candidate
from roomkit_core.registry.lifecycle import Lifecycle
from roomkit_core.registry.loader import Loader
from roomkit_core.registry.report import PluginReport, PluginState, describe
from roomkit_core.registry.shelf import Shelf
from roomkit_core.registry.targets import import_target

if TYPE_CHECKING:
    from roomkit_core.interfaces.kit import KitProtocol


class PluginRegistry:
    """The plugins of one kit. Two registries share nothing but the modules that Python imported.

    A plugin that is *named* (given to :meth:`load`) may register message hooks and has to work; one that is merely
    *discovered* offers its components and is a warning when broken. Not for use from several threads.

    Args:
        candidates: The installed plugins; those of this Python environment if omitted, read at first need and once.
    """

    def __init__(self, candidates: Iterable[Candidate] | None = None) -> None:
        self._loader = Loader()
        self._shelf = Shelf(self._loader, candidates)
        self._catalog = Catalog(self._shelf.records)
        self._lifecycle = Lifecycle(self._loader)
        self._resolved: dict[tuple[str, str, str], Any] = {}

    def load(self, plugin: object) -> PluginReport:
        """Load a plugin that the kit names.

        Args:
            plugin: A module (or other object) with ``PLUGIN`` and implementations; or the id of an installed plugin, of
                which only that one is imported. What is loaded already is only marked as named.

        Returns:
            What came of it. A broken plugin does not raise here: it stops :meth:`startup`.

        Raises:
            PluginError: No plugin of this id is installed.
        """
        shelf = self._shelf
        taken = shelf.take_installed(plugin) if isinstance(plugin, str) else [shelf.take_object(plugin)]
        for record in taken:
            record.named = True
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
        key = (entry.plugin, kind, entry.component.name)
        if key not in self._resolved:
            self._resolved[key] = self._import(entry)
        return self._resolved[key]

    def apply_hooks(self, registrar: HookRegistrar) -> None:
        """Let the named plugins register their message hooks, each plugin once. Never raises.

        A plugin that fails is withdrawn with its components. What it had registered by then stays with the registrar
        and meets no message, because such a plugin stops :meth:`startup`.

        Args:
            registrar: Usually the kit.
        """
        for record in self._shelf.records:
            if not (record.registered and record.named) or record.hooked:
                continue
            record.hooked = True
            try:
                for register in self._loader.implementations(record, "roomkit_hooks"):
                    register(registrar=registrar)
            except Exception as error:
                hint = f"roomkit_hooks failed: {describe(error)}"
                self._loader.withdraw(record, PluginState.HOOK_ERROR, hint, error)

    async def startup(self, kit: KitProtocol, *, timeout: float = 30.0) -> None:
        """Run ``roomkit_startup`` of each plugin, one after the other in the order of loading.

        Args:
            kit: What the plugins receive.
            timeout: Seconds for each implementation.

        Raises:
            PluginError: A named plugin is broken, before anything is run; or it failed to start, and then those that
                did start have been shut down again.
        """
        await self._lifecycle.startup(self._shelf.records, kit, timeout)

    async def shutdown(self, kit: KitProtocol, *, timeout: float = 10.0) -> None:
        """Run ``roomkit_shutdown`` of each plugin that was started, the last one first. A raise is only reported.

        To be called also when :meth:`startup` was cancelled. Shielded from cancellation, within the timeout.

        Args:
            kit: What the plugins receive.
            timeout: Seconds for each implementation.
        """
        await self._lifecycle.shutdown(kit, timeout)

    def _import(self, entry: CatalogEntry) -> Any:
        component = entry.component
        try:
            return import_target(component)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as in the loader: sys.exit() in a module is that module's failure
            reason = (
                f"{component.kind} {component.name!r} cannot be imported from {component.target}: {describe(error)}"
            )
            record = next(found for found in self._shelf.records if found.id == entry.plugin and found.registered)
            record.fail(PluginState.TARGET_ERROR, reason, error)
            origin = f" ({record.source.origin})" if record.source else ""
            raise PluginError(
                f"plugin {entry.plugin!r}{origin}: {reason}",
                plugin=entry.plugin,
                state=record.state,
                code="plugin.target",
                hint="Install what the component needs; the plugin's README says what.",
            ) from error
