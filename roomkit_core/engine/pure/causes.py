"""Why a row stands where it stands, in one sentence, and what to do about it. Pure.

What waits is explained by what is nearest to it: the row before it in its lane, then what keeps its channel closed,
then its own time.
"""

from __future__ import annotations

from roomkit_core.engine.pure.explanations import EXPLANATIONS, explain
from roomkit_core.engine.pure.facts import Facts, Obstacle
from roomkit_core.engine.pure.views import name_of
from roomkit_core.errors import Explanation
from roomkit_core.models.story import Trouble
from roomkit_core.models.time import from_microseconds
from roomkit_core.models.work import GOOD_ENDS, WorkKind, WorkRow, WorkState

REPLACED = "delivery.rendered"
"""How a row ends that has become another one: nothing is wrong with it."""

_OF_CHANNELS = frozenset({WorkKind.DELIVERY, WorkKind.ASK})
_WORDS = {
    WorkKind.INBOUND: "message",
    WorkKind.DELIVERY: "delivery",
    WorkKind.ASK: "question",
    WorkKind.HOOK: "durable hook",
    WorkKind.TIMER: "timer",
    WorkKind.SCHEDULED: "scheduled message",
    WorkKind.TASK: "task",
}


def label(row: WorkRow) -> str:
    """What a row is, for people: ``delivery on 'sms' to +1555``."""
    name = name_of(row)
    where = f" on {row.channel_id!r}" if row.channel_id else ""
    return f"{_WORDS[row.kind]}{where}" + (f" {name!r}" if row.kind is WorkKind.HOOK else f" to {name}" if name else "")


def trouble_of(row: WorkRow, facts: Facts) -> Trouble | None:
    """What is not well about a row, or why it waits; None if it ended well, or was refused as a message."""
    if row.state in GOOD_ENDS:
        return _after_the_end(row)
    if row.is_open:
        return _waiting(row, facts)
    return None if row.code == REPLACED else _ended(row, facts)


# ------------------------------------------------------------------------------------------------- what has an outcome


def _after_the_end(row: WorkRow) -> Trouble | None:
    if row.kind is not WorkKind.DELIVERY:
        return None
    if row.receipt_rank == "undelivered":
        return _trouble(row, "undelivered", EXPLANATIONS["undelivered"])
    return _trouble(row, "maybe_sent", EXPLANATIONS["maybe_sent"]) if row.maybe_sent else None


def _ended(row: WorkRow, facts: Facts) -> Trouble:
    """Why a row ended badly; what came of a retry is the better hint."""
    meaning = explain(row.code, row.state)
    cause = meaning.cause
    if row.state is WorkState.PARTIAL:
        cause = f"Only {row.parts_done} of its {len(row.payload)} parts were sent"
    elif row.state is WorkState.QUARANTINED:
        cause = f"The message was put aside because it never came in. {meaning.cause}"
    elif row.code in ("expired", "work.attempts", "work.takeovers"):
        cause += _before_that(row, facts)
    cause = _with_reason(cause, row)
    if row.maybe_sent:
        cause += ". It may have reached them all the same"
    hint = meaning.hint
    retry = next((one for one in facts.rows if one.retry_of == row.id), None)
    retry = retry or next((one for one in facts.journal if one.retry_of == row.id), None)
    if retry is not None:
        hint = f"It was retried as {retry.id}, which is {retry.state.value}."
    return _trouble(row, row.code or row.state.value, Explanation(cause, hint))


def _before_that(row: WorkRow, facts: Facts) -> str:
    """What the last attempt came to, for a row that was given up for another reason."""
    for attempt in reversed(facts.history.get(row.id, ())):
        if attempt.code not in (None, row.code):
            return f". Before that: {_lowered(explain(attempt.code, attempt.state).cause)} ({attempt.reason})"
    return ""


def _with_reason(cause: str, row: WorkRow) -> str:
    reason = row.reason
    is_said = not reason or reason == row.code or reason in cause
    return cause if is_said else f"{cause}: {reason}"


# ------------------------------------------------------------------------------------------------------- what waits


def _waiting(row: WorkRow, facts: Facts) -> Trouble:
    if row.state is WorkState.IN_FLIGHT:
        return _held(row, facts)
    queue = facts.queues.get(row.id)
    if queue is not None:
        head = _waiting(queue.head, facts)
        count = "1 row" if queue.ahead == 1 else f"{queue.ahead} rows"
        why = _lowered(head.cause.partition(". [")[0])
        cause = f"It waits behind {count} of its lane, the first is {queue.head.id}: {why}"
        return _trouble(row, "waits.lane", Explanation(cause, head.hint), is_waiting=True)
    obstacle = _obstacle(row, facts)
    if obstacle is not None:
        return _closed(row, obstacle)
    if row.due is None:
        return _trouble(row, "waits.parked", _with_last(EXPLANATIONS["waits.parked"], row), is_waiting=True)
    if row.due > facts.now:
        return _for_a_time(row, facts)
    return _trouble(row, "waits.unclaimed", _with_last(EXPLANATIONS["waits.unclaimed"], row), is_waiting=True)


def _held(row: WorkRow, facts: Facts) -> Trouble:
    is_lost = row.lease_until is not None and row.lease_until <= facts.now
    code = "waits.lost" if is_lost else "waits.held"
    meaning = EXPLANATIONS[code]
    cause = f"{meaning.cause}: {row.owner}, attempt {row.attempts + row.takeovers}"
    if row.cancel:
        cause += f". It was withdrawn meanwhile ({row.reason}) and gets no further attempt"
    return _trouble(row, code, Explanation(cause, meaning.hint), is_waiting=True)


def _obstacle(row: WorkRow, facts: Facts) -> Obstacle | None:
    if row.kind not in _OF_CHANNELS:
        return None
    obstacle = facts.obstacles.get(row.channel_id)
    if obstacle is None and facts.registered is not None and row.channel_id not in facts.registered:
        return Obstacle("waits.not_registered")
    if obstacle is not None and obstacle.code == "waits.rate" and (row.due is None or row.due > facts.now):
        return None  # its own time is longer than that
    return obstacle


def _closed(row: WorkRow, obstacle: Obstacle) -> Trouble:
    meaning = EXPLANATIONS[obstacle.code]
    cause = meaning.cause
    if obstacle.detail:
        cause += f" ({obstacle.detail})"
    if obstacle.until is not None:
        cause += f"; it opens at {_at(obstacle.until)}"
    return _trouble(row, obstacle.code, _with_last(Explanation(cause, meaning.hint), row), is_waiting=True)


def _for_a_time(row: WorkRow, facts: Facts) -> Trouble:
    """It is tried at a time of its own."""
    assert row.due is not None
    when = f"; it is {'tried again' if row.attempts or row.takeovers else 'due'} at {_at(row.due)}"
    if row.code is not None:
        meaning = explain(row.code, row.state)
        hint = meaning.hint
        if row.state is WorkState.UNKNOWN and row.quiet:
            hint = "The provider is asked then what became of it, and it is sent again only if it is not there."
        return _trouble(row, row.code, Explanation(_with_reason(meaning.cause, row) + when, hint), is_waiting=True)
    code = _why_untouched(row, facts)
    meaning = EXPLANATIONS[code]
    return _trouble(row, code, Explanation(meaning.cause + when, meaning.hint), is_waiting=True)


def _why_untouched(row: WorkRow, facts: Facts) -> str:
    """Why somebody looked at a row and handed it back without a word, or why nobody has looked at it yet."""
    if row.kind is WorkKind.HOOK:
        return "hook.not_registered"
    if row.kind is WorkKind.INBOUND:
        return "waits.intake"
    if row.kind is not WorkKind.DELIVERY:
        return "waits.later"
    binding = facts.bindings.get(row.channel_id)
    return "waits.binding_rate" if binding is not None and binding.rate_limit is not None else "waits.backoff"


def _with_last(meaning: Explanation, row: WorkRow) -> Explanation:
    """With what the last attempt came to, if there was one."""
    if row.code is None:
        return meaning
    last = _with_reason(_lowered(explain(row.code, row.state).cause), row)
    return Explanation(f"{meaning.cause}. Its last attempt: {last}", meaning.hint)


def _trouble(row: WorkRow, code: str, meaning: Explanation, *, is_waiting: bool = False) -> Trouble:
    return Trouble(
        about=label(row),
        code=code,
        cause=f"{meaning.cause.rstrip('.')}. [{code}]",
        hint=meaning.hint.format(id=row.id, channel=row.channel_id),
        work_id=row.id,
        is_waiting=is_waiting,
    )


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _at(microseconds: int) -> str:
    return f"{from_microseconds(microseconds):%Y-%m-%d %H:%M:%S} UTC"
