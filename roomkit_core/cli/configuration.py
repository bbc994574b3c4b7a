"""The configuration file, as commands use it: checked with the bot that it names, or made into a kit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from roomkit_core.config import Document, Plan, Planning, read
from roomkit_core.config.logs import configure_logging
from roomkit_core.config.naming import kinds_by_section
from roomkit_core.config.parts import USE
from roomkit_core.engine.verbs.configured import Offered, include_app
from roomkit_core.errors import ConfigError, ConfigProblem, PluginError
from roomkit_core.kit import RoomKit
from roomkit_core.registry import PluginRegistry


def kit_of_file(path: str) -> RoomKit:
    """The kit that the file describes, with logging set up as it says, before any plugin has something to log.

    Raises:
        ConfigError: With all problems, those of ``[logging]`` among them.
        PluginError: A plugin that the file requires is broken.
    """
    try:
        configure_logging(path)
    except ConfigError:
        RoomKit.from_config(path)  # raises that, and all else that is wrong
        raise
    return RoomKit.from_config(path)


def check_configuration(path: str, registry: PluginRegistry) -> Plan:
    """The plan that the file makes, after a look at the bot's modules; nothing is built.

    Plugins whose settings or components are configured wrongly become CONFIG_ERROR.

    Raises:
        ConfigError: With all problems.
    """
    document = read(Path(path))
    planning = Planning(document, os.environ, Offered(registry))
    try:
        plan = planning.plan()
    except ConfigError as error:
        # What the file itself has wrong, such as a section that stands there twice, is the fault of no plugin.
        own = planning.document.problems
        _blame_plugins(document, [problem for problem in error.problems if problem not in own], registry)
        raise
    include_app(RoomKit(), plan, planning.redact)  # a kit for nothing else: it never starts
    return plan


def _blame_plugins(document: Document, problems: Sequence[ConfigProblem], registry: PluginRegistry) -> None:
    for problem in problems:
        plugin = _plugin_of(document, problem.key.split("."), registry)
        if plugin is not None:
            registry.report_config_error(plugin, str(problem))


def _plugin_of(document: Document, keys: Sequence[str], registry: PluginRegistry) -> str | None:
    """Whose settings stand at a key; None if that is the core, or nobody knows."""
    if len(keys) < 2:
        return None
    section, name, *_ = keys
    if section == "plugins":
        return name
    table = document.data.get(section)
    instance = table.get(name) if isinstance(table, dict) else None
    used = instance.get(USE) if isinstance(instance, dict) else None
    if not isinstance(used, str):
        return None
    try:
        kinds = kinds_by_section(entry.component.kind for entry in registry.components())
        return registry.find(kinds[section], used).plugin if section in kinds else None
    except PluginError:
        return None
