"""Places at which a test stops a kit, or lets something go wrong: in its way to the store and in its calls.

Nothing here sleeps: whoever comes to a stop waits there until the test opens it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from roomkit_core import ChangeSet, InMemoryStore, StoreError, Ticket, WorkRow
from roomkit_core.interfaces.store import Answer, RoomSnapshot
from roomkit_core.models.changes import Key, KeyResult

Act = Callable[[], Awaitable[None]]
Only = Callable[[Any], object]


class Stop:
    """A place where everybody waits until the test opens it; :attr:`reached` when the first one is there."""

    def __init__(self) -> None:
        self.reached = anyio.Event()
        self.arrivals = 0
        self._open = anyio.Event()

    async def __call__(self) -> None:
        self.arrivals += 1
        self.reached.set()
        await self._open.wait()

    def open(self) -> None:
        """Let everybody go on, those too who come later."""
        self._open.set()


class Fault:
    """Raises an error, the first ``times`` times."""

    def __init__(self, error: BaseException | None = None, times: int = 1) -> None:
        self.error = error or StoreError("the disk is full", code="store.disk_full")
        self.times = times
        self.raised = 0

    async def __call__(self) -> None:
        if self.raised < self.times:
            self.raised += 1
            raise self.error


class Places:
    """What is to happen where. A place is a name; of those who pass it ``only`` some may be meant."""

    def __init__(self) -> None:
        self._acts: dict[str, tuple[Act, Only]] = {}
        self.passed: Counter[str] = Counter()

    def stop(self, place: str, only: Only = bool) -> Stop:
        """Let those who come here wait."""
        stop = Stop()
        self.at(place, stop, only)
        return stop

    def fail(self, place: str, error: BaseException | None = None, *, times: int = 1, only: Only = bool) -> Fault:
        """Let those who come here find an error."""
        fault = Fault(error, times)
        self.at(place, fault, only)
        return fault

    def at(self, place: str, act: Act, only: Only = bool) -> None:
        """Let this happen here."""
        self._acts[place] = (act, only)

    def clear(self) -> None:
        """Nothing happens any more, and whoever waits goes on."""
        for act, _ in self._acts.values():
            if isinstance(act, Stop):
                act.open()
        self._acts.clear()

    def has(self, *places: str) -> bool:
        """Whether anything happens at one of these places."""
        return any(place in self._acts for place in places)

    async def __call__(self, place: str, subject: Any = True) -> None:
        """Somebody passes, with what ``only`` looks at."""
        self.passed[place] += 1
        act, only = self._acts.get(place, (None, bool))
        if act is not None and only(subject):
            await act()


class KitStore(InMemoryStore):
    """One kit's way to a store that several kits share; everything that is written passes its places.

    ``commit``, ``claim``, ``settle``, ``renew``, ``accept`` are passed before something is written, ``committed``,
    ``claimed``, ``settled``, ``renewed``, ``accepted`` when it is, and the answer is on its way back;
    ``looking up a key`` is passed before an idempotency key is looked up, ``reading`` (with the method's name) before
    rows or a room are read, ``purge`` before what is old is forgotten.
    """

    def __init__(self, shared: InMemoryStore, places: Places) -> None:
        self.__dict__.update(shared.__dict__)  # the same tables: one store object, seen by two kits
        self.places = places

    def submit(self, changes: ChangeSet) -> Ticket:
        if self.places.has("commit", "committed"):
            return _PlacedTicket(self, changes)
        return super().submit(changes)

    def write(self, changes: ChangeSet) -> Answer:
        """The commit itself."""
        answer = super().submit(changes).answer
        assert answer is not None
        return answer

    async def accept(self, *args: Any, **options: Any) -> Any:
        await self.places("accept", args[0])
        answer = await super().accept(*args, **options)
        await self.places("accepted", args[0])
        return answer

    async def claim(self, *args: Any, **options: Any) -> Any:
        await self.places("claim", options.get("kinds") or True)
        claims = await super().claim(*args, **options)
        await self.places("claimed", claims)
        return claims

    async def settle(self, *args: Any, **options: Any) -> bool:
        await self.places("settle", args[2])
        is_ours = await super().settle(*args, **options)
        await self.places("settled", args[2])
        return is_ours

    async def find_key(self, key: Key) -> KeyResult | None:
        await self.places("looking up a key", key)
        return await super().find_key(key)

    async def list_work(self, *args: Any, **options: Any) -> list[WorkRow]:
        await self.places("reading", "list_work")
        return await super().list_work(*args, **options)

    async def load_room(self, *args: Any, **options: Any) -> RoomSnapshot | None:
        await self.places("reading", "load_room")
        return await super().load_room(*args, **options)

    async def purge(self, *args: Any, **options: Any) -> int:
        await self.places("purge")
        return await super().purge(*args, **options)

    async def renew(self, *args: Any, **options: Any) -> list[str]:
        await self.places("renew", args[0])
        lost = await super().renew(*args, **options)
        await self.places("renewed", args[0])
        return lost


class _PlacedTicket(Ticket):
    __slots__ = ("_changes", "_store")

    def __init__(self, store: KitStore, changes: ChangeSet) -> None:
        self.answer = None
        self._store = store
        self._changes = changes

    async def wait(self) -> Answer:
        if self.answer is None:
            await self._store.places("commit", self._changes)
            answer = self._store.write(self._changes)
            await self._store.places("committed", self._changes)
            self.answer = answer
        return self.answer
