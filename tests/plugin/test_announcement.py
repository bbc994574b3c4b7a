"""What a plugin says of itself: checked where it is written, and read-only."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from roomkit_core.plugin import API_VERSION, Component, Kind, PluginInfo, specs

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
