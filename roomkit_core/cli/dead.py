"""``roomkit dead``: what was given up, and what to do with it."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.cli.output import print_json, print_work
from roomkit_core.cli.session import DEFAULT_STORE, AsJson, StorePath, beside, command
from roomkit_core.engine.pure.views import view_of
from roomkit_core.engine.verbs.desk import DEAD, Desk
from roomkit_core.models.story import WorkView
from roomkit_core.models.work import WorkKind

app = typer.Typer(
    help="Dead letters: list them, retry them, forget them; `roomkit why ID` explains one.", no_args_is_help=True
)

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

InChannel = Annotated[str | None, typer.Option("--channel", help="Only those of this channel.")]


@app.command("list")
@command
def list_dead(
    channel: InChannel = None,
    room: Annotated[str | None, typer.Option(help="Only those of this room.")] = None,
    kind: Annotated[WorkKind | None, typer.Option(help="Only those of this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    after: Annotated[str | None, typer.Option(metavar="ID", help="The last id of the page before.")] = None,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """List what failed, expired, was given up, put aside or sent in part, oldest first."""

    async def find(opened: SQLiteStore, desk: Desk) -> list[WorkView]:
        kinds = None if kind is None else {kind}
        return await desk.list(states=DEAD, kinds=kinds, channel_id=channel, room_id=room, limit=limit, after=after)

    rows = beside(store, "reader", find)
    if as_json:
        print_json(rows)
    elif rows:
        print_work(rows)
    else:
        typer.echo("There are no dead letters.")


@app.command("retry")
@command
def retry(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="The rows.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters that were not retried yet.")] = False,
    channel: InChannel = None,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Put copies at the tails of their lanes; a running server sends them within about a second.

    A row that was retried before is not copied again: its copy is shown, and can be retried itself. With `--all`,
    what cannot be retried is left alone.
    """
    if bool(ids) == everything:
        raise ValueError("name the rows, or say --all")

    async def put(opened: SQLiteStore, desk: Desk) -> list[WorkView]:
        if everything:
            return await _retry_all(desk, channel)
        return [view_of(row) for row_id in ids or () for row in await desk.retry(row_id)]

    rows = beside(store, "tool", put)
    if as_json:
        print_json(rows)
    elif rows:
        print_work(rows)
    else:
        typer.echo("There was nothing to retry.")


async def _retry_all(desk: Desk, channel: str | None) -> list[WorkView]:
    copies: list[WorkView] = []
    after: str | None = None
    while page := await desk.list(states=DEAD, channel_id=channel, after=after):
        after = page[-1].id
        for row in page:
            copies += [view_of(copy) for copy in await desk.retry_if_possible(row.id)]
    return copies


@app.command("purge")
@command
def purge(
    older_than: Annotated[
        str, typer.Option(metavar="TIME", help="Only those older than e.g. 90s, 30m, 12h, 7d.")
    ] = "0s",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Forget dead letters for good."""
    seconds = _seconds(older_than)
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise ValueError("this forgets them for good: say --yes")
        typer.confirm("Forget them for good?", abort=True)

    async def forget(opened: SQLiteStore, desk: Desk) -> int:
        return await desk.purge(older_than=seconds)

    count = beside(store, "tool", forget)
    if as_json:
        print_json({"purged": count})
    else:
        typer.echo(f"{count} dead letters were forgotten.")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no time: write e.g. 90s, 30m, 12h or 7d")
    return float(found[1]) * _SECONDS[found[2]]
