"""What every command does: open the store beside its owner, do one thing, close it, and say what went wrong."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from time import time_ns
from typing import Annotated, Final, ParamSpec, TypeVar

import anyio
import typer

from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.cli.places import USUAL_STORE, resolve_store
from roomkit_core.engine.verbs.desk import Desk
from roomkit_core.errors import (
    ChannelNotFoundError,
    EventNotFoundError,
    RoomKitError,
    RoomNotFoundError,
    StoreError,
    WorkNotFoundError,
)

P = ParamSpec("P")
T = TypeVar("T")

NOT_FOUND, USAGE, STORE = 1, 2, 3

EXIT_CODES: Final = {
    0: "fine",
    NOT_FOUND: "not found, or not well as the command says",
    USAGE: "usage or refused",
    STORE: "the store cannot be used",
}
"""What the exit code of a command of the core says."""

_ABSENT = (WorkNotFoundError, RoomNotFoundError, EventNotFoundError, ChannelNotFoundError)

StorePath = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="ROOMKIT_STORE",
        help="The store's file.",
        metavar="PATH",
        show_default=f"that of roomkit.toml, or {USUAL_STORE}",
        callback=resolve_store,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

DEFAULT_STORE = ""
"""Nobody has named one; see :func:`resolve_store`."""


def beside(path: str, role: str, job: Callable[[SQLiteStore, Desk], Awaitable[T]]) -> T:
    """Run a job with the store opened as ``reader`` or ``tool``, which works beside a running server.

    Raises:
        StoreError: The store cannot be used.
    """

    async def run() -> T:
        store = SQLiteStore(path, role=role)
        await store.open()
        try:
            return await job(store, Desk(store, lambda: time_ns() // 1_000))
        finally:
            await store.close()

    return anyio.run(run)


def command(function: Callable[P, T]) -> Callable[P, T]:
    """Let a command end with a message, a hint and an exit code where RoomKit raises; never with a traceback.

    In a command of the core a ValueError is about what was typed.
    """
    guarded = contributed(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return guarded(*args, **kwargs)
        except ValueError as error:
            _say("usage", str(error), "", as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(USAGE) from None

    return run


def contributed(function: Callable[P, T]) -> Callable[P, T]:
    """The same for a command of a plugin, whose other errors keep their traceback."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except RoomKitError as error:
            _say(error.code, str(error), error.hint, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(_exit_code(error)) from None

    return run


def _exit_code(error: RoomKitError) -> int:
    if isinstance(error, _ABSENT):
        return NOT_FOUND
    return STORE if isinstance(error, StoreError) else USAGE


def _say(code: str, message: str, hint: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"error": {"code": code, "message": message, "hint": hint}}), err=True)
        return
    typer.echo(f"error: {message} [{code}]", err=True)
    if hint:
        typer.echo(f"what to do: {hint}", err=True)
