"""``kit.plugins``: what is loaded, what it offers, and changes to it while the kit runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from roomkit_core.errors import KitStateError
from roomkit_core.hooks.node import inside
from roomkit_core.hooks.registration import HookRegistry

if TYPE_CHECKING:
    from roomkit_core.interfaces.kit import KitProtocol
    from roomkit_core.plugin import HookRegistrar
    from roomkit_core.registry import CatalogEntry, PluginRegistry, PluginReport, RouteEntry


class Plugins:
    """The plugins of a kit.

    :meth:`load`, :meth:`unload` and :meth:`replace` may be called before the kit starts and while it runs; they take
    turns with each other and with start and close. Inside ``roomkit_startup`` or ``roomkit_shutdown`` they raise
    KitStateError.

    Args:
        kit: Whose plugins these are.
        registry: Finds and loads them.
        hooks: All hooks of the kit.
        is_running: Whether the kit is started and not closing.
    """

    def __init__(
        self,
        kit: KitProtocol,
        registry: PluginRegistry,
        hooks: HookRegistry,
        is_running: Callable[[], bool],
    ) -> None:
        self._kit = kit
        self._registrar: HookRegistrar | None = None
        self._registry = registry
        self._changes = registry.changes
        self._hooks = hooks
        self._is_running = is_running
        self._lock = anyio.Lock()

    # ------------------------------------------------------------------------------------------------ looking

    def report(self) -> tuple[PluginReport, ...]:
        """Every plugin that was looked at, in the order in which that happened. Never raises."""
        return self._registry.report()

    def components(self, kind: str | None = None) -> tuple[CatalogEntry, ...]:
        """What the loaded plugins offer, of one kind or of all."""
        return self._registry.components(kind)

    def find(self, kind: str, name: str) -> CatalogEntry:
        """The component of that name, or of ``"plugin:name"``; see :meth:`PluginRegistry.find`."""
        return self._registry.find(kind, name)

    def resolve(self, kind: str, name: str) -> Any:
        """Import the component of that name; see :meth:`PluginRegistry.resolve`."""
        return self._registry.resolve(kind, name)

    def settings(self, plugin_id: str) -> Any:
        """The settings of a plugin; see :meth:`PluginRegistry.settings`."""
        return self._registry.settings(plugin_id)

    def routes(self) -> tuple[RouteEntry, ...]:
        """What the plugins of this kit serve; see :meth:`PluginRegistry.routes`."""
        return self._registry.routes()

    def build_route(self, entry: RouteEntry) -> Any:
        """The ASGI application of a route; None if this kit has nothing to serve there.

        Raises:
            PluginError: See :meth:`PluginRegistry.build_route`.
        """
        return self._registry.build_route(entry, self._kit)

    # ------------------------------------------------------------------------------------------------ changing

    async def load(self, plugin: object, *, required: bool = True, settings: object = None) -> PluginReport:
        """Load a plugin, start it if the kit runs, and let it register its hooks.

        Args:
            plugin: A module (or other object) with ``PLUGIN`` and implementations, or the id of an installed plugin.
            required: Whether a plugin that does not work raises; otherwise its report says so.
            settings: What its configuration model made of its settings; made of nothing if None.

        Returns:
            What came of it. A plugin that works already stays as it is; one that does not is tried again.

        Raises:
            PluginError: It is not installed, or does not work and is required. Nothing of it stays but its report.
        """
        async with self._turn():
            return await self._load(plugin, settings, required=required)

    async def unload(self, plugin_id: str) -> PluginReport:
        """Remove a plugin's hooks, shut it down if it was started, and take back what it offers.

        Objects that were made of its components stay as they are, such as a channel, which
        :meth:`RoomKit.unregister_channel` removes. Hooks that run already end on their own. What is owed to a durable
        hook of the plugin waits until a hook of its name is registered again.

        Returns:
            Its last report; it is in :meth:`report` no longer.

        Raises:
            PluginError: No plugin of this id is loaded.
        """
        async with self._turn():
            await self._changes.stop(plugin_id, self._kit, self._hooks)
            return self._changes.remove(plugin_id)

    async def replace(self, plugin: object, *, settings: object = None) -> PluginReport:
        """Put a newer plugin in the place of the loaded one of the same id, such as a module that was edited.

        The old one is shut down before the new one starts. Hooks of the new one run behind those of equal priority.

        Args:
            plugin: The new module (or other object) with ``PLUGIN`` and implementations.
            settings: Its settings; if None those of the old one, if both name the same configuration model.

        Raises:
            PluginError: There was no plugin of this id; or the new one does not work, and then the old one is back,
                started anew, if it did.
        """
        async with self._turn():
            plugin_id = self._changes.id_of(plugin)
            await self._changes.stop(plugin_id, self._kit, self._hooks)
            if not self._changes.works(plugin_id):
                return await self._load(plugin, settings, required=True)
            old = self._changes.replace(plugin, settings)
            try:
                await self._bring_up(plugin_id)
                return self._told(plugin_id, required=True)
            except BaseException:  # also if the caller is cancelled: somebody has to be at work
                with anyio.CancelScope(shield=True):
                    await self._changes.stop(plugin_id, self._kit, self._hooks)
                    self._changes.restore(old)
                    await self._bring_up(plugin_id)
                raise

    def apply_hooks(self, registrar: HookRegistrar) -> None:
        """Let the named plugins register their message hooks there, now and whenever one is loaded."""
        self._registrar = registrar
        self._registry.apply_hooks(registrar, self._hooks)

    async def _load(self, plugin: object, settings: object, *, required: bool) -> PluginReport:
        self._changes.forget_broken(plugin)
        known = {report.id for report in self.report()}
        plugin_id = self._registry.load(plugin, required=required).id
        is_new = plugin_id not in known
        if is_new and settings is not None and self._changes.works(plugin_id):
            self._registry.configure(plugin_id, settings)
        try:
            await self._bring_up(plugin_id)
        except BaseException:
            if is_new:
                self._changes.remove(plugin_id)
            raise
        return self._told(plugin_id, required=required)

    async def _bring_up(self, plugin_id: str) -> None:
        if self._is_running():
            with inside(self._kit, "channel"):
                await self._changes.start(plugin_id, self._kit)
        if self._registrar is not None:
            self._registry.apply_hooks(self._registrar, self._hooks)

    def _told(self, plugin_id: str, *, required: bool) -> PluginReport:
        if required:
            self._changes.require(plugin_id)
        return next(report for report in self.report() if report.id == plugin_id)

    # ------------------------------------------------------------------------------------------------ the kit's life

    async def start(self) -> None:
        """Run ``roomkit_startup`` of each plugin; see :meth:`PluginRegistry.startup`."""
        async with self._turn():
            await self._registry.startup(self._kit)

    async def stop(self) -> None:
        """Run ``roomkit_shutdown`` of each plugin that was started; see :meth:`PluginRegistry.shutdown`."""
        async with self._turn():
            await self._registry.shutdown(self._kit)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._lock.locked() and self._lock.statistics().owner == anyio.get_current_task():
            raise KitStateError(
                "a plugin that starts or stops cannot change the plugins of its kit",
                code="kit.reentrant_plugins",
                hint="Do it from outside, or from a task of kit.spawn().",
            )
        async with self._lock:
            yield
