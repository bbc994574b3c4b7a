"""A registered channel, with what the engine asks about it on every message."""

from __future__ import annotations

from roomkit_core.interfaces.channel import Channel
from roomkit_core.models.base import EMPTY, build
from roomkit_core.models.delivery import DeliveryError, DeliveryResult
from roomkit_core.models.enums import DeliveryState, ReceiptRank


class Target:
    """One channel of the kit.

    Attributes:
        channel: The channel.
        is_live: Nothing is owed to it; it gets hints.
        translates_plainly: Its class leaves the translation of messages to the default.
        is_asked: Its class answers events, whatever it is bound as.
        running: How many of its rows are worked on.
        started: Whether :meth:`Channel.start` was called.
    """

    __slots__ = (
        "_live_results",
        "channel",
        "channel_id",
        "is_asked",
        "is_live",
        "running",
        "started",
        "translates_plainly",
    )

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.channel_id = channel.channel_id
        self.is_live = channel.live
        self.translates_plainly = type(channel).handle_inbound is Channel.handle_inbound
        self.is_asked = type(channel).on_event is not Channel.on_event
        self.running = 0
        self.started = False
        self._live_results: dict[int, DeliveryResult] = {}

    @property
    def free(self) -> int:
        """How many more rows of it could start now."""
        return self.channel.max_in_flight - self.running

    def live_result(self, clients: int) -> DeliveryResult:
        """``live(n)``; made once for each number."""
        result = self._live_results.get(clients)
        if result is None:
            result = self._live_results[clients] = delivery_result(self.channel_id, DeliveryState.LIVE, clients=clients)
        return result


def delivery_result(
    channel_id: str,
    state: DeliveryState,
    *,
    delivery_id: str | None = None,
    maybe_sent: bool = False,
    rank: ReceiptRank = ReceiptRank.NONE,
    provider_ids: tuple[str, ...] = (),
    error: DeliveryError | None = None,
    retry_after: float | None = None,
    clients: int | None = None,
) -> DeliveryResult:
    """A result from values that are valid already."""
    return build(
        DeliveryResult,
        {
            "channel_id": channel_id,
            "state": state,
            "delivery_id": delivery_id,
            "maybe_sent": maybe_sent,
            "receipt_rank": rank,
            "provider_message_id": provider_ids[0] if provider_ids else None,
            "error": error,
            "retry_after": retry_after,
            "clients": clients,
            "provider_result": None,
            "routes": EMPTY,
        },
    )
