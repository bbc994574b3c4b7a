"""Finding a component by name, importing it at first use, and saying why neither works."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from textwrap import dedent
from types import ModuleType

import pytest

from roomkit_core.builtin import plugin as builtin
from roomkit_core.builtin.locks import InMemoryLockManager
from roomkit_core.errors import PluginError
from roomkit_core.plugin import Component, Kind
from roomkit_core.registry import Candidate, PluginRegistry, PluginState
from roomkit_core.registry.imports import import_name
from roomkit_core.registry.targets import BASES
from tests.registry.plugins import Site, module, reported


def offering(plugin_id: str, *components: Component) -> ModuleType:
    def roomkit_components() -> Iterator[Component]:
        yield from components

    return module(plugin_id, roomkit_components)


def component(name: str, target: str = "nowhere:Nothing", kind: str = "gadget") -> Component:
    return Component(kind, name, target)


def registry_with(*plugins: ModuleType, candidates: tuple[Candidate, ...] = ()) -> PluginRegistry:
    registry = PluginRegistry(candidates)
    for plugin in plugins:
        registry.load(plugin)
    return registry


# ------------------------------------------------------------------------------------------------ names


def test_a_component_is_found_by_its_name_and_by_its_full_name() -> None:
    registry = registry_with(offering("pager", component("beep"), component("beep", kind="other")))

    assert registry.find("gadget", "beep") == registry.find("gadget", "pager:beep")
    assert registry.find("gadget", "beep").component.kind == "gadget"
    assert [entry.full_name for entry in registry.components()] == ["pager:beep", "pager:beep"]


def test_t34_a_kind_that_the_core_has_never_heard_of_works() -> None:
    registry = registry_with(offering("oven", Component("toaster", "two_slices", "textwrap:dedent")))

    assert registry.resolve("toaster", "two_slices") is dedent


def test_a_name_that_several_plugins_offer_needs_the_plugin() -> None:
    registry = registry_with(offering("a", component("beep")), offering("b", component("beep")))

    with pytest.raises(PluginError, match=r"a:beep, b:beep") as raised:
        registry.find("gadget", "beep")

    assert raised.value.code == "plugin.component_ambiguous"
    assert registry.find("gadget", "b:beep").plugin == "b"


def test_a_misspelt_name_gets_the_close_ones() -> None:
    registry = registry_with(offering("pager", component("beeper")))

    with pytest.raises(PluginError, match=r"'beper'; did you mean 'beeper'\?") as raised:
        registry.resolve("gadget", "beper")
    assert raised.value.code == "plugin.component_unknown"
    with pytest.raises(PluginError, match=r"did you mean 'pager:beeper'\?"):
        registry.resolve("gadget", "pagr:beeper")


def test_a_name_of_another_kind_is_told_apart() -> None:
    registry = registry_with(offering("pager", component("beep", kind="provider")))

    with pytest.raises(PluginError, match="there is one of kind 'provider'"):
        registry.find("channel", "beep")


# ------------------------------------------------------------------------------------------------ why not


def test_t37_the_plugin_that_is_installed_and_broken_is_named_with_its_reason(site: Site) -> None:
    site.plugin("pager", "import not_installed_anywhere")
    registry = PluginRegistry()
    registry.discover()

    with pytest.raises(PluginError, match="No module named 'not_installed_anywhere'") as raised:
        registry.resolve(Kind.CHANNEL, "pager")

    error = raised.value
    assert "roomkit-pager 1.0" in str(error)
    assert (error.plugin, error.state) == ("pager", "IMPORT_ERROR")
    assert isinstance(error.__cause__, ModuleNotFoundError)
    assert "reinstall" in error.hint


def test_t37_a_broken_plugin_of_another_name_is_suspected_if_nothing_resembles(site: Site) -> None:
    site.plugin("acme", "raise ValueError('no licence')")
    registry = PluginRegistry()
    registry.discover()

    with pytest.raises(PluginError, match="no licence"):
        registry.find(Kind.CHANNEL, "carrier_pigeon")


def test_a_misspelt_name_accuses_no_unrelated_plugin_and_no_plugin_that_offers_what_it_has(site: Site) -> None:
    site.plugin("acme", "raise ValueError('no licence')")
    registry = PluginRegistry()
    registry.discover()
    registry.load(offering("pager", component("beeper"), component("bad")))
    with pytest.raises(PluginError, match="cannot be imported"):
        registry.resolve("gadget", "bad")

    with pytest.raises(PluginError) as raised:
        registry.find("gadget", "beper")
    assert "Installed" not in str(raised.value)
    with pytest.raises(PluginError) as raised:
        registry.find("gadget", "pager:radio")
    assert "pager TARGET_ERROR" not in str(raised.value)


def test_t37_the_plugin_that_is_installed_and_not_loaded_is_named_with_the_remedy() -> None:
    with pytest.raises(
        PluginError, match=r"Installed but not loaded: websocket \(roomkit-websocket [0-9.]+\)$"
    ) as raised:
        PluginRegistry().find(Kind.CHANNEL, "websockt")

    assert "RoomKit(plugins=['websocket'])" in raised.value.hint


def test_t37_nothing_installed_says_which_environment_was_looked_at() -> None:
    with pytest.raises(PluginError) as raised:
        registry_with().find(Kind.CHANNEL, "pager")

    assert sys.executable in raised.value.hint


def test_t37_an_id_that_is_not_installed_raises_at_once_and_offers_the_close_ones() -> None:
    registry = registry_with(candidates=(Candidate("websocket", "x"),))

    with pytest.raises(PluginError, match=r"did you mean 'websocket'\?") as raised:
        registry.load("websokcet")

    assert raised.value.code == "plugin.not_installed"
    assert sys.prefix in str(raised.value)


def test_looking_for_a_component_imports_no_plugin(site: Site) -> None:
    site.plugin("pager", "raise AssertionError('imported')")
    registry = PluginRegistry()

    with pytest.raises(PluginError, match="Installed but not loaded"):
        registry.find(Kind.CHANNEL, "pager")

    assert registry.report() == ()


# ------------------------------------------------------------------------------------------------ targets


def test_a_component_is_imported_at_first_use_and_once(site: Site) -> None:
    site.install("pager", {"pager_parts": "class Part: ..."})
    registry = registry_with(offering("pager", component("part", "pager_parts:Part")))
    assert "pager_parts" not in sys.modules

    part = registry.resolve("gadget", "part")
    del sys.modules["pager_parts"]

    assert registry.resolve("gadget", "pager:part") is part
    assert "pager_parts" not in sys.modules


@pytest.mark.parametrize(
    ("target", "exception"),
    [
        ("not_installed_anywhere:Part", ModuleNotFoundError),
        ("textwrap:Part", AttributeError),
        ("pager_exits:Part", SystemExit),
    ],
)
def test_a_target_that_does_not_import_is_reported_and_leaves_the_other_components(
    target: str, exception: type[BaseException], site: Site
) -> None:
    site.install("pager", {"pager_exits": "raise SystemExit"})
    registry = registry_with(offering("pager", component("bad", target), component("good", "textwrap:dedent")))

    with pytest.raises(PluginError, match=target) as raised:
        registry.resolve("gadget", "bad")

    assert (raised.value.plugin, raised.value.state, raised.value.code) == ("pager", "TARGET_ERROR", "plugin.target")
    assert isinstance(raised.value.__cause__, exception)
    report = reported(registry, "pager")
    assert report.state is PluginState.TARGET_ERROR
    assert isinstance(report.exception, exception)
    assert registry.resolve("gadget", "good")


@pytest.mark.parametrize("kind", sorted(BASES))
@pytest.mark.parametrize("target", ["textwrap:dedent", "textwrap:TextWrapper"])
def test_a_target_of_a_known_kind_has_to_be_of_its_class(kind: str, target: str) -> None:
    registry = registry_with(offering("pager", Component(kind, "fake", target)))

    with pytest.raises(PluginError, match=f"expected a subclass of {BASES[kind]}"):
        registry.resolve(kind, "fake")

    assert reported(registry, "pager").state is PluginState.TARGET_ERROR


@pytest.mark.parametrize("kind", sorted(BASES))
def test_the_class_of_a_known_kind_exists(kind: str) -> None:
    assert isinstance(import_name(BASES[kind]), type)
    assert kind in {value for name, value in vars(Kind).items() if name.isupper()}


def test_the_built_in_parts_are_components_like_any_other() -> None:
    registry = registry_with(builtin)

    assert registry.resolve(Kind.LOCK, "memory") is InMemoryLockManager
    for entry in registry.components():
        assert registry.resolve(entry.component.kind, entry.full_name)
    assert [report.state for report in registry.report()] == [PluginState.LOADED]


def test_two_registries_share_no_plugin() -> None:
    one, other = registry_with(offering("pager", component("beep"))), registry_with()

    assert len(one.components()) == 1
    assert other.components() == ()
    assert other.report() == ()
