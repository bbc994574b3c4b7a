"""The commands, put together.

Exit codes: 0 all is well; 1 there is nothing of that name, ``db check`` found damage, or ``doctor`` something to mend;
2 the request makes no sense, or is refused for a reason that the message says; 3 the store cannot be used. A command of
a plugin ends as its author says.
"""

from __future__ import annotations

from typing import Annotated

import typer

from roomkit_core import __version__
from roomkit_core.cli import chat, config, database, dead, deliveries, doctor, looking, plugins
from roomkit_core.cli.contributed import PluginGroup

app = typer.Typer(
    name="roomkit",
    cls=PluginGroup,
    epilog="Exit codes: 0 fine, 1 not found, 2 usage or refused, 3 the store cannot be used.",
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
