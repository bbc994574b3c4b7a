"""The gates of one kit, one for each channel, and what the pump asks about all of them at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import anyio

from roomkit_core.engine.flow.gate import Gate
from roomkit_core.interfaces.channel import Channel
from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.resilience import Breaker, OnStateChange, RateLimiter

log = logging.getLogger("roomkit.flow")

PATIENCE = 5.0  # seconds for one answer of Channel.ready


class NewBreaker(Protocol):
    """Makes the breaker of one channel."""

    def __call__(
        self, failure_threshold: int, recovery_timeout: float, *, on_state_change: OnStateChange
    ) -> Breaker: ...


class Gates:
    """All gates of one kit.

    Args:
        limiter: Counts for the limits of channels (key: channel id) and bindings (key: channel id and room id).
        new_breaker: Makes one breaker per channel; it is kept when the channel is registered anew.
        clock: Where the time comes from.
        emit: Told ``circuit_breaker_opened`` and ``circuit_breaker_closed`` with ``channel_id`` and ``data``.
        wake: Told a gate at which rows may be waiting, when it refused the first of them and whenever something other
            than time may have opened it since. Synchronous and cheap: the pump looks at :meth:`Gate.opens_at` later.

    Attributes:
        paused: The channels that are paused, whether they are registered or not.
        orders: How often that was said: what was read before the last order is out of date.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        new_breaker: NewBreaker,
        clock: Clock,
        *,
        emit: Callable[..., Any],
        wake: Callable[[Gate], object],
    ) -> None:
        self.limiter = limiter
        self.new_breaker = new_breaker
        self.clock = clock
        self.wake = wake
        self._emit = emit
        self._gates: dict[str, Gate] = {}
        self.paused: frozenset[str] = frozenset()
        self.orders = 0

    def set_paused(self, channel_ids: Iterable[str]) -> None:
        """These channels are paused and no others, also those that are registered later."""
        self.orders += 1
        self.paused = frozenset(channel_ids)
        for channel_id, gate in list(self._gates.items()):
            if gate.is_paused and channel_id not in self.paused:
                gate.resume()
            elif not gate.is_paused and channel_id in self.paused:
                gate.pause()

    def registered(self) -> list[Gate]:
        """The gates of registered channels."""
        return [gate for gate in self._gates.values() if gate.is_registered]

    def register(self, channel: Channel) -> Gate:
        """The gate of a channel; with pause and breaker of its predecessor, if there was one."""
        gate = self._gates.get(channel.channel_id)
        if gate is None:
            gate = self._gates[channel.channel_id] = Gate(self, channel)
        else:
            gate.register(channel)
        return gate

    def unregister(self, channel_id: str) -> None:
        """Close the gate. It is remembered for a successor as long as there is something to remember."""
        gate = self._gates.get(channel_id)
        if gate is not None:
            gate.unregister()
            self.forget(gate)

    def forget(self, gate: Gate) -> None:
        """Drop the gate of a channel that is gone, unless it knows something that a successor has to know."""
        if gate.is_plain and self._gates.get(gate.channel.channel_id) is gate:
            del self._gates[gate.channel.channel_id]

    def get(self, channel_id: str) -> Gate | None:
        """The gate of a registered channel."""
        gate = self._gates.get(channel_id)
        return gate if gate is not None and gate.is_registered else None

    def waiting(self) -> Iterator[Gate]:
        """The gates of registered channels at which rows may be waiting."""
        return (gate for gate in self._gates.values() if gate.behind and gate.is_registered)

    def next_opening(self) -> float | None:
        """The earliest moment of ``monotonic()`` at which one of those opens, or None if that takes an event."""
        moments = (gate.opens_at() for gate in self.waiting())
        return min((moment for moment in moments if moment is not None), default=None)

    async def ask_ready(self, patience: float = PATIENCE) -> None:
        """Ask every channel that has something to say about it whether it is ready, side by side.

        Args:
            patience: Seconds after which a silence is a no.
        """
        async with anyio.create_task_group() as group:
            for gate in self.to_ask():
                group.start_soon(gate.ask_ready, patience)

    def to_ask(self) -> list[Gate]:
        """The gates whose channels have something to say about whether they are ready, and are not being asked."""
        return [gate for gate in self._gates.values() if gate.asks_ready]

    def tell(self, event: str, gate: Gate) -> None:
        """A breaker opened or closed."""
        channel_id = gate.channel.channel_id
        log.warning("%s for channel %r", event.replace("_", " "), channel_id, extra={"channel_id": channel_id})
        self._emit(event, channel_id=channel_id, data={"failures": gate.breaker.failures})
