"""What has come through the gate of a channel: the right to claim one row of it and to work on it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from roomkit_core.models.channel import RateLimit

if TYPE_CHECKING:
    from roomkit_core.engine.flow.gate import Gate

Tokens = tuple[tuple[Hashable, float], ...]
"""Keys of a limiter, each with a moment not after its token was taken."""


class Permit:
    """One row of the channel may be claimed and worked on.

    Its end says what became of that: :meth:`give_back`, :meth:`succeeded`, :meth:`failed` or :meth:`abandon`. The first
    end counts and later ones do nothing, so that a ``finally`` can abandon what nothing else has ended.
    """

    __slots__ = ("_gate", "_ticket", "_tokens")

    def __init__(self, gate: Gate, ticket: int, tokens: Tokens = ()) -> None:
        self._gate = gate
        self._ticket = ticket
        self._tokens = tokens

    def admit(self, room_id: str, limit: RateLimit | None) -> float:
        """Count the row for the limit of its binding, which nobody knows before the claim.

        Args:
            room_id: The room of the binding.
            limit: Its own limit, counted for this channel in this room.

        Returns:
            0.0 if it may go on; else the seconds for which to hand the row back, untouched.
        """
        if limit is None:
            return 0.0
        delay, token = self._gate.take_of_binding(room_id, limit)
        self._tokens += token
        return delay

    def give_back(self) -> None:
        """No call was made: the claim did not happen, or the row was handed back untouched."""
        if ticket := self._end():
            self._gate.give_back(self._tokens)
            self._gate.release(ticket)

    def succeeded(self) -> None:
        """The provider took it."""
        if ticket := self._end():
            self._gate.breaker.record_success(ticket)
            self._gate.forget_if_gone()

    def failed(self, *, retryable: bool) -> None:
        """The provider did not take it, or nobody knows.

        Args:
            retryable: The fault is the provider's or the connection's: it does not answer, is overloaded, or its answer
                was lost. False for a no to this one message or recipient, which says nothing about others (T17).
        """
        if ticket := self._end():
            if retryable:
                self._gate.breaker.record_failure(ticket)
                self._gate.forget_if_gone()
            else:
                self._gate.release(ticket)

    def abandon(self) -> None:
        """The call was cut off on our side: its token is spent, and it says nothing about the provider."""
        if ticket := self._end():
            self._gate.release(ticket)

    def _end(self) -> int:
        ticket, self._ticket = self._ticket, 0
        if ticket:
            self._gate.running -= 1
        return ticket
