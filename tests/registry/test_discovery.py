"""Finding plugins: every distribution for itself, and nothing imported but light modules."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from roomkit_core.registry import Candidate, PluginRegistry, PluginState
from roomkit_core.registry.discovery import installed
from tests.registry.plugins import Site, reported

ROOT = Path(__file__).resolve().parents[2]


def test_the_first_party_plugins_are_found_through_their_installed_entry_points() -> None:
    registry = PluginRegistry()

    registry.discover()

    for plugin in ("websocket", "server"):
        report = reported(registry, plugin)
        assert (report.state, report.distribution) == (PluginState.LOADED, f"roomkit-{plugin}")
        assert report.version
    assert registry.find("channel", "websocket").component.target == "roomkit_websocket.channel:WebSocketChannel"
    assert registry.find("server", "asgi").component.target == "roomkit_server.app:create_app"


def test_t36_discovery_imports_no_component_and_no_framework() -> None:
    program = (
        "import json, sys; from roomkit_core.registry import PluginRegistry; registry = PluginRegistry();"
        "found = [report.id for report in registry.discover()];"
        "print(json.dumps([found, sorted(sys.modules)]))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)

    found, modules = json.loads(done.stdout)
    assert {"websocket", "server"} <= set(found)
    assert {name for name in modules if name.startswith(("roomkit_websocket", "roomkit_server"))} == {
        "roomkit_websocket",
        "roomkit_websocket.plugin",
        "roomkit_server",
        "roomkit_server.plugin",
    }
    heavy = {"pydantic", "starlette", "uvicorn", "websockets", "roomkit_core.interfaces", "roomkit_core.builtin"}
    assert not heavy & set(modules)


def test_t36_naming_one_plugin_imports_none_of_the_others(site: Site) -> None:
    site.plugin("wanted", "")
    site.plugin("other", "raise AssertionError('imported')")
    registry = PluginRegistry()

    assert registry.load("wanted").state is PluginState.LOADED

    assert [report.id for report in registry.report()] == ["wanted"]


def test_t36_malformed_entry_points_of_one_distribution_are_reported_and_leave_the_others(site: Site) -> None:
    site.plugin("good", "")
    site.install("damaged", {}, entry_points="no equals sign here")
    registry = PluginRegistry()

    registry.discover()

    assert reported(registry, "good").state is PluginState.LOADED
    damaged = reported(registry, "damaged")
    assert (damaged.state, damaged.distribution) == (PluginState.IMPORT_ERROR, "damaged")
    assert "the entry points of damaged cannot be read" in damaged.hint


def test_t36_entry_points_that_are_not_even_text_are_logged_and_leave_the_others(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.plugin("good", "")
    site.install("binary", {})
    (site.path / "binary-1.0.dist-info" / "entry_points.txt").write_bytes(b"[roomkit.plugins]\n\xff\xfe = x\n")
    registry = PluginRegistry()

    registry.discover()

    assert reported(registry, "good").state is PluginState.LOADED
    assert "the entry points of binary cannot be read" in caplog.text


def test_a_distribution_without_metadata_still_brings_its_plugin(site: Site) -> None:
    site.install(
        "bare",
        {"bare_plugin": 'PLUGIN = PluginInfo("bare", api="1.0")'},
        entry_points="bare = bare_plugin",
        metadata=False,
    )
    registry = PluginRegistry()

    registry.discover()

    report = reported(registry, "bare")
    assert (report.state, report.distribution) == (PluginState.LOADED, None)


def test_a_second_copy_of_a_distribution_further_down_the_path_is_no_conflict(
    make_site: Callable[[str], Site],
) -> None:
    for name, version in (("old", "1.0"), ("new", "2.0")):  # the newest site is the first on the path
        make_site(name).install(
            "roomkit-pager",
            {"pager_plugin": 'PLUGIN = PluginInfo("pager", api="1.0")'},
            entry_points="pager = pager_plugin",
            version=version,
        )
    registry = PluginRegistry()

    registry.discover()

    report = reported(registry, "pager")
    assert (report.state, report.version) == (PluginState.LOADED, "2.0")


def test_extras_and_objects_in_the_value_of_an_entry_point_are_understood(site: Site) -> None:
    source = """
        class Plugin:
            PLUGIN = PluginInfo("pager", api="1.0")

            @hookimpl
            def roomkit_components(self):
                return [Component("channel", "pager", "a:B")]

        plugin = Plugin()
    """
    site.install("roomkit-pager", {"pager_plugin": source}, entry_points="pager = pager_plugin:plugin [extra]")
    registry = PluginRegistry()

    registry.discover()

    assert reported(registry, "pager").state is PluginState.LOADED
    assert registry.find("channel", "pager").full_name == "pager:pager"


def test_entry_points_of_other_groups_are_not_ours(site: Site) -> None:
    site.install("both", {}, entry_points="[other.plugins]\npager = nowhere")

    assert [candidate for candidate in installed() if candidate.id == "pager"] == []


def test_discovering_twice_changes_nothing(site: Site) -> None:
    site.plugin("good", "")
    site.plugin("bad", "raise ValueError")
    registry = PluginRegistry()

    assert registry.discover() == registry.discover()


def test_a_registry_discovers_nothing_by_itself() -> None:
    assert PluginRegistry().report() == ()
    assert PluginRegistry([Candidate("pager", "nowhere")]).components() == ()
