"""The room cache: the rooms used last, within a budget of bytes.

It holds what is durable and nothing else. Only a hint: a commit that was planned on an old state is refused by the
store, and the room is read again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from roomkit_core.engine.state.room_state import MAX_WINDOW, MIN_WINDOW, RoomState
from roomkit_core.interfaces.store import ConversationStore, RoomSnapshot

MAX_LOADS = 5


class RoomCache:
    """Least recently used rooms of one kit.

    Args:
        store: Where rooms are read.
        budget: Bytes, estimated by :attr:`RoomState.weight`. The room used last stays, whatever it weighs.

    Attributes:
        weight: Bytes that are taken, estimated.
        window: How many recent messages its rooms hold at least.
        glance: As :meth:`peek`, but the room does not count as used.
    """

    def __init__(self, store: ConversationStore, budget: int) -> None:
        self._store = store
        self._rooms: OrderedDict[str, RoomState] = OrderedDict()
        self.glance = self._rooms.get
        self._budget = budget
        self.weight = 0
        self.window = MIN_WINDOW

    def __len__(self) -> int:
        return len(self._rooms)

    def widen(self, window: int) -> None:
        """A channel wants to see this many recent messages; rooms that hold fewer are read again."""
        window = min(window, MAX_WINDOW)
        if window > self.window:
            self.window = window
            self.drop(tuple(self._rooms))

    def peek(self, room_id: str) -> RoomState | None:
        """The cached state, or None; the room counts as used."""
        state = self._rooms.get(room_id)
        if state is not None:
            self._rooms.move_to_end(room_id)
        return state

    async def get(self, room_id: str) -> RoomState | None:
        """The cached state, else that of the store; None if there is no such room."""
        state = self._rooms.get(room_id)
        if state is None:
            return await self.load(room_id)
        self._rooms.move_to_end(room_id)
        return state

    async def load(self, room_id: str) -> RoomState | None:
        """The state as the store has it now.

        While it is read a commit may have led to a newer one, which must not be forgotten: it is read again then.
        """
        snapshot: RoomSnapshot | None = None
        for _ in range(MAX_LOADS):
            before = self._rooms.get(room_id)
            snapshot = await self._store.load_room(room_id, tail=self.window)
            if self._rooms.get(room_id) is before:
                break
        if snapshot is None:
            self.drop((room_id,))
            return None
        state = RoomState.from_snapshot(snapshot, self.window)
        self.put(room_id, state)
        return state

    def put(self, room_id: str, state: RoomState) -> None:
        """Remember the state that a commit led to; not one that holds less than is wanted by now."""
        if state.window < self.window:
            self.drop((room_id,))
            return
        rooms = self._rooms
        former = rooms.get(room_id)
        rooms[room_id] = state
        if former is None:
            self.weight += state.weight
        else:
            self.weight += state.weight - former.weight
            rooms.move_to_end(room_id)
        while self.weight > self._budget and len(rooms) > 1:
            self.weight -= rooms.popitem(last=False)[1].weight

    def drop(self, room_ids: Iterable[str]) -> None:
        """Forget rooms; they are read again when needed."""
        for room_id in room_ids:
            state = self._rooms.pop(room_id, None)
            if state is not None:
                self.weight -= state.weight
