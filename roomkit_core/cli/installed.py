"""The installed plugins, as commands look at them: no kit, and nothing printed that the command did not print."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache

from roomkit_core.builtin import plugin as builtin_plugin
from roomkit_core.cli.lists import operator_lists
from roomkit_core.registry import PluginRegistry


@cache
def installed_plugins(config: str) -> PluginRegistry:
    """All installed plugins that the operator allows, loaded once in this process. Broken ones are in the report.

    Args:
        config: The configuration file, which need not exist.

    Raises:
        ConfigError: It does not say clearly which plugins may be loaded.
    """
    lists = operator_lists(config)
    registry = PluginRegistry(allow=lists.allow, deny=lists.deny)
    with quietly():
        registry.load(builtin_plugin)
        registry.discover()
        registry.commands()
    return registry


@contextmanager
def quietly() -> Iterator[None]:
    """Run code of plugins for a command that shows the report itself.

    What they print goes to standard error, where it spoils no JSON, and the loader's warnings go nowhere.
    """
    log = logging.getLogger("roomkit.plugins")
    was_disabled, log.disabled = log.disabled, True
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        log.disabled = was_disabled
