"""Deliveries: what a channel is asked to send, what it answers, and what the caller is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from roomkit_core.models.base import EMPTY, Base, Data, freeze
from roomkit_core.models.channel import ChannelBinding, ProviderResult, Route
from roomkit_core.models.enums import DeliveryState, ReceiptRank
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.time import Time
from roomkit_core.models.work import PackedLoss

if TYPE_CHECKING:
    from roomkit_core.models.context import RoomContext


class DeliveryError(Base):
    """Why a delivery is not through: a stable code, a reason for people, and whether trying again can help."""

    code: str
    message: str
    retryable: bool = True


class Loss(Base):
    """What became of one piece of content on its way to a channel: ``kept``, ``converted`` or ``dropped``."""

    path: str
    kind: str
    outcome: str = Field(pattern="^(kept|converted|dropped)$")
    note: str = ""


LossReport = Annotated[list[Loss], AfterValidator(freeze)]

NO_LOSS: list[Loss] = freeze([])


def unpack_loss(packed: tuple[PackedLoss, ...]) -> list[Loss]:
    """The report that a work row has."""
    if not packed:
        return NO_LOSS
    report: list[Loss] = freeze(
        [Loss(path=path, kind=kind, outcome=outcome, note=note) for path, kind, outcome, note in packed]
    )
    return report


@dataclass(frozen=True, slots=True)
class Rendering:
    """Content in the form in which a channel sends it: parts, each a call of its own, and what was lost."""

    parts: tuple[Any, ...]
    loss: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One call that brings an event, or one part of it, to one route of a channel.

    Attributes:
        id: The work row.
        key: Idempotency key for the provider: the id of the first row, the same on every attempt and retry.
        part_keys: The key of each part.
        attempt: 1 for the first; takeovers from a holder that never settled count.
        maybe_sent: An earlier attempt may have reached the recipient.
        route: Where to; None where the binding has no routes.
        deadline: Monotonic time of the event loop after which the call is given up, in seconds.
        parts: The contents of all calls, pinned when the event was committed.
        parts_done: How many parts are through: this call is about the next one, see :attr:`part`.
        event: The event as committed.
        binding: The channel's place in the room, as of now.
        context: The room as of now.
    """

    id: str
    key: str
    part_keys: tuple[str, ...]
    attempt: int
    maybe_sent: bool
    route: Route | None
    deadline: float
    parts: tuple[Any, ...]
    parts_done: int
    event: RoomEvent
    binding: ChannelBinding
    context: RoomContext

    @property
    def part(self) -> Any:
        """The content that this call sends."""
        return self.parts[self.parts_done]

    @property
    def part_key(self) -> str:
        """The idempotency key of this call."""
        return self.part_keys[self.parts_done]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A channel's answer to a delivery.

    ``state`` is SENT, PARTIAL, SUPPRESSED, FAILED or UNKNOWN. FAILED with a retryable error means "not now": the row
    stays pending. ``retry_after`` is in seconds. ``provider_ids`` are the provider's names of what was sent, for
    matching later status reports.
    """

    state: DeliveryState
    provider_ids: tuple[str, ...] = ()
    error: DeliveryError | None = None
    retry_after: float | None = None
    loss: tuple[Loss, ...] = ()

    @classmethod
    def sent(cls, *provider_ids: str) -> Receipt:
        """The provider took it."""
        return cls(DeliveryState.SENT, provider_ids)

    @classmethod
    def failed(cls, code: str, message: str, *, retryable: bool = False, retry_after: float | None = None) -> Receipt:
        """The provider certainly did not take it; ``retryable`` for "not now", with ``retry_after`` in seconds."""
        return cls(
            DeliveryState.FAILED, (), DeliveryError(code=code, message=message, retryable=retryable), retry_after
        )

    @classmethod
    def unknown(cls, code: str, message: str) -> Receipt:
        """Nobody knows whether the provider took it."""
        return cls(DeliveryState.UNKNOWN, (), DeliveryError(code=code, message=message, retryable=True))


_SENT = frozenset({DeliveryState.SENT, DeliveryState.PARTIAL, DeliveryState.LIVE})
_FAILED = frozenset({DeliveryState.FAILED, DeliveryState.DEAD, DeliveryState.EXPIRED, DeliveryState.SUPPRESSED})


class DeliveryResult(Base):
    """How far the delivery to one channel got when the call returned.

    ``state`` is the worst of the channel's routes, which stand one by one in ``routes`` where there is more than one.
    ``clients`` is how many connected clients of a live channel were told, also 0. ``loss`` says what became of each
    piece of the content, where the channel does not carry all of it.
    """

    channel_id: str
    state: DeliveryState
    delivery_id: str | None = None
    maybe_sent: bool = False
    receipt_rank: ReceiptRank = ReceiptRank.NONE
    provider_message_id: str | None = None
    error: DeliveryError | None = None
    retry_after: float | None = None
    clients: int | None = None
    provider_result: ProviderResult | None = None
    loss: LossReport = NO_LOSS
    routes: Annotated[dict[str, DeliveryResult], AfterValidator(freeze)] = EMPTY

    @property
    def status(self) -> str:
        """``sent``, ``queued`` or ``failed``."""
        if self.state in _SENT:
            return "sent"
        return "failed" if self.state in _FAILED else "queued"

    @property
    def success(self) -> bool:
        """Whether it went out: a ``sent``, or a hint to at least one live client."""
        return self.state in _SENT and self.clients != 0


def _iso_or_aware(moment: Any) -> Any:
    """A number says nothing about its unit: providers report seconds, milliseconds, and strings of both."""
    if isinstance(moment, str):
        return datetime.fromisoformat(moment)
    if moment is None or isinstance(moment, datetime):
        return moment
    raise ValueError(f"a timestamp is an aware datetime or an ISO 8601 string, not {type(moment).__name__}")


class DeliveryStatus(Base):
    """A provider's later report about a message that it took."""

    room_id: str | None = None
    channel_id: str | None = None
    provider: str
    message_id: str
    status: str
    recipient: str = ""
    sender: str = ""
    error_code: str | None = None
    error_message: str | None = None
    timestamp: Annotated[Time | None, BeforeValidator(_iso_or_aware)] = None
    raw: Data = EMPTY


__all__ = [
    "Delivery",
    "DeliveryError",
    "DeliveryResult",
    "DeliveryStatus",
    "Loss",
    "LossReport",
    "ProviderResult",
    "Receipt",
    "Rendering",
]
