"""Changing one plugin of a kit that may be running: the steps; who takes turns and what is undone is the caller's."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, Protocol

from roomkit_core.errors import PluginError
from roomkit_core.plugin import HookRegistrar
from roomkit_core.registry.checks import info_of
from roomkit_core.registry.lifecycle import Lifecycle
from roomkit_core.registry.loader import Loader
from roomkit_core.registry.report import PluginRecord, PluginReport, require
from roomkit_core.registry.shelf import Shelf

if TYPE_CHECKING:
    from roomkit_core.interfaces.kit import KitProtocol

STARTUP: Final = 30.0
SHUTDOWN: Final = 10.0
"""Seconds that one implementation has."""


class HookLedger(Protocol):
    """All message hooks of a kit, as far as it takes to know and remove those of one plugin."""

    def registered(self) -> Collection[Any]:
        """Every hook that is not of one room."""
        ...

    def unregister(self, hooks: Collection[Any]) -> None:
        """Remove these."""
        ...


class Changes:
    """What can be done to one plugin."""

    def __init__(self, loader: Loader, shelf: Shelf, lifecycle: Lifecycle) -> None:
        self._loader = loader
        self._shelf = shelf
        self._lifecycle = lifecycle

    def apply_hooks(self, record: PluginRecord, registrar: HookRegistrar, ledger: HookLedger | None) -> None:
        """Let a plugin register its hooks; if it raises, those that it had registered are removed, and it with them."""
        before = set(ledger.registered()) if ledger else set()
        record.hooked = True
        try:
            for register in self._loader.implementations(record, "roomkit_hooks"):
                register(registrar=registrar)
        except Exception as error:
            self._loader.take_back(record)
            record.blame("roomkit_hooks", error)
        record.hooks = tuple(set(ledger.registered()) - before) if ledger else ()
        if record.broken:
            self._remove_hooks(record, ledger)

    async def start(self, plugin_id: str, kit: KitProtocol) -> None:
        """Start the plugin, unless it was; take back one that does not start. Its report says so, nothing is raised."""
        for record in self._shelf.known(plugin_id):
            if not await self._lifecycle.start_one(record, kit, STARTUP):
                self._loader.take_back(record)

    async def stop(self, plugin_id: str, kit: KitProtocol, ledger: HookLedger) -> None:
        """Remove the plugin's hooks, and shut it down if it was started. PluginError if there is no such plugin."""
        for record in self._existing(plugin_id):
            self._remove_hooks(record, ledger)
            await self._lifecycle.stop_one(record, kit, SHUTDOWN)

    def works(self, plugin_id: str) -> bool:
        """Whether a plugin of this id is registered."""
        return any(record.registered for record in self._shelf.known(plugin_id))

    def forget_broken(self, plugin: object) -> None:
        """Forget what is known of a plugin (or of the id of one) that does not work, so that it is tried again."""
        plugin_id = plugin if isinstance(plugin, str) else self.id_of(plugin)
        for record in self._shelf.known(plugin_id):
            if not record.registered:
                self._shelf.records.remove(record)

    def remove(self, plugin_id: str) -> PluginReport:
        """Forget the plugin, which is stopped. PluginError if there is none."""
        records = self._existing(plugin_id)
        report = records[0].report()
        for record in records:
            self._loader.take_back(record)
            self._shelf.records.remove(record)
        return report

    def replace(self, plugin: object, settings: object) -> PluginRecord:
        """Load a plugin in the place of the one of its id, which is stopped. Returns the old one, for :meth:`restore`.

        Raises:
            PluginError: There is none.
        """
        old = self._shelf.working(self.id_of(plugin))
        place = self._shelf.records.index(old)
        self._loader.take_back(old)
        new = PluginRecord(old.id, old.source, named=True, required=old.required, in_use=old.in_use)
        self._shelf.records[place] = new
        self._loader.load(new, lambda: plugin)
        same_model = new.info is not None and old.info is not None and new.info.config == old.info.config
        new.settings = old.settings if settings is None and same_model else settings
        return old

    def restore(self, old: PluginRecord) -> None:
        """Load the old plugin again in the place of the new one, which is stopped."""
        (new,) = self._shelf.known(old.id)
        self._loader.take_back(new)
        old.hooked = False
        old.recover()
        self._shelf.records[self._shelf.records.index(new)] = old
        self._loader.load(old, lambda: old.plugin)

    def require(self, plugin_id: str) -> None:
        """Raise PluginError if the plugin does not work and is required."""
        require(self._shelf.known(plugin_id))

    def id_of(self, plugin: object) -> str:
        """The id that the plugin says it has. PluginError if it says nothing."""
        info = info_of(plugin)
        if info is None:
            hint = "Pass a module with PLUGIN = PluginInfo(...)."
            raise PluginError(f"{plugin!r} is no plugin: it has no PLUGIN", state="NO_METADATA", hint=hint)
        return info.id

    def _existing(self, plugin_id: str) -> list[PluginRecord]:
        return self._shelf.known(plugin_id) or [self._shelf.working(plugin_id)]

    def _remove_hooks(self, record: PluginRecord, ledger: HookLedger | None) -> None:
        if ledger is not None:
            ledger.unregister(record.hooks)
        record.hooks, record.hooked = (), False
