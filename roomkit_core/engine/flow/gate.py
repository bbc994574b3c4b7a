"""The gate in front of one channel: whether one more of its rows may be claimed now, or when.

Whatever keeps a channel from working is waited for here, *before* the claim, where it holds no lease and spends no
attempt (PROTOCOL L9): a pause by the operator, a channel that is not ready, an open breaker, the provider's rate, and
runners that are all busy. Who gets through has a permit, and every permit is ended once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from roomkit_core.engine.flow.permit import Permit, Tokens
from roomkit_core.interfaces.channel import Channel
from roomkit_core.interfaces.resilience import Breaker
from roomkit_core.models.channel import RateLimit
from roomkit_core.models.enums import BreakerState

if TYPE_CHECKING:
    from roomkit_core.engine.flow.gates import Gates

log = logging.getLogger("roomkit.flow")

ROUNDING = 1e-6  # seconds: sums of floats are not exact


class Gate:
    """What stands between the rows of one channel and their claims. Synchronous; made and kept by :class:`Gates`.

    Attributes:
        channel: The registered channel, or the last one that was.
        is_registered: Whether there is one.
        running: How many permits are out.
        behind: Somebody was refused since a row was last let through, so rows may be waiting: what is born now has its
            place behind them. After a claim that found nothing, look again if this is True.
    """

    __slots__ = (
        "_asks_ready",
        "_clear",
        "_gates",
        "_is_being_asked",
        "_is_paused",
        "_is_ready",
        "_is_tripped",
        "_limit",
        "_why_not",
        "_woke",
        "behind",
        "breaker",
        "channel",
        "is_registered",
        "running",
    )

    def __init__(self, gates: Gates, channel: Channel) -> None:
        self._gates = gates
        self._is_paused = channel.channel_id in gates.paused
        self._is_tripped = False
        self._woke = False
        self.running = 0
        self.behind = False
        self.breaker: Breaker = gates.new_breaker(
            channel.failure_threshold, channel.recovery_timeout, on_state_change=self._breaker_changed
        )
        self.register(channel)

    # ------------------------------------------------------------------------------------------------ going through

    def take(self) -> Permit | None:
        """A permit for the next row of the channel, whichever that is; for the pump and the runners."""
        if self.running < self.channel.max_in_flight:
            ticket = self._clear
            permit = Permit(self, ticket) if ticket else self._take_slowly()
            if permit is not None:
                self.running += 1
                self.behind = self._woke = False
                return permit
        self.stand_behind()
        return None

    @property
    def is_shut(self) -> bool:
        """Whether a call whose permit was taken before must not be made any more: paused, not ready, breaker open."""
        return not self._clear and (self._is_paused or not self._is_ready or self.breaker.is_open)

    def stand_behind(self) -> None:
        """A row waits here; what is born from now on has its place behind it."""
        self.behind = True
        if not self._woke and self.running < self.channel.max_in_flight:
            self._woke = True
            self._gates.wake(self)

    @property
    def is_open(self) -> bool:
        """Whether a row that is just being committed would get through; it does not overtake those that wait here."""
        if self.behind or self.running >= self.channel.max_in_flight:
            return False
        if self._clear:
            return True
        opens_at = self.opens_at()
        return opens_at is not None and opens_at <= self._gates.clock.monotonic() + ROUNDING

    def opens_at(self) -> float | None:
        """The moment of ``monotonic()`` from which :meth:`take` can succeed, past or present if that is now.

        None if no moment but an event opens it: a resume, a channel that gets ready, a permit that ends. Nothing is
        promised: somebody else may be faster.
        """
        if self._is_paused or not self._is_ready or self.running >= self.channel.max_in_flight:
            return None
        opens_at = self.breaker.opens_at
        if self._limit is None or opens_at is None:
            return opens_at
        gates = self._gates
        return max(opens_at, gates.clock.monotonic() + gates.limiter.delay(self.channel.channel_id, self._limit))

    def _take_slowly(self) -> Permit | None:
        if self._is_paused or not self._is_ready:
            return None
        tokens: Tokens = ()
        if self._limit is not None:
            key = self.channel.channel_id
            tokens = ((key, self._gates.clock.monotonic()),)
            if not self._gates.limiter.acquire(key, self._limit):
                return None
        ticket = self.breaker.allow_request()
        if ticket:
            return Permit(self, ticket, tokens)
        self.give_back(tokens)
        return None

    # ------------------------------------------------------------------------------------------------ what permits use

    def take_of_binding(self, room_id: str, limit: RateLimit) -> tuple[float, Tokens]:
        """The delay of a binding's own limit, and the token if there is none."""
        key = (self.channel.channel_id, room_id)
        taken_at = self._gates.clock.monotonic()
        if self._gates.limiter.acquire(key, limit):
            return 0.0, ((key, taken_at),)
        return self._gates.limiter.delay(key, limit), ()

    def give_back(self, tokens: Tokens) -> None:
        """Return tokens that were taken and not used."""
        for key, taken_at in tokens:
            self._gates.limiter.give_back(key, taken_at)

    def release(self, ticket: int) -> None:
        """A call ended without a word about the provider; if it was the probe, the next one may be."""
        if not self._clear:
            self.breaker.release(ticket)
            self.forget_if_gone()
        self._wake_if_behind()

    def forget_if_gone(self) -> None:
        """After the end of a permit: the channel may have been unregistered meanwhile."""
        if not self.is_registered:
            self._gates.forget(self)

    # ------------------------------------------------------------------------------------------------ opening, closing

    def register(self, channel: Channel) -> None:
        """This is the channel now. Pause and breaker stay as they are (T17)."""
        self.channel = channel
        self.is_registered = True
        self._limit = channel.rate_limit
        self._asks_ready = type(channel).ready is not Channel.ready
        self._is_being_asked = False
        self._is_ready = not self._asks_ready
        self._why_not: str | None = None  # nobody asked yet
        self._refresh()
        if self._is_ready:
            self._wake_if_behind()

    def unregister(self) -> None:
        """There is no channel any more; nothing gets through."""
        self.is_registered = False
        self._is_ready = False
        self._refresh()

    @property
    def is_plain(self) -> bool:
        """Whether nothing would be lost if this gate were made anew."""
        return not (self.running or self._is_paused or self.breaker.failures) and self.breaker.is_closed

    @property
    def is_paused(self) -> bool:
        """Whether an operator paused the channel."""
        return self._is_paused

    @property
    def is_ready(self) -> bool:
        """Whether the channel was ready when it was last asked."""
        return self._is_ready

    def pause(self) -> None:
        """Let nothing through until :meth:`resume`; what is under way goes on."""
        self._is_paused = True
        self._refresh()

    def resume(self) -> None:
        """Take a pause back."""
        self._is_paused = False
        self._refresh()
        self._wake_if_behind()

    def set_ready(self, is_ready: bool) -> None:
        """The channel is, or is not, able to work; what is said again changes nothing."""
        if is_ready is not self._is_ready:
            self._is_ready = is_ready
            self._refresh()
            if is_ready:
                self._wake_if_behind()

    async def ask_ready(self, patience: float) -> None:
        """Ask the channel whether it is ready, for at most ``patience`` seconds; a raise and a silence are a no."""
        channel = self.channel
        why_not = f"no answer within {patience:g} s"
        self._is_being_asked = True
        try:
            with anyio.move_on_after(patience):
                why_not = "" if await channel.ready() else "it says so"
        except Exception as error:
            why_not = f"{type(error).__name__}: {error}"
        finally:
            if self.channel is channel:
                self._is_being_asked = False
        if not self.is_registered or self.channel is not channel:
            return
        if why_not != self._why_not:  # a change is logged, not every poll
            self._why_not = why_not
            if why_not:
                log.warning("channel %r is not ready: %s", channel.channel_id, why_not)
            else:
                log.info("channel %r is ready", channel.channel_id)
        self.set_ready(not why_not)

    @property
    def obstacle(self) -> str | None:
        """What keeps the next row of the channel waiting, as a code for ``why``; None if nothing does."""
        if self._is_paused:
            return "waits.paused"
        if not self._is_ready:
            return "waits.not_ready" if self.is_registered else "waits.not_registered"
        if self.running >= self.channel.max_in_flight:
            return "waits.busy"
        now = self._gates.clock.monotonic() + ROUNDING
        if self.breaker.opens_at is None or self.breaker.opens_at > now:
            return "waits.breaker"
        opens_at = self.opens_at()
        return "waits.rate" if opens_at is None or opens_at > now else None

    @property
    def asks_ready(self) -> bool:
        """Whether it makes sense to ask the channel now."""
        return self.is_registered and self._asks_ready and not self._is_being_asked

    def _refresh(self) -> None:
        """Work out whether anything can stand in the way: the ticket of the undisturbed channel, or 0."""
        is_clear = self._is_ready and not self._is_paused and self._limit is None and self.breaker.is_closed
        self._clear = self.breaker.allow_request() if is_clear else 0

    def _breaker_changed(self, state: BreakerState) -> None:
        self._refresh()
        if state is BreakerState.OPEN and not self._is_tripped:
            self._is_tripped = True
            self._gates.tell("circuit_breaker_opened", self)
        elif state is BreakerState.CLOSED:
            self._is_tripped = False
            self._gates.tell("circuit_breaker_closed", self)
        self._wake_if_behind()

    def _wake_if_behind(self) -> None:
        if self.behind:
            self._gates.wake(self)
