"""Announces the ASGI host; imports nothing of it."""

from collections.abc import Iterator

from roomkit_core.plugin import Component, PluginInfo, hookimpl

PLUGIN = PluginInfo("server", api="1.0", summary="One ASGI application for a kit")


@hookimpl
def roomkit_components() -> Iterator[Component]:
    yield Component("server", "asgi", "roomkit_server.app:create_app", summary=PLUGIN.summary)
    yield Component("server", "uvicorn", "roomkit_server.serve:run", summary="Runs an ASGI application under uvicorn")
