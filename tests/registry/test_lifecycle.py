"""``roomkit_startup`` and ``roomkit_shutdown``: one at a time, under a timeout, and a failure stays where it is."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, cast

import anyio
import pytest

from roomkit_core.errors import PluginError
from roomkit_core.interfaces.kit import KitProtocol
from roomkit_core.registry import Candidate, PluginRegistry, PluginState
from tests.registry.plugins import Site, module, reported

KIT = cast(KitProtocol, object())  # no plugin here asks it anything

Body = Callable[[], Awaitable[None]]


async def nothing() -> None: ...


async def fail() -> None:
    raise OSError("no network")


def living(plugin_id: str, log: list[str], start: Body = nothing, stop: Body = nothing) -> ModuleType:
    """A plugin that writes down when it is started and stopped."""

    async def roomkit_startup(kit: object) -> None:
        assert kit is KIT
        log.append(f"start {plugin_id}")
        await start()

    async def roomkit_shutdown() -> None:  # an implementation may leave out arguments
        log.append(f"stop {plugin_id}")
        await stop()

    return module(plugin_id, roomkit_startup, roomkit_shutdown)


def registry_with(*plugins: Any) -> PluginRegistry:
    registry = PluginRegistry([])
    for plugin in plugins:
        registry.load(plugin)
    return registry


def discovered(site: Site, plugin_id: str, source: str) -> PluginRegistry:
    """A registry that has the plugin because it is installed, not because it is named."""
    site.plugin(plugin_id, source)
    name = f"plugin_{plugin_id}_roomkit_{plugin_id}"
    registry = PluginRegistry([Candidate(plugin_id, name)])
    registry.discover()
    return registry


async def test_roomkit_startup_runs_in_the_order_of_loading_and_roomkit_shutdown_in_reverse() -> None:
    log: list[str] = []
    registry = registry_with(living("a", log), module("silent"), living("b", log))

    await registry.startup(KIT)
    await registry.shutdown(KIT)

    assert log == ["start a", "start b", "stop b", "stop a"]


async def test_a_kit_may_start_again() -> None:
    log: list[str] = []
    registry = registry_with(living("a", log))

    for _ in range(2):
        await registry.startup(KIT)
        await registry.shutdown(KIT)
    await registry.shutdown(KIT)

    assert log == ["start a", "stop a"] * 2


async def test_a_named_plugin_that_fails_to_start_stops_the_kit_and_the_started_are_stopped() -> None:
    log: list[str] = []
    registry = registry_with(living("a", log), living("bad", log, start=fail), living("c", log))

    with pytest.raises(PluginError, match="bad HOOK_ERROR: roomkit_startup failed: OSError: no network") as raised:
        await registry.startup(KIT)

    assert isinstance(raised.value.__cause__, OSError)
    assert log == ["start a", "start bad", "start c", "stop c", "stop a"]
    assert reported(registry, "bad").state is PluginState.HOOK_ERROR
    assert reported(registry, "a").state is PluginState.LOADED


async def test_a_named_plugin_that_is_broken_stops_the_kit_before_anything_starts() -> None:
    log: list[str] = []
    registry = registry_with(living("a", log), module("old", api="0.1"))

    with pytest.raises(PluginError, match="old INCOMPATIBLE") as raised:
        await registry.startup(KIT)

    assert (raised.value.plugin, raised.value.state) == ("old", "INCOMPATIBLE")
    assert log == []


async def test_all_broken_named_plugins_are_told_at_once() -> None:
    registry = registry_with(module("old", api="0.1"), module("new", api="9.0"))

    with pytest.raises(PluginError, match=r"old INCOMPATIBLE.*new INCOMPATIBLE"):
        await registry.startup(KIT)


async def test_t36_an_unnamed_plugin_that_fails_to_start_is_reported_and_the_rest_goes_on(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    source = """
        @hookimpl
        async def roomkit_startup(kit):
            raise OSError("no network")

        @hookimpl
        async def roomkit_shutdown(kit):
            raise AssertionError("was not started")
    """
    registry = discovered(site, "pager", source)
    log: list[str] = []
    registry.load(living("good", log))

    await registry.startup(KIT)
    await registry.shutdown(KIT)

    assert log == ["start good", "stop good"]
    assert reported(registry, "pager").state is PluginState.HOOK_ERROR
    assert "no network" in caplog.text


async def test_a_plugin_of_which_a_component_is_used_has_to_start_unless_it_is_said_that_it_need_not(
    site: Site,
) -> None:
    source = """
        @hookimpl
        def roomkit_components():
            yield Component("gadget", "beep", "textwrap:dedent")

        @hookimpl
        async def roomkit_startup(kit):
            raise OSError("no network")
    """
    used = discovered(site, "pager", source)
    used.resolve("gadget", "beep")
    optional = PluginRegistry([Candidate("pager", "plugin_pager_roomkit_pager")])
    optional.load("pager", required=False)
    optional.resolve("gadget", "beep")

    with pytest.raises(PluginError, match="no network"):
        await used.startup(KIT)
    await optional.startup(KIT)


async def test_a_module_under_two_entry_points_starts_once_under_its_own_id(site: Site) -> None:
    source = """
        PLUGIN = PluginInfo("pager", api="1.0")
        started = []

        @hookimpl
        async def roomkit_startup(kit):
            started.append(kit)
    """
    site.install("pager", {"pager_plugin": source})
    registry = PluginRegistry([Candidate("beeper", "pager_plugin"), Candidate("pager", "pager_plugin")])
    registry.discover()

    await registry.startup(KIT)

    assert sys.modules["pager_plugin"].started == [KIT]
    assert reported(registry, "beeper").state is PluginState.NO_METADATA


async def test_t36_an_unnamed_plugin_that_does_not_load_is_a_warning_and_the_kit_starts(site: Site) -> None:
    registry = discovered(site, "pager", "raise ValueError")

    await registry.startup(KIT)

    assert reported(registry, "pager").state is PluginState.IMPORT_ERROR


async def test_a_startup_that_hangs_is_ended_by_its_timeout() -> None:
    log: list[str] = []
    registry = registry_with(living("slow", log, start=anyio.sleep_forever), living("b", log))

    with pytest.raises(PluginError, match="roomkit_startup did not return within 0 seconds"):
        await registry.startup(KIT, timeout=0)

    assert log == ["start slow", "start b", "stop b"]
    assert isinstance(reported(registry, "slow").exception, TimeoutError)


async def test_roomkit_shutdown_that_raises_or_hangs_is_reported_and_the_others_are_stopped() -> None:
    log: list[str] = []
    plugins = living("a", log), living("bad", log, stop=fail), living("slow", log, stop=anyio.sleep_forever)
    registry = registry_with(*plugins)
    await registry.startup(KIT)

    await registry.shutdown(KIT, timeout=0)

    assert log[3:] == ["stop slow", "stop bad", "stop a"]
    assert [report.state for report in registry.report()] == [
        PluginState.LOADED,
        PluginState.HOOK_ERROR,
        PluginState.HOOK_ERROR,
    ]


async def test_a_cancelled_startup_leaves_the_started_to_be_stopped_and_blames_nobody() -> None:
    log: list[str] = []
    registry = registry_with(living("a", log), living("b", log, start=anyio.sleep_forever))

    with anyio.CancelScope() as scope:
        scope.cancel()
        await registry.startup(KIT)
    assert scope.cancelled_caught
    await registry.shutdown(KIT)

    assert log == ["start a", "start b", "stop a"]
    assert {report.state for report in registry.report()} == {PluginState.LOADED}


async def test_a_shutdown_has_its_time_although_the_kit_is_cancelled() -> None:
    log: list[str] = []

    async def close_connection() -> None:
        await anyio.lowlevel.checkpoint()
        log.append("closed")

    registry = registry_with(living("a", log, stop=close_connection))
    await registry.startup(KIT)

    with anyio.CancelScope() as scope:
        scope.cancel()
        await registry.shutdown(KIT)

    assert log == ["start a", "stop a", "closed"]
