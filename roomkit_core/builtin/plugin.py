"""The built-in implementations as a plugin, announced and found like anybody else's."""

from __future__ import annotations

from collections.abc import Iterator

from roomkit_core.plugin import Component, Kind, PluginInfo, hookimpl

PLUGIN = PluginInfo("builtin", api="1.0", summary="What RoomKit uses when nothing else is given")


_SETTINGS = "roomkit_core.builtin.settings"


@hookimpl
def roomkit_components() -> Iterator[Component]:
    """Stores, locks and router for one process, the bot's channel and the terminal."""
    yield Component(
        Kind.STORE,
        "memory",
        "roomkit_core.builtin.memory.store:InMemoryStore",
        config=f"{_SETTINGS}:MemoryStoreSettings",
        summary="For tests",
    )
    yield Component(
        Kind.STORE,
        "sqlite",
        "roomkit_core.builtin.sqlite.store:SQLiteStore",
        config=f"{_SETTINGS}:SQLiteSettings",
        summary="One file, one process, durable",
    )
    yield Component(
        Kind.LOCK,
        "memory",
        "roomkit_core.builtin.locks:InMemoryLockManager",
        config=f"{_SETTINGS}:MemoryLockSettings",
        summary="For one process",
    )
    yield Component(
        Kind.CHANNEL,
        "bot",
        "roomkit_core.builtin.bot:BotChannel",
        config=f"{_SETTINGS}:BotSettings",
        summary="A bot's place in a room",
    )
    yield Component(
        Kind.ROUTER,
        "default",
        "roomkit_core.builtin.router:DefaultInboundRoomRouter",
        config=f"{_SETTINGS}:DefaultRouterSettings",
        summary="By conversation key",
    )
    yield Component(
        Kind.CHANNEL,
        "terminal",
        "roomkit_core.builtin.terminal:TerminalChannel",
        config=f"{_SETTINGS}:TerminalSettings",
        summary="People at a terminal",
    )
