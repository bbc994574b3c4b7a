"""``roomkit db``: the store's file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio
import typer

from roomkit_core.builtin.sqlite.check import check as check_file
from roomkit_core.builtin.sqlite.copies import restore as restore_file
from roomkit_core.builtin.sqlite.migrations import plan_migrations
from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.cli.output import print_json, print_table
from roomkit_core.cli.session import DEFAULT_STORE, NOT_FOUND, AsJson, StorePath, beside, command
from roomkit_core.engine.verbs.desk import Desk
from roomkit_core.errors import StoreError

app = typer.Typer(help="The store's file: back it up, restore, migrate and check it.", no_args_is_help=True)


@app.command("backup")
@command
def backup(
    target: Annotated[str, typer.Argument(metavar="FILE", help="Where the copy goes; replaced when it is complete.")],
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Write a consistent copy, also while a server is running."""

    async def copy(opened: SQLiteStore, desk: Desk) -> None:
        await opened.backup(target)

    beside(store, "reader", copy)
    size = Path(target).stat().st_size
    if as_json:
        print_json({"store": store, "backup": target, "bytes": size})
    else:
        typer.echo(f"{store} was copied to {target}, {size:,} bytes.")


@app.command("restore")
@command
def restore(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A backup.")],
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the store, which no server may have open; the former file is kept beside it."""
    _must_exist(source)
    had_one = Path(store).exists()
    restore_file(source, store)
    kept = f"{store}.before-restore" if had_one else None
    if as_json:
        print_json({"store": store, "backup": source, "kept": kept})
    else:
        typer.echo(f"{store} is what {source} was." + (f" The former file is {kept}." if kept else ""))


@app.command("migrate")
@command
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Bring the file to the schema of this release; a server does the same when it starts. Nothing is dropped."""
    _must_exist(store)
    steps = plan_migrations(store)
    if steps and not dry_run:
        anyio.run(_open_and_close, store)
    if as_json:
        listed = [{"number": step.number, "name": step.name} for step in steps]
        print_json({"store": store, "migrations": listed, "applied": bool(steps) and not dry_run})
    elif steps:
        typer.echo("To be applied:" if dry_run else "Applied:")
        print_table(("number", "name"), ((step.number, step.name) for step in steps))
    else:
        typer.echo(f"{store} has the schema of this release.")


async def _open_and_close(path: str) -> None:
    store = SQLiteStore(path)
    await store.open()
    await store.close()


@app.command("check")
@command
def check(store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Read all of the file and say what is wrong with it, also while a server is running; 1 if anything is."""
    _must_exist(store)
    damage = check_file(store)
    if as_json:
        print_json({"store": store, "damage": damage})
    else:
        typer.echo("\n".join(damage) if damage else f"{store} is sound.")
    if damage:
        raise typer.Exit(NOT_FOUND)


def _must_exist(path: str) -> None:
    if not Path(path).exists():
        raise StoreError(f"there is no file {path}", code="store.absent", hint="Check the path.", retryable=False)
