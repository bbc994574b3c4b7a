"""How an in-memory store keeps things so that the old ones are found without looking at the others."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Entry = TypeVar("Entry", bound=tuple[Any, ...])
Item = TypeVar("Item")
Thing = TypeVar("Thing", bound="str | tuple[str, str]")

_FEW = 8
_SWEEP_FROM = 64


class Shelf(dict[Name, Entry]):
    """Tuples by name, put in the order of their time and taken away from the front.

    A plain dictionary walks over the places of all that was ever taken from its front before it finds the first one
    that is left; this one closes the ranks when more was taken than is left. Whoever removes something calls
    :meth:`drop`.

    Args:
        place: Where in each tuple its time stands.
    """

    __slots__ = ("_gone", "_place")

    def __init__(self, place: int) -> None:
        super().__init__()
        self._place = place
        self._gone = 0

    def drop(self, names: Iterable[Name]) -> None:
        """Remove the entries of these names, which must be there."""
        for name in names:
            del self[name]
            self._gone += 1
        if self._gone > _SWEEP_FROM and self._gone > len(self):
            left = list(self.items())
            self.clear()
            self.update(left)
            self._gone = 0

    def old(self, before: int, limit: int) -> list[tuple[Name, Entry]]:
        """The first ``limit`` entries from before ``before``."""
        found: list[tuple[Name, Entry]] = []
        for name, entry in self.items():
            if entry[self._place] >= before or len(found) >= limit:
                break
            found.append((name, entry))
        return found

    def take_old(self, before: int, limit: int) -> list[tuple[Name, Entry]]:
        """Remove and return the first ``limit`` entries from before ``before``."""
        found = self.old(before, limit)
        self.drop([name for name, _ in found])
        return found


class Agenda(Generic[Thing]):
    """The time of each of many things; it may be changed and taken back."""

    __slots__ = ("_at", "_heap")

    def __init__(self) -> None:
        self._at: dict[Thing, int] = {}
        self._heap: list[tuple[int, Thing]] = []

    def put(self, thing: Thing, at: int) -> None:
        self._at[thing] = at
        heappush(self._heap, (at, thing))
        self._sweep()

    def drop(self, thing: Thing) -> None:
        """Forget about it, if it is known."""
        if self._at.pop(thing, None) is not None:
            self._sweep()

    def take_old(self, before: int, limit: int) -> list[Thing]:
        """Remove and return the ``limit`` first things whose time is before ``before``."""
        heap = self._heap
        found: list[Thing] = []
        while heap and heap[0][0] < before and len(found) < limit:
            at, thing = heappop(heap)
            if self._at.get(thing) == at:
                del self._at[thing]
                found.append(thing)
        return found

    def _sweep(self) -> None:
        if len(self._heap) > 2 * len(self._at) + _SWEEP_FROM:
            self._heap = [(at, thing) for thing, at in self._at.items()]
            heapify(self._heap)


class Index(Generic[Item]):
    """Things by a property that several of them can share, in the order in which they came.

    A few of them are a tuple, which the garbage collector does not follow; many are a dictionary, so that one more
    costs the same as the first.
    """

    __slots__ = ("_things",)

    def __init__(self) -> None:
        self._things: dict[Hashable, tuple[Item, ...] | dict[Item, None]] = {}

    def add(self, name: Hashable, thing: Item) -> None:
        things = self._things.get(name)
        if things is None:
            self._things[name] = (thing,)
        elif isinstance(things, dict):
            things[thing] = None
        elif thing not in things:
            more = (*things, thing)
            self._things[name] = more if len(more) <= _FEW else dict.fromkeys(more)

    def remove(self, name: Hashable, thing: Item) -> None:
        """Take the thing out, if it is there."""
        things = self._things.get(name)
        if things is None:
            return
        if isinstance(things, dict):
            things.pop(thing, None)
        else:
            things = self._things[name] = tuple(one for one in things if one != thing)
        if not things:
            del self._things[name]

    def of(self, name: Hashable) -> Collection[Item]:
        """All things of that name, oldest first."""
        return self._things.get(name, ())

    def newest(self, name: Hashable) -> Item | None:
        """The one that was added last, or None."""
        things = self._things.get(name)
        return None if things is None else next(reversed(things))

    def __len__(self) -> int:
        return len(self._things)
