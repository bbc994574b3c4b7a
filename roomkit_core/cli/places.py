"""Where the store is that a command looks at, if nobody says: in the file that describes the bot, or ``room.db``.

Read without loading a plugin, because most commands have no use for one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import typer

from roomkit_core.cli.lists import usual_config
from roomkit_core.config import Document, read
from roomkit_core.config.document import is_there
from roomkit_core.config.environment import overlay
from roomkit_core.errors import ConfigError

USUAL_STORE: Final = "room.db"

_SQLITE: Final = ("sqlite", "builtin:sqlite")


def resolve_store(context: typer.Context, given: str) -> str:
    """What ``--store`` names, or else the store of the configuration; the callback of that option."""
    if given or context.resilient_parsing:
        return given
    path = usual_config()
    try:
        return configured_store(Path(path), os.environ)
    except ConfigError as error:
        raise typer.BadParameter(f"{error} Name the store's file yourself.") from None


def configured_store(path: Path, environ: Mapping[str, str]) -> str:
    """The file of the SQLite store that a configuration has; ``room.db`` beside it if it says nothing about stores.

    Raises:
        ConfigError: It cannot be read, has several stores or one of another kind, or its path is a reference.
    """
    document = overlay(read(path) if is_there(path) else Document(path, {}), environ)
    stores = _table(document.data.get("stores"))
    chosen = _table(document.data.get("roomkit")).get("store")
    if chosen is None and len(stores) > 1:
        raise ConfigError(f"{path} has several stores.")
    if not isinstance(chosen, str | None):
        raise ConfigError(f"{path} does not say by its name which store it has.")
    table = _table(stores.get(chosen or next(iter(stores), "")))
    if table.get("use", "sqlite") not in _SQLITE:
        raise ConfigError(f"The store of {path} is no SQLite file.")
    file = table.get("path", USUAL_STORE)
    if not isinstance(file, str):
        raise ConfigError(f"The path of the store of {path} does not stand in it.")
    return str(path.parent / os.path.expanduser(file))  # noqa: PTH111 (Path.expanduser raises for a user that is not there)


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
