"""Who is running: a chain of nodes in one context variable, one node for each foreign call.

Hooks, observers, handlers, asks and channel calls run inside a node. What the code in it may do and what it inherits
are walks up ``parent``: the room whose unit of work it may join, the mark that makes every verb wait for ``committed``
only, chain depth, loop budget, and the hooks that the chain has gone through. A node dies when its call returns; a task
that outlives the call finds a dead node and is a stranger, but keeps depth, budget and hooks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from roomkit_core.background import Bounds
    from roomkit_core.hooks.registration import HookRegistration
    from roomkit_core.models.event import RoomEvent

Chain = tuple["HookRegistration", ...]


class Node:
    """One foreign call of one kit.

    Attributes:
        kit: Whose call it is (any object that stands for the kit).
        parent: The node in which this one began.
        unit: The unit of work that the code may join; None outside of deciding hooks.
        alive: Whether the call is still running.
        kind: ``hook``, ``observer``, ``handler``, ``ask``, ``hook_row`` (a durable observer) or ``channel``.
        cause: The event that the call is about.
        budget: How many events its chain may still bring; None where nothing has limited it yet.
        hooks: The hooks on the chain, this one included.
        bounds: What bounds the call's time, if something does.
        row_id: The work row whose handler this is, for keys derived from it.
        follow: Gives what counts for whoever waits for all that follows from the call.
        ordinals: How often the handler has said the same, for those keys.
        is_busy: Whether a child task of the call is joining the unit.
    """

    # One is made for every foreign call. What is rare is a class attribute until it is set.
    _depth = 0
    row_id: str | None = None
    _origin: str | None = None
    follow: Callable[[], Any] | None = None
    ordinals: dict[str, int] | None = None
    _waiters: deque[anyio.Event] | None = None

    def __init__(self, kit: object, kind: str, unit: Any = None) -> None:
        self.kit = kit
        self.kind = kind
        self.unit = unit
        self.parent = current.get()
        self.alive = True
        self.cause: RoomEvent | None = None
        self.budget: int | None = None
        self.hooks: Chain = ()
        self.bounds: Bounds | None = None
        self.is_busy = False

    @property
    def depth(self) -> int:
        """Chain depth of what the code sends."""
        return self._depth if self.cause is None else self.cause.chain_depth + 1

    @depth.setter
    def depth(self, depth: int) -> None:
        self._depth = depth

    @property
    def origin(self) -> str | None:
        """Id of the event that began the chain."""
        return self._origin if self.cause is None else self.cause.correlation_id or self.cause.id

    @origin.setter
    def origin(self, origin: str | None) -> None:
        self._origin = origin

    def die(self) -> None:
        """The call has returned; nothing joins through this node any more, and its unit may be freed."""
        self.alive = False
        unit = self.unit
        if unit is not None:
            self.budget = unit.budget - unit.draft.taken  # what a task that outlives the call goes on with
            self.unit = None

    # --- turns: child tasks of one hook join its unit one at a time ---

    async def take_turn(self) -> None:
        """Wait until no other join of this node is under way."""
        while self.is_busy:
            event = anyio.Event()
            if self._waiters is None:
                self._waiters = deque()
            self._waiters.append(event)
            await event.wait()
        self.is_busy = True

    def give_turn(self) -> None:
        """The join is through."""
        self.is_busy = False
        if self._waiters:
            for event in self._waiters:
                event.set()
            self._waiters.clear()

    async def quiet(self) -> None:
        """Wait until no join is under way."""
        await self.take_turn()
        self.give_turn()


current: ContextVar[Node | None] = ContextVar("roomkit_node", default=None)

# Bound once: a method of an imported name is bound anew at every call.
running, enter_node, leave_node = current.get, current.set, current.reset


def ancestry(kit: object) -> Iterator[Node]:
    """The nodes of ``kit`` that the running code is in, innermost first, dead ones included."""
    node = current.get()
    while node is not None:
        if node.kit is kit:
            yield node
        node = node.parent


def innermost(kit: object) -> Node | None:
    """The node of ``kit`` that the running code is in, dead or alive."""
    node = current.get()
    while node is not None and node.kit is not kit:
        node = node.parent
    return node


def is_inside(kit: object) -> bool:
    """Whether the running code is inside a call of ``kit`` that has not returned."""
    return current.get() is not None and any(node.alive for node in ancestry(kit))


@contextmanager
def inside(kit: object, kind: str) -> Iterator[None]:
    """Mark what runs in this block as a call of the kit."""
    node = Node(kit, kind)
    token = current.set(node)
    try:
        yield
    finally:
        node.die()
        current.reset(token)
