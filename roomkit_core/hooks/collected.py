"""Hooks of a module: marked where they are defined, found when a kit includes the module.

Marking registers nothing: a module may be imported twice, or serve two kits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple, TypeVar

from roomkit_core.errors import ConfigProblem, HookError
from roomkit_core.hooks.handlers import Handler
from roomkit_core.hooks.mistakes import lost_definitions, problem_at, why_not_callable, why_unknown
from roomkit_core.hooks.registration import HookRegistration, OnError
from roomkit_core.hooks.status import status_hook
from roomkit_core.hooks.told import TOLD
from roomkit_core.models.enums import ChannelDirection, HookExecution
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.triggers import HookTrigger

F = TypeVar("F", bound=Callable[..., Any])

_MARK: Final = "__roomkit_marks__"
KIT: Final = "kit"
"""A hook with a parameter of this name gets the kit."""


class _Mark(NamedTuple):
    """What a function is marked as.

    Attributes:
        arguments: With how many arguments it is called, the kit aside.
        register: Makes the registration, or the type of framework event and the handler.
        trigger: The moment, as it was written.
        event: The type of framework event, as it was written.
    """

    arguments: int
    register: Callable[[Callable[..., Any]], HookRegistration | tuple[str, Handler]]
    trigger: str = ""
    event: str = ""


@dataclass(frozen=True, slots=True)
class Collected:
    """What is marked in a module.

    Attributes:
        names: The functions, in the order of definition.
        hooks: Their registrations.
        handlers: Types of framework events and who is told of them.
        problems: What makes no sense, each with file and line.
    """

    names: tuple[str, ...] = ()
    hooks: tuple[HookRegistration, ...] = ()
    handlers: tuple[tuple[str, Handler], ...] = ()
    problems: tuple[ConfigProblem, ...] = ()


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
    on_error: OnError = "allow",
    durable: bool = False,
) -> Callable[[F], F]:
    """Decorator: a hook of every kit that includes the module; the arguments of :meth:`RoomKit.hook`.

    The function may have a parameter ``kit`` behind the two of every hook; it gets the kit then. Arguments that make no
    sense are told when a kit includes the module, with all other mistakes in it.
    """

    def register(fn: Callable[..., Any]) -> HookRegistration:
        return HookRegistration(
            trigger,
            HookExecution(execution),
            fn,
            priority,
            name,
            timeout,
            channel_types,
            channel_ids,
            directions,
            on_error,
            durable,
        )

    return _marks(_Mark(2, register, trigger))


def on(event_type: str) -> Callable[[F], F]:
    """Decorator: called for every framework event of this type, in every kit that includes the module."""
    return _marks(_Mark(1, lambda fn: (event_type, fn), event=event_type))


def on_delivery_status(fn: F) -> F:
    """Decorator: called with every status that a provider reports, in every kit that includes the module."""
    return _marks(_Mark(1, status_hook))(fn)


def collect(module: ModuleType, kit: object) -> Collected:
    """What is marked at the top level of a module, in the order of definition, for one kit.

    What the module has imported from another one is not its own and is left alone. Nothing is registered.
    """
    names: list[str] = []
    hooks: list[HookRegistration] = []
    handlers: list[tuple[str, Handler]] = []
    problems: list[ConfigProblem] = list(lost_definitions(module, {fn.__name__ for fn in _own_functions(module)}))
    for fn in _own_functions(module):
        names.append(fn.__name__)
        for mark in reversed(_marks_of(fn)):  # as they are written, from top to bottom
            try:
                _check(fn, mark)
                found = mark.register(with_kit(fn, kit))
            except (HookError, ValueError) as error:
                hint = getattr(error, "hint", "") or "Mend the decorator or the function."
                problems.append(problem_at(fn, str(error), hint))
                continue
            if isinstance(found, HookRegistration):
                hooks.append(found)
            else:
                handlers.append(found)
    problems += _marked_methods(module)
    return Collected(tuple(names), tuple(hooks), tuple(handlers), tuple(problems))


def _check(fn: FunctionType, mark: _Mark) -> None:
    what = (
        why_unknown("trigger", mark.trigger, HookTrigger.known)
        or why_unknown("framework event", mark.event, TOLD)
        or why_not_callable(fn, mark.arguments, KIT)
    )
    if what is not None:
        raise HookError(what.text, hint=what.fix)


def fitting(fn: Callable[..., Any], kit: object) -> Callable[..., Any]:
    """A function as a kit calls its hooks: with event and context, and with the kit if it has a parameter for it.

    Raises:
        HookError: It cannot be called so.
    """
    if not inspect.isfunction(fn):
        return fn  # a method or an object; whether it can be called is seen when it is registered
    what = why_not_callable(fn, 2, KIT)
    if what is not None:
        raise HookError(f"hook {fn.__name__!r}: {what.text}", code="hook.not_callable", hint=what.fix)
    return with_kit(fn, kit)


def _marks(mark: _Mark) -> Callable[[F], F]:
    def decorate(fn: F) -> F:
        if not inspect.isfunction(fn):
            raise HookError(
                f"only functions can be marked, not {type(fn).__name__}",
                code="hook.not_callable",
                hint="Put the decorator above a def or an async def, below staticmethod and the like.",
            )
        setattr(fn, _MARK, (*_marks_of(fn), mark))
        return fn

    return decorate


def _marks_of(value: Any) -> tuple[_Mark, ...]:
    marks: tuple[_Mark, ...] = getattr(value, _MARK, ()) if inspect.isfunction(value) else ()
    return marks


def _own_functions(module: ModuleType) -> list[FunctionType]:
    """The marked functions that were defined in the module, each once, whatever names it has."""
    found = [value for value in vars(module).values() if _marks_of(value) and value.__module__ == module.__name__]
    return list(dict.fromkeys(found))


def _marked_methods(module: ModuleType) -> Iterator[ConfigProblem]:
    for value in vars(module).values():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            for member in vars(value).values():
                if _marks_of(member):
                    fix = "Hooks are functions of the module: move it out of the class."
                    yield problem_at(member, "this is a method, and would never be called", fix)


def with_kit(fn: Callable[..., Any], kit: object) -> Callable[..., Any]:
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
