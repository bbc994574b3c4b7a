"""Announces the WebSocket channel; imports nothing of it."""

from collections.abc import Iterator

from roomkit_core.plugin import Component, Kind, PluginInfo, RouteSpec, hookimpl

PLUGIN = PluginInfo("websocket", api="1.0", summary="Live clients over WebSocket, each with a cursor of its own")


@hookimpl
def roomkit_components() -> Iterator[Component]:
    yield Component(
        Kind.CHANNEL,
        "websocket",
        "roomkit_websocket.channel:WebSocketChannel",
        config="roomkit_websocket.settings:WebSocketSettings",
        summary=PLUGIN.summary,
    )


@hookimpl
def roomkit_routes() -> Iterator[RouteSpec]:
    yield RouteSpec("/ws", "roomkit_websocket.route:serve", auth="route", summary="Clients of WebSocket channels")
