"""A hundred installed plugins that nobody uses cost nothing: none of them is imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.wheels.environment import Environment, build_wheel

COUNT = 100

SOURCE = """
from roomkit_core.plugin import Component, PluginInfo, hookimpl
PLUGIN = PluginInfo("dummy{number}", api="1.0")

@hookimpl
def roomkit_components():
    yield Component("gadget", "dummy{number}", "textwrap:dedent")
"""

MODULES = "import json, sys; print(json.dumps(sorted(sys.modules)))"

COMMAND = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules))))
sys.argv = ["roomkit", {arguments}]
from roomkit_core.cli import main
main()
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with a hundred plugins."""
    folder = tmp_path_factory.mktemp("dummies")
    wheels = [build_wheel(folder, f"dummy{number}", SOURCE.format(number=number)) for number in range(COUNT)]
    return Environment.create(folder / "environment", wheels)


def dummies(modules: list[str]) -> set[str]:
    return {name for name in modules if name.startswith("roomkit_dummy")}


def test_importing_the_package_loads_none_of_a_hundred_plugins_and_nothing_heavy(
    environment: Environment, tmp_path: Path
) -> None:
    modules = json.loads(environment.run("-c", f"import roomkit_core; {MODULES}", cwd=tmp_path).stdout)

    assert "roomkit_core" in modules
    assert dummies(modules) == set()
    assert not {"pydantic", "pluggy", "sqlite3", "importlib.metadata"} & set(modules)


def test_a_bare_kit_loads_none_of_a_hundred_plugins(environment: Environment, tmp_path: Path) -> None:
    program = f"from roomkit_core import RoomKit; RoomKit(); {MODULES}"
    modules = json.loads(environment.run("-c", program, cwd=tmp_path).stdout)

    assert "roomkit_core.registry" in modules
    assert dummies(modules) == set()


@pytest.mark.parametrize(("arguments", "exit_code"), [(["--version"], 0), (["rooms", "--help"], 0), (["rooms"], 3)])
def test_a_command_of_the_core_loads_none_of_a_hundred_plugins(
    arguments: list[str], exit_code: int, environment: Environment, tmp_path: Path
) -> None:
    program = COMMAND.format(arguments=", ".join(map(repr, arguments)))
    done = environment.run("-c", program, cwd=tmp_path, exit_code=exit_code)

    modules = json.loads(done.stdout.splitlines()[-1])
    assert "roomkit_core.cli.app" in modules
    assert dummies(modules) == set()


def test_a_hundred_plugins_are_listed_by_the_command_that_looks_at_them(
    environment: Environment, tmp_path: Path
) -> None:
    listed = json.loads(environment.roomkit("plugins", "--json", cwd=tmp_path).stdout)

    assert {f"dummy{number}" for number in range(COUNT)} <= {report["id"] for report in listed}
    assert {report["state"] for report in listed} == {"LOADED"}
