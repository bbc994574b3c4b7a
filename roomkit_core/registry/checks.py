"""What a plugin has to be in order to be taken; each check says what is wrong in words for its author."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import TypeVar

import pluggy

from roomkit_core.plugin import API_VERSION, Command, Component, PluginInfo, RouteSpec, specs
from roomkit_core.plugin.markers import PROJECT
from roomkit_core.registry.report import PluginState, Refused

T = TypeVar("T")

SPECIFIED = tuple(name for name in vars(specs) if name.startswith(f"{PROJECT}_"))


def info_of(plugin: object) -> PluginInfo | None:
    """The plugin's ``PLUGIN``, read without running code of the plugin."""
    info = inspect.getattr_static(plugin, "PLUGIN", None)
    return info if isinstance(info, PluginInfo) else None


def check_info(plugin: object, expected_id: str) -> PluginInfo:
    """The plugin's metadata, if it has any, of that id, and for an interface that we offer."""
    info = info_of(plugin)
    if info is None:
        line = f'PLUGIN = PluginInfo("{expected_id}", api="{API_VERSION}")'
        raise Refused(PluginState.NO_METADATA, f"its module has no such line: {line}")
    if info.id != expected_id:
        hint = f"the entry point is called {expected_id!r} and PLUGIN.id {info.id!r}: give both the same name"
        raise Refused(PluginState.NO_METADATA, hint)
    (major, minor), (our_major, our_minor) = _version(info.api), _version(API_VERSION)
    if major != our_major or minor > our_minor:
        remedy = "the plugin" if (major, minor) < (our_major, our_minor) else "roomkit-core"
        hint = f"it was written for plugin API {info.api}, this is {API_VERSION}: install a newer version of {remedy}"
        raise Refused(PluginState.INCOMPATIBLE, hint)
    return info


def check_implementations(manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuse what pluggy registers without complaint and what would fail later, or never be called."""
    problem = next(_misfits(manager, plugin), None)
    if problem is not None:
        raise Refused(PluginState.INVALID_HOOKS, problem)


def check_components(answers: Iterable[object]) -> tuple[Component, ...]:
    """All components of the answers, each (kind, name) once. Also raises what an answer raises while it is read."""
    return _check_all(answers, Component, lambda found: f"{found.kind} {found.name!r}")


def check_commands(answers: Iterable[object]) -> tuple[Command, ...]:
    """All commands of the answers, each name once; raises as :func:`check_components`."""
    return _check_all(answers, Command, lambda found: f"command {found.name!r}")


def check_routes(answers: Iterable[object]) -> tuple[RouteSpec, ...]:
    """All routes of the answers, each path once; raises as :func:`check_components`."""
    return _check_all(answers, RouteSpec, lambda found: f"route {found.path!r}")


def _check_all(answers: Iterable[object], kind: type[T], key: Callable[[T], str]) -> tuple[T, ...]:
    found: dict[str, T] = {}
    for answer in answers:
        if not isinstance(answer, Iterable) or isinstance(answer, str):
            raise TypeError(f"expected an iterable of {kind.__name__}, got {answer!r}")
        for item in answer:
            if not isinstance(item, kind):
                raise TypeError(f"expected {kind.__name__}, got {item!r}")
            if found.setdefault(key(item), item) is not item:
                raise ValueError(f"{key(item)} is announced twice")
    return tuple(found.values())


def _misfits(manager: pluggy.PluginManager, plugin: object) -> Iterator[str]:
    implemented = {caller.name: caller for caller in manager.get_hookcallers(plugin) or ()}
    for name in SPECIFIED:
        if name not in implemented and inspect.isroutine(inspect.getattr_static(plugin, name, None)):
            yield f"{name} is not decorated with @hookimpl of roomkit_core.plugin and would never be called"
    for name, caller in implemented.items():
        ours = [implementation for implementation in caller.get_hookimpls() if implementation.plugin is plugin]
        if caller.spec is None:
            if not all(implementation.optionalhook for implementation in ours):
                yield f"there is no specification {name}{_suggest(name)}"
            continue
        asynchronous = inspect.iscoroutinefunction(caller.spec.function)
        if any(implementation.wrapper or implementation.hookwrapper for implementation in ours):
            yield f"{name} is a wrapper, and RoomKit calls none"
        elif any(inspect.iscoroutinefunction(implementation.function) != asynchronous for implementation in ours):
            yield f"{name} must be {'an async' if asynchronous else 'a plain'} function"


def _suggest(name: str) -> str:
    close = get_close_matches(name, SPECIFIED, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(SPECIFIED)}"


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)
