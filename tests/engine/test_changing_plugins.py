"""``kit.plugins``: load, unload and replace, before the start and while the kit runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from roomkit_core import KitStateError, PluginError, RoomKit
from roomkit_core.plugin import Component
from roomkit_core.registry import PluginState
from tests.registry.plugins import module
from tests.support.channels import LiveProbe, message
from tests.support.kits import make_room

BEFORE = "before_broadcast"


def living(log: list[str], mark: str = "pager", *, start: Callable[[], None] | None = None) -> Any:
    """The plugin ``pager``: a component, a hook, and a line in the log for each start and stop."""

    def roomkit_components() -> list[Component]:
        return [Component("gadget", mark, "textwrap:dedent")]

    def roomkit_hooks(registrar: Any) -> None:
        @registrar.hook(BEFORE, name=mark)
        def check(event: object, context: object) -> None: ...

    async def roomkit_startup(kit: object) -> None:
        log.append(f"start {mark}")
        if start is not None:
            start()

    async def roomkit_shutdown() -> None:
        log.append(f"stop {mark}")

    return module("pager", roomkit_components, roomkit_hooks, roomkit_startup, roomkit_shutdown)


def hooks(kit: RoomKit) -> list[str]:
    return [hook.name for hook in kit.hook_engine.select(BEFORE, "room")]


def gadgets(kit: RoomKit) -> list[str]:
    return [entry.full_name for entry in kit.plugins.components("gadget")]


def fail() -> None:
    raise OSError("no network")


async def test_a_plugin_that_is_loaded_into_a_running_kit_is_started_and_stops_with_it() -> None:
    log: list[str] = []
    async with RoomKit() as kit:
        report = await kit.plugins.load(living(log))

        assert (report.state, report.named) == (PluginState.LOADED, True)
        assert (hooks(kit), gadgets(kit), log) == (["pager"], ["pager:pager"], ["start pager"])
    assert log == ["start pager", "stop pager"]


async def test_a_plugin_that_is_loaded_before_the_start_starts_with_the_kit() -> None:
    log: list[str] = []
    kit = RoomKit()
    await kit.plugins.load(living(log))
    assert (hooks(kit), log) == (["pager"], [])

    async with kit:
        assert log == ["start pager"]


async def test_a_plugin_that_does_not_start_in_a_running_kit_leaves_nothing_but_its_report() -> None:
    async with RoomKit() as kit:
        with pytest.raises(PluginError, match="OSError: no network"):
            await kit.plugins.load(living([], start=fail))

        assert (hooks(kit), gadgets(kit)) == ([], [])
        assert [report.state for report in kit.plugins.report() if report.id == "pager"] == [PluginState.HOOK_ERROR]


async def test_a_plugin_that_is_not_required_may_fail_to_load() -> None:
    async with RoomKit() as kit:
        report = await kit.plugins.load(living([], start=fail), required=False)

        assert report.state is PluginState.HOOK_ERROR


async def test_an_unloaded_plugin_is_stopped_and_its_hooks_and_components_are_gone() -> None:
    log: list[str] = []
    async with RoomKit(plugins=[living(log)]) as kit:
        await kit.plugins.unload("pager")

        assert (hooks(kit), gadgets(kit), log) == ([], [], ["start pager", "stop pager"])
        assert "pager" not in [report.id for report in kit.plugins.report()]
        await kit.plugins.load(living(log, "again"))
        assert (hooks(kit), gadgets(kit)) == (["again"], ["pager:again"])
    assert log == ["start pager", "stop pager", "start again", "stop again"]


async def test_a_plugin_that_is_not_there_cannot_be_unloaded() -> None:
    with pytest.raises(PluginError, match="pager"):
        await RoomKit().plugins.unload("pager")


async def test_a_replaced_plugin_has_the_hooks_and_components_of_the_new_one() -> None:
    log: list[str] = []
    async with RoomKit(plugins=[living(log, "old")]) as kit:
        await kit.plugins.replace(living(log, "new"))

        assert (hooks(kit), gadgets(kit)) == (["new"], ["pager:new"])
        assert log == ["start old", "stop old", "start new"]
        assert [report.id for report in kit.plugins.report()] == ["builtin", "pager"]


async def test_a_replacement_that_does_not_work_leaves_the_old_one_at_work() -> None:
    log: list[str] = []
    async with RoomKit(plugins=[living(log, "old")]) as kit:
        with pytest.raises(PluginError, match="OSError: no network"):
            await kit.plugins.replace(living(log, "new", start=fail))

        assert (hooks(kit), gadgets(kit)) == (["old"], ["pager:old"])
        assert log == ["start old", "stop old", "start new", "start old"]
        assert [report.state for report in kit.plugins.report()] == [PluginState.LOADED] * 2


async def test_a_plugin_that_failed_is_tried_again_and_is_in_the_report_once() -> None:
    log: list[str] = []
    obstacles = [fail]
    plugin = living(log, start=lambda: obstacles.pop()() if obstacles else None)
    async with RoomKit() as kit:
        with pytest.raises(PluginError, match="no network"):
            await kit.plugins.load(plugin)

        await kit.plugins.load(plugin)

        assert [(report.id, report.state) for report in kit.plugins.report()] == [
            ("builtin", PluginState.LOADED),
            ("pager", PluginState.LOADED),
        ]
        assert (hooks(kit), log) == (["pager"], ["start pager", "start pager"])


async def test_a_broken_plugin_is_replaced_by_one_that_works() -> None:
    log: list[str] = []
    async with RoomKit() as kit:
        await kit.plugins.load(living(log, "old", start=fail), required=False)

        await kit.plugins.replace(living(log, "new"))

        assert (hooks(kit), gadgets(kit)) == (["new"], ["pager:new"])
        assert [report.id for report in kit.plugins.report()] == ["builtin", "pager"]


async def test_a_replaced_component_is_the_new_one() -> None:
    def offering(target: str) -> Any:
        def roomkit_components() -> list[Component]:
            return [Component("gadget", "beep", target)]

        return module("pager", roomkit_components)

    kit = RoomKit(plugins=[offering("textwrap:dedent")])
    first = kit.plugins.resolve("gadget", "beep")

    await kit.plugins.replace(offering("textwrap:indent"))

    assert kit.plugins.resolve("gadget", "beep") is not first


async def test_settings_go_over_to_the_replacement_if_its_model_is_the_same() -> None:
    kit = RoomKit()
    plugin = module("pager")
    await kit.plugins.load(plugin, settings="loud")

    await kit.plugins.replace(module("pager"))
    assert kit.plugins.settings("pager") == "loud"
    await kit.plugins.replace(module("pager"), settings="quiet")
    assert kit.plugins.settings("pager") == "quiet"


class Stuck:
    """A plugin that does not come back from its start, and the moment at which it is there."""

    def __init__(self) -> None:
        self.reached = anyio.Event()

        async def roomkit_startup(kit: object) -> None:
            self.reached.set()
            await anyio.sleep_forever()

        self.plugin = module("pager", roomkit_startup)


async def cancelled(change: Callable[[object], Awaitable[object]], stuck: Stuck) -> None:
    """Begin a change, and cancel it while the plugin starts."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(change, stuck.plugin)
        await stuck.reached.wait()
        tasks.cancel_scope.cancel()


async def test_a_load_that_is_cancelled_leaves_nothing() -> None:
    async with RoomKit() as kit:
        await cancelled(kit.plugins.load, Stuck())

        assert [report.id for report in kit.plugins.report()] == ["builtin"]
        await kit.plugins.load(living([]))
        assert hooks(kit) == ["pager"]


async def test_a_replacement_that_is_cancelled_leaves_the_old_one_at_work() -> None:
    log: list[str] = []
    async with RoomKit(plugins=[living(log, "old")]) as kit:
        await cancelled(kit.plugins.replace, Stuck())

        assert (hooks(kit), gadgets(kit)) == (["old"], ["pager:old"])
        assert log == ["start old", "stop old", "start old"]


async def test_a_plugin_that_works_keeps_its_settings_when_it_is_loaded_again() -> None:
    kit = RoomKit()
    plugin = module("pager")
    await kit.plugins.load(plugin, settings="first")

    await kit.plugins.load(plugin, settings="second")

    assert kit.plugins.settings("pager") == "first"


async def test_hooks_that_a_failing_plugin_had_registered_are_removed() -> None:
    def roomkit_hooks(registrar: Any) -> None:
        registrar.hook(BEFORE, name="half")(lambda event, context: None)
        raise OSError("half way")

    kit = RoomKit(plugins=[module("pager", roomkit_hooks)])

    assert hooks(kit) == []
    with pytest.raises(PluginError, match="half way"):
        async with kit:
            pass


async def test_a_plugin_that_starts_cannot_change_the_plugins_of_its_kit() -> None:
    caught: list[KitStateError] = []

    async def roomkit_startup(kit: Any) -> None:
        try:
            await kit.plugins.unload("pager")
        except KitStateError as error:
            caught.append(error)

    async with RoomKit(plugins=[module("pager", roomkit_startup)]):
        pass

    assert [error.code for error in caught] == ["kit.reentrant_plugins"]


async def test_a_hook_of_a_plugin_with_a_parameter_kit_gets_the_kit_and_may_be_durable() -> None:
    given: list[object] = []

    def roomkit_hooks(registrar: Any) -> None:
        @registrar.hook(BEFORE)
        def decides(event: object, context: object, kit: object) -> None:
            given.append(kit)

        @registrar.hook("after_broadcast", "async", durable=True)
        async def is_owed(event: object, context: object, *, kit: object) -> None:
            given.append(kit)

    async with RoomKit(plugins=[module("pager", roomkit_hooks)]) as kit:
        kit.register_channel(LiveProbe())
        await make_room(kit, "room", "live")
        await kit.process_inbound(message("hi"), room_id="room")

        assert given == [kit, kit]


async def test_a_hook_of_a_plugin_that_cannot_be_called_as_hooks_are_is_the_plugins_mistake() -> None:
    def roomkit_hooks(registrar: Any) -> None:
        @registrar.hook(BEFORE)
        def check(event: object) -> None: ...

    async with RoomKit() as kit:
        with pytest.raises(PluginError, match=r"called with \(event, context\), and takes \(event"):
            await kit.plugins.load(module("pager", roomkit_hooks))
        assert hooks(kit) == []
