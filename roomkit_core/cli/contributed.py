"""Commands of plugins: looked for only where the core has none of that name, imported only when they run."""

from __future__ import annotations

import inspect
from collections import Counter
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from roomkit_core.cli.installed import installed_plugins, quietly
from roomkit_core.cli.lists import usual_config
from roomkit_core.cli.plugins import is_broken
from roomkit_core.cli.session import USAGE, command, contributed
from roomkit_core.errors import ConfigError, PluginError
from roomkit_core.registry import CommandEntry, PluginRegistry, PluginState

PANEL: Final = "Commands of plugins"

ELSEWHERE: Final = {"serve": "server"}
"""Commands that people will look for, and the plugins of ours that bring them."""


class PluginGroup(TyperGroup):
    """The core's commands, and behind them those of the installed plugins.

    A command of the core is found without a look at plugins. A plugin's has its own name where nobody else has it, and
    always ``plugin:name``.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """The core's, then those of plugins by the shortest name that leads to them."""
        return [*super().list_commands(ctx), *self._shortest()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        found = super().get_command(ctx, cmd_name)
        if found is not None or cmd_name.startswith("-"):
            return found
        entry = self._shortest().get(cmd_name) or self._by_full_name().get(cmd_name)
        return None if entry is None else _Contributed(cmd_name, entry)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does, and for a command that is not there the likely reason."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            if not _plugins().report():  # who may be loaded is not known; that has been told, and is what to mend
                raise typer.Exit(USAGE)
            ctx.fail(self._absent(args[0]))
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help, and a line about plugins that are missing from it because they are broken."""
        broken = [report.id for report in _plugins().report() if is_broken(report)]
        if broken:
            self.epilog = f"{self.epilog}\n\nBroken plugins: {', '.join(broken)}. `roomkit plugins` says why."
        super().format_help(ctx, formatter)

    def _by_full_name(self) -> dict[str, CommandEntry]:
        return {entry.full_name: entry for entry in _plugins().commands()}

    def _shortest(self) -> dict[str, CommandEntry]:
        entries = _plugins().commands()
        claims = Counter(entry.command.name for entry in entries)
        return {
            entry.full_name
            if claims[entry.command.name] > 1 or entry.command.name in self.commands
            else (entry.command.name): entry
            for entry in entries
        }

    def _absent(self, name: str) -> str:
        claims = [entry.full_name for entry in _plugins().commands() if entry.command.name == name]
        if claims:
            return f"{name!r} can be any of several commands: {', '.join(claims)}."
        message = f"There is no command {name!r}."
        if close := get_close_matches(name, [*self.commands, *self._shortest(), *self._by_full_name()]):
            message += f" Did you mean {' or '.join(repr(word) for word in close)}?"
        reports, bringer = _plugins().report(), ELSEWHERE.get(name)
        if bringer is not None and bringer not in [report.id for report in reports]:
            message += f" It comes with roomkit-{bringer}: pip install roomkit-{bringer}"
        for report in reports:
            if is_broken(report) or (report.id == bringer and report.hint):
                message += f"\nInstalled but not usable: {report}"
        return message


class _Contributed(TyperCommand):
    """Stands in the list for a command that is not imported yet."""

    def __init__(self, name: str, entry: CommandEntry) -> None:
        summary = entry.command.summary or f"of the plugin {entry.plugin}"
        super().__init__(name, help=summary, rich_help_panel=PANEL)
        self._entry = entry

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return _import(self._entry).make_context(info_name, args, parent, **extra)


@command
def _import(entry: CommandEntry) -> Any:
    with quietly():
        target = _plugins().import_command(entry)
    return as_command(entry, target)


def as_command(entry: CommandEntry, target: Any) -> Any:
    """What the command line runs for a command of a plugin.

    Args:
        entry: The command.
        target: What its target names.

    Raises:
        PluginError: That is neither a function nor a ``typer.Typer``.
    """
    if isinstance(target, typer.Typer):
        return get_command(target)
    if not callable(target) or inspect.iscoroutinefunction(target):
        raise PluginError(
            f"the command {entry.full_name!r} is {target!r}, expected a plain function or a typer.Typer",
            plugin=entry.plugin,
            state=PluginState.TARGET_ERROR,
            code="plugin.target",
            hint="This is for the author of the plugin to mend.",
        )
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(entry.command.name)(contributed(target))
    return get_command(alone)


@cache
def _plugins() -> PluginRegistry:
    try:
        return installed_plugins(usual_config())
    except ConfigError as error:
        # What may be loaded is not known, so nothing is. The core's own commands work.
        typer.echo(f"error: {error} [{error.code}]" + (f"\nwhat to do: {error.hint}" if error.hint else ""), err=True)
        return PluginRegistry([])
