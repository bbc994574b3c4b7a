"""``roomkit doctor``: looks at all that a kit needs here, and says what is wrong, where, and how to mend it (T37)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from roomkit_core.cli.configuration_health import look_at_configuration, store_of
from roomkit_core.cli.findings import Finding
from roomkit_core.cli.lists import DEFAULT_CONFIG, ConfigPath
from roomkit_core.cli.live import look_at_configured, look_at_kit
from roomkit_core.cli.output import print_json, print_table
from roomkit_core.cli.places import USUAL_STORE
from roomkit_core.cli.plugin_health import look_at_plugins
from roomkit_core.cli.session import AsJson, command
from roomkit_core.cli.surroundings import look_at_python, look_at_sqlite, look_at_store
from roomkit_core.config.document import is_there
from roomkit_core.errors import ConfigError

WRONG: Final = 1
"""The exit code if anything has to be mended."""


@command
def doctor(
    live: Annotated[
        bool, typer.Option("--live", help="Also start the kit and ask its channels. Sends nothing.")
    ] = False,
    kit: Annotated[
        str | None,
        typer.Option("--kit", metavar="MODULE:NAME", help="For --live: a program's kit, not the file's."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", envvar="ROOMKIT_STORE", metavar="PATH", help="The store's file, if it is another."),
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Look at Python, plugins and all that they name, configuration and store; end with 1 if anything is wrong."""
    findings = list(_look(store, config, kit, live=live))
    wrong = [finding for finding in findings if finding.status == "wrong"]
    if as_json:
        print_json({"ok": not wrong, "findings": [asdict(finding) for finding in findings]})
    else:
        print_table(
            ("what", "how", "it is", "what to do"),
            ((found.subject, found.status, found.message, found.hint) for found in findings),
        )
        typer.echo("\n" + (f"{len(wrong)} of {len(findings)} have to be mended." if wrong else "Nothing is wrong."))
    if wrong:
        raise typer.Exit(WRONG)


def _look(store: str | None, config: str, kit: str | None, *, live: bool) -> Iterator[Finding]:
    if live and kit is None and not is_there(Path(config)):
        hint = "Run it where roomkit.toml is, or add --kit module:name, such as --kit bot:kit."
        raise ConfigError("--live needs a kit to start", code="usage.live", hint=hint)
    yield look_at_python()
    yield look_at_sqlite()
    findings, plan = look_at_configuration(config)
    yield from findings
    try:
        yield from look_at_plugins(config)
    except ConfigError:
        return  # told already; without the lists nothing may be imported
    path = store or (USUAL_STORE if plan is None else store_of(plan))
    if path is not None:
        yield from look_at_store(path)
    if live and kit is not None:
        yield from look_at_kit(kit)
    elif live and plan is not None:
        yield from look_at_configured(config)
