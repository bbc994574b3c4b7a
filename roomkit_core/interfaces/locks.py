"""The lock of a room: what makes the writers of one room take turns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class TakenLock(AbstractAsyncContextManager[None], Protocol):
    """A lock that is held and can be left without waiting."""

    def leave(self) -> None:
        """What ``__aexit__`` does, at once."""
        ...


class RoomLockManager(ABC):
    """Hands out one exclusive lock per room.

    The lock keeps writers from working against each other in vain; what keeps the data right is the version check
    of the store. So a distributed implementation may lose a lock with its lease, but must not hang.

    An implementation keeps these promises:

    - **Exclusive.** At most one holder per room at a time, among all who use the same lock space. Different rooms
      never wait for each other. Two managers in one process do not share ownership.
    - **Safe under cancellation.** A task that is cancelled while it waits leaves no trace, also when it was granted
      the lock at the very moment of its cancellation: the lock then goes to the next in line.
    - **Reentrant for direct users.** Code that runs inside ``async with manager.locked(room_id)``, child tasks
      included, may ask for the same room again and does not deadlock. Child tasks that do so at the same time take
      turns among themselves. Ownership ends with the release: a task that outlives the holder waits like a stranger.
      The engine does not rely on this; it asks for the outermost lock only.
    - **Released from anywhere.** ``__aexit__`` may run in another task or context than ``__aenter__``.
    """

    releases_at_once: bool = False
    """Whether leaving a lock never suspends. The engine then leaves it without a shield against cancellation."""

    @abstractmethod
    def locked(self, room_id: str) -> AbstractAsyncContextManager[None]:
        """The lock of a room, to be entered once with ``async with``.

        Nothing is acquired before the context manager is entered; every tenure needs a call of its own. A function
        decorated with :func:`contextlib.asynccontextmanager` is a fine implementation.

        Args:
            room_id: The room; it need not exist.

        Returns:
            An asynchronous context manager: entering waits for the lock, without a limit of time (use a cancel scope
            for one), leaving releases it.
        """

    def take_free(self, room_id: str) -> TakenLock | None:
        """The lock of a room, entered already, if nobody holds it and that can be told at once; otherwise None.

        Where waiting is the exception this spares the engine two coroutines for every message. The default is None,
        for managers that have to ask somebody.
        """
        return None

    async def close(self) -> None:
        """Give back connections and the like; the kit calls it once, when no lock is held any more."""
