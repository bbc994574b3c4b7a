"""Work rows: the pieces of work that a store remembers until they have an outcome (PROTOCOL 1)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

PackedLoss = tuple[str, str, str, str]
"""(path, kind, outcome, note): what a row has of a :class:`~roomkit_core.models.delivery.Loss`."""


class WorkKind(StrEnum):
    """What a row asks for."""

    INBOUND = "inbound"
    DELIVERY = "delivery"
    ASK = "ask"
    HOOK = "hook"
    TIMER = "timer"
    SCHEDULED = "scheduled"
    TASK = "task"


class WorkState(StrEnum):
    """Where a row stands; ``PENDING``, ``IN_FLIGHT`` and ``UNKNOWN`` are open, all others final and never change."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    UNKNOWN = "unknown"
    DONE = "done"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    SENT = "sent"
    PARTIAL = "partial"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    FAILED = "failed"
    DEAD = "dead"
    ANSWERED = "answered"


OPEN_STATES = frozenset({WorkState.PENDING, WorkState.IN_FLIGHT, WorkState.UNKNOWN})


class WorkRow(NamedTuple):
    """One piece of work. Times are integer microseconds since 1970 by the store's clock.

    ``lane`` is ``()`` for work without order. ``seq`` is the row's place in its lane, given by the store. ``token``
    grows with each claim and names one tenure of one worker. ``due`` is None for a row that is queued behind another
    one of its lane. ``payload`` is pinned: what was rendered, or what is needed to do the work, as strings and tuples
    of strings. ``quiet`` is how many microseconds after the end of a lease a request of its holder may still land at
    the provider: a takeover waits for it. It is pinned at birth and 0 where waiting changes nothing.
    ``loss`` tells what became of each piece of the content, pinned with the payload: (path, kind, outcome, note), or
    nothing where the channel carries all of it.
    """

    id: str
    kind: WorkKind
    channel_id: str
    lane: tuple[str, ...]
    room_id: str | None
    event_id: str | None
    payload: tuple[Any, ...] = ()
    route: str | None = None
    provider_key: str = ""
    correlation_id: str | None = None
    state: WorkState = WorkState.PENDING
    seq: int = 0
    owner: str | None = None
    token: int = 0
    lease_until: int | None = None
    attempts: int = 0
    takeovers: int = 0
    maybe_sent: bool = False
    due: int | None = None
    expires_at: int | None = None
    parts_done: int = 0
    cancel: bool = False
    code: str | None = None
    reason: str | None = None
    provider_ids: tuple[str, ...] = ()
    receipt_rank: str = "none"
    retry_of: str | None = None
    key: tuple[str, str, str] | None = None
    created_at: int = 0
    settled_at: int | None = None
    quiet: int = 0
    receipt_at: int | None = None
    loss: tuple[PackedLoss, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the work still has to be done or its outcome is unknown."""
        return self.state in OPEN_STATES


class Outcome(NamedTuple):
    """What a holder reports about its row (PROTOCOL 2, transition 7).

    A final ``state`` ends the row. ``PENDING`` with a ``due`` asks for another attempt, ``UNKNOWN`` says that nobody
    knows (and marks ``maybe_sent``). ``untouched`` hands the row back as it was, without counting the attempt; a
    ``code`` beside it says what it waits for. ``retry_after`` are the seconds that the provider asked for.
    """

    state: WorkState
    code: str | None = None
    reason: str | None = None
    provider_ids: tuple[str, ...] = ()
    untouched: bool = False
    retry_after: float | None = None


class Attempt(NamedTuple):
    """One tenure of a row that did not bring it to a good end, kept for :meth:`ConversationStore.work_history`.

    Written by a settle that leaves the row open (untouched ones excepted) or ends it badly, and by a claim that takes
    the row over from a holder that never settled (``state`` IN_FLIGHT, no ``code``). Times are microseconds.
    """

    row_id: str
    token: int
    attempt: int
    owner: str | None
    ended_at: int
    state: WorkState
    code: str | None = None
    reason: str | None = None
    maybe_sent: bool = False


GOOD_ENDS = frozenset({WorkState.DONE, WorkState.SENT, WorkState.ANSWERED, WorkState.REFUSED})
"""Final states about which there is nothing to explain: a first attempt that ends so leaves no :class:`Attempt`."""
