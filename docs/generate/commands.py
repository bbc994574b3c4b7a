"""Writes docs/reference/commands.md: every command of the core and of our plugins, from the commands themselves."""

from __future__ import annotations

import enum
import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any, Final, get_args, get_type_hints

from typer.main import get_command

from docs.generate.pages import cell, finish, markdown, table
from docs.generate.registry import distribution, own_plugins
from roomkit_core.cli.app import app
from roomkit_core.cli.contributed import as_command
from roomkit_core.cli.session import EXIT_CODES

_HEAD: Final = """# Commands

Generated from the commands by `python -m docs.generate.commands`.

`roomkit` comes with `pip install 'roomkit-core[cli]'`; plugins add commands to it. `--help` tells of every command what
stands here, `roomkit --version` prints the version.

## Exit codes
"""

_EXITS: Final = """
A command that fails says on standard error what is wrong, with the [code](errors.md), and what to do; with `--json` as
one JSON object. A command of a plugin ends in the same way, unless it says otherwise.
"""

_WORDS: Final = {str: "text", int: "a whole number", float: "a number", bool: "nothing"}


def page() -> str:
    """The page.

    Raises:
        SystemExit: A command, an argument or an option has no help.
    """
    lines = [_HEAD]
    lines += table(("code", "what it says"), ([f"{code}", cell(meaning)] for code, meaning in EXIT_CODES.items()))
    lines.append(_EXITS.lstrip())
    for name, command, origin in commands():
        lines += _told(name, command, origin)
    return "\n".join(lines).rstrip() + "\n"


def commands() -> Iterator[tuple[str, Any, str]]:
    """The commands: what is typed, the command or the group, and whose it is if not the core's."""
    core = get_command(app)
    for name, command in core.commands.items():  # type: ignore[attr-defined]  # it is a group
        yield f"roomkit {name}", command, ""
    registry = own_plugins()
    for entry in registry.commands():
        command = as_command(entry, registry.import_command(entry))
        yield f"roomkit {entry.command.name}", command, f" ({distribution(entry.plugin)})"


def _told(words: str, command: Any, origin: str = "", level: str = "##") -> Iterator[str]:
    """A command; a group with those that are in it."""
    yield f"{level} `{words}`{origin}\n"
    yield _text(words, command)
    for name, inner in getattr(command, "commands", {}).items():
        yield from _told(f"{words} {name}", inner, level=f"{level}#")


def _text(words: str, command: Any) -> str:
    if not command.help:
        raise SystemExit(f"{words} has no help: give its function a docstring")
    own = [parameter for parameter in command.params if parameter.name != "help"]
    said = "\n\n".join(markdown(paragraph) for paragraph in command.help.split("\n\n"))
    hints = get_type_hints(inspect.unwrap(command.callback)) if command.callback is not None else {}
    rows = (_row(words, parameter, hints.get(parameter.name)) for parameter in own)
    return f"{said}\n\n" + ("\n".join(table(("argument", "takes", "if absent", ""), rows)) if own else "")


def _row(words: str, parameter: Any, annotation: Any) -> list[str]:
    if not parameter.help:
        raise SystemExit(f"{parameter.name} of {words} has no help")
    is_argument = parameter.param_type_name == "argument"
    name = (parameter.metavar or parameter.name.upper()) if is_argument else ", ".join(parameter.opts)
    text = cell(parameter.help)
    if parameter.envvar:
        text += f" Variable: `{parameter.envvar}`."
    return [f"`{name.strip('[]')}`", _takes(parameter, annotation), _default(parameter), text]


def _takes(parameter: Any, annotation: Any) -> str:
    wanted = [one for one in get_args(annotation) or (annotation,) if one is not type(None)]
    kind = next(iter(get_args(wanted[0])), wanted[0])  # of a list what is in it
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " or ".join(f"`{one.value}`" for one in kind)
    if parameter.param_type_name == "option" and parameter.metavar:
        return f"`{parameter.metavar}`"
    return _WORDS[kind]


def _default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    if isinstance(parameter.show_default, str):  # in words
        return cell(parameter.show_default)
    is_nothing = parameter.default is None or parameter.default is False
    return "" if is_nothing else f"`{json.dumps(parameter.default).strip(chr(34))}`"


if __name__ == "__main__":
    raise SystemExit(finish("commands", page, sys.argv[1:]))
