"""Telling handlers, hooks and channels about what was done to a room, once it is durable."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Announcement
from roomkit_core.hooks.node import Chain, current, innermost
from roomkit_core.hooks.observers import Observer
from roomkit_core.models.channel import ChannelBinding
from roomkit_core.models.context import RoomContext
from roomkit_core.models.event import RoomEvent

log = logging.getLogger("roomkit.engine")


def chain_here(ports: Ports) -> tuple[Chain, int]:
    """The hooks that the running code is below, and how deep in their chain it stands: what it does goes on there."""
    caller = innermost(ports.kit) if current.get() is not None else None
    return ((), 0) if caller is None else (caller.hooks, caller.depth)


def tell(ports: Ports, about: Announcement, room_id: str, context: Callable[[], RoomContext]) -> None:
    """Tell handlers, and the hooks of the moment whose filters let it through and that did not lead to it.

    Args:
        ports: The surroundings.
        about: What happened.
        room_id: Where.
        context: Makes the room as hooks are shown it; called if one is.
    """
    if about.name is not None:
        ports.handlers.emit(
            about.name,
            room_id=room_id,
            channel_id=about.channel_id,
            event_id=about.event_id,
            data=about.data,
            depth=about.depth,
        )
    if about.trigger is None or about.event is None:
        return
    source = about.source or about.event.source
    for hook in ports.hooks.select(about.trigger, room_id):
        if hook in about.hooks or (hook.is_filtered and not hook.matches(source)):
            continue
        ports.observers.put(
            Observer(
                hook.fn,
                (about.event, context()),
                hook.name,
                hook.timeout,
                (*about.hooks, hook),
                depth=about.depth + 1,
                failed=partial(tell_failed, ports),
            )
        )


def tell_failed(ports: Ports, observer: Observer, what: str) -> None:
    """Tell handlers that a hook which observes an event has failed."""
    event: RoomEvent = observer.args[0]
    ports.handlers.emit(
        "hook_error",
        room_id=event.room_id,
        event_id=event.id,
        data={"hook": observer.name, "error": what},
        depth=observer.depth,
    )


def tell_channel(ports: Ports, room_id: str, channel_id: str, binding: ChannelBinding | None, *, is_new: bool) -> None:
    """Tell a channel about its changed binding, None for one that is gone; a raise is its own affair."""
    target = ports.channels.get(channel_id)
    if target is None:
        return
    channel = target.channel
    if binding is None:
        ports.observers.put(Observer(channel.on_room_detached, (room_id,), "on_room_detached", kind="channel"))
        return
    try:
        channel.update_binding(room_id, binding)
    except Exception:
        log.exception("update_binding of channel %r raised", channel_id, extra={"room_id": room_id})
    if is_new:
        ports.observers.put(Observer(channel.on_room_attached, (room_id, binding), "on_room_attached", kind="channel"))
