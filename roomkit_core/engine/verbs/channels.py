"""Verbs about channels: register them with the kit, start them, reach their connections."""

from __future__ import annotations

import logging
from typing import Any

import anyio

from roomkit_core.engine.flow.gates import PATIENCE, Gates
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.targets import Target
from roomkit_core.errors import ChannelAlreadyRegisteredError, ChannelNotRegisteredError
from roomkit_core.hooks.node import inside
from roomkit_core.interfaces.channel import Channel
from roomkit_core.interfaces.kit import KitProtocol

log = logging.getLogger("roomkit.channels")


class Channels:
    """The registered channels of a kit.

    Args:
        ports: The surroundings.
        gates: Stand in front of the channels.
        runners: Take what is owed to a channel that has started.
        kit: What :meth:`Channel.start` gets.
    """

    def __init__(self, ports: Ports, gates: Gates, runners: Runners, kit: KitProtocol) -> None:
        self._ports = ports
        self._gates = gates
        self._runners = runners
        self._kit = kit
        self.by_id: dict[str, Channel] = {}

    def register(self, channel: Channel) -> None:
        """Add a channel; on a running kit it is started in the background."""
        if channel.channel_id in self.by_id:
            raise ChannelAlreadyRegisteredError(f"a channel {channel.channel_id!r} is registered already")
        target = Target(channel, self._ports.lease, self._gates.register(channel))
        self.by_id[channel.channel_id] = channel
        self._ports.channels[channel.channel_id] = target
        self._ports.cache.widen(channel.recent_events_window)
        self._ports.handlers.emit("channel_registered", channel_id=channel.channel_id)
        if self._ports.background.is_started:
            target.starting = anyio.Event()
            self._ports.background.spawn(self._start, target)

    def unregister(self, channel_id: str) -> Channel | None:
        """Take a channel away; it is not closed. Rows that are under way end as they would have."""
        channel = self.by_id.pop(channel_id, None)
        if channel is not None:
            del self._ports.channels[channel_id]
            self._gates.unregister(channel_id)
            self._ports.handlers.emit("channel_unregistered", channel_id=channel_id)
        return channel

    async def start_all(self) -> None:
        """Start what is registered; one that fails does not keep the others from it."""
        for target in list(self._ports.channels.values()):
            await self._start(target)

    async def _start(self, target: Target) -> None:
        if target.started:
            return
        try:
            with inside(self._ports.kit, "channel"):
                await target.channel.start(self._kit)
        except Exception as error:
            log.exception("channel %r did not start", target.channel_id)
            self._ports.handlers.emit(
                "channel_start_failed", channel_id=target.channel_id, data={"error": f"{type(error).__name__}: {error}"}
            )
        finally:
            target.started = True  # once; what does not start says so
            if target.starting is not None:
                target.starting.set()
        gate = self._gates.get(target.channel_id)
        if gate is not None and gate.asks_ready:
            with inside(self._ports.kit, "channel"):
                await gate.ask_ready(PATIENCE)  # it stays closed until the first yes
        self._runners.look(target)  # rows of an earlier life of the channel may be due

    async def close_all(self) -> list[Exception]:
        """Close every channel; what fails does not keep the others from it."""
        failures: list[Exception] = []
        for channel in list(self.by_id.values()):
            try:
                with inside(self._ports.kit, "channel"):
                    await channel.close()
            except Exception as error:
                log.exception("channel %r did not close", channel.channel_id)
                failures.append(error)
        return failures

    def connect(
        self, channel_id: str, connection_id: str, send_fn: Any, stream_send_fn: Any, room_id: str | None
    ) -> None:
        """Register a client connection with a channel that has connections."""
        channel = self.by_id.get(channel_id)
        register = getattr(channel, "register_connection", None)
        if register is None:
            raise ChannelNotRegisteredError(f"no channel {channel_id!r} that takes connections is registered")
        register(connection_id, send_fn, stream_send_fn=stream_send_fn, room_id=room_id)
        self._ports.handlers.emit(
            "channel_connected", channel_id=channel_id, room_id=room_id, data={"connection_id": connection_id}
        )

    def disconnect(self, channel_id: str, connection_id: str) -> None:
        """Forget a client connection; unknown ones are no error."""
        unregister = getattr(self.by_id.get(channel_id), "unregister_connection", None)
        if unregister is not None:
            unregister(connection_id)
        self._ports.handlers.emit("channel_disconnected", channel_id=channel_id, data={"connection_id": connection_id})
