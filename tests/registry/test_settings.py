"""Settings of plugins: their own model, and never a value in what is told of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from roomkit_core.errors import PluginError
from roomkit_core.plugin import Component, PluginInfo, hookimpl
from roomkit_core.registry import PluginRegistry, PluginState
from tests.registry.plugins import module, reported

CANARY = "canary-9f3b"


class Settings(BaseModel, frozen=True, extra="forbid"):
    loud: bool = False


class Needy(BaseModel, frozen=True, extra="forbid"):
    token: SecretStr


def leaky() -> None:
    raise ValueError(CANARY)


def configured(plugin_id: str, model: str, *implementations: Callable[..., object]) -> ModuleType:
    plugin = ModuleType(f"plugin_{plugin_id}")
    plugin.PLUGIN = PluginInfo(plugin_id, api="1.0", config=f"{__name__}:{model}")  # type: ignore[attr-defined]
    for implementation in implementations:
        setattr(plugin, implementation.__name__, hookimpl(implementation))
    return plugin


def registry_with(*plugins: ModuleType) -> PluginRegistry:
    registry = PluginRegistry([])
    for plugin in plugins:
        registry.load(plugin)
    return registry


def noting(got: list[Any]) -> Callable[..., None]:
    def roomkit_hooks(registrar: object, settings: Any) -> None:
        got.append(settings)

    return roomkit_hooks


def test_an_implementation_gets_the_settings_that_were_given() -> None:
    got: list[Any] = []
    registry = registry_with(configured("pager", "Settings", noting(got)))
    registry.configure("pager", Settings(loud=True))

    registry.apply_hooks(None)  # type: ignore[arg-type]

    assert got == [Settings(loud=True)]
    assert registry.settings("pager") is got[0]


def test_settings_that_nobody_gave_are_what_the_model_has_by_default() -> None:
    got: list[Any] = []
    registry = registry_with(configured("pager", "Settings", noting(got)))

    registry.apply_hooks(None)  # type: ignore[arg-type]

    assert got == [Settings()]


async def test_a_plugin_whose_settings_are_missing_stops_the_start_with_the_name_of_the_field() -> None:
    got: list[Any] = []
    registry = registry_with(configured("pager", "Needy", noting(got)))

    registry.apply_hooks(None)  # type: ignore[arg-type]

    assert got == []
    assert reported(registry, "pager").state is PluginState.CONFIG_ERROR
    assert "its settings are not valid: token: Field required" in reported(registry, "pager").hint
    with pytest.raises(PluginError, match="token: Field required"):
        await registry.startup(None)  # type: ignore[arg-type]


def test_what_is_told_of_settings_that_are_refused_has_no_value(caplog: pytest.LogCaptureFixture) -> None:
    registry = registry_with(configured("pager", "leaky"))

    with caplog.at_level(logging.DEBUG), pytest.raises(PluginError) as raised:
        registry.settings("pager")

    assert CANARY not in caplog.text + str(raised.value) + str(reported(registry, "pager"))
    assert CANARY not in str(reported(registry, "pager").exception)


def test_the_configuration_of_a_component_that_is_refused_is_recorded_by_whoever_read_it() -> None:
    registry = registry_with(configured("pager", "Settings"))

    registry.report_config_error("pager", "channels.support: from_number is missing")

    report = reported(registry, "pager")
    assert (report.state, report.hint) == (PluginState.CONFIG_ERROR, "channels.support: from_number is missing")


def test_a_model_that_does_not_import_is_found_by_an_examination() -> None:
    registry = registry_with(configured("pager", "Nothing"))

    (problem,) = registry.examine()

    assert (problem.plugin, problem.state) == ("pager", "CONFIG_ERROR")
    assert "settings" in str(problem)
    assert reported(registry, "pager").state is PluginState.CONFIG_ERROR


class Radio:
    """Takes what ``Settings`` has."""

    def __init__(self, *, loud: bool) -> None: ...


class Deaf:
    """Does not take what ``Settings`` has."""

    def __init__(self, volume: int) -> None: ...


@pytest.mark.parametrize(
    ("target", "wrong"), [("Radio", ""), ("Deaf", "unexpected keyword argument|required argument")]
)
def test_a_component_that_does_not_take_the_fields_of_its_settings_is_found_by_an_examination(
    target: str, wrong: str
) -> None:
    def roomkit_components() -> Iterator[Component]:
        yield Component("gadget", "radio", f"{__name__}:{target}", config=f"{__name__}:Settings")

    problems = registry_with(module("pager", roomkit_components)).examine()

    assert [problem.state for problem in problems] == (["TARGET_ERROR"] if wrong else [])
    for problem in problems:
        assert "gadget 'radio' cannot be made with the fields of" in str(problem)
        assert re.search(wrong, str(problem))


def test_settings_of_a_plugin_that_is_not_there() -> None:
    with pytest.raises(PluginError, match="no plugin 'pager' is installed"):
        registry_with().settings("pager")
