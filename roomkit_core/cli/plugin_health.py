"""The plugins, as ``roomkit doctor`` looks at them: every target imported, every component held to its class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from roomkit_core.cli.findings import Finding
from roomkit_core.cli.installed import installed_plugins, quietly
from roomkit_core.cli.lists import operator_lists
from roomkit_core.cli.plugins import is_broken, origin
from roomkit_core.registry import PluginRegistry, PluginReport


def look_at_plugins(config: str) -> Iterator[Finding]:
    """One finding for each plugin, several for one with several broken parts.

    Raises:
        ConfigError: It is not clear which plugins may be loaded.
    """
    registry = installed_plugins(config)
    lists = operator_lists(config)
    yield from _unknown_in_lists([*(lists.allow or ()), *lists.deny], registry)
    broken = {report.id for report in registry.report() if is_broken(report)}
    with quietly():
        problems = registry.examine()
    for report in registry.report():
        subject = f"plugin {report.id}"
        ours = [problem for problem in problems if problem.plugin == report.id]
        yield from (Finding(subject, "wrong", str(problem), problem.hint) for problem in ours)
        if report.id in broken:  # already before anything was imported for a look at it
            yield Finding(subject, "wrong", _who(report), report.hint)
        elif not ours:
            yield _well(report)


def _well(report: PluginReport) -> Finding:
    return Finding(f"plugin {report.id}", "note" if report.hint else "fine", _who(report), report.hint)


def _who(report: PluginReport) -> str:
    return f"{report.state} from {origin(report)}"


def _unknown_in_lists(ids: Sequence[str], registry: PluginRegistry) -> Iterator[Finding]:
    installed = [report.id for report in registry.report()]
    for plugin_id in ids:
        if plugin_id not in installed:
            close = get_close_matches(plugin_id, installed)
            hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else "Take it off the list, or install it."
            message = f"the lists of plugins name {plugin_id!r}, which is not installed"
            yield Finding("configuration", "note", message, hint)
