"""Announces the ASGI host; imports nothing of it."""

from collections.abc import Iterator

from roomkit_core.plugin import Command, Component, Kind, PluginInfo, hookimpl

PLUGIN = PluginInfo(
    "server", api="1.0", summary="One ASGI application for a kit", config="roomkit_server.settings:ServerSettings"
)


@hookimpl
def roomkit_components() -> Iterator[Component]:
    yield Component("server", "asgi", "roomkit_server.app:create_app", summary=PLUGIN.summary)
    yield Component(
        Kind.AUTH,
        "token",
        "roomkit_server.auth:TokenAuth",
        config="roomkit_server.auth:TokenSettings",
        summary="People with tokens",
    )
    yield Component(
        Kind.AUTH,
        "function",
        "roomkit_server.auth:FunctionAuth",
        config="roomkit_server.auth:FunctionSettings",
        summary="A function of the bot",
    )
    yield Component(
        Kind.AUTH,
        "jwt",
        "roomkit_server.jwt_auth:JwtAuth",
        config="roomkit_server.jwt_auth:JwtSettings",
        summary="Signed tokens of an issuer",
    )
    yield Component("server", "uvicorn", "roomkit_server.serve:run", summary="Runs an ASGI application under uvicorn")


@hookimpl
def roomkit_commands() -> Iterator[Command]:
    yield Command("serve", "roomkit_server.command:serve", summary="Run the bot of a roomkit.toml behind a web server")
