"""What is registered for which moment, and which of it applies to an event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal

from roomkit_core.errors import HookError
from roomkit_core.models.enums import ChannelDirection, HookExecution
from roomkit_core.models.event import EventSource
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.triggers import HookTrigger

log = logging.getLogger("roomkit.hooks")

OnError = Literal["allow", "block"]

# Moments whose hooks decide; at all others hooks observe, whatever they are registered as.
DECIDING = frozenset({HookTrigger.BEFORE_BROADCAST})

# Moments that the core fires. Hooks at others wait for a plugin that does.
FIRED = frozenset(
    {
        HookTrigger.BEFORE_BROADCAST,
        HookTrigger.AFTER_BROADCAST,
        HookTrigger.ON_CHANNEL_ATTACHED,
        HookTrigger.ON_CHANNEL_DETACHED,
        HookTrigger.ON_CHANNEL_MUTED,
        HookTrigger.ON_CHANNEL_UNMUTED,
        HookTrigger.ON_ROOM_CREATED,
        HookTrigger.ON_ROOM_CLOSED,
        HookTrigger.ON_ROOM_PAUSED,
        HookTrigger.ON_EVENT_DELETED,
        HookTrigger.ON_DELIVERY_STATUS,
        HookTrigger.ON_ERROR,
    }
)

_NAMELESS = "<lambda>"


class HookRegistration:
    """One hook.

    Args:
        trigger: The moment.
        execution: ``SYNC`` hooks of a deciding moment decide, ``ASYNC`` ones observe the outcome.
        fn: ``async def`` or ``def``; a ``def`` is called inline.
        priority: Ascending; equal ones run in the order of their registration, global before room.
        name: Names the hook in results and logs; the function's name when empty.
        timeout: Seconds for one run.
        channel_types: Only events from channels of these types; None for all.
        channel_ids: Only events from these channels; None for all.
        directions: Only events of these directions; None for all.
        on_error: Whether a deciding hook that raises, hangs or answers nonsense lets the event pass.
        durable: An observer of what was broadcast whose calls are owed: each is a row of the commit, made again until
            the hook returns, also after a crash. At least once; the event's id tells a repeat. Its name is what finds
            it after a restart.

    Raises:
        HookError: ``fn`` cannot be called, ``timeout`` is not positive, or ``on_error`` is unknown or without meaning
            at this moment.
    """

    __slots__ = (
        "chain",
        "channel_ids",
        "channel_types",
        "decides",
        "directions",
        "durable",
        "execution",
        "fn",
        "is_filtered",
        "name",
        "on_error",
        "priority",
        "timeout",
        "trigger",
    )

    def __init__(
        self,
        trigger: HookTrigger | str,
        execution: HookExecution,
        fn: Callable[..., Any],
        priority: int = 0,
        name: str = "",
        timeout: float = 30.0,
        channel_types: Collection[ChannelType | str] | None = None,
        channel_ids: Collection[str] | None = None,
        directions: Collection[ChannelDirection | str] | None = None,
        on_error: OnError = "allow",
        durable: bool = False,
    ) -> None:
        self.trigger = HookTrigger(trigger)
        self.execution = HookExecution(execution)
        self.fn = fn
        self.priority = priority
        self.name = name or getattr(fn, "__name__", type(fn).__name__)
        self.timeout = timeout
        self.channel_types = None if channel_types is None else frozenset(channel_types)
        self.channel_ids = None if channel_ids is None else frozenset(channel_ids)
        self.directions = None if directions is None else frozenset(ChannelDirection(d) for d in directions)
        self.on_error = on_error
        self.durable = durable
        self.decides = self.execution is HookExecution.SYNC and self.trigger in DECIDING
        self.is_filtered = not (channel_types is None and channel_ids is None and directions is None)
        self.chain = (self,)
        self._check()

    @property
    def observes_broadcast(self) -> bool:
        """Whether it is called with what was broadcast, after the commit."""
        return self.trigger == HookTrigger.AFTER_BROADCAST or (
            self.trigger == HookTrigger.BEFORE_BROADCAST and not self.decides
        )

    def _check(self) -> None:
        if not callable(self.fn):
            raise HookError(f"a hook must be a function, not {type(self.fn).__name__}", code="hook.not_callable")
        if self.timeout <= 0:
            raise HookError(f"hook {self.name!r}: timeout must be above 0 seconds")
        if self.on_error not in ("allow", "block"):
            raise HookError(f"hook {self.name!r}: on_error must be 'allow' or 'block'", code="hook.on_error")
        if self.on_error == "block" and not self.decides:
            raise HookError(
                f"hook {self.name!r}: on_error='block' has no meaning for a hook that only observes",
                code="hook.on_error",
                hint="Register it for BEFORE_BROADCAST with execution SYNC, or leave on_error out.",
            )
        if self.durable and self.name == _NAMELESS:
            raise HookError(
                "a durable hook has no name, and its name is what finds it after a restart",
                code="hook.durable_name",
                hint='Give it one: name="...".',
            )
        if self.durable and self.trigger != HookTrigger.AFTER_BROADCAST:
            raise HookError(
                f"hook {self.name!r}: durable=True is for AFTER_BROADCAST observers",
                code="hook.durable",
                hint="What a BEFORE_BROADCAST hook returns is in the commit already.",
            )
        if self.trigger not in FIRED:
            log.warning("hook %r waits for %s, which nothing installed fires", self.name, self.trigger)

    def matches(self, source: EventSource) -> bool:
        """Whether the filters let an event from ``source`` through; all that are set must."""
        return (
            (self.channel_types is None or source.channel_type in self.channel_types)
            and (self.channel_ids is None or source.channel_id in self.channel_ids)
            and (self.directions is None or source.direction in self.directions)
        )


Hooks = tuple[HookRegistration, ...]

_BEFORE = "before_broadcast"
_AFTER = "after_broadcast"


class HookRegistry:
    """All hooks of a kit: global ones and those of single rooms, in the order in which they run.

    Attributes:
        has_observers: Whether anybody has ever wanted to observe what was broadcast.
        has_durable: Whether anybody has ever wanted to do so durably.
    """

    def __init__(self) -> None:
        self._global: dict[str, tuple[HookRegistration, ...]] = {}
        self._rooms: dict[str, dict[str, tuple[HookRegistration, ...]]] = {}
        self.has_observers = False
        self.has_durable = False
        self._is_plain = True
        self._before: Hooks = ()  # the global hooks before the broadcast

    def register(self, hook: HookRegistration) -> None:
        """Add a global hook.

        Raises:
            HookError: ``hook.durable_name``: another durable hook has this name.
        """
        self._check_name(hook, None)
        self._global[hook.trigger] = _ordered((*self._global.get(hook.trigger, ()), hook))
        self._before = self._global.get(_BEFORE, ())
        self._note(hook)

    def add_room_hook(self, room_id: str, hook: HookRegistration) -> None:
        """Add a hook of one room; it goes with the room.

        Raises:
            HookError: ``hook.durable_name``: another durable hook has this name.
        """
        self._check_name(hook, room_id)
        hooks = self._rooms.setdefault(room_id, {})
        hooks[hook.trigger] = _ordered((*hooks.get(hook.trigger, ()), hook))
        self._note(hook)

    def replace(self, old: Hooks, new: Hooks) -> None:
        """Put global hooks in the place of others, at once; a run of hooks that has begun ends with the old ones.

        Raises:
            HookError: ``hook.durable_name``: another durable hook has the name of a new one; nothing is changed.
        """
        former = self._global
        self._global = _without(former, old)
        try:
            for hook in new:
                self._check_name(hook, None)
                stood = next((at for at, one in enumerate(former.get(hook.trigger, ())) if one in old), None)
                others = self._global.get(hook.trigger, ())
                at = len(others) if stood is None else stood + sum(one in new for one in others)
                self._global[hook.trigger] = _ordered((*others[:at], hook, *others[at:]))
        except BaseException:
            self._global = former
            raise
        self._before = self._global.get(_BEFORE, ())
        for hook in new:
            self._note(hook)

    def _check_name(self, hook: HookRegistration, room_id: str | None) -> None:
        if not hook.durable:
            return
        rooms = self._rooms if room_id is None else (room_id,)
        if any(self.find_durable(hook.name, room) is not None for room in (None, *rooms)):
            raise HookError(
                f"there is a durable hook {hook.name!r} already, and its name is what finds it after a restart",
                code="hook.durable_name",
                hint="Give each durable hook a name of its own.",
            )

    def find_durable(self, name: str, room_id: str | None) -> HookRegistration | None:
        """The durable hook of this name, of the room or of all rooms."""
        of_room = self._rooms.get(room_id, {}) if room_id is not None else {}
        for hook in (*of_room.get(_AFTER, ()), *self._global.get(_AFTER, ())):
            if hook.durable and hook.name == name:
                return hook
        return None

    def durable(self, room_id: str, source: EventSource, chain: tuple[HookRegistration, ...]) -> Hooks:
        """The durable hooks that are owed an event: filters let it through, and they are not on its chain."""
        return tuple(
            [
                hook
                for hook in self.select(_AFTER, room_id)
                if hook.durable and hook not in chain and (not hook.is_filtered or hook.matches(source))
            ]
        )

    def _note(self, hook: HookRegistration) -> None:
        """Remember what lets a message skip work: nobody observes; every hook before the broadcast simply decides."""
        if hook.durable:
            self.has_durable = True
        elif hook.observes_broadcast:
            self.has_observers = True
        if hook.trigger == _BEFORE and (hook.is_filtered or not hook.decides):
            self._is_plain = False

    def registered(self) -> tuple[HookRegistration, ...]:
        """All global hooks."""
        return tuple(hook for hooks in self._global.values() for hook in hooks)

    def unregister(self, gone: Collection[HookRegistration]) -> None:
        """Remove these global hooks, as far as they are there."""
        for trigger, hooks in tuple(self._global.items()):
            if rest := tuple(hook for hook in hooks if hook not in gone):
                self._global[trigger] = rest
            else:
                del self._global[trigger]
        self._before = self._global.get(_BEFORE, ())

    def remove_global_hook(self, name: str) -> bool:
        """Remove the first global hook of this name; False if there is none."""
        found = _remove(self._global, name)
        self._before = self._global.get(_BEFORE, ())
        return found

    def remove_room_hook(self, room_id: str, name: str) -> bool:
        """Remove the room's first hook of this name; False if there is none."""
        hooks = self._rooms.get(room_id, {})
        found = _remove(hooks, name)
        if found and not hooks:
            del self._rooms[room_id]
        return found

    def forget_room(self, room_id: str) -> None:
        """Drop all hooks of a room (T24)."""
        self._rooms.pop(room_id, None)

    def has_hooks(self, trigger: HookTrigger | str) -> bool:
        """Whether any hook, of whatever room, waits for this moment."""
        return trigger in self._global or any(trigger in hooks for hooks in self._rooms.values())

    def observing(self, room_id: str) -> tuple[HookRegistration, ...]:
        """The hooks that observe what was broadcast: those after it, and asynchronous ones before it."""
        if not self.has_observers:
            return ()
        hooks = self.select(_AFTER, room_id)
        if self.has_durable:
            hooks = tuple([hook for hook in hooks if not hook.durable])
        before = self.select(_BEFORE, room_id)
        return hooks + tuple([hook for hook in before if not hook.decides])

    def deciding(self, room_id: str, source: EventSource, chain: tuple[HookRegistration, ...]) -> Hooks:
        """The hooks that decide about an event: filters let it through, and they are not on the chain that sent it."""
        hooks = self.select(_BEFORE, room_id) if self._rooms else self._before
        if not hooks or (self._is_plain and not chain):
            return hooks
        return tuple(
            [
                hook
                for hook in hooks
                if hook.decides and (not hook.is_filtered or hook.matches(source)) and hook not in chain
            ]
        )

    def select(self, trigger: str, room_id: str) -> tuple[HookRegistration, ...]:
        """The hooks of a moment and room in running order, before filters."""
        hooks = self._global.get(trigger, ())
        if self._rooms and (room := self._rooms.get(room_id)) is not None and trigger in room:
            return _ordered((*hooks, *room[trigger]))
        return hooks


def _ordered(hooks: Iterable[HookRegistration]) -> tuple[HookRegistration, ...]:
    return tuple(sorted(hooks, key=lambda hook: hook.priority))


def _without(hooks: dict[str, Hooks], old: Hooks) -> dict[str, Hooks]:
    left = {trigger: tuple(hook for hook in registered if hook not in old) for trigger, registered in hooks.items()}
    return {trigger: registered for trigger, registered in left.items() if registered}


def _remove(hooks: dict[str, tuple[HookRegistration, ...]], name: str) -> bool:
    for trigger, registered in hooks.items():
        for position, hook in enumerate(registered):
            if hook.name == name:
                rest = registered[:position] + registered[position + 1 :]
                if rest:
                    hooks[trigger] = rest
                else:
                    del hooks[trigger]
                return True
    return False
