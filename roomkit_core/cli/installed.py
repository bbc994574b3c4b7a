"""The installed plugins, as commands look at them: no kit, and nothing printed that the command did not print."""

from __future__ import annotations

import logging
import sys
from contextlib import redirect_stdout
from functools import cache

from roomkit_core.builtin import plugin as builtin_plugin
from roomkit_core.registry import PluginRegistry


@cache
def installed_plugins() -> PluginRegistry:
    """All installed plugins, loaded once in this process. Never raises: broken ones are in the report.

    What a plugin prints while it is imported goes to standard error, where it spoils no JSON, and the loader's warnings
    go nowhere: commands show the report instead.
    """
    log = logging.getLogger("roomkit.plugins")
    was_disabled, log.disabled = log.disabled, True
    try:
        with redirect_stdout(sys.stderr):
            registry = PluginRegistry()
            registry.load(builtin_plugin)
            registry.discover()
            registry.commands()
    finally:
        log.disabled = was_disabled
    return registry
