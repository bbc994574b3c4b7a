"""The modules of a kit's bot: what is marked in them is registered together, and replaced together."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from types import ModuleType

from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.verbs.modules import Source, bring, forget, import_problem, own_of, source_of, stamps
from roomkit_core.errors import ConfigProblem, HookError
from roomkit_core.hooks.collected import Collected, collect
from roomkit_core.hooks.handlers import Handler
from roomkit_core.hooks.mistakes import problem_at
from roomkit_core.hooks.registration import HookRegistration
from roomkit_core.interfaces.kit import KitProtocol


@dataclass(frozen=True, slots=True)
class Part:
    """One module.

    Attributes:
        source: Where it can be imported from again; None if it cannot.
        own: The names of the modules that came with it.
        collected: What is marked in it.
    """

    source: Source | None
    own: frozenset[str]
    collected: Collected


class App:
    """What a kit has included.

    Args:
        ports: The surroundings.
        kit: The kit, for hooks that want it.
    """

    def __init__(self, ports: Ports, kit: KitProtocol) -> None:
        self._ports = ports
        self._kit = kit
        self._parts: tuple[Part, ...] = ()
        self._stamps: dict[str, tuple[int, int] | None] = {}

    def include(
        self, places: Sequence[ModuleType | str | PathLike[str]], folder: str | PathLike[str] | None
    ) -> tuple[str, ...]:
        """Import what is named, and register what is marked in all of it, or nothing.

        A name or path that is included already stays as it is: a bot may be named on the command line and in the file.
        """
        known: set[ModuleType | Source | None] = {part.source for part in self._parts}
        named = [place if isinstance(place, ModuleType) else source_of(place, folder) for place in places]
        parts = self._load([place for place in dict.fromkeys(named) if place not in known], self._parts)
        self._register((), parts)
        self._parts += parts
        self._stamps = stamps(self._own())
        return tuple(name for part in parts for name in part.collected.names)

    def reload(self) -> tuple[str, ...]:
        """Import everything anew if something changed, and register it in the place of what was; all or nothing."""
        own = self._own()
        if stamps(own) == self._stamps:
            return ()
        again = tuple(part for part in self._parts if part.source is not None)
        kept = tuple(part for part in self._parts if part.source is None)
        former = forget(own)
        try:
            parts = self._load([part.source for part in again if part.source is not None], kept)
            self._register(again, parts)
        except BaseException:
            sys.modules.update(former)
            raise
        self._parts = kept + parts
        self._stamps = stamps(self._own())
        return tuple(part.source.name for part in parts if part.source is not None)

    def _own(self) -> set[str]:
        return {name for part in self._parts if part.source is not None for name in part.own}

    def _load(self, places: Sequence[ModuleType | Source], beside: Sequence[Part]) -> tuple[Part, ...]:
        """The parts; every problem in any of them is told at once."""
        parts: list[Part] = []
        problems: list[ConfigProblem] = []
        for place in places:
            try:
                part = self._part(place)
            except Exception as error:
                if isinstance(place, ModuleType):
                    raise
                problems.append(import_problem(place, error))
                continue
            parts.append(part)
            problems += part.collected.problems
        problems += _doubles([*beside, *parts])
        if problems:
            raise HookError(problems=problems, code="hook.module", hint="Mend what it says; nothing was registered.")
        return tuple(parts)

    def _part(self, place: ModuleType | Source) -> Part:
        if isinstance(place, ModuleType):
            is_file = place.__spec__ is not None and getattr(place, "__file__", None) is not None
            return Part(Source(place.__name__) if is_file else None, own_of(place), collect(place, self._kit))
        module, own = bring(place)
        return Part(place, own, collect(module, self._kit))

    def _register(self, old: Sequence[Part], new: Sequence[Part]) -> None:
        self._ports.hooks.replace(_hooks(old), _hooks(new))
        self._ports.handlers.replace(_handlers(old), _handlers(new))


def _hooks(parts: Sequence[Part]) -> tuple[HookRegistration, ...]:
    return tuple(hook for part in parts for hook in part.collected.hooks)


def _handlers(parts: Sequence[Part]) -> tuple[tuple[str, Handler], ...]:
    return tuple(handler for part in parts for handler in part.collected.handlers)


def _doubles(parts: Sequence[Part]) -> list[ConfigProblem]:
    """Hooks of one moment and one name: results, logs and owed rows could not tell them apart."""
    seen: dict[tuple[str, str], HookRegistration] = {}
    problems: list[ConfigProblem] = []
    for hook in _hooks(parts):
        first = seen.setdefault((hook.trigger, hook.name), hook)
        if first is not hook:
            where = problem_at(first.fn, "", "")
            what = f"there is a hook {hook.name!r} of {hook.trigger} already, in {where.file}:{where.line}"
            problems.append(problem_at(hook.fn, what, 'Give it another name: name="...".'))
    return problems
