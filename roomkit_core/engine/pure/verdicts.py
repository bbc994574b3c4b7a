"""What a channel's answer means for its row: final, again at some time, or unknown. Pure.

Retries go by time and not by count: a row is tried until it expires, unless its binding brings a policy that counts
(PROTOCOL 2, transitions 7 and 8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from roomkit_core.engine.pure.backoff import retry_delay
from roomkit_core.models.channel import RetryPolicy
from roomkit_core.models.delivery import Receipt
from roomkit_core.models.enums import DeliveryState
from roomkit_core.models.work import Outcome, WorkKind, WorkRow, WorkState

MAX_TAKEOVERS = 10
"""After so many holders that never settled a row is given up; more than attempts, so that deploys do not end rows."""

_STATES = {
    DeliveryState.SENT: WorkState.SENT,
    DeliveryState.PARTIAL: WorkState.PARTIAL,
    DeliveryState.SUPPRESSED: WorkState.SUPPRESSED,
    DeliveryState.UNKNOWN: WorkState.UNKNOWN,
}


class Sender(Protocol):
    """What a channel says about its calls."""

    send_timeout: float
    quiet_time: float

    @property
    def guarantee(self) -> str:
        """What the provider can be trusted with."""
        ...


def give_up(row: WorkRow, now: int) -> Outcome | None:
    """Why a row of whatever kind that was just claimed is not worked on any more; None if it is.

    Looked at before the work, because what kills its holders never comes to an end that could be counted (PROTOCOL
    L13), and because a takeover is a new attempt, which a withdrawn row does not get.

    Args:
        row: The row.
        now: Microseconds.
    """
    if row.cancel:
        return Outcome(WorkState.SUPPRESSED, row.code, row.reason)
    last = f"; last: {row.reason}" if row.reason else ""
    if row.expires_at is not None and row.expires_at <= now:
        return Outcome(WorkState.EXPIRED, "expired", f"its time was over before it was done{last}")
    if row.takeovers > MAX_TAKEOVERS:
        state = WorkState.QUARANTINED if row.kind is WorkKind.INBOUND else WorkState.DEAD
        return Outcome(state, "work.takeovers", f"{row.takeovers} holders of it never came back{last}")
    return None


def spent(row: WorkRow, policy: RetryPolicy | None) -> Outcome | None:
    """Why a delivery is not tried again by the policy of its binding, if that has one; None if it is.

    Args:
        row: The row; ``attempts`` counts the present one.
        policy: The binding's.
    """
    if policy is None or row.attempts <= policy.max_retries + 1:
        return None
    last = f"; last: {row.reason}" if row.reason else ""
    return Outcome(WorkState.DEAD, "work.attempts", f"{row.attempts - 1} attempts were made{last}")


def part_outcome(receipt: Receipt, parts_done: int) -> Outcome:
    """What the answer to one part means."""
    error = receipt.error
    code = None if error is None else error.code
    reason = None if error is None else error.message
    if receipt.state is DeliveryState.FAILED:
        if error is not None and error.retryable:
            return Outcome(WorkState.PENDING, code, reason, retry_after=receipt.retry_after)
        if parts_done:
            what = f"{parts_done} parts were sent, the next one was refused: {reason or 'without a reason'}"
            return Outcome(WorkState.PARTIAL, code or "delivery.failed", what)
        return Outcome(WorkState.FAILED, code or "delivery.failed", reason)
    state = _STATES.get(receipt.state)
    if state is None:
        return Outcome(WorkState.UNKNOWN, "delivery.bad_receipt", f"the channel answered {receipt.state.value}")
    return Outcome(state, code, reason, receipt.provider_ids, retry_after=receipt.retry_after)


def due_in(
    outcome: Outcome,
    row: WorkRow,
    channel: Sender,
    policy: RetryPolicy | None,
    elapsed: float,
    random: Callable[[], float],
) -> float | None:
    """Seconds until a row is tried again; None for an outcome that is final.

    Args:
        outcome: Of this attempt.
        row: The row, as it was claimed.
        channel: The channel; what is unknown at a ``reconcilable`` one waits until no request can still land.
        policy: The binding's, if it has one.
        elapsed: Seconds since the call began.
        random: Gives numbers from 0 to 1 for the jitter.
    """
    if outcome.state not in (WorkState.PENDING, WorkState.UNKNOWN):
        return None
    tries = max(1, row.attempts + row.takeovers)
    if policy is None:
        delay = retry_delay(tries, retry_after=outcome.retry_after, random=random)
    else:
        delay = retry_delay(
            tries,
            base=policy.base_delay_seconds,
            ceiling=policy.max_delay_seconds,
            factor=policy.exponential_base,
            retry_after=outcome.retry_after,
            random=random,
        )
    if outcome.state is WorkState.UNKNOWN:
        delay = max(delay, quiet_seconds(channel) - elapsed)
    return delay


def quiet_seconds(channel: Sender) -> float:
    """How long after its beginning a call whose answer was lost may still land at the provider.

    0 where waiting changes nothing: only who can be asked may say "not there" too early (PROTOCOL L5).
    """
    return channel.send_timeout + channel.quiet_time if channel.guarantee == "reconcilable" else 0.0
