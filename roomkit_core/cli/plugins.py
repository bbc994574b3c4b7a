"""``roomkit plugins``: what is installed, how it is doing, and what it offers (T37)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from roomkit_core.cli.configuration_health import look_at_configuration
from roomkit_core.cli.installed import installed_plugins, quietly
from roomkit_core.cli.lists import DEFAULT_CONFIG, ConfigPath
from roomkit_core.cli.output import print_json, print_table
from roomkit_core.cli.session import AsJson, command
from roomkit_core.plugin import Component
from roomkit_core.registry import PluginReport, PluginState
from roomkit_core.registry.report import describe

SPOKEN: Final = {"roomkit_hooks": "message hooks", "roomkit_routes": "routes"}
"""What a specification brings, where that is not told item by item."""


@command
def plugins(
    check: Annotated[
        bool, typer.Option("--check", help="Also import all that they offer, and check the configuration.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """List the installed plugins: where each stands, what it offers, and what to do about one that does not work."""
    registry = installed_plugins(config)
    if check:
        look_at_configuration(config)
        with quietly():
            registry.examine()
    reports = registry.report()
    if as_json:
        print_json([plain(report) for report in reports])
        return
    print_table(
        ("id", "state", "from", "offers", "what to do"),
        ((report.id, report.state, origin(report), "; ".join(_offers(report)), report.hint) for report in reports),
    )
    broken = [report for report in reports if is_broken(report)]
    if broken:
        typer.echo(f"\n{len(broken)} of {len(reports)} do not work; the others are not affected.")


def plain(report: PluginReport) -> dict[str, Any]:
    """A report for programs."""
    info = report.info
    return {
        "id": report.id,
        "state": report.state.value,
        "distribution": report.distribution,
        "version": report.version,
        "api": info.api if info else None,
        "summary": info.summary if info else "",
        "homepage": info.homepage if info else "",
        "components": [_plain_component(component) for component in report.components],
        "commands": [asdict(found) for found in report.commands],
        "implements": list(report.implements),
        "exception": describe(report.exception) if report.exception else None,
        "hint": report.hint,
    }


def origin(report: PluginReport) -> str:
    """Distribution and version for people; the built-in plugin comes with the core."""
    if report.distribution is None:
        return "roomkit-core" if report.id == "builtin" else "unknown"
    return f"{report.distribution} {report.version or ''}".rstrip()


def is_broken(report: PluginReport) -> bool:
    """Whether something has to be mended; a plugin that the operator denied is as it should be."""
    return report.state not in (PluginState.LOADED, PluginState.DISABLED)


def _offers(report: PluginReport) -> Iterator[str]:
    kinds: dict[str, list[str]] = {}
    for component in report.components:
        kinds.setdefault(component.kind, []).append(component.name)
    for kind, names in kinds.items():
        yield f"{kind} {', '.join(names)}"
    if report.commands:
        yield f"command {', '.join(found.name for found in report.commands)}"
    yield from (text for specification, text in SPOKEN.items() if specification in report.implements)


def _plain_component(component: Component) -> dict[str, Any]:
    return {
        "kind": component.kind,
        "name": component.name,
        "target": component.target,
        "config": component.config,
        "capabilities": list(component.capabilities),
        "summary": component.summary,
    }
