"""Configuration files as they come: each is read, or refused with one sentence, an exit code and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from roomkit_core.cli.app import app
from roomkit_core.cli.contributed import _plugins
from roomkit_core.cli.installed import installed_plugins

RIGHT = '[channels.bot]\nuse = "bot"\n'

MEGABYTES = 10_000_000
UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "broken": (lambda file: file.write_text("a = 1\n[channels.bot\n"), "roomkit.toml:2: expected ']'"),
    "cut off": (lambda file: file.write_text('a = 1\nb = ["x",\n\n'), "roomkit.toml:2: "),
    "a folder": (lambda file: file.mkdir(), "cannot be read: Is a directory"),
    "in latin-1": (
        lambda file: file.write_bytes(f"{RIGHT}# f\xfcr\n".encode("latin-1")),
        "toml:3: this is not",
    ),
    "in UTF-16": (lambda file: file.write_bytes(RIGHT.encode("utf-16")), "roomkit.toml:1: this is not UTF-8"),
    "bytes": (lambda file: file.write_bytes(bytes(range(256)) * (MEGABYTES // 256)), "roomkit.toml"),
    "zeros": (lambda file: file.write_bytes(bytes(MEGABYTES)), "roomkit.toml:1: invalid statement"),
    "words": (lambda file: file.write_text("lorem ipsum = [\n" * (MEGABYTES // 16)), "roomkit.toml:1: expected '='"),
    "brackets": (lambda file: file.write_text(f"a = {'[' * MEGABYTES}"), "nested too deeply"),
    "digits": (lambda file: file.write_text(f"a = {'9' * 10_000}"), "a number with too many digits"),
    "a link to nothing": (lambda file: file.symlink_to("nowhere"), "there is no roomkit.toml"),
    "a link to itself": (lambda file: file.symlink_to(file.name), "cannot be read: "),
}

READABLE = {
    "with a byte order mark": b"\xef\xbb\xbf" + RIGHT.encode(),
    "with the lines of Windows": RIGHT.replace("\n", "\r\n").encode(),
    "empty": b"",
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where commands look for the file; it is not there yet."""
    monkeypatch.chdir(tmp_path)
    for cache in (installed_plugins, _plugins):
        cache.cache_clear()
    yield Path("roomkit.toml")
    for cache in (installed_plugins, _plugins):
        cache.cache_clear()


def run(*arguments: str) -> Result:
    """The end of a command; nothing but an exit comes out of it."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"}, prog_name="roomkit")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_cannot_be_read_is_told_in_one_sentence(kind: str, file: Path) -> None:
    make, words = UNREADABLE[kind]
    make(file)

    check, doctor, plugins = run("config", "check"), run("doctor", "--json"), run("plugins")

    told = [one for one in json.loads(doctor.stdout)["findings"] if one["subject"] == "configuration"]
    assert (check.exit_code, doctor.exit_code, plugins.exit_code) == (1, 1, 2)
    assert words in check.stdout
    assert check.stdout.splitlines()[-1] == "1 mistake."
    assert (len(told), told[0]["status"]) == (1, "wrong")
    assert words in told[0]["message"]
    assert told[0]["hint"]
    assert plugins.stderr.count("error:") == 1
    assert words in plugins.stderr


@pytest.mark.parametrize("verb", [("serve",), ("nonsense",), ("chat", "--store", "memory")])
def test_no_command_of_a_plugin_is_sought_while_the_file_cannot_be_read(verb: tuple[str, ...], file: Path) -> None:
    file.write_text("[channels.bot\n")

    result = run(*verb)

    assert result.exit_code == 2
    assert result.stderr.count("roomkit.toml:1: expected ']'") == 1
    assert "pip install" not in result.stderr
    assert "There is no command" not in result.stderr


def test_help_says_that_the_file_cannot_be_read_and_helps(file: Path) -> None:
    file.write_text("[channels.bot\n")

    result = run("--help")

    assert result.exit_code == 0
    assert result.stderr.count("error:") == 1
    assert "doctor" in result.stdout


@pytest.mark.parametrize("kind", READABLE)
def test_a_file_is_read_however_an_editor_has_saved_it(kind: str, file: Path) -> None:
    file.write_bytes(READABLE[kind])

    assert run("config", "check").stdout.endswith("roomkit.toml is right.\n")
    assert run("doctor").exit_code == 0


def test_a_file_that_nobody_wrote_is_missed_only_by_who_needs_it(file: Path) -> None:
    assert not file.exists()
    assert (run("plugins").exit_code, run("doctor").exit_code) == (0, 0)
    assert "there is no roomkit.toml" in run("serve").stderr
    assert "there is no other.toml" in run("doctor", "--config", "other.toml").stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[channels.bot\n", "roomkit.toml:1: expected"),
        ('[roomkit]\nstore = ["a"]\n', "does not say by its name which store"),
        ('[stores.a]\nuse = "sqlite"\npath = "~nobody-at-all/room.db"\n', "nobody-at-all"),
        ('[stores.a]\nuse = ["sqlite"]\n', "is no SQLite file"),
    ],
)
def test_a_command_that_wants_a_store_says_why_the_file_names_none(text: str, words: str, file: Path) -> None:
    file.write_text(text)

    result = run("timeline", "chat")

    assert result.exit_code in (2, 3)
    assert words in result.stderr


def test_a_module_that_is_not_there_has_the_line_that_names_it_and_the_folder_where_it_was_looked_for(
    file: Path, tmp_path: Path
) -> None:
    file.write_text('[roomkit]\napp = ["no_such_bot.at_all"]\n')

    result = run("config", "check")

    assert result.exit_code == 1
    assert "roomkit.toml:2: roomkit.app.0: the module 'no_such_bot.at_all' cannot be imported" in result.stdout
