"""Each state of a plugin, from a real wheel in a fresh environment, as ``roomkit plugins`` tells it (T36, T37)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roomkit_core.registry import PluginState
from tests.wheels.environment import Environment, build_wheel

HEAD = """
from roomkit_core.plugin import Command, Component, Kind, PluginInfo, hookimpl
PLUGIN = PluginInfo("{plugin}", api="1.0")
"""

# What each registration module has behind its first lines; no line at all where it is without ``PLUGIN``.
SOURCES: dict[str, str] = {
    "loaded": """
print("a plugin that talks while it is imported")

@hookimpl
def roomkit_components():
    yield Component("gadget", "beeper", "roomkit_loaded.beeper:Beeper", summary="Beeps")

@hookimpl
def roomkit_commands():
    yield Command("greet", "roomkit_loaded.beeper:greet", summary="Greets somebody")
""",
    "disabled": "raise AssertionError('imported although it is denied')",
    "import_error": "import not_installed_anywhere",
    "incompatible": 'PLUGIN = PluginInfo("incompatible", api="9.0")',
    "invalid_hooks": "@hookimpl\ndef roomkit_component(): ...",
    "conflict": "raise AssertionError('imported although two claim its id')",
    "hook_error": "@hookimpl\ndef roomkit_components():\n    raise OSError('no licence file')",
    "target_error": """
@hookimpl
def roomkit_components():
    yield Component(Kind.CHANNEL, "pigeon", "roomkit_target_error.missing:Pigeon")
""",
    "config_error": 'PLUGIN = PluginInfo("config_error", api="1.0", config="roomkit_config_error.settings:Settings")',
    # The commands of a plugin may be broken while its components are not.
    "mute": """
@hookimpl
def roomkit_components():
    yield Component("gadget", "horn", "textwrap:dedent")

@hookimpl
def roomkit_commands():
    raise RuntimeError("no commands today")
""",
}

BEEPER = '''
from __future__ import annotations

from typing import Annotated

import typer

from roomkit_core import UnsupportedError

class Beeper: ...

def greet(name: str, loud: Annotated[bool, typer.Option(help="In capitals.")] = False) -> None:
    """Say hello to somebody."""
    if name == "nobody":
        raise UnsupportedError("nobody cannot be greeted", hint="Greet somebody.")
    if name == "error":
        raise ValueError("a defect of the plugin")
    print(f"HELLO {name}!" if loud else f"hello {name}")
'''


SETTINGS = """
from roomkit_core.models.settings import Settings as Base

class Settings(Base):
    port: int = 25
"""

CONFIGURATION = """
[roomkit.plugins]
deny = ["disabled"]

[plugins.config_error]
port = "canary-of-a-secret"
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with a plugin for each state."""
    folder = tmp_path_factory.mktemp("states")
    parts = {"loaded": {"beeper": BEEPER}, "config_error": {"settings": SETTINGS}}
    wheels = [
        build_wheel(folder, plugin, HEAD.format(plugin=plugin) + source, parts=parts.get(plugin))
        for plugin, source in SOURCES.items()
    ]
    wheels.append(build_wheel(folder, "conflict", SOURCES["conflict"], name="acme-conflict", version="2.0"))
    wheels.append(build_wheel(folder, "no_metadata", "from roomkit_core.plugin import hookimpl"))
    return Environment.create(folder / "environment", wheels)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory whose configuration denies one plugin and gives another one settings that it refuses."""
    (tmp_path / "roomkit.toml").write_text(CONFIGURATION, encoding="utf-8")
    return tmp_path


def listed(environment: Environment, project: Path, *options: str) -> dict[str, list[dict[str, Any]]]:
    """The report by id."""
    found: dict[str, list[dict[str, Any]]] = {}
    for report in json.loads(environment.roomkit("plugins", "--json", *options, cwd=project).stdout):
        found.setdefault(report["id"], []).append(report)
    return found


EXPECTED = {
    "loaded": (PluginState.LOADED, ""),
    "disabled": (PluginState.DISABLED, "it is on the list of denied plugins"),
    "import_error": (PluginState.IMPORT_ERROR, "No module named 'not_installed_anywhere'; install what is missing"),
    "no_metadata": (PluginState.NO_METADATA, 'PLUGIN = PluginInfo("no_metadata", api="1.0")'),
    "incompatible": (PluginState.INCOMPATIBLE, "install a newer version of roomkit-core"),
    "invalid_hooks": (PluginState.INVALID_HOOKS, "did you mean roomkit_components?"),
    "conflict": (PluginState.CONFLICT, "uninstall or rename all but one"),
    "hook_error": (PluginState.HOOK_ERROR, "roomkit_components failed: OSError: no licence file"),
    "target_error": (PluginState.TARGET_ERROR, "channel 'pigeon' cannot be imported from roomkit_target_error.missing"),
    "config_error": (PluginState.CONFIG_ERROR, "roomkit.toml:6: plugins.config_error.port"),
}


def test_t36_t37_each_state_is_told_with_distribution_version_and_hint(environment: Environment, project: Path) -> None:
    found = listed(environment, project, "--check")

    assert {state for state, _ in EXPECTED.values()} == set(PluginState)
    for plugin, (state, hint) in EXPECTED.items():
        for report in found[plugin]:
            assert report["state"] == state, report
            assert hint in report["hint"]
            assert bool(report["hint"]) == (state is not PluginState.LOADED)
    origins = {plugin: [(one["distribution"], one["version"]) for one in found[plugin]] for plugin in EXPECTED}
    assert sorted(origins.pop("conflict")) == [("acme-conflict", "2.0"), ("roomkit-conflict", "1.0")]
    assert origins == {plugin: [(f"roomkit-{plugin.replace('_', '-')}", "1.0")] for plugin in origins}


def test_t36_what_works_is_offered_beside_all_that_is_broken(environment: Environment, project: Path) -> None:
    (loaded,) = listed(environment, project)["loaded"]

    assert [(one["kind"], one["name"]) for one in loaded["components"]] == [("gadget", "beeper")]
    assert [one["name"] for one in loaded["commands"]] == ["greet"]


def test_the_doctor_tells_all_of_it_and_ends_with_1(environment: Environment, project: Path) -> None:
    done = environment.roomkit("doctor", "--json", cwd=project, exit_code=1)

    wrong = {one["subject"] for one in json.loads(done.stdout)["findings"] if one["status"] == "wrong"}
    broken = set(EXPECTED) - {"loaded", "disabled"} | {"mute"}
    assert wrong == {f"plugin {plugin}" for plugin in broken} | {"configuration"}
    assert "canary-of-a-secret" not in done.stdout + done.stderr


def test_targets_are_imported_only_when_that_is_asked_for(environment: Environment, project: Path) -> None:
    found = listed(environment, project)

    assert found["target_error"][0]["state"] == "LOADED"
    assert found["config_error"][0]["state"] == "LOADED"


def test_the_table_for_people_says_who_and_why(environment: Environment, project: Path) -> None:
    text = environment.roomkit("plugins", cwd=project).stdout

    assert "roomkit-import-error 1.0" in text
    assert "gadget beeper; command greet" in text
    assert "do not work; the others are not affected" in text


def test_t36_broken_plugins_spoil_nobodys_commands(environment: Environment, project: Path) -> None:
    text = environment.roomkit("--help", cwd=project).stdout

    assert "Greets somebody" in text
    assert "Broken plugins:" in text
    assert "mute" in text
    assert environment.roomkit("greet", "Ada", cwd=project).stdout.endswith("hello Ada\n")
    assert environment.roomkit("loaded:greet", "Ada", "--loud", cwd=project).stdout.endswith("HELLO Ada!\n")


def test_a_command_of_a_plugin_ends_as_those_of_the_core_and_keeps_the_traceback_of_its_defects(
    environment: Environment, project: Path
) -> None:
    refused = environment.roomkit("greet", "nobody", cwd=project, exit_code=2).stderr
    assert "error: nobody cannot be greeted [kit.unsupported]\nwhat to do: Greet somebody." in refused
    assert "Traceback" in environment.roomkit("greet", "error", cwd=project, exit_code=1).stderr
    assert "In capitals." in environment.roomkit("greet", "--help", cwd=project).stdout


def test_t37_a_command_that_is_not_there_says_which_broken_plugin_may_bring_it(
    environment: Environment, project: Path
) -> None:
    message = environment.roomkit("pigeonhole", cwd=project, exit_code=2).stderr

    assert "There is no command 'pigeonhole'." in message
    assert "No module named 'not_installed_anywhere'" in message
    assert "Did you mean 'greet'?" in environment.roomkit("great", cwd=project, exit_code=2).stderr
