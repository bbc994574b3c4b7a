"""``roomkit_hooks``: only for named plugins, and once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from roomkit_core.errors import PluginError
from roomkit_core.plugin import Component, HookRegistrar
from roomkit_core.registry import PluginRegistry, PluginState
from tests.registry.plugins import Site, module, reported

HOOKS = """
    @hookimpl
    def roomkit_hooks(registrar):
        @registrar.hook("before_broadcast", priority=5)
        def pager_hook(event, context): ...
"""


class Registrar:
    """Notes which functions were registered with which arguments; refuses the trigger ``never``."""

    def __init__(self) -> None:
        self.hooks: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def hook(self, *arguments: Any, **keywords: Any) -> Callable[[Any], Any]:
        if arguments == ("never",):
            raise ValueError("no such trigger")

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            self.hooks[function.__name__] = (arguments, keywords)
            return function

        return decorate


def redact(event: object, context: object) -> None: ...


def registers(hook: Callable[..., object]) -> Callable[[HookRegistrar], None]:
    def roomkit_hooks(registrar: HookRegistrar) -> None:
        registrar.hook("before_broadcast")(hook)

    return roomkit_hooks


def test_roomkit_hooks_of_a_named_plugin_are_registered_as_it_asked(site: Site) -> None:
    site.plugin("pager", HOOKS)
    registry, registrar = PluginRegistry(), Registrar()
    registry.load("pager")

    registry.apply_hooks(registrar)

    assert registrar.hooks == {"pager_hook": (("before_broadcast",), {"priority": 5})}


def test_a_plugin_that_is_merely_installed_registers_no_hooks(site: Site) -> None:
    site.plugin("pager", HOOKS)
    registry, registrar = PluginRegistry(), Registrar()
    registry.discover()

    registry.apply_hooks(registrar)

    assert registrar.hooks == {}


def test_the_hooks_of_a_plugin_are_registered_once() -> None:
    def log(event: object, context: object) -> None: ...

    first, second = Registrar(), Registrar()
    registry = PluginRegistry([])
    registry.load(module("redacting", registers(redact)))
    registry.apply_hooks(first)
    registry.load(module("logging", registers(log)))
    registry.apply_hooks(second)

    assert set(first.hooks) == {"redact"}
    assert set(second.hooks) == {"log"}


async def test_a_plugin_whose_hooks_fail_is_withdrawn_and_stops_the_start_and_the_others_are_registered() -> None:
    def roomkit_components() -> Iterator[Component]:
        yield Component("gadget", "beep", "a:B")

    def roomkit_hooks(registrar: HookRegistrar) -> None:
        registrar.hook("never")(redact)

    registry, registrar = PluginRegistry([]), Registrar()
    registry.load(module("bad", roomkit_components, roomkit_hooks))
    registry.load(module("good", registers(redact)))

    registry.apply_hooks(registrar)

    assert set(registrar.hooks) == {"redact"}
    assert reported(registry, "bad").state is PluginState.HOOK_ERROR
    assert "no such trigger" in reported(registry, "bad").hint
    assert registry.components() == ()
    with pytest.raises(PluginError, match="roomkit_hooks failed") as raised:
        await registry.startup(None)  # type: ignore[arg-type]
    assert (raised.value.plugin, raised.value.code) == ("bad", "plugin.required")
