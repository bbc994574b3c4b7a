"""The built-in implementations as a plugin, announced and found like anybody else's."""

from __future__ import annotations

from collections.abc import Iterator

from roomkit_core.plugin import Component, Kind, PluginInfo, hookimpl

PLUGIN = PluginInfo("builtin", api="1.0", summary="What RoomKit uses when nothing else is given")


@hookimpl
def roomkit_components() -> Iterator[Component]:
    """Stores, locks and router for one process, and the bot's channel."""
    yield Component(Kind.STORE, "memory", "roomkit_core.builtin.memory.store:InMemoryStore", summary="For tests")
    yield Component(
        Kind.STORE,
        "sqlite",
        "roomkit_core.builtin.sqlite.store:SQLiteStore",
        config="roomkit_core.builtin.settings:SQLiteSettings",
        summary="One file, one process, durable",
    )
    yield Component(Kind.LOCK, "memory", "roomkit_core.builtin.locks:InMemoryLockManager", summary="For one process")
    yield Component(Kind.CHANNEL, "bot", "roomkit_core.builtin.bot:BotChannel", summary="A bot's place in a room")
    yield Component(
        Kind.CHANNEL, "terminal", "roomkit_core.builtin.terminal:TerminalChannel", summary="People at a terminal"
    )
    yield Component(
        Kind.ROUTER, "default", "roomkit_core.builtin.router:DefaultInboundRoomRouter", summary="By conversation key"
    )
