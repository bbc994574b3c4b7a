"""Work rows as they are born: at the tail of their lane, claimed at once if that is empty (PROTOCOL L2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from roomkit_core.builtin.sqlite.receipts import learn_names
from roomkit_core.builtin.sqlite.rows import INSERT, PackedWork, Values, insert_values
from roomkit_core.builtin.sqlite.session import Session, as_list
from roomkit_core.models.work import OPEN_STATES, WorkRow, WorkState

_PENDING, _IN_FLIGHT = WorkState.PENDING, WorkState.IN_FLIGHT


class Birth(NamedTuple):
    """New rows of one batch, and who claims those that ask for it; ``lease`` in microseconds."""

    rows: Sequence[PackedWork]
    owner: str
    lease: int


def insert_work(session: Session, births: Iterable[Birth]) -> list[tuple[WorkRow, ...]]:
    """Take up new rows at the tails of their lanes; for each batch those that were claimed at birth."""
    births = list(births)
    lanes = {packed.lane for birth in births for packed in birth.rows if packed.lane is not None}
    busy = _busy_lanes(session, lanes) if lanes else set()
    rows: list[Values] = []
    names: list[tuple[str, str, str]] = []
    claims = []
    for birth in births:
        claimed: tuple[WorkRow, ...] = ()
        for packed in birth.rows:
            row, ready = _born(session, packed, birth, is_head=packed.lane is None or packed.lane not in busy)
            rows.append(insert_values(packed, row, ready))
            session.note_ready(ready)
            if row.provider_key and row.provider_key != row.id:
                names.append((row.provider_key, row.channel_id, row.id))
            names += [(name, row.channel_id, row.id) for name in row.provider_ids]
            if row.settled_at is None and packed.lane is not None:
                busy.add(packed.lane)
            if row.state is _IN_FLIGHT:
                claimed = (*claimed, row)
        claims.append(claimed)
    session.each(INSERT, rows)
    learn_names(session, names)
    return claims


def _born(session: Session, packed: PackedWork, birth: Birth, *, is_head: bool) -> tuple[WorkRow, int | None]:
    """The row as it begins, and from when it can be claimed."""
    given, now = packed.row, session.now
    fresh = given._replace(seq=session.next_seq(), created_at=given.created_at or now)
    if given.state not in OPEN_STATES:
        return fresh._replace(settled_at=now, owner=None, lease_until=None, due=None), None
    if given.state is not _IN_FLIGHT or (is_head and not session.may_claim):
        due = now if is_head and given.due is None else given.due
        state = _PENDING if given.state is _IN_FLIGHT else given.state
        return fresh._replace(state=state, due=due), due if is_head else None
    if not is_head:
        return fresh._replace(state=_PENDING, due=None), None
    until = now + birth.lease
    held = fresh._replace(owner=birth.owner, token=1, attempts=1, due=None, lease_until=until)
    return held, until + given.quiet


def _busy_lanes(session: Session, lanes: Iterable[str]) -> set[str]:
    """Those of the lanes that have an open row."""
    statement = """SELECT value FROM json_each(?) WHERE EXISTS (
        SELECT 1 FROM work WHERE lane = value AND settled_at IS NULL
    )"""
    return {lane for (lane,) in session.all(statement, as_list(lanes))}
