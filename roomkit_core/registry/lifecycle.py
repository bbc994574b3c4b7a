"""Starting and stopping plugins with their kit, each awaited alone under a timeout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio

from roomkit_core.errors import PluginError
from roomkit_core.registry.loader import Loader
from roomkit_core.registry.report import PluginRecord, PluginState, require

if TYPE_CHECKING:
    from roomkit_core.interfaces.kit import KitProtocol


class Lifecycle:
    """Remembers who was started, in order to stop exactly those."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._started: list[PluginRecord] = []

    async def startup(self, records: Sequence[PluginRecord], kit: KitProtocol, timeout: float) -> None:
        require(records)
        for record in tuple(records):
            await self.start_one(record, kit, timeout)
        try:
            require(records)
        except PluginError:
            await self.shutdown(kit, timeout)
            raise

    async def start_one(self, record: PluginRecord, kit: KitProtocol, timeout: float) -> bool:
        """Start a plugin that is registered and was not started yet. Whether it is started now."""
        if record in self._started:
            return True
        if not record.registered or not await self._run(record, "roomkit_startup", kit, timeout, shield=False):
            return False
        self._started.append(record)
        return True

    async def stop_one(self, record: PluginRecord, kit: KitProtocol, timeout: float) -> None:
        """Stop a plugin, if it was started."""
        if record in self._started:
            self._started.remove(record)
            await self._run(record, "roomkit_shutdown", kit, timeout, shield=True)

    async def shutdown(self, kit: KitProtocol, timeout: float) -> None:
        while self._started:
            await self._run(self._started.pop(), "roomkit_shutdown", kit, timeout, shield=True)

    async def _run(self, record: PluginRecord, hook: str, kit: KitProtocol, timeout: float, *, shield: bool) -> bool:
        """Whether the plugin's own implementations returned; if not, the record says why."""
        for implementation in self._loader.implementations(record, hook):
            try:
                with anyio.move_on_after(timeout, shield=shield) as scope:
                    await implementation(kit=kit)
            except Exception as error:
                record.blame(hook, error)
                return False
            if scope.cancelled_caught:
                record.fail(PluginState.HOOK_ERROR, f"{hook} did not return within {timeout:g} seconds", TimeoutError())
                return False
        return True
