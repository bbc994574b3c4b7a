"""Framework events: what the kit tells about itself, to handlers by exact type, beside the way of a message."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from roomkit_core.hooks.node import current
from roomkit_core.hooks.observers import Observer, Observers
from roomkit_core.models.base import EMPTY, build, freeze
from roomkit_core.models.hook import FrameworkEvent
from roomkit_core.models.time import utc_now

Handler = Callable[[FrameworkEvent], Any]


class Handlers:
    """The handlers of one kit.

    Args:
        observers: Runs them; at most once each, in the order of their registration.

    Attributes:
        has_any: Whether anybody listens to anything.
    """

    def __init__(self, observers: Observers) -> None:
        self._observers = observers
        self._handlers: dict[str, list[Handler]] = {}
        self.has_any = False

    def on(self, event_type: str, handler: Handler) -> None:
        """Call ``handler`` for every event of exactly this type."""
        self._handlers.setdefault(event_type, []).append(handler)
        self.has_any = True

    def replace(self, old: Collection[tuple[str, Handler]], new: Iterable[tuple[str, Handler]]) -> None:
        """Put handlers in the place of others, at once."""
        for event_type, handler in old:
            self._handlers[event_type].remove(handler)
        for event_type, handler in new:
            self.on(event_type, handler)

    def emit(
        self,
        event_type: str,
        *,
        room_id: str | None = None,
        channel_id: str | None = None,
        event_id: str | None = None,
        data: dict[str, Any] | None = None,
        depth: int = 0,
    ) -> None:
        """Tell those who listen; never waits and never raises.

        ``depth`` is how deep in a chain the thing happened that is told; what a handler does goes on from there.
        """
        handlers = self._handlers.get(event_type)
        if handlers is None:
            return
        event = build(
            FrameworkEvent,
            {
                "type": event_type,
                "room_id": room_id,
                "channel_id": channel_id,
                "event_id": event_id,
                "timestamp": utc_now(),
                "data": freeze(data) if data else EMPTY,
            },
        )
        for handler in handlers:
            name = getattr(handler, "__name__", type(handler).__name__)
            self._observers.put(Observer(handler, (event,), name, kind="handler", depth=max(depth, _depth_here()) + 1))


def _depth_here() -> int:
    node = current.get()
    return 0 if node is None else node.depth
