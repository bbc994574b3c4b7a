"""Commands of plugins: found after the core's own, by the shortest name that is clear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from roomkit_core.cli import contributed
from roomkit_core.cli.app import app
from roomkit_core.cli.installed import installed_plugins
from tests.registry.conftest import make_site as make_site
from tests.registry.conftest import site as site
from tests.registry.plugins import Site

Run = Callable[..., Result]


def forget() -> None:
    installed_plugins.cache_clear()
    contributed._plugins.cache_clear()


@pytest.fixture
def roomkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs the command in an empty directory; another exit code than the expected fails the test."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    forget()

    def run(*arguments: str, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(app, [*arguments], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit_code, result.output
        return result

    yield run
    forget()


def announcing(*commands: str) -> str:
    lines = "".join(f"\n    yield {command}" for command in commands)
    return f"@hookimpl\ndef roomkit_commands():{lines}"


CODE = '''
import typer
from roomkit_core.plugin import *

PLUGIN = PluginInfo("{plugin}", api="1.0")
group = typer.Typer(no_args_is_help=True)

@group.command()
def first() -> None:
    """The first of a group."""
    typer.echo("first of {plugin}")

@group.command()
def second(number: int) -> None:
    typer.echo(f"second {{number}} of {plugin}")

def alone() -> None:
    typer.echo("alone of {plugin}")

async def later() -> None: ...
'''


def install(site: Site, plugin: str, *commands: str) -> None:
    """A plugin whose commands stand in its registration module, which tests do not mind."""
    announced = [f'Command("{name}", "plugin_{plugin}_roomkit_{plugin}:{of}")' for name, of in map(split, commands)]
    site.plugin(plugin, CODE.format(plugin=plugin) + announcing(*announced))


def split(command: str) -> tuple[str, str]:
    name, _, of = command.partition("=")
    return name, of


def test_a_function_and_a_group_are_commands(roomkit: Run, site: Site) -> None:
    install(site, "pager", "beep=alone", "many=group")

    assert roomkit("beep").stdout == "alone of pager\n"
    assert roomkit("many", "second", "7").stdout == "second 7 of pager\n"
    assert "The first of a group." in roomkit("many", "--help").stdout
    assert "of the plugin pager" in roomkit("--help").stdout


def test_a_name_of_two_plugins_needs_the_plugin(roomkit: Run, site: Site) -> None:
    install(site, "a", "beep=alone")
    install(site, "b", "beep=alone")

    assert "can be any of several commands: a:beep, b:beep" in roomkit("beep", exit_code=2).stderr
    assert roomkit("b:beep").stdout == "alone of b\n"
    assert "a:beep" in roomkit("--help").stdout


def test_a_command_of_the_core_keeps_its_name(roomkit: Run, site: Site) -> None:
    install(site, "pager", "rooms=alone")

    assert "there is no store" in roomkit("rooms", exit_code=3).stderr
    assert roomkit("pager:rooms").stdout == "alone of pager\n"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("later", "expected a plain function or a typer.Typer"),
        ("PLUGIN", "expected a plain function or a typer.Typer"),
        ("missing", "command 'beep' cannot be imported"),
    ],
)
def test_a_target_that_is_no_command_is_said_in_one_line(target: str, words: str, roomkit: Run, site: Site) -> None:
    install(site, "pager", f"beep={target}")

    assert words in roomkit("beep", exit_code=2).stderr


def test_a_command_of_ours_that_is_not_installed_says_what_to_install(
    roomkit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(contributed.ELSEWHERE, "fly", "wings")

    assert "It comes with roomkit-wings: pip install roomkit-wings" in roomkit("fly", exit_code=2).stderr


def test_a_command_whose_plugin_is_denied_says_so(roomkit: Run, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "wings", "fly=alone")
    monkeypatch.setitem(contributed.ELSEWHERE, "fly", "wings")
    Path("roomkit.toml").write_text('[roomkit.plugins]\ndeny = ["wings"]\n', encoding="utf-8")

    message = roomkit("fly", exit_code=2).stderr

    assert "DISABLED" in message
    assert "pip install" not in message


def test_lists_that_cannot_be_read_leave_the_commands_of_the_core(roomkit: Run, site: Site) -> None:
    site.plugin("pager", "raise AssertionError('imported')")
    Path("roomkit.toml").write_text("no TOML", encoding="utf-8")

    result = roomkit("--help")

    assert "rooms" in result.stdout
    assert "roomkit.toml" in result.stderr
