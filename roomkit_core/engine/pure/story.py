"""From what was read about an id to its story: from arrival to receipt, on one screen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from roomkit_core.engine.pure.causes import REPLACED, label, trouble_of
from roomkit_core.engine.pure.explanations import explain
from roomkit_core.engine.pure.facts import Facts
from roomkit_core.engine.pure.refusals import refusal_of
from roomkit_core.engine.pure.views import is_queued, moment, view_of
from roomkit_core.models.base import evolve
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.story import Story, StoryStep, Trouble
from roomkit_core.models.time import from_microseconds
from roomkit_core.models.work import Attempt, WorkKind, WorkRow, WorkState

MOST_ROWS = 8
"""So many rows are told about one by one, those that are not well first; of the others it is said how they stand."""

MOST_ATTEMPTS = 5
"""So many attempts of a row are told: the first and the last ones."""

MOST_TROUBLES = 5

_WORST_FIRST = (
    WorkState.QUARANTINED,
    WorkState.DEAD,
    WorkState.FAILED,
    WorkState.PARTIAL,
    WorkState.EXPIRED,
    WorkState.UNKNOWN,
    WorkState.SUPPRESSED,
    WorkState.IN_FLIGHT,
    WorkState.PENDING,
)
_RANK = {state: rank for rank, state in enumerate(_WORST_FIRST)}


def tell(facts: Facts) -> Story:
    """The story."""
    rows = [*facts.journal, *facts.rows]
    steps = [*_arrival(facts), *_journal(facts), *_verdict(facts), *_owed(facts), *_linked(facts)]
    event = facts.event
    row = facts.row
    return Story(
        asked=facts.asked,
        found_as=facts.found_as,
        summary=_summary(facts),
        steps=tuple(steps),
        troubles=tuple(_troubles(facts))[:MOST_TROUBLES],
        work=tuple(view_of(one) for one in rows),
        room_id=event.room_id if event is not None else row.room_id if row is not None else _room_of_keys(facts),
        event_id=event.id if event is not None else None if row is None else row.event_id,
        as_of=from_microseconds(facts.now),
    )


def _room_of_keys(facts: Facts) -> str | None:
    return facts.keys[-1].result.room_id if facts.keys else None


# --------------------------------------------------------------------------------------------------- what is not well


def _troubles(facts: Facts) -> Iterable[Trouble]:
    """What was asked about first, then the message itself, then what is owed, the worst first."""
    own = None if facts.row is None else trouble_of(facts.row, facts)
    if own is not None:
        yield own
    refusal = refusal_of(facts)
    if refusal is not None:
        yield refusal
    own_id = None if facts.row is None else facts.row.id
    of_answers = [row for _, rows in facts.linked for row in rows]
    retried = {row.retry_of for row in (*facts.journal, *facts.rows)}
    for group, whose in (([*facts.journal, *facts.rows], ""), (of_answers, " of what it led to")):
        for row in sorted(group, key=lambda one: (one.id in retried, _RANK.get(one.state, len(_RANK)), one.seq)):
            trouble = None if row.id == own_id else trouble_of(row, facts)
            if trouble is not None:
                yield evolve(trouble, about=trouble.about + whose)


# ------------------------------------------------------------------------------------------------------------- steps


def _arrival(facts: Facts) -> Iterable[StoryStep]:
    event = facts.event
    if facts.root is not None:
        who = facts.root.source.participant_id or facts.root.source.channel_id
        yield StoryStep(
            at=facts.root.created_at,
            text=f"its chain began with event {facts.root.id} of {who!r}, index {facts.root.index}",
        )
    if event is None:
        return
    source = event.source
    way = "answer" if event.chain_depth and facts.root is not None else "arrived"
    text = f"{way} on channel {source.channel_id!r}"
    if source.participant_id is not None:
        text += f" from {source.participant_id!r}"
    if event.idempotency_key is not None:
        text += f", key {event.idempotency_key!r}"
    yield StoryStep(at=event.created_at, text=text)


def _journal(facts: Facts) -> Iterable[StoryStep]:
    for row in facts.journal:
        text = "accepted into the journal" if row.kind is WorkKind.INBOUND else "written down to be said later"
        text = "put back" if row.retry_of is not None else text
        yield StoryStep(at=moment(row.created_at), text=f"{text} as {row.id}", work_id=row.id)
        yield from _life(row, facts)


def _verdict(facts: Facts) -> Iterable[StoryStep]:
    event = facts.event
    if event is not None:
        place = f"event {event.id}, index {event.index} of room {event.room_id!r}"
        if event.status is EventStatus.BLOCKED:
            yield StoryStep(at=event.created_at, text=f"stored BLOCKED as {place}, passed on to nobody")
        else:
            yield StoryStep(at=event.created_at, text=f"let in and stored as {place}")
        if event.metadata.get("deleted"):
            yield StoryStep(text="what it said was deleted")
    for decided in facts.keys:
        channel_id, sender, name = decided.key
        became = decided.result.event_id or decided.result.reason or "nothing"
        whose = f" of {sender!r}" if sender else ""
        yield StoryStep(
            at=from_microseconds(decided.at),
            text=f"key {name!r}{whose} on {channel_id!r} was decided: {became}; a repeat gets this first result",
            level=1,
        )


def _owed(facts: Facts) -> Iterable[StoryStep]:
    rows = list(facts.rows)
    shown = rows
    own_id = None if facts.row is None else facts.row.id
    if len(rows) > MOST_ROWS:
        shown = sorted(rows, key=lambda row: (row.id != own_id, _RANK.get(row.state, len(_RANK)), row.seq))
        shown = sorted(shown[:MOST_ROWS], key=lambda row: row.seq)
    for row in shown:
        again = f", a retry of {row.retry_of}" if row.retry_of is not None else ""
        yield StoryStep(
            at=moment(row.created_at), text=f"{label(row)}: {_standing(row)}{again} ({row.id})", work_id=row.id
        )
        yield from _life(row, facts)
    rest = [row for row in rows if row not in shown]
    if rest:
        more = " or more" if facts.is_cut else ""
        yield StoryStep(text=f"and {len(rest)}{more} others: {_counted(rest)}")


def _life(row: WorkRow, facts: Facts) -> Iterable[StoryStep]:
    """What became of each tenure of a row, and how it ended."""
    for path, kind, outcome, note in row.loss:
        if outcome != "kept":
            where = f" {path}" if path else ""
            yield StoryStep(text=f"{kind}{where} {outcome}: {note}", work_id=row.id, level=1)
    history = list(facts.history.get(row.id, ()))
    left_out = len(history) - MOST_ATTEMPTS
    if left_out > 0:
        yield _attempt(history[0])
        yield StoryStep(text=f"… {left_out} more attempts …", work_id=row.id, level=1)
        history = history[1 - MOST_ATTEMPTS :]
    for attempt in history:
        yield _attempt(attempt)
    if row.cancel:
        yield StoryStep(text=f"withdrawn ({row.code}): no further attempt", work_id=row.id, level=1)
    if row.is_open:
        if row.due is not None:
            yield StoryStep(at=moment(row.due), text="is tried next", work_id=row.id, level=1)
    elif not history or history[-1].state is not row.state:
        yield StoryStep(at=moment(row.settled_at), text=_end(row), work_id=row.id, code=row.code, level=1)
    if row.kind is WorkKind.DELIVERY and row.provider_ids:
        yield StoryStep(text=f"provider's id {', '.join(row.provider_ids)}", work_id=row.id, level=1)
    if row.receipt_rank != "none":
        text = f"the provider reports: {row.receipt_rank}"
        yield StoryStep(at=moment(row.receipt_at), text=text, work_id=row.id, level=1)


def _attempt(attempt: Attempt) -> StoryStep:
    who = f" by {attempt.owner}" if attempt.owner else ""
    if attempt.state is WorkState.IN_FLIGHT:
        text = f"attempt {attempt.token}{who} never came back; another worker took it over"
    else:
        text = f"attempt {attempt.token}{who}: {attempt.state.value}"
        if attempt.code is not None:
            text += f" [{attempt.code}] {attempt.reason or explain(attempt.code, attempt.state).cause}"
    if attempt.maybe_sent:
        text += " (may have got through)"
    at = from_microseconds(attempt.ended_at)
    return StoryStep(at=at, text=text, work_id=attempt.row_id, code=attempt.code, level=1)


def _end(row: WorkRow) -> str:
    if row.kind in (WorkKind.INBOUND, WorkKind.SCHEDULED):
        word = {WorkState.DONE: "brought in", WorkState.REFUSED: "refused"}.get(row.state, row.state.value)
    else:
        word = row.state.value
    text = f"{word} after {_times(row.attempts + row.takeovers)}"
    if row.code is not None:
        text += f" [{row.code}]"
    return text + (f" {row.reason}" if row.reason and row.reason != row.code else "")


def _times(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts" if count else "no attempt"


def _standing(row: WorkRow) -> str:
    """How a row stands, in a few words."""
    if row.state is WorkState.PENDING:
        text = "queued" if is_queued(row) else "parked" if row.due is None else "waiting"
    elif row.code == REPLACED:
        text = "rendered anew"
    else:
        text = row.state.value.replace("_", " ")
    if len(row.payload) > 1 and row.kind is WorkKind.DELIVERY:
        text += f", {row.parts_done} of {len(row.payload)} parts through"
    if row.takeovers:
        text += f", taken over {row.takeovers} times" if row.takeovers > 1 else ", taken over once"
    return text + (", MAYBE SENT" if row.maybe_sent else "")


def _linked(facts: Facts) -> Iterable[StoryStep]:
    """What came of it in the timeline."""
    for event, rows in list(facts.linked)[:MOST_ROWS]:
        how = "BLOCKED" if event.status is EventStatus.BLOCKED else "stored"
        where = "" if facts.event is None or event.room_id == facts.event.room_id else f" of room {event.room_id!r}"
        text = f"led to event {event.id} by {event.source.channel_id!r}, index {event.index}{where}, {how}"
        yield StoryStep(at=event.created_at, text=text + (f"; {_counted(rows)}" if rows else ""))
    if len(facts.linked) > MOST_ROWS:
        yield StoryStep(text=f"and to {len(facts.linked) - MOST_ROWS} events more")


# ----------------------------------------------------------------------------------------------------------- summary


def _summary(facts: Facts) -> str:
    event, row = facts.event, facts.row
    if row is not None:
        return f"{label(row)}: {_standing(row)}" + _room_words(facts, row.room_id)
    if event is None:
        return _counted([*facts.journal, *facts.rows]) or "nothing is left of it but its key"
    how = "BLOCKED" if event.status is EventStatus.BLOCKED else "in the timeline"
    owed = _counted(facts.rows)
    if not owed and event.status is not EventStatus.BLOCKED:
        owed = "nothing is owed for it"  # no channel of the room was there to be told, or the rows are forgotten
    return f"{_title(event)}: {how}" + (f"; {owed}" if owed else "") + _room_words(facts, event.room_id)


def _title(event: RoomEvent) -> str:
    return f"{event.type} of {event.source.participant_id or event.source.channel_id!r}"


def _room_words(facts: Facts, room_id: str | None) -> str:
    if room_id is None:
        return ""
    return f"; room {room_id!r} is " + ("gone" if facts.room is None else facts.room.status.value)


def _counted(rows: Sequence[WorkRow]) -> str:
    counts = Counter((row.kind, row.state) for row in rows)
    return ", ".join(f"{count} {kind.value} {state.value.replace('_', ' ')}" for (kind, state), count in counts.items())
