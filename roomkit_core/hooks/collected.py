"""Hooks of a module: marked where they are defined, registered on a kit when that includes the module.

Marking registers nothing: a module may be imported twice, or serve two kits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from functools import partial, wraps
from types import ModuleType
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from roomkit_core.models.enums import ChannelDirection, HookExecution
from roomkit_core.models.kinds import ChannelType, HookTrigger

F = TypeVar("F", bound=Callable[..., Any])

_MARK: Final = "__roomkit_marks__"
KIT: Final = "kit"
"""A hook with a parameter of this name gets the kit."""


class Registrar(Protocol):
    """Where marked functions are registered: a kit."""

    def hook(self, *args: Any, **options: Any) -> Callable[[F], F]:
        """As :meth:`RoomKit.hook`."""
        ...

    def on(self, event_type: str) -> Callable[[F], F]:
        """As :meth:`RoomKit.on`."""
        ...

    def on_delivery_status(self, fn: F) -> F:
        """As :meth:`RoomKit.on_delivery_status`."""
        ...


class _Mark(NamedTuple):
    register: Callable[[Registrar], Callable[[Any], Any]]


def hook(
    trigger: HookTrigger | str,
    execution: HookExecution | str = HookExecution.SYNC,
    priority: int = 0,
    name: str = "",
    timeout: float = 30.0,
    channel_types: Collection[ChannelType | str] | None = None,
    channel_ids: Collection[str] | None = None,
    directions: Collection[ChannelDirection | str] | None = None,
    *,
    on_error: str = "allow",
    durable: bool = False,
) -> Callable[[F], F]:
    """Decorator: a hook of every kit that includes the module; the arguments of :meth:`RoomKit.hook`.

    The function may have a parameter ``kit`` behind the two of every hook; it gets the kit then.
    """
    options = {"on_error": on_error, "durable": durable}
    given = (trigger, execution, priority, name, timeout, channel_types, channel_ids, directions)
    return _marks(_Mark(lambda kit: kit.hook(*given, **options)))


def on(event_type: str) -> Callable[[F], F]:
    """Decorator: called for every framework event of this type, in every kit that includes the module."""
    return _marks(_Mark(lambda kit: kit.on(event_type)))


def on_delivery_status(fn: F) -> F:
    """Decorator: called with every status that a provider reports, in every kit that includes the module."""
    return _marks(_Mark(lambda kit: kit.on_delivery_status))(fn)


def include(kit: Registrar, module: ModuleType) -> tuple[str, ...]:
    """Register what is marked in a module, in the order of definition; returns the names of the functions.

    What the module has imported from another one is not its own and is left alone.

    Raises:
        HookError: A registration makes no sense; nothing of the module after it is registered.
    """
    names: list[str] = []
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) == module.__name__:
            for mark in _marks_of(value):
                mark.register(kit)(_with_kit(value, kit))
                names.append(name)
    return tuple(names)


def _marks(mark: _Mark) -> Callable[[F], F]:
    def decorate(fn: F) -> F:
        setattr(fn, _MARK, (*_marks_of(fn), mark))
        return fn

    return decorate


def _marks_of(value: Any) -> Iterator[_Mark]:
    yield from getattr(value, _MARK, ()) if inspect.isfunction(value) else ()


def _with_kit(fn: Callable[..., Any], kit: Registrar) -> Callable[..., Any]:
    """The function as the kit calls it: with the kit, if it has a parameter for it."""
    if KIT not in inspect.signature(fn).parameters:
        return fn
    given = partial(fn, **{KIT: kit})
    if inspect.iscoroutinefunction(fn):

        @wraps(fn)
        async def call(*args: Any) -> Any:
            return await given(*args)

        return call
    return wraps(fn)(lambda *args: given(*args))
