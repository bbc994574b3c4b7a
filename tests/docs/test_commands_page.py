"""The reference of commands knows every command of the core and of our plugins, and what each takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from docs.generate import commands
from docs.generate.pages import target

CLI = Path(__file__).resolve().parents[2] / "roomkit_core" / "cli"


def text() -> str:
    return target("commands").read_text(encoding="utf-8")


def test_commands_groups_and_those_of_plugins_have_a_heading() -> None:
    headings = re.findall(r"^##+ `(.*?)`(.*)$", text(), re.MULTILINE)

    assert {("roomkit chat", ""), ("roomkit dead", ""), ("roomkit dead retry", "")} <= set(headings)
    assert ("roomkit serve", " (roomkit-server)") in headings


def test_what_a_command_takes_is_told_with_its_default_and_its_variable() -> None:
    assert (
        "| `--store` | `PATH` | that of roomkit.toml, or room.db | The store's file. Variable: `ROOMKIT_STORE`. |"
        in text()
    )
    assert "| `--offset` | a whole number | `0` | How many to skip. |" in text()
    assert "| `ROOM` | text | needed | The room. |" in text()
    assert "| `--status` | `active` or `paused` or `closed` or `archived` |" in text()


def test_a_command_that_ends_with_1_by_itself_says_so() -> None:
    silent = []
    for path in CLI.glob("*.py"):
        for function in re.split(r"^@", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            if re.search(r"raise typer\.Exit\((WRONG|OWED|NOT_FOUND)\)", function):
                docstring = function.split('"""')[1]
                silent += [] if re.search(r"\b1\b", docstring) else [f"{path.name}: {docstring}"]

    assert silent == []


def with_help(help_text: str | None, docstring: str | None) -> object:
    app = typer.Typer()

    def tea(sugar: int = typer.Option(1, help=help_text)) -> None: ...

    tea.__doc__ = docstring
    app.command()(tea)
    return get_command(app)


def test_a_command_without_help_stops_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "commands", lambda: [("roomkit tea", with_help("Lumps.", None), "")])

    with pytest.raises(SystemExit, match=r"^roomkit tea has no help: give its function a docstring$"):
        commands.page()


def test_an_option_without_help_stops_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "commands", lambda: [("roomkit tea", with_help(None, "Make tea."), "")])

    with pytest.raises(SystemExit, match=r"^sugar of roomkit tea has no help$"):
        commands.page()
