"""The judge: history against file, after the last process of a case. Each finding is a broken promise in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from roomkit_core import WorkKind, WorkRow, WorkState
from roomkit_core.builtin.sqlite.check import check
from tests.faults.evidence import Case, Event, Line


def judge_stop(case: Case) -> list[str]:
    """What a process leaves that was stopped in good order: nothing in its hands, unknown only what was in a call."""
    called = {(line["row"], line["attempt"]) for line in case.lines("called")}
    process = case.lines("opened")[-1]["process"]
    held = [row for row in case.rows.values() if row.owner is not None and row.owner.startswith(f"{process}:")]
    findings = [f"{_name(row)} is in flight after the stop" for row in held]
    for row in case.rows.values():
        if row.state is WorkState.UNKNOWN and (row.id, row.attempts + row.takeovers) not in called:
            findings.append(f"{_name(row)} is unknown after the stop, and was not in a call: {row.reason}")
    return findings


def judge(case: Case) -> list[str]:
    """All findings; none if every promise was kept."""
    return [finding for promise in PROMISES for finding in promise(case)]


# ------------------------------------------------------------------------------------------------------- the timeline


def what_was_acknowledged_is_there_once(case: Case) -> Iterator[str]:
    """Accepted means stored once, or refused for a reason that can be read."""
    found = Counter(event.key for event in case.events.values() if event.key)
    for text, times in found.items():
        if times > 1:
            yield f"{text!r} is in the timeline {times} times"
    acks: dict[str, list[Line]] = defaultdict(list)
    for line in case.lines("acked"):
        acks[line["text"]].append(line)
    for text, lines in acks.items():
        if not text.startswith("m keyless") and not found[text] and not _is_excused(case, text, lines):
            yield f"{text!r} was acknowledged as {lines[0]['verb']} and is not there"
        ids = {line["event"] for line in lines if line.get("event")}
        if len(ids) > 1:
            yield f"{text!r} was acknowledged as {len(ids)} different events"
        for event_id in ids:
            if event_id not in case.events and not _is_excused(case, text, lines):
                yield f"{text!r} was acknowledged as event {event_id}, which is not there"


def what_has_no_key_is_there_as_often_as_it_was_offered(case: Case) -> Iterator[str]:
    """Once, if it was offered once and acknowledged; a client that offers it again must live with two."""
    found = Counter(event.text for event in case.events.values() if event.text.startswith("m keyless"))
    offers = Counter(line["text"] for line in case.lines("offered"))
    for text in {line["text"] for line in case.lines("acked") if line["text"].startswith("m keyless")}:
        if not 1 <= found[text] <= offers[text]:
            yield f"{text!r} was offered {offers[text]} times and is in the timeline {found[text]} times"


def _is_excused(case: Case, text: str, lines: list[Line]) -> bool:
    """Whether its room was deleted, or it was refused because its room was closed."""
    if "razed" in text and any(line["operation"] == "delete_room" for line in case.lines("withdrawn", "intends")):
        return True
    if any(line.get("reason") == "room_closed" for line in lines):
        return True
    journaled = [row for row in case.rows.values() if row.key is not None and row.key[2] == text]
    return any(row.state is WorkState.REFUSED and row.reason == "room_closed" for row in journaled)


def indexes_have_no_gaps(case: Case) -> Iterator[str]:
    """A cursor never waits for an index that does not come."""
    places: dict[str, list[int]] = defaultdict(list)
    for event in case.events.values():
        places[event.room].append(event.index)
    for room, following in case.rooms.items():
        if sorted(places[room]) != list(range(following)):
            yield f"room {room} has the indexes {sorted(places[room])} and expects {following}"


def conversations_keep_their_order(case: Case) -> Iterator[str]:
    """What was offered after an acknowledgement stands behind what was acknowledged."""
    places = {event.text: (event.room, event.index) for event in case.events.values() if event.text.startswith("m ")}
    last: dict[str, list[Line]] = defaultdict(list)
    offered: dict[str, int] = {}
    for line in case.lines("offered", "acked"):
        if line["verb"] in ("send", "later"):
            continue
        text, sender = line["text"], line["sender"]
        if line["kind"] == "offered":
            offered.setdefault(text, line["place"])
            continue
        if text in {former["text"] for former in last[sender]}:
            continue
        for former in last[sender]:
            mine, before = places.get(text), places.get(former["text"])
            if mine and before and mine[0] == before[0] and former["place"] < offered[text] and mine < before:
                yield f"{text!r} overtook {former['text']!r}, which had been acknowledged before"
        last[sender].append(line)


def strangers_have_one_room_each(case: Case) -> Iterator[str]:
    """A room, its first binding and its conversation are one transaction."""
    rooms: dict[str, set[str]] = defaultdict(set)
    for event in case.events.values():
        rooms[event.room].add(event.key or "")
    for room, keys in rooms.items():
        if len([key for key in keys if key.startswith("m hello")]) > 1:
            yield f"room {room} has the first messages of several strangers: {sorted(keys)}"


# --------------------------------------------------------------------------------------------------------------- rows


def every_row_is_final(case: Case) -> Iterator[str]:
    """Nothing is owed for ever."""
    for row in case.rows.values():
        if row.is_open:
            yield f"{_name(row)} is {row.state} in the end, due {row.due}, attempt {row.attempts}+{row.takeovers}"


def every_message_is_owed_to_everybody(case: Case) -> Iterator[str]:
    """The rows of an event are in its commit."""
    owed: dict[tuple[str | None, str], Counter[str]] = defaultdict(Counter)
    for row in case.rows.values():
        if row.retry_of is None:
            owed[row.event_id, str(row.kind)][row.channel_id] += 1
    rooms = {"talk": ("idem", "bot"), "desk": ("recon", "once"), "long": ("parts",)}
    for event in case.events.values():
        if event.room not in rooms or not event.text.startswith("m "):
            continue
        for channel in rooms[event.room]:
            times = owed[event.id, "ask" if channel == "bot" else "delivery"][channel]
            if times != 1:
                yield f"{event.text!r} is owed to {channel} {times} times"
        if owed[event.id, "hook"].total() != 1:
            yield f"{event.text!r} is owed to the durable hook {owed[event.id, 'hook'].total()} times"


def what_ended_badly_has_a_reason(case: Case) -> Iterator[str]:
    """In these cases nothing dies: providers get better, and operators have sent again what was refused."""
    for row in case.rows.values():
        if row.state in (WorkState.DEAD, WorkState.EXPIRED, WorkState.QUARANTINED, WorkState.PARTIAL):
            yield f"{_name(row)} is {row.state}: {row.reason}"
        if row.state is WorkState.FAILED and row.code != "provider.refused":
            yield f"{_name(row)} failed: {row.reason}"


def what_is_sent_has_its_receipt(case: Case) -> Iterator[str]:
    """``sent`` is what a provider took, under the name that it gave."""
    taken: dict[str, set[str]] = defaultdict(set)
    for line in case.lines("taken"):
        taken[line["row"]].add(line["provider_id"])
        taken[line["key"].partition(":")[0]].add(line["provider_id"])
    for row in case.rows.values():
        if row.kind is not WorkKind.DELIVERY or row.state is not WorkState.SENT:
            continue
        if len(row.provider_ids) < len(row.payload):
            yield f"{_name(row)} is sent and has {len(row.provider_ids)} receipts for {len(row.payload)} parts"
        strange = set(row.provider_ids) - taken[row.provider_key] - taken[row.id]
        if strange:
            yield f"{_name(row)} is sent and no provider has taken {sorted(strange)}"


# ---------------------------------------------------------------------------------------------------------- deliveries


def calls_are_durable_before_they_are_made(case: Case) -> Iterator[str]:
    """At each call the file says: in flight, this attempt, this mark, and first of its lane (L1, L3, L5)."""
    for line in case.lines("taken", "refused", "reconciled"):
        if line["kind"] == "reconciled":
            continue
        durable, what = line["durable"], f"attempt {line['attempt']} of {line['text']!r} at {line['channel']}"
        if not durable:
            if line["room"] != "razed":
                yield f"{what} was made for a row that is not there"
            continue
        if durable["state"] != "in_flight":
            yield f"{what} was made while the row was {durable['state']}"
        if durable["attempt"] > line["attempt"] and durable["maybe_sent"]:
            continue  # a call that was given up, or whose lease was lost, and that lands late: on a row that is marked
        if (durable["attempt"], bool(durable["maybe_sent"])) != (line["attempt"], line["maybe_sent"]):
            yield f"{what} was made with a mark or a number that was not durable: {durable}"
        if durable["parts_done"] != line["part"]:
            yield f"{what} sent part {line['part']} and {durable['parts_done']} were recorded as done"
        if durable["head"] != durable["seq"]:
            yield f"{what} was made while an earlier row of its lane was open"


def effects_are_what_each_channel_promises(case: Case) -> Iterator[str]:
    """One effect; at an ``at_least_once`` provider as many as there are marked requests, and one."""
    effects: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in case.lines("taken"):
        if line["effect"]:
            effects[line["channel"], line["event"], line["text"]].append(line)
    for (channel, _, text), lines in effects.items():
        if channel in ("idem", "recon") and len(lines) > 1:
            yield f"{channel} has {text!r} {len(lines)} times, keys {[line['key'] for line in lines]}"
        for line in lines[1:]:
            if not line["maybe_sent"]:
                yield f"{channel} got {text!r} again without a mark, attempt {line['attempt']}"
            row = case.rows.get(line["row"])
            if row is not None and not row.maybe_sent:
                yield f"{channel} got {text!r} twice and {_name(row)} does not say maybe_sent"


def lanes_keep_their_order(case: Case) -> Iterator[str]:
    """What is taken for the first time is taken in the order of the timeline; an operator's retry says so."""
    highest: dict[tuple[str, str], int] = defaultdict(lambda: -1)
    seen: set[tuple[str, str]] = set()
    for line in case.lines("taken"):
        if (line["channel"], line["key"]) in seen:
            continue
        seen.add((line["channel"], line["key"]))
        row = case.rows.get(line["row"])
        lane = line["room"], line["channel"]
        is_excused = row is None or row.retry_of is not None or line["room"] == "razed"
        if line["index"] < highest[lane] and not is_excused:
            yield f"{line['text']!r} reached {lane[1]} after a later one of its lane"
        highest[lane] = max(highest[lane], line["index"])


def what_was_withdrawn_is_not_begun(case: Case) -> Iterator[str]:
    """After a withdrawal's commit only who held a row before may still call, once, under that token (L12)."""
    for withdrawal in case.lines("withdrawn"):
        held = withdrawal["held"]
        about = {case.rows[row_id].event_id for row_id in held if row_id in case.rows}
        for line in case.lines("taken", "refused", "asked"):
            if line["place"] < withdrawal["place"] or not _withdraws(withdrawal, line):
                continue
            if line["kind"] == "asked":
                if line["event"] not in about:
                    yield f"the bot was asked about {line['event']} after {withdrawal['operation']}"
            elif held.get(line["row"]) != line["durable"].get("token"):
                what = f"{line['text']!r} was sent to {line['channel']}"
                yield f"{what} after {withdrawal['operation']}, attempt {line['attempt']}"


def _withdraws(withdrawal: Line, line: Line) -> bool:
    if withdrawal["operation"] == "delete_event":
        return bool(line["event"] == withdrawal["event"])
    if withdrawal["operation"] == "close_room":
        return line["kind"] == "asked" and bool(line["room"] == withdrawal["room"])
    if withdrawal["operation"] == "detach" and line["kind"] != "asked":
        return (line["room"], line["channel"]) == (withdrawal["room"], withdrawal["channel"])
    return False


def retried_rows_stay_final(case: Case) -> Iterator[str]:
    """An operator's retry is one copy, and what was refused stays so (L7)."""
    copies = Counter(row.retry_of for row in case.rows.values() if row.retry_of)
    for row_id, times in copies.items():
        if times > 1:
            yield f"row {row_id} was retried {times} times"
        former = case.rows.get(str(row_id))
        if former is not None and former.state is not WorkState.FAILED:
            yield f"{_name(former)} was retried and is {former.state}"


# ----------------------------------------------------------------------------------------------------- asks and hooks


def questions_have_one_complete_answer(case: Case) -> Iterator[str]:
    """All sentences of one run, or none and a reason."""
    answers: dict[str, list[Event]] = defaultdict(list)
    for event in case.events.values():
        if "question" in event.metadata:
            answers[event.metadata["question"]].append(event)
    for row in case.rows.values():
        if row.kind is not WorkKind.ASK:
            continue
        found = sorted(answers.pop(row.event_id or "", []), key=lambda event: event.index)
        said = [(event.metadata["run"], event.metadata["sentence"]) for event in found]
        if row.state is WorkState.ANSWERED:
            if len(said) != 2 or said[0][0] != said[1][0] or [s for _, s in said] != [1, 2]:
                yield f"{_name(row)} is answered, by {said}"
            elif found[0].index + 1 != found[1].index:
                yield f"the answer to {_name(row)} is torn apart"
        elif said:
            yield f"{_name(row)} is {row.state} and has the answer {said}"
        elif row.state is not WorkState.SUPPRESSED:
            yield f"{_name(row)} is {row.state}: {row.reason}"
    for question, events in answers.items():
        if "razed" not in {event.room for event in events}:
            yield f"question {question} has {len(events)} sentences and no row"


def durable_hooks_run_at_least_once(case: Case) -> Iterator[str]:
    """Called for each event, and what the hook says itself is said once."""
    calls = Counter(line["event"] for line in case.lines("audited"))
    notes = Counter(event.text for event in case.events.values() if event.text.startswith("note on"))
    for text, times in notes.items():
        if times > 1:
            yield f"the hook said {text!r} {times} times"
    for row in case.rows.values():
        event = case.events.get(row.event_id or "")
        if row.kind is not WorkKind.HOOK or row.state is not WorkState.DONE or event is None:
            continue
        if not event.text.startswith("m ") or event.room in ("shut", "razed"):
            continue  # a room that takes no messages takes no notes either
        if not calls[event.id] or notes[f"note on {event.id}"] != 1:
            yield f"{_name(row)} is done: {calls[event.id]} calls, {notes[f'note on {event.id}']} notes"


def hints_are_of_what_is_stored(case: Case) -> Iterator[str]:
    """No client saw an event that never was (V2)."""
    for line in case.lines("hinted"):
        event = case.events.get(line["event"])
        if event is None and line["room"] != "razed":
            yield f"event {line['event']} was shown to clients and is not there"
        elif event is not None and event.index != line["index"]:
            yield f"event {line['event']} was shown at {line['index']} and stands at {event.index}"


def _name(row: WorkRow) -> str:
    return f"{row.kind} {row.id} ({row.room_id}, {row.channel_id}, retry of {row.retry_of})"


def is_sound(folder: Path) -> Iterable[str]:
    """What SQLite and the store's own check find in the file."""
    return [str(found) for found in check(str(folder / "rooms.db"))]


PROMISES = (
    what_was_acknowledged_is_there_once,
    what_has_no_key_is_there_as_often_as_it_was_offered,
    indexes_have_no_gaps,
    conversations_keep_their_order,
    strangers_have_one_room_each,
    every_row_is_final,
    every_message_is_owed_to_everybody,
    what_ended_badly_has_a_reason,
    what_is_sent_has_its_receipt,
    calls_are_durable_before_they_are_made,
    effects_are_what_each_channel_promises,
    lanes_keep_their_order,
    what_was_withdrawn_is_not_begun,
    retried_rows_stay_final,
    questions_have_one_complete_answer,
    durable_hooks_run_at_least_once,
    hints_are_of_what_is_stored,
)
