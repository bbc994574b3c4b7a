"""What a plugin says of itself: checked where it is written, and read-only."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

from roomkit_core.plugin import API_VERSION, Command, Component, Kind, PluginInfo, RouteSpec, specs

KINDS = [value for name, value in vars(Kind).items() if name.isupper()]


@pytest.mark.parametrize("plugin_id", ["a", "sms", "a1_b", "x" * 64])
def test_an_id_is_a_lowercase_name(plugin_id: str) -> None:
    assert PluginInfo(plugin_id, api=API_VERSION).id == plugin_id


@pytest.mark.parametrize("plugin_id", ["", "Sms", "1a", "a-b", "a.b", "a:b", "é", "x" * 65, "a\n", None])
def test_another_id_is_refused(plugin_id: Any) -> None:
    with pytest.raises(ValueError, match="is not a plugin id: expected"):
        PluginInfo(plugin_id, api="1.0")


@pytest.mark.parametrize("api", ["1", "1.0.0", "v1.0", "1.x", "01.0", "", "1.0\n", 1.0])
def test_an_api_version_that_cannot_be_compared_is_refused(api: Any) -> None:
    with pytest.raises(ValueError, match="is not a plugin API version"):
        PluginInfo("a", api=api)


@pytest.mark.parametrize("kind", [*KINDS, "toaster"])
def test_t34_kinds_are_open_and_the_known_ones_are_constants(kind: str) -> None:
    assert Component(kind, "a", "b:C").kind == kind


@pytest.mark.parametrize(
    "target", ["pkg", "pkg:", ":C", "pkg.:C", ".pkg:C", "pkg:C.d", "pkg:C()", "pkg mod:C", "pkg:C:D", "a:1", "", None]
)
def test_a_target_that_names_no_object_of_a_module_is_refused(target: Any) -> None:
    with pytest.raises(ValueError, match="is not a component target"):
        Component("channel", "a", target)
    if target is not None:
        with pytest.raises(ValueError, match="is not a component configuration"):
            Component("channel", "a", "b:C", config=target)


@pytest.mark.parametrize(("kind", "name"), [("Channel", "a"), ("channel", "A"), ("channel", "plugin:a"), ("", "a")])
def test_a_kind_or_name_of_another_form_is_refused(kind: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"is not a component (kind|name)"):
        Component(kind, name, "b:C")


def test_capabilities_are_several_names() -> None:
    capabilities: Any = ["edit", "reaction"]

    assert Component("channel", "a", "b:C", capabilities=capabilities).capabilities == ("edit", "reaction")
    with pytest.raises(TypeError, match="'edit'"):
        Component("channel", "a", "b:C", capabilities="edit")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is not a capability"):
        Component("channel", "a", "b:C", capabilities=("Edit",))


def test_a_component_cannot_be_changed_not_even_through_what_it_was_made_of() -> None:
    extra: dict[str, object] = {"colour": "blue"}
    component = Component("channel", "a", "b:C", extra=extra)
    extra["colour"] = "red"

    assert component.extra == {"colour": "blue"}
    assert hash(component) == hash(Component("channel", "a", "b:C"))
    with pytest.raises(TypeError):
        component.extra["colour"] = "red"  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        component.name = "b"  # type: ignore[misc]


@pytest.mark.parametrize("name", [name for name in vars(specs) if name.startswith("roomkit_")])
def test_every_specification_says_when_it_is_called_and_what_a_raise_does(name: str) -> None:
    text = inspect.getdoc(getattr(specs, name)) or ""

    assert "When: once" in text
    assert "A raise" in text


@pytest.mark.parametrize("name", ["serve", "a", "new-bot", "x9"])
def test_a_command_is_a_word_of_lowercase_letters_digits_and_hyphens(name: str) -> None:
    assert Command(name, "a:b").name == name


@pytest.mark.parametrize("name", ["", "Serve", "-a", "a_b", "a b", "plugin:a", "x" * 65, None])
def test_another_command_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is not a command name"):
        Command(name, "a:b")
    with pytest.raises(ValueError, match="is not a command target"):
        Command("a", "a.b")


@pytest.mark.parametrize("path", ["/ws", "/api/v1", "/.well-known/x", "/a~b"])
def test_a_route_is_at_a_path(path: str) -> None:
    assert RouteSpec(path, "a:b").path == path


@pytest.mark.parametrize("path", ["", "/", "ws", "/ws/", "//ws", "/a b", "/a/../b", "/./a", "/{id}", "/é", None])
def test_a_route_at_something_else_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match="is not a route path"):
        RouteSpec(path, "a:b")


def test_a_route_says_how_it_is_made_and_who_asks_clients_who_they_are() -> None:
    nonsense: Any = "nobody"

    assert RouteSpec("/ws", "a:b").auth == "server"
    with pytest.raises(ValueError, match="is not who authenticates: expected one of server, route, none"):
        RouteSpec("/ws", "a:b", auth=nonsense)
    with pytest.raises(ValueError, match="is not a route target"):
        RouteSpec("/ws", "a.b")
    with pytest.raises(TypeError, match="is not a route target"):
        RouteSpec("/ws", nonsense and 5)


def test_the_settings_of_a_plugin_are_named_by_a_target() -> None:
    with pytest.raises(ValueError, match="is not a plugin configuration"):
        PluginInfo("a", api="1.0", config="a.b")


SPECS = [name for name in vars(specs) if name.startswith("roomkit_")]


@pytest.mark.parametrize("name", SPECS)
def test_each_specification_says_when_it_is_called_and_what_a_raise_does(name: str) -> None:
    text = inspect.getdoc(getattr(specs, name)) or ""

    assert "When:" in text
    assert "A raise" in text


@pytest.mark.parametrize("name", SPECS)
def test_each_specification_has_tests_that_carry_its_name(name: str) -> None:
    folder = Path(__file__).resolve().parents[1]
    sources = [path.read_text(encoding="utf-8") for path in folder.glob("registry/test_*.py")]

    assert any(f"def test_{name}_" in source for source in sources)
