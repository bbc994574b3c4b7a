"""The hot path: many messages of one group written together, one ``executemany`` for each table.

A message is one event for a room that exists, with at most keys, discharges and work. Each statement carries its guard,
so that nothing is asked first. Where one of them changes fewer rows than it was given, somebody's guard did not hold;
then nothing of this stays and each batch is decided by itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from roomkit_core.builtin.sqlite.batch import Batch
from roomkit_core.builtin.sqlite.births import insert_work
from roomkit_core.builtin.sqlite.commit import birth_of
from roomkit_core.builtin.sqlite.keys import DECIDE, decision
from roomkit_core.builtin.sqlite.outcomes import Settlement, settle
from roomkit_core.builtin.sqlite.rooms import INSERT_EVENT
from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.models.changes import Committed
from roomkit_core.models.packing import CHANNEL_TYPE, CREATED, INDEX, ROOM, SYSTEM
from roomkit_core.models.room import Version
from roomkit_core.models.work import OPEN_STATES, WorkRow

APPEND = """UPDATE heads SET commit_id = ?, next_index = next_index + 1,
    active = nullif(max(ifnull(active, 0), ?), 0), updated = max(updated, ?)
    WHERE room_id = ? AND epoch = ? AND commit_id = ? AND next_index = ?"""

_new = tuple.__new__


class Apart(Exception):
    """The batches cannot be written together; one of them is refused, a repeat or a mistake."""


def commit_messages(session: Session, batches: Sequence[Batch]) -> list[Committed]:
    """Write batches of which each is :attr:`Batch.is_common`, in their order.

    Raises:
        Apart: Not all of them can be written; what was written has to be rolled back.
    """
    heads, events = [], []
    for batch in batches:
        changes = batch.changes
        (entry,) = batch.events
        epoch, former = changes.expected  # type: ignore[misc]  # a common batch names a version
        room_id = changes.room_id
        if entry[ROOM] != room_id:
            raise Apart
        moment = entry[CREATED]
        active = moment if entry[CHANNEL_TYPE] != SYSTEM else 0
        heads.append((changes.commit_id, active, moment, room_id, epoch, former, entry[INDEX]))
        events.append(entry)
    try:
        if session.each(APPEND, heads) < len(heads):
            raise Apart
        session.each(INSERT_EVENT, events)
        _decide(session, batches)
        _discharge(session, batches)
        claims = _owe(session, batches)
    except sqlite3.IntegrityError:
        raise Apart from None
    return [
        _new(
            Committed,
            (
                _new(Version, (batch.changes.expected.epoch, batch.changes.commit_id)),  # type: ignore[union-attr]
                (batch.events[0][INDEX],),
                claims.get(place, ()),
            ),
        )
        for place, batch in enumerate(batches)
    ]


def _decide(session: Session, batches: Sequence[Batch]) -> None:
    session.each(
        DECIDE,
        [decision(key, result, session.now) for batch in batches for key, result in batch.changes.keys],
    )


def _discharge(session: Session, batches: Sequence[Batch]) -> None:
    discharges = [discharge for batch in batches for discharge in batch.changes.discharges]
    if not discharges:
        return
    if any(outcome.state in OPEN_STATES for _, _, outcome in discharges):
        raise Apart
    if not all(settle(session, [Settlement(*discharge) for discharge in discharges])):
        raise Apart


def _owe(session: Session, batches: Sequence[Batch]) -> dict[int, tuple[WorkRow, ...]]:
    """Insert the work; what was claimed of it by the place of its batch."""
    places = [place for place, batch in enumerate(batches) if batch.work]
    if not places:
        return {}
    claims = insert_work(session, [birth_of(batches[place]) for place in places])
    return dict(zip(places, claims, strict=True))
