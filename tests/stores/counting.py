"""What it takes to count: calls, the containers of a store, and a hand that adds nothing of its own."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, TypeVar

from roomkit_core.builtin.memory.store import InMemoryStore
from roomkit_core.interfaces.store import Cutoffs
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import ABSENT, ChangeSet, Committed
from roomkit_core.models.ids import new_id
from roomkit_core.models.packing import Packed, pack_event, with_index
from roomkit_core.models.room import Room
from roomkit_testkit.stores.makers import text_event

T = TypeVar("T")

EVERYTHING = Cutoffs(*[2**62] * len(Cutoffs._fields))


def count_calls(work: Callable[[], Any]) -> int:
    """How many calls, of Python functions and of built-in ones, it takes."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    gc.disable()  # whoever has a callback for collections would be counted
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


def finish(awaitable: Awaitable[T]) -> T:
    """The result of a call of this store, which never waits."""
    try:
        awaitable.__await__().__next__()
    except StopIteration as done:
        return done.value
    raise AssertionError("the in-memory store waited for something")


class Hand:
    """Hands in batches without any coroutine around them, so that nothing else is counted."""

    def __init__(self, store: InMemoryStore | None = None) -> None:
        self.store = store or InMemoryStore()
        self.version = self.commit(ChangeSet("room", new_id(), ABSENT, epoch="epoch", room=Room(id="room"))).version
        self.index = 0
        self.model = text_event()
        self.packed: Packed = tuple(str(field) if isinstance(field, str) else field for field in pack_event(self.model))

    def commit(self, changes: ChangeSet) -> Committed:
        answer = self.store.submit(changes).answer
        assert isinstance(answer, Committed)
        self.version = answer.version
        return answer

    def batch(self, **parts: Any) -> ChangeSet:
        event_id = new_id()
        fields = {name: parts.pop(name) for name in ("status", "created_at") if name in parts}
        event = evolve(self.model, id=event_id, index=self.index, **fields)
        packed: Packed = pack_event(event) if fields else (event_id, *with_index(self.packed, self.index)[1:])
        self.index += 1
        return ChangeSet("room", new_id(), self.version, events=(event,), packed=(packed,), owner="kit", **parts)

    def grow(self, events: int) -> None:
        while self.index < events:
            self.commit(self.batch())


def containers_in(root: object) -> list[object]:
    """Every container and object that the store keeps."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set):
            waiting += item
        elif type(item).__module__.startswith("roomkit_core.builtin.memory"):
            slots = [name for cls in type(item).__mro__ for name in getattr(cls, "__slots__", ())]
            waiting += [getattr(item, name) for name in (*slots, *getattr(item, "__dict__", {}))]
        else:
            continue
        seen[id(item)] = item
    return list(seen.values())
