"""Two plugins of one id: nobody vanishes, and nobody wins by the order of a directory listing."""

from __future__ import annotations

import importlib

import pytest

from roomkit_core.errors import PluginError
from roomkit_core.registry import PluginRegistry, PluginState
from tests.registry.plugins import Site, module, reported


@pytest.fixture
def twice(site: Site) -> Site:
    """The id ``pager``, claimed by two distributions; importing either fails the test."""
    site.plugin("pager", "raise AssertionError('imported')", distribution="first-pager")
    site.plugin("pager", "raise AssertionError('imported')", distribution="second-pager")
    return site


@pytest.mark.usefixtures("twice")
def test_t36_a_duplicate_id_is_refused_to_both_and_both_are_reported() -> None:
    registry = PluginRegistry()

    reports = [report for report in registry.discover() if report.id == "pager"]

    assert {report.distribution for report in reports} == {"first-pager", "second-pager"}
    for report in reports:
        assert report.state is PluginState.CONFLICT
        assert "first-pager 1.0" in report.hint
        assert "second-pager 1.0" in report.hint


@pytest.mark.usefixtures("twice")
def test_t36_naming_a_duplicate_id_guesses_for_nobody() -> None:
    registry = PluginRegistry()

    registry.load("pager")

    assert [(report.state, report.named) for report in registry.report()] == [(PluginState.CONFLICT, True)] * 2


@pytest.mark.usefixtures("twice")
def test_a_duplicate_id_leaves_the_other_plugins() -> None:
    registry = PluginRegistry()

    registry.discover()

    assert reported(registry, "websocket").state is PluginState.LOADED


def test_an_installed_plugin_does_not_take_the_id_of_one_that_code_passed(site: Site) -> None:
    site.plugin("builtin", "")
    registry = PluginRegistry()
    registry.load(module("builtin"))

    registry.discover()

    mine, installed = (report for report in registry.report() if report.id == "builtin")
    assert (mine.state, mine.named) == (PluginState.LOADED, True)
    assert (installed.state, installed.named) == (PluginState.CONFLICT, False)
    assert "roomkit-builtin 1.0" in installed.hint
    assert "passed in by code" in installed.hint


async def test_two_plugins_of_one_id_passed_by_code_stop_the_start() -> None:
    registry = PluginRegistry([])

    assert registry.load(module("pager")).state is PluginState.LOADED
    assert registry.load(module("pager")).state is PluginState.CONFLICT

    with pytest.raises(PluginError, match="claimed by"):
        await registry.startup(None)  # type: ignore[arg-type]


def test_the_same_module_by_code_and_by_entry_point_is_one_plugin(site: Site) -> None:
    site.plugin("pager", "")
    registry = PluginRegistry()
    registry.load(importlib.import_module("plugin_pager_roomkit_pager"))

    registry.discover()

    report = reported(registry, "pager")
    assert (report.state, report.named, report.distribution) == (PluginState.LOADED, True, "roomkit-pager")


def test_naming_a_discovered_plugin_marks_it_and_loads_nothing_again(site: Site) -> None:
    site.plugin("pager", "")
    registry = PluginRegistry()
    registry.discover()

    assert registry.load("pager").named
    assert registry.load(importlib.import_module("plugin_pager_roomkit_pager")).named

    assert reported(registry, "pager").state is PluginState.LOADED
