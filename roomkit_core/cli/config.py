"""``roomkit config``: what is wrong with the file, and what editors need to know about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from roomkit_core.cli.configuration import check_configuration
from roomkit_core.cli.installed import installed_plugins, quietly
from roomkit_core.cli.lists import DEFAULT_CONFIG, ENVIRONMENT
from roomkit_core.cli.output import print_json, print_table
from roomkit_core.cli.session import AsJson, command
from roomkit_core.config import Part, Plan
from roomkit_core.config.schema import schema_of
from roomkit_core.engine.verbs.configured import Offered
from roomkit_core.errors import ConfigError, ConfigProblem
from roomkit_core.models.story import printable

app = typer.Typer(help="The configuration file: check it, describe it to editors.", no_args_is_help=True)

WRONG = 1
"""The exit code if anything is wrong with the file."""

ConfigFile = Annotated[
    str, typer.Argument(envvar=ENVIRONMENT, metavar="[PATH]", help="The configuration file.", show_default=True)
]


@app.command("check")
@command
def check(path: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Look for every mistake in the file and in the bot's modules; end with 1 if there is one. Builds nothing.

    Reads the secrets that the file refers to, and shows none.
    """
    try:
        registry = installed_plugins(path)
        with quietly():
            plan = check_configuration(path, registry)
    except ConfigError as error:
        problems = error.problems or (_as_problem(path, error),)
        if as_json:
            print_json({"ok": False, "problems": [asdict(problem) for problem in problems]})
        else:
            typer.echo("\n".join(printable(str(problem)) for problem in problems))
            typer.echo(f"\n{_count(len(problems), 'mistake')}.")
        raise typer.Exit(WRONG) from None
    if as_json:
        print_json({"ok": True, "problems": [], "parts": [_plain(plan, part) for part in _parts(plan)]})
    else:
        print_table(("section", "is", "takes", "is set"), map(_row, (_plain(plan, part) for part in _parts(plan))))
        typer.echo(f"\n{path} is right.")


@app.command("schema")
@command
def schema(path: ConfigFile = DEFAULT_CONFIG) -> None:
    """Print the JSON Schema of the file for what is installed here; write it where your editor looks for it.

    With Taplo or Even Better TOML: `roomkit config schema > roomkit.schema.json`, and as the first line of the file
    `#:schema roomkit.schema.json`.
    """
    registry = installed_plugins(path)
    with quietly():
        found = schema_of(Offered(registry), [report.id for report in registry.report()])
    print_json(found)


def _as_problem(path: str, error: ConfigError) -> ConfigProblem:
    file = os.fspath(Path(path))
    return ConfigProblem(file, None, "", str(error).removeprefix(f"{file} "), error.hint)


def _parts(plan: Plan) -> Iterator[Part]:
    for part in plan.parts:
        yield part
        yield from _inner(part)


def _inner(part: Part) -> Iterator[Part]:
    for value in part.fields.values():
        if isinstance(value, Part) and value.keys[: len(part.keys)] == part.keys:  # others have a section of their own
            yield value
            yield from _inner(value)


def _plain(plan: Plan, part: Part) -> dict[str, Any]:
    """A part without any of its values: a value may be a secret."""
    return {
        "section": ".".join(part.keys),
        "kind": part.kind,
        "use": f"{part.offer.plugin}:{part.offer.name}",
        "line": plan.document.places.line_of(part.keys),
        "takes": {key: ".".join(value.keys) for key, value in part.fields.items() if isinstance(value, Part)},
        "set": [key for key in part.given if not isinstance(part.fields[key], Part)],
    }


def _row(part: dict[str, Any]) -> tuple[object, ...]:
    takes = ", ".join(f"{key}: [{section}]" for key, section in part["takes"].items())
    return f"[{part['section']}]", f"{part['kind']} {part['use']}", takes, ", ".join(part["set"])


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
