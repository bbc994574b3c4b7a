"""Which plugins commands may load: ``allow`` and ``deny`` under ``[roomkit.plugins]`` of ``roomkit.toml``.

A denied plugin stays out of every command, also of those that have no other use for the file, and also while something
else in it is wrong.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from roomkit_core.config import Document, read
from roomkit_core.config.document import is_there
from roomkit_core.config.environment import overlay
from roomkit_core.config.lists import plugin_lists
from roomkit_core.config.sections import PluginLists

ENVIRONMENT: Final = "ROOMKIT_CONFIG"
DEFAULT_CONFIG: Final = "roomkit.toml"

ConfigPath = Annotated[
    str, typer.Option("--config", envvar=ENVIRONMENT, help="The configuration file.", metavar="PATH", show_default=True)
]


def usual_config() -> str:
    """The file that commands read if nobody names another."""
    return os.environ.get(ENVIRONMENT) or DEFAULT_CONFIG


def operator_lists(path: str) -> PluginLists:
    """The two lists, of the file or of the environment; without any, everything is allowed.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or it is not clear who may be loaded.
    """
    document = read(Path(path)) if is_there(Path(path)) else Document(Path(path), {})
    return plugin_lists(overlay(document, os.environ), os.environ)
