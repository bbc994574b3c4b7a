"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from roomkit_core import __version__
from roomkit_core.cli import chat, config, database, dead, deliveries, doctor, looking, plugins
from roomkit_core.cli.contributed import PluginGroup
from roomkit_core.cli.session import EXIT_CODES

app = typer.Typer(
    name="roomkit",
    cls=PluginGroup,
    epilog=f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("chat")(chat.chat)
app.command("plugins")(plugins.plugins)
app.command("doctor")(doctor.doctor)
app.command("why")(looking.why)
app.command("rooms")(looking.rooms)
app.command("timeline")(looking.timeline)
app.add_typer(dead.app, name="dead")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(database.app, name="db")
app.add_typer(config.app, name="config")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def roomkit(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Conversations across channels: talk to a bot, look at plugins, at a store and at what is owed in it."""
