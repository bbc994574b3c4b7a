"""``roomkit deliveries``: owed work, and the channels that an operator holds back."""

from __future__ import annotations

from typing import Annotated

import typer

from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.cli.output import print_json, print_table, print_work
from roomkit_core.cli.session import DEFAULT_STORE, AsJson, StorePath, beside, command
from roomkit_core.engine.verbs.desk import Desk
from roomkit_core.models.story import Cancellation, Cancelling, Pause, WorkView
from roomkit_core.models.work import WorkKind, WorkState

app = typer.Typer(help="Owed work of every kind: list it, cancel it, hold a channel back.", no_args_is_help=True)

ChannelId = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel.")]


@app.command("list")
@command
def list_work(
    state: Annotated[list[WorkState] | None, typer.Option(help="Only those in this state; may be repeated.")] = None,
    kind: Annotated[list[WorkKind] | None, typer.Option(help="Only those of this kind; may be repeated.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only those of this channel.")] = None,
    room: Annotated[str | None, typer.Option(help="Only those of this room.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    after: Annotated[str | None, typer.Option(metavar="ID", help="The last id of the page before.")] = None,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """List owed work, oldest first."""

    async def find(opened: SQLiteStore, desk: Desk) -> list[WorkView]:
        return await desk.list(
            states=state or None, kinds=kind or None, channel_id=channel, room_id=room, limit=limit, after=after
        )

    rows = beside(store, "reader", find)
    if as_json:
        print_json(rows)
    elif rows:
        print_work(rows)
    else:
        typer.echo("There is none.")


@app.command("pause")
@command
def pause(
    channel: ChannelId,
    reason: Annotated[str | None, typer.Option(help="For whoever asks why.")] = None,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Let nothing that is owed to a channel be tried. A running server obeys within about a second."""

    async def hold(opened: SQLiteStore, desk: Desk) -> Pause:
        return await desk.pause(channel, reason)

    paused = beside(store, "tool", hold)
    if as_json:
        print_json(paused)
    else:
        typer.echo(f"{channel} is paused since {paused.since:%Y-%m-%d %H:%M:%S} UTC; messages from it still come in.")


@app.command("resume")
@command
def resume(channel: ChannelId, store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """End a pause; what waited goes out in its order."""

    async def let_go(opened: SQLiteStore, desk: Desk) -> bool:
        return await desk.resume(channel)

    was_paused = beside(store, "tool", let_go)
    if as_json:
        print_json({"channel_id": channel, "was_paused": was_paused})
    else:
        typer.echo(f"{channel} goes on." if was_paused else f"{channel} was not paused.")


@app.command("paused")
@command
def paused(store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """List the channels that are paused."""

    async def find(opened: SQLiteStore, desk: Desk) -> tuple[Pause, ...]:
        return await desk.paused()

    pauses = beside(store, "reader", find)
    if as_json:
        print_json(pauses)
    elif pauses:
        print_table(("channel", "since", "reason"), ((one.channel_id, one.since, one.reason) for one in pauses))
    else:
        typer.echo("No channel is paused.")


_CANCELLED = {
    Cancelling.CANCELLED: "It is cancelled.",
    Cancelling.UNDER_WAY: "It is just being tried: it gets no further attempt, but this one may go through.",
    Cancelling.TOO_LATE: "It has its outcome already.",
}


@app.command("cancel")
@command
def cancel(
    row_id: Annotated[str, typer.Argument(metavar="ID", help="The row; also of a scheduled message.")],
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """End a row that is not through."""

    async def end(opened: SQLiteStore, desk: Desk) -> Cancellation:
        return (await desk.cancel(row_id))[0]

    cancellation = beside(store, "tool", end)
    if as_json:
        print_json(cancellation)
    else:
        typer.echo(_CANCELLED[cancellation.result])
        print_work([cancellation.work])
