"""Why a message was not let in, or not passed on: by whom, and what to do about it. Pure."""

from __future__ import annotations

from roomkit_core.engine.pure.explanations import EXPLANATIONS
from roomkit_core.engine.pure.facts import Facts
from roomkit_core.errors import Explanation
from roomkit_core.hooks.deciding import HOOK_ERROR
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.story import Trouble
from roomkit_core.models.work import WorkState

REASON, ERROR = "blocked_reason", "blocked_error"
"""Where a blocked event carries what its hook gave as the reason, and how a guard failed, in its metadata."""


def refusal_of(facts: Facts) -> Trouble | None:
    """Why the message was refused; None if it was not."""
    event = facts.event
    if event is not None and event.status is EventStatus.BLOCKED:
        return _trouble(_reason_of_event(event, facts), event.blocked_by, event.metadata.get(ERROR))
    for decided in reversed(facts.keys):
        if decided.result.blocked and event is None:
            return _trouble(decided.result.reason or "message.refused", None, None)
    for row in reversed(facts.journal):
        if row.state is WorkState.REFUSED and event is None:
            return _trouble(row.reason or "message.refused", None, None)
    return None


def _reason_of_event(event: RoomEvent, facts: Facts) -> str:
    said = event.metadata.get(REASON)
    if said is None:
        said = next((one.result.reason for one in facts.keys if one.result.event_id == event.id), None)
    return str(said or event.blocked_by or "message.refused")


def _trouble(reason: str, blocked_by: str | None, error: str | None) -> Trouble:
    known = EXPLANATIONS.get(reason)
    if known is not None:
        code, meaning = reason, known
    elif reason.startswith(HOOK_ERROR):
        code, meaning = "hook_error", EXPLANATIONS["hook_error"]
        name = reason.removeprefix(HOOK_ERROR)
        cause = f"Guard {name!r} failed, and guards that fail block" + (f": {error}" if error else "")
        meaning = Explanation(cause, meaning.hint)
    else:
        code, by = "hook_blocked", "A hook" if blocked_by in (None, reason) else f"Hook {blocked_by!r}"
        meaning = Explanation(f"{by} blocked it: {reason}", "If it should have passed, change the hook.")
    return Trouble(about="the message", code=code, cause=f"{meaning.cause}. [{code}]", hint=meaning.hint)
