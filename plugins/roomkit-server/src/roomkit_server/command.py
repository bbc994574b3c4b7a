"""``roomkit serve``: a configuration file behind a web server."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from roomkit_core.cli.configuration import kit_of_file
from roomkit_server.app import PAGE, create_app
from roomkit_server.collecting import settle
from roomkit_server.serve import run
from roomkit_server.settings import ServerSettings
from roomkit_server.watch import Watch


def serve(
    config: Annotated[
        str, typer.Option(envvar="ROOMKIT_CONFIG", help="The configuration file.", metavar="PATH")
    ] = "roomkit.toml",
    host: Annotated[str | None, typer.Option(help="Listen on this interface instead of the configured one.")] = None,
    port: Annotated[int | None, typer.Option(help="Listen on this port instead of the configured one.")] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Take over a changed bot, and start anew when the configuration changed.")
    ] = False,
) -> None:
    """Run the bot of a roomkit.toml behind a web server, until Ctrl+C or SIGTERM.

    What the plugins serve is served: the clients of WebSocket channels at /ws, a chat page at /, /healthz and /readyz.
    It ends with 1 if it cannot listen there or the kit does not start.
    """
    kit = kit_of_file(config)
    settings: ServerSettings = kit.plugins.settings("server")
    routes = [(entry.route, kit.plugins.build_route(entry)) for entry in kit.plugins.routes()]
    app = create_app(
        kit,
        routes=[(route, application) for route, application in routes if application is not None],
        static=PAGE if settings.page else None,
        hosts=settings.hosts,
        public_url=settings.public_url,
        origins=settings.allowed_origins,
        auth=settings.auth,
        limits=settings.limits,
    )
    watch = Watch(kit, Path(config)) if reload else None
    run(
        app,
        settings.host if host is None else host,
        settings.port if port is None else port,
        limits=settings.limits,
        proxies=[str(network) for network in settings.trusted_proxies],
        on_start=partial(settle, is_replaced=reload),
        until=None if watch is None else watch.until_configured_anew,
    )
    if watch is not None and watch.starts_anew:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # modules and plugins come as they are now
