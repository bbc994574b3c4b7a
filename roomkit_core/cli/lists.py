"""Which plugins commands may load: ``allow`` and ``deny`` under ``[roomkit.plugins]`` of ``roomkit.toml``.

Read apart from the rest of the file, without pydantic: a denied plugin stays out of every command, also of those that
have no other use for the file, and also while something else in the file is wrong.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

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
    """The two lists of the file; without a file, or without lists in it, everything is allowed.

    Raises:
        ConfigError: It cannot be read, is not TOML, or a list is not a list of ids.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return Lists(None, [])
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(path, error) from error
    section = _table(_table(parsed, "roomkit"), "plugins")
    return Lists(_ids(section, "allow", path), _ids(section, "deny", path) or [])


def _unreadable(path: str, error: Exception) -> ConfigError:
    hint = "Mend the file: it says which plugins may be loaded."
    return ConfigError(f"{path} cannot be read: {error}", code="config.unreadable", hint=hint)


def _table(parent: dict[str, Any], key: str) -> dict[str, Any]:
    found = parent.get(key)
    return found if isinstance(found, dict) else {}


def _ids(section: dict[str, Any], key: str, path: str) -> list[str] | None:
    ids = section.get(key)
    if ids is None:
        return None
    if isinstance(ids, list) and all(isinstance(item, str) for item in ids):
        return ids
    hint = f'Write {key} = ["one", "another"].'
    raise ConfigError(f"{path}: roomkit.plugins.{key} is {ids!r}, expected a list of plugin ids", hint=hint)
