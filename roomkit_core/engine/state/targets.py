"""A registered channel, with what the engine asks about it on every message."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import anyio

from roomkit_core.background import Bounds
from roomkit_core.engine.state.pools import MARGIN, Permit, Pool
from roomkit_core.interfaces.channel import Channel, source_from_message
from roomkit_core.models.base import EMPTY, build
from roomkit_core.models.delivery import DeliveryError, DeliveryResult, unpack_loss
from roomkit_core.models.enums import DeliveryState, ReceiptRank
from roomkit_core.models.event import EventSource
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.work import PackedLoss, WorkKind

MAX_SOURCES = 1024

KINDS = (WorkKind.DELIVERY, WorkKind.ASK)

Drain = Callable[[Bounds | None], Coroutine[Any, Any, None] | None]


class Gate(Protocol):
    """What stands between the rows of a channel and their claims: pause, readiness, breaker, rate (PROTOCOL L9)."""

    running: int

    @property
    def is_open(self) -> bool:
        """Whether a row that is born now would get through."""
        ...

    @property
    def is_shut(self) -> bool:
        """Whether a call whose permit was taken before must not be made any more."""
        ...

    def take(self) -> Permit | None:
        """A permit for the next row, whichever that is."""
        ...

    def stand_behind(self) -> None:
        """A row waits here."""
        ...


class Target(Pool):
    """One channel of the kit, and the pool of its deliveries and asks.

    Args:
        channel: The channel.
        lease: Seconds for which claims hold at least; calls that may take longer get a longer one.
        gate: What has to be open before one of its rows is claimed.

    Attributes:
        gate: As given.
        channel: The channel.
        is_live: Nothing is owed to it; it gets hints.
        translates_plainly: Its class leaves the translation of messages to the default.
        is_asked: Its class answers events, whatever it is bound as.
        on_hint: The channel's own.
        drain: The channel's ``drain``, or its ``drain_within`` for bounds that the caller lends.
        live_results: Number of clients that were told to the result that says so.
        started: Whether :meth:`Channel.start` has returned, or failed.
        starting: Set when it has, for what was born while it ran; None where nobody can have to wait.
    """

    __slots__ = (
        "_sources",
        "channel",
        "channel_id",
        "drain",
        "gate",
        "is_asked",
        "is_live",
        "live_results",
        "on_hint",
        "started",
        "starting",
        "translates_plainly",
    )

    def __init__(self, channel: Channel, lease: float, gate: Gate) -> None:
        name, ids = f"channel {channel.channel_id!r}", (channel.channel_id,)
        lease = max(lease, channel.send_timeout + 2 * MARGIN)
        super().__init__(name, KINDS, channel.max_in_flight, lease, lambda: ids)
        self.gate = gate
        self.channel = channel
        self.channel_id = channel.channel_id
        self.is_live = channel.live
        self.translates_plainly = type(channel).handle_inbound is Channel.handle_inbound
        self.is_asked = type(channel).on_event is not Channel.on_event
        self.started = False
        self.starting: anyio.Event | None = None
        self.on_hint = channel.on_hint
        self.drain = _drain_of(channel)
        self.live_results = LiveResults(channel.channel_id)
        self._sources: dict[str, EventSource] = {}

    @property
    def free(self) -> int:
        """How many more rows of it could start now, as far as its limit goes."""
        return self.limit - self.gate.running

    @property
    def is_shut(self) -> bool:
        """As in the base class."""
        return self.gate.is_shut

    def take_at_birth(self) -> Permit | None:
        """As in the base class: nothing overtakes what waits at the gate."""
        return self.gate.take() if self.gate.is_open else None

    def stand_behind(self) -> None:
        """As in the base class."""
        self.gate.stand_behind()

    def take(self) -> Permit | None:
        """A permit of the gate for one row."""
        return self.gate.take()

    def source_of(self, message: InboundMessage) -> EventSource:
        """The source of a message; the same object for a sender's messages that say nothing else about it."""
        if message.raw_payload or message.external_id is not None or message.provider_message_id is not None:
            return source_from_message(self.channel, message)
        source = self._sources.get(message.sender_id)
        if source is None:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.clear()
            source = self._sources[message.sender_id] = source_from_message(self.channel, message)
        return source


def _drain_of(channel: Channel) -> Drain:
    """``drain_within`` of a channel that has it, unless a subclass of that channel overrides ``drain`` alone."""
    for cls in type(channel).__mro__:
        if "drain_within" in vars(cls):
            lending: Drain = getattr(channel, "drain_within")  # noqa: B009 (no channel has to have it)
            return lending
        if "drain" in vars(cls):
            break
    return lambda bounds: channel.drain()


class Targets(dict[str, Target]):
    """The registered channels by id.

    Attributes:
        generation: Changes whenever a channel comes or goes, so that what was found out about them can be kept.
    """

    __slots__ = ("generation",)

    def __init__(self) -> None:
        super().__init__()
        self.generation = object()

    def __setitem__(self, channel_id: str, target: Target) -> None:
        super().__setitem__(channel_id, target)
        self.generation = object()

    def __delitem__(self, channel_id: str) -> None:
        super().__delitem__(channel_id)
        self.generation = object()


class LiveResults(dict[int, DeliveryResult]):
    """``live(n)`` of one channel, made once for each number of clients."""

    def __init__(self, channel_id: str) -> None:
        super().__init__()
        self._channel_id = channel_id

    def __missing__(self, clients: int) -> DeliveryResult:
        result = self[clients] = delivery_result(self._channel_id, DeliveryState.LIVE, clients=clients)
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
    loss: tuple[PackedLoss, ...] = (),
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
            "loss": unpack_loss(loss),
            "routes": EMPTY,
        },
    )
