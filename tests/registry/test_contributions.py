"""``roomkit_commands`` and ``roomkit_routes``: asked when somebody wants to know, one plugin at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from roomkit_core.errors import PluginError
from roomkit_core.plugin import Command, Component, RouteSpec
from roomkit_core.registry import PluginRegistry, PluginState
from tests.registry.plugins import Site, module, reported

KIT: Any = object()

COMMANDS = """
    @hookimpl
    def roomkit_commands():
        yield Command("beep", "textwrap:dedent", "Beeps")
"""

ROUTES = """
    @hookimpl
    def roomkit_components():
        yield Component("gadget", "beeper", "textwrap:dedent")

    @hookimpl
    def roomkit_routes():
        yield RouteSpec("/beep", "nowhere:app")
"""


def with_commands(plugin_id: str, *commands: Any) -> Any:
    def roomkit_commands() -> Iterator[Any]:
        yield from commands

    return module(plugin_id, roomkit_commands)


def with_routes(plugin_id: str, *routes: Any) -> Any:
    def roomkit_routes() -> Iterator[Any]:
        yield from routes

    return module(plugin_id, roomkit_routes)


def registry_with(*plugins: Any) -> PluginRegistry:
    registry = PluginRegistry([])
    for plugin in plugins:
        registry.load(plugin)
    return registry


# ------------------------------------------------------------------------------------------------ roomkit_commands


def test_roomkit_commands_of_an_installed_plugin_are_listed_without_naming_it(site: Site) -> None:
    site.plugin("pager", COMMANDS)
    registry = PluginRegistry()
    registry.discover()

    (entry,) = [entry for entry in registry.commands() if entry.plugin == "pager"]

    assert entry.full_name == "pager:beep"
    assert registry.import_command(entry)(" x") == "x"
    assert reported(registry, "pager").commands == (Command("beep", "textwrap:dedent", "Beeps"),)
    assert "roomkit_commands" in reported(registry, "pager").implements


def test_roomkit_commands_are_asked_for_once_and_not_at_loading() -> None:
    asked: list[str] = []

    def roomkit_commands() -> Iterator[Command]:
        asked.append("pager")
        yield Command("beep", "a:b")

    registry = registry_with(module("pager", roomkit_commands))
    assert asked == []

    registry.commands()
    registry.commands()

    assert asked == ["pager"]


def test_an_examination_imports_routes_also_of_plugins_that_are_merely_installed_and_opens_no_door(site: Site) -> None:
    site.plugin("pager", ROUTES)
    registry = PluginRegistry()
    registry.discover()

    [problem] = [found for found in registry.examine() if found.plugin == "pager"]

    assert "route /beep cannot be imported from nowhere:app" in str(problem)
    assert registry.routes() == ()


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        (["beep"], "expected Command, got 'beep'"),
        ([Command("beep", "a:b"), Command("beep", "c:d")], "command 'beep' is announced twice"),
    ],
)
def test_t36_a_plugin_that_announces_rubbish_has_no_commands_and_keeps_its_components(
    commands: list[Any], words: str
) -> None:
    def roomkit_components() -> Iterator[Component]:
        yield Component("gadget", "horn", "textwrap:dedent")

    def roomkit_commands() -> list[Any]:
        return commands

    registry = registry_with(
        module("bad", roomkit_components, roomkit_commands), with_commands("good", Command("beep", "a:b"))
    )

    assert [entry.full_name for entry in registry.commands()] == ["good:beep"]
    assert reported(registry, "bad").state is PluginState.HOOK_ERROR
    assert words in reported(registry, "bad").hint
    assert registry.resolve("gadget", "horn")


def test_a_command_that_does_not_import_is_reported() -> None:
    registry = registry_with(with_commands("pager", Command("beep", "nowhere_at_all:beep")))

    with pytest.raises(PluginError, match="command 'beep' cannot be imported from nowhere_at_all:beep") as raised:
        registry.import_command(registry.commands()[0])

    assert raised.value.state == "TARGET_ERROR"
    assert reported(registry, "pager").state is PluginState.TARGET_ERROR


# ------------------------------------------------------------------------------------------------ roomkit_routes


def test_roomkit_routes_of_a_named_plugin_are_built_for_the_kit() -> None:
    kits: list[object] = []

    def build(kit: object) -> str:
        kits.append(kit)
        return "application"

    registry = registry_with(with_routes("pager", RouteSpec("/beep", build, auth="route")))

    (entry,) = registry.routes()

    assert (entry.plugin, entry.route.path, entry.route.auth) == ("pager", "/beep", "route")
    assert registry.build_route(entry, KIT) == "application"
    assert kits == [KIT]


def test_roomkit_routes_of_a_plugin_that_is_merely_installed_open_no_door(site: Site) -> None:
    site.plugin("pager", ROUTES)
    registry = PluginRegistry()
    registry.discover()
    assert registry.routes() == ()

    registry.resolve("gadget", "beeper")

    assert [entry.route.path for entry in registry.routes()] == ["/beep"]


def test_two_plugins_at_one_path_are_not_served_by_chance() -> None:
    registry = registry_with(with_routes("a", RouteSpec("/beep", "x:y")), with_routes("b", RouteSpec("/beep", "x:y")))

    with pytest.raises(PluginError, match="'a' and 'b' both serve /beep") as raised:
        registry.routes()
    assert raised.value.code == "plugin.route_conflict"


def test_routes_of_a_plugin_that_fails_stop_the_server_if_the_plugin_is_required() -> None:
    plugin = with_routes("bad", "not a route")
    required, optional = PluginRegistry([]), PluginRegistry([])
    required.load(plugin)
    optional.load(plugin, required=False)

    with pytest.raises(PluginError, match="roomkit_routes failed: TypeError: expected RouteSpec"):
        required.routes()
    assert optional.routes() == ()
    assert reported(optional, "bad").state is PluginState.HOOK_ERROR


@pytest.mark.parametrize("target", ["nowhere_at_all:app", lambda kit: 1 / 0])
def test_a_route_that_cannot_be_made_is_reported(target: Any) -> None:
    registry = registry_with(with_routes("pager", RouteSpec("/beep", target)))

    with pytest.raises(PluginError, match="route /beep cannot be made by"):
        registry.build_route(registry.routes()[0], KIT)
    assert reported(registry, "pager").state is PluginState.TARGET_ERROR
