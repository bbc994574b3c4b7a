"""What stands between the kit and a provider: a limiter that keeps to its rate, a breaker that lets it recover."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable

from roomkit_core.models.channel import RateLimit
from roomkit_core.models.enums import BreakerState


class RateLimiter(ABC):
    """Counts messages by key: a channel, a binding, a sender.

    All windows of a limit that are set apply at once; a limit without any lets everything through. An implementation
    that counts for one process only says so.
    """

    @abstractmethod
    def acquire(self, key: Hashable, limit: RateLimit) -> bool:
        """Take a token if there is one now and nobody waits for it; never blocks."""

    @abstractmethod
    def delay(self, key: Hashable, limit: RateLimit) -> float:
        """Seconds until there is a token, 0.0 if there is one now. Takes none and promises none."""

    @abstractmethod
    async def wait(self, key: Hashable, limit: RateLimit) -> None:
        """Take a token as soon as there is one. Those who wait are served in the order in which they came.

        Does not suspend where a token is there. A cancelled wait takes nothing.
        """

    @abstractmethod
    def give_back(self, key: Hashable, taken_at: float) -> None:
        """Return a token that was not used.

        The bucket may have filled up meanwhile, and what it could not hold is not returned: giving back never lets more
        through than if the token had not been taken.

        Args:
            key: As it was taken.
            taken_at: A moment of the clock's ``monotonic()`` not after the token was taken, in seconds.
        """


class Breaker(ABC):
    """Stops calls to a provider that keeps failing, and finds out with one probe at a time when it works again.

    **Closed**: calls go through and consecutive failures are counted. **Open**: none goes through for a while.
    **Half-open**: exactly one call, the probe, goes through; its success closes the breaker, its failure opens it.

    Each allowed call has a *ticket*, and ends with exactly one of :meth:`record_success`, :meth:`record_failure` and
    :meth:`release`. What is said about a ticket of an earlier state is ignored: a late success does not close an open
    breaker and a late failure does not open a closed one.

    What to record is decided by the class of the failure. A provider that cannot be reached, does not answer, or says
    that it is overloaded has failed. One that says no to *this* message or recipient works, and says nothing about the
    next one: that is a release (T17).
    """

    @property
    @abstractmethod
    def state(self) -> BreakerState:
        """Closed, open or half-open; an open breaker becomes half-open by time alone."""

    @property
    def is_closed(self) -> bool:
        """Whether every call goes through."""
        return self.state is BreakerState.CLOSED

    @property
    def is_open(self) -> bool:
        """Whether no call goes through."""
        return self.state is BreakerState.OPEN

    @property
    def is_half_open(self) -> bool:
        """Whether one probe at a time goes through; it may be under way."""
        return self.state is BreakerState.HALF_OPEN

    @property
    @abstractmethod
    def failures(self) -> int:
        """How many calls in a row have failed; a release neither adds to them nor ends them."""

    @property
    @abstractmethod
    def opens_at(self) -> float | None:
        """The moment of ``monotonic()`` from which a call is allowed, maybe past; None while a probe is out."""

    @abstractmethod
    def allow_request(self) -> int:
        """A ticket for one call, above 0; or 0 if there must be no call."""

    @abstractmethod
    def record_success(self, ticket: int | None = None) -> None:
        """The provider took a call. Without a ticket: one that was allowed in the present state."""

    @abstractmethod
    def record_failure(self, ticket: int | None = None) -> None:
        """The provider failed. Without a ticket: a call that was allowed in the present state."""

    @abstractmethod
    def release(self, ticket: int) -> None:
        """The call was not made, was cancelled, or tells nothing about the provider; a probe's place is free again."""

    @abstractmethod
    def reset(self) -> None:
        """Close the breaker and forget its failures; what a call from before a closing reports is ignored."""


OnStateChange = Callable[[BreakerState], None]
"""Told after a breaker took another state; must not raise."""
