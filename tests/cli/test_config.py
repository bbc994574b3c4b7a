"""``roomkit config check``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from roomkit_core.cli.app import app
from roomkit_core.cli.installed import installed_plugins


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """Other tests look at other plugins."""
    installed_plugins.cache_clear()
    yield
    installed_plugins.cache_clear()


def check(folder: Path, text: str, *options: str) -> Result:
    file = folder / "roomkit.toml"
    file.write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["config", "check", str(file), *options], env={"COLUMNS": "300"})


FIVE = """\
[roomkit]
colour = "red"
process_timeout = "soon"
[stores.main]
use = "sqlite"
path = { file = "secret.txt" }
[channels.web]
use = "websokcet"
[channels.bot]
use = "bot"
[channels.bot]
use = "websocket"
"""


def test_five_mistakes_are_five_lines_each_with_its_place_and_what_to_do(tmp_path: Path) -> None:
    done = check(tmp_path, FIVE)

    *lines, _, count = done.stdout.splitlines()
    assert done.exit_code == 1
    assert count == "5 mistakes."
    assert [line.removeprefix(f"{tmp_path}/roomkit.toml:").partition(" ")[0] for line in lines] == [
        "2:",
        "3:",
        "6:",
        "8:",
        "11:",
    ]
    assert "did you mean 'websocket'" in lines[3]
    assert "rename or remove" in lines[4]


def test_mistakes_as_json_are_their_fields(tmp_path: Path) -> None:
    done = check(tmp_path, FIVE, "--json")

    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"]) == (1, False)
    assert [problem["line"] for problem in told["problems"]] == [2, 3, 6, 8, 11]
    assert all(problem["what"] and problem["fix"] for problem in told["problems"])


def test_a_right_file_is_told_as_what_would_be_built_without_its_values(tmp_path: Path) -> None:
    text = '[channels.web]\nuse = "websocket"\nqueue_size = 4711\n[stores.main]\nuse = "memory"\n'

    done = check(tmp_path, text)
    assert done.exit_code == 0
    assert "[channels.web]" in done.stdout
    assert "queue_size" in done.stdout
    assert "4711" not in done.stdout
    assert "is right" in done.stdout

    told = json.loads(check(tmp_path, text, "--json").stdout)
    assert told["ok"]
    assert [(part["section"], part["use"]) for part in told["parts"]] == [
        ("channels.web", "websocket:websocket"),
        ("stores.main", "builtin:memory"),
    ]


def test_checking_builds_nothing(tmp_path: Path) -> None:
    check(tmp_path, '[stores.main]\nuse = "sqlite"\n')

    assert [path.name for path in tmp_path.iterdir()] == ["roomkit.toml"]


@pytest.mark.parametrize("text", ["[roomkit\n", '[roomkit.plugins]\ndeny = "all"\n'])
def test_a_file_that_cannot_even_be_read_is_a_mistake_too(tmp_path: Path, text: str) -> None:
    done = check(tmp_path, text)

    assert done.exit_code == 1
    assert done.stdout.startswith(f"{tmp_path}/roomkit.toml")


def test_a_file_that_is_not_there_is_a_mistake_too(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["config", "check", str(tmp_path / "roomkit.toml")])

    assert done.exit_code == 1
    assert "there is no" in done.stdout
