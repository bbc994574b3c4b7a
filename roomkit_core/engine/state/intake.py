"""How many messages come in: limits per channel and per sender, which refuse a direct call and delay the journal."""

from __future__ import annotations

from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.resilience import RateLimiter
from roomkit_core.models.channel import RateLimit
from roomkit_core.models.message import InboundMessage


class Intake:
    """The limits of one kit on messages that come in.

    Args:
        limiter: Counts.
        clock: Where the time comes from.
        per_channel: For all messages of one channel; None for no limit.
        per_sender: For the messages of one sender on one channel; None for no limit.
    """

    def __init__(
        self, limiter: RateLimiter, clock: Clock, per_channel: RateLimit | None, per_sender: RateLimit | None
    ) -> None:
        self._limiter = limiter
        self._clock = clock
        self._per_channel = per_channel
        self._per_sender = per_sender

    def admit(self, message: InboundMessage) -> float:
        """Count the message; 0.0 if it may come in, else the seconds until one may."""
        limiter, channel_id = self._limiter, message.channel_id
        began = self._clock.monotonic()
        sender = (channel_id, message.sender_id, "in")
        if self._per_sender is not None and not limiter.acquire(sender, self._per_sender):
            return max(limiter.delay(sender, self._per_sender), SOON)
        channel = (channel_id, "in")
        if self._per_channel is not None and not limiter.acquire(channel, self._per_channel):
            if self._per_sender is not None:
                limiter.give_back(sender, began)
            return max(limiter.delay(channel, self._per_channel), SOON)
        return 0.0


SOON = 0.01
"""Seconds to wait at least: a refusal is never "now"."""
