"""The journal: messages that are accepted first and worked on after, in the order of their conversation.

``accept_inbound`` writes the message down and returns; a webhook can answer then. From there the message takes the way
of every other one, and the commit that ends it discharges its row, whatever the verdict. What ends for a passing reason
is tried again, and what never ends is quarantined; its conversation goes on.
"""

from __future__ import annotations

import logging
from random import random

from roomkit_core.background import is_stray
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.flow.work import HANDED_BACK, Handler, Verdict, Work
from roomkit_core.engine.pure.backoff import retry_delay
from roomkit_core.engine.pure.verdicts import MAX_TAKEOVERS
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.steps.accepting import accept
from roomkit_core.engine.steps.inbound import TIMEOUT, Inbound
from roomkit_core.engine.steps.passage import begin, enter
from roomkit_core.errors import RoomKitError, StaleLeaseError
from roomkit_core.models.changes import KeyResult
from roomkit_core.models.message import Accepted, InboundMessage
from roomkit_core.models.work import Outcome, WorkRow, WorkState

log = logging.getLogger("roomkit.journal")

MAX_ATTEMPTS = 8
"""So many tries that end with an error or for a passing reason, over some five minutes; then it is quarantined."""


class Journal(Handler):
    """Accepts messages, and is the handler of their rows.

    Args:
        ports: The surroundings.
        runners: Take accepted messages, and what their commits owe.
    """

    def __init__(self, ports: Ports, runners: Runners) -> None:
        self._ports = ports
        self._runners = runners

    async def accept(self, message: InboundMessage, room_id: str | None = None) -> Accepted:
        """Write a message into the journal; see :func:`accept`."""
        enter(self._ports)
        await begin(self._ports)
        return await accept(self._ports, self._runners, message, room_id)

    async def work(self, work: Work) -> Verdict | None:
        """Bring the message in."""
        row = work.row
        try:
            message = InboundMessage.model_validate_json(row.payload[0])
        except ValueError as error:  # it says what a plugin that is gone, or another release, could read
            log.warning("journaled message %s cannot be read", row.id, exc_info=error)
            return _again(row, "message.unreadable", f"{type(error).__name__}: {error}")
        room_id = row.payload[1] if len(row.payload) > 1 else None
        wait = 0.0 if self._ports.intake is None else self._ports.intake.admit(message)
        if wait:  # delayed, never refused (PROTOCOL L9)
            return HANDED_BACK._replace(due_in=wait)
        passage = Inbound(self._ports, self._runners, message, room_id, "committed", claim=work.hold)
        try:
            result = await passage.go()
        except StaleLeaseError:
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and not is_stray(error):
                raise
            log.warning("journaled message %s failed", row.id, exc_info=error)
            code = error.code if isinstance(error, RoomKitError) else "message.failed"
            return _again(row, code, f"{type(error).__name__}: {error}")
        if result.reason == TIMEOUT and result.event is None:
            return _again(row, TIMEOUT, f"it was not committed within {self._ports.process_timeout:g} s")
        return None if passage.known is None else Verdict(end_of(passage.known))

    async def settled(self, work: Work, verdict: Verdict) -> None:
        """Tell the handlers about a message that is not worked on any more."""
        row, outcome = work.row, verdict.outcome
        if outcome.state is WorkState.QUARANTINED:
            data = {"id": row.id, "code": outcome.code, "error": outcome.reason}
            self._ports.handlers.emit("message_quarantined", channel_id=row.channel_id, data=data)


def end_of(result: KeyResult) -> Outcome:
    """How the row of a message ends about which this was decided."""
    if result.blocked:
        return Outcome(WorkState.REFUSED, "message.refused", result.reason)
    return Outcome(WorkState.DONE)


def _again(row: WorkRow, code: str, reason: str) -> Verdict:
    if row.attempts >= MAX_ATTEMPTS or row.takeovers >= MAX_TAKEOVERS:
        what = f"{row.attempts} attempts and {row.takeovers} lost holders; last: {reason}"
        return Verdict(Outcome(WorkState.QUARANTINED, code, what))
    return Verdict(Outcome(WorkState.PENDING, code, reason), retry_delay(max(1, row.attempts), random=random))
