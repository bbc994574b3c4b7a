"""A circuit breaker for one provider, in the memory of one process."""

from __future__ import annotations

from math import inf

from roomkit_core.builtin.clock import SystemClock
from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.resilience import Breaker, OnStateChange
from roomkit_core.models.enums import BreakerState


class CircuitBreaker(Breaker):
    """Opens after a number of consecutive failures, and lets one probe through when the recovery time is over.

    Args:
        failure_threshold: How many failures in a row open it, at least 1.
        recovery_timeout: Seconds from the opening until a probe is allowed, 0 or more; again after each failed probe.
        clock: Where the time comes from; the machine's when omitted.
        on_state_change: Told the new state: ``OPEN``, ``HALF_OPEN`` when a probe starts, ``CLOSED``. Must not raise.

    Raises:
        ValueError: A number is out of its range.
    """

    def __init__(
        self,
        failure_threshold: int = 5,
        recovery_timeout: float = 60.0,
        *,
        clock: Clock | None = None,
        on_state_change: OnStateChange | None = None,
    ) -> None:
        if failure_threshold < 1:
            raise ValueError(f"failure_threshold must be at least 1, not {failure_threshold}")
        if not 0 <= recovery_timeout < inf:
            raise ValueError(f"recovery_timeout must be 0 or more seconds, not {recovery_timeout}")
        self._threshold = failure_threshold
        self._recovery_timeout = recovery_timeout
        self._clock = clock or SystemClock()
        self._on_state_change = on_state_change
        # What was last told. An open breaker whose time is over stays OPEN here until somebody asks for the probe.
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._opens_at = -inf
        # Counts states, and is the ticket of the calls that are allowed in the present one.
        self._era = 1

    @property
    def state(self) -> BreakerState:
        if self._state is BreakerState.OPEN and self._clock.monotonic() >= self._opens_at:
            return BreakerState.HALF_OPEN
        return self._state

    @property
    def failures(self) -> int:
        return self._failures

    @property
    def opens_at(self) -> float | None:
        return None if self._state is BreakerState.HALF_OPEN else self._opens_at

    def allow_request(self) -> int:
        if self._state is BreakerState.CLOSED:
            return self._era
        if self._state is BreakerState.HALF_OPEN or self._clock.monotonic() < self._opens_at:
            return 0
        self._era += 1
        self._enter(BreakerState.HALF_OPEN)
        return self._era

    def record_success(self, ticket: int | None = None) -> None:
        if ticket not in (None, self._era) or self._state is BreakerState.OPEN:
            return
        self._failures = 0
        if self._state is BreakerState.HALF_OPEN:
            self._close()

    def record_failure(self, ticket: int | None = None) -> None:
        if ticket not in (None, self._era) or self._state is BreakerState.OPEN:
            return
        self._failures += 1
        if self._state is BreakerState.HALF_OPEN or self._failures >= self._threshold:
            self._opens_at = self._clock.monotonic() + self._recovery_timeout
            self._era += 1
            self._enter(BreakerState.OPEN)

    def release(self, ticket: int) -> None:
        if ticket == self._era and self._state is BreakerState.HALF_OPEN:
            # Not a change to tell about: it is half-open still, and the next probe gets a ticket of its own.
            self._state = BreakerState.OPEN

    def reset(self) -> None:
        self._failures = 0
        if self._state is not BreakerState.CLOSED:
            self._close()

    def _close(self) -> None:
        self._opens_at = -inf
        self._era += 1
        self._enter(BreakerState.CLOSED)

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        if self._on_state_change is not None:
            self._on_state_change(state)
