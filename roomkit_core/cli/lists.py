"""Which plugins commands may load: ``allow`` and ``deny`` under ``[roomkit.plugins]`` of ``roomkit.toml``.

Read apart from the rest of the file, and strictly: a denied plugin stays out of every command, also of those that have
no other use for the file, and also while something else in it is wrong.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from roomkit_core.config import Document, read
from roomkit_core.config.environment import overlay
from roomkit_core.errors import ConfigError

ENVIRONMENT: Final = "ROOMKIT_CONFIG"
DEFAULT_CONFIG: Final = "roomkit.toml"

ConfigPath = Annotated[
    str, typer.Option("--config", envvar=ENVIRONMENT, help="The configuration file.", metavar="PATH", show_default=True)
]


class Lists(NamedTuple):
    """Ids of plugins."""

    allow: list[str] | None
    deny: list[str]


def usual_config() -> str:
    """The file that commands read if nobody names another."""
    return os.environ.get(ENVIRONMENT) or DEFAULT_CONFIG


def operator_lists(path: str) -> Lists:
    """The two lists, of the file or of the environment; without any, everything is allowed.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or a list is not a list of ids.
    """
    document = read(Path(path)) if Path(path).exists() else Document(Path(path), {})
    document = overlay(document, os.environ)
    section = _table(_table(document.data, "roomkit"), "plugins")
    return Lists(_ids(document, section, "allow"), _ids(document, section, "deny") or [])


def _table(parent: dict[str, Any], key: str) -> dict[str, Any]:
    found = parent.get(key)
    return found if isinstance(found, dict) else {}


def _ids(document: Document, section: dict[str, Any], key: str) -> list[str] | None:
    ids = section.get(key)
    if ids is None:
        return None
    if isinstance(ids, list) and all(isinstance(item, str) for item in ids):
        return ids
    fix = f'Write {key} = ["one", "another"].'
    raise ConfigError(problems=[document.problem(("roomkit", "plugins", key), "this is no list of plugin ids", fix)])
