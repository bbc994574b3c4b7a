"""How long a row lives, and how long a takeover of it waits: pinned when the row is born. Pure."""

from __future__ import annotations

from typing import Any

from roomkit_core.engine.pure.verdicts import quiet_seconds
from roomkit_core.models.work import WorkKind

DAY = 86_400.0

_SECONDS = {
    WorkKind.ASK: DAY,  # an agent that is down for longer is not asked about yesterday
    WorkKind.HOOK: 7 * DAY,  # a program may be deployed without a hook, and with it again
    WorkKind.SCHEDULED: 7 * DAY,
    WorkKind.DELIVERY: DAY,  # of a channel that is not registered here; a registered one says it itself
}
_FOR_EVER = 36_500 * DAY


def lifetime(kind: WorkKind, target: Any) -> int:
    """Microseconds after which a row ends as expired, from its birth or from when it is first due.

    Args:
        kind: What the row asks for.
        target: The registered channel of a delivery or an ask; anything else, or None, where there is none.
    """
    seconds = _SECONDS.get(kind, _FOR_EVER)
    channel = getattr(target, "channel", None)
    if kind is WorkKind.DELIVERY and channel is not None:
        seconds = channel.delivery_lifetime
    return round(seconds * 1_000_000)


def quiet(kind: WorkKind, target: Any) -> int:
    """Microseconds for which a takeover waits after the lease has ended, see :attr:`WorkRow.quiet`."""
    channel = getattr(target, "channel", None)
    if kind is not WorkKind.DELIVERY or channel is None:
        return 0
    return round(quiet_seconds(channel) * 1_000_000)
