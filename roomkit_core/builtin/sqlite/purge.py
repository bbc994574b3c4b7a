"""Forgetting: what is older than its cut-off goes, oldest first, by ranges of indexes and never more than asked for."""

from __future__ import annotations

from collections.abc import Iterable

from roomkit_core.builtin.memory.settled import RETRYABLE
from roomkit_core.builtin.sqlite.rooms import EVENT_COLUMNS, patch_event
from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.builtin.sqlite.work import forget_rows
from roomkit_core.interfaces.store import Cutoffs
from roomkit_core.models.packing import ROOM, tombstone
from roomkit_core.models.work import OPEN_STATES, WorkState

_GOOD = sorted(str(state) for state in set(WorkState) - OPEN_STATES - RETRYABLE)
_BODY = "(payload IS NOT NULL OR route IS NOT NULL)"
_DEAD = sorted(map(str, RETRYABLE))


def purge(session: Session, cutoffs: Cutoffs, limit: int) -> int:
    """Forget at most ``limit`` pieces; returns how many."""
    gone = 0
    if cutoffs.settled is not None:
        gone += _rows(session, _GOOD, cutoffs.settled, limit)
        gone += _oldest(session, "early_receipts", cutoffs.settled, limit - gone)
    if cutoffs.dead is not None:
        gone += _rows(session, _DEAD, cutoffs.dead, limit - gone)
    if cutoffs.bodies is not None:
        gone += _bodies(session, cutoffs.bodies, limit - gone)
    if cutoffs.keys is not None:
        gone += _oldest(session, "keys", cutoffs.keys, limit - gone)
        gone += _oldest(session, "commits", cutoffs.keys, limit - gone)
    if cutoffs.blocked is not None:
        gone += _blocked(session, cutoffs.blocked, limit - gone)
    return gone + _values(session, limit - gone)


def _rows(session: Session, states: Iterable[str], before: int, limit: int) -> int:
    """Rows that ended in one of the states, without their bodies first."""
    old: list[tuple[int, str]] = []
    for state in states:
        for has_body in (0, 1):
            old += session.all(
                f"""SELECT settled_at, id FROM work WHERE state = ? AND {_BODY} = ? AND settled_at < ?
                AND settled_at IS NOT NULL ORDER BY settled_at LIMIT ?""",
                state,
                has_body,
                before,
                max(limit, 0),
            )
    taken = [row_id for _, row_id in sorted(old)[: max(limit, 0)]]
    if taken:
        forget_rows(session, taken)
    return len(taken)


def _bodies(session: Session, before: int, limit: int) -> int:
    stripped = 0
    for state in _GOOD:
        stripped += session.run(
            f"""UPDATE work SET payload = NULL, route = NULL WHERE seq IN (
                SELECT seq FROM work WHERE state = ? AND {_BODY} = 1 AND settled_at < ?
                AND settled_at IS NOT NULL ORDER BY settled_at LIMIT ?
            )""",
            state,
            before,
            max(limit - stripped, 0),
        )
    return stripped


def _oldest(session: Session, table: str, before: int, limit: int) -> int:
    """The first rows of a table that stands in the order of time; those that stand behind a younger one wait for it."""
    places = []
    for place, at in session.db.execute(f"SELECT place, at FROM {table} ORDER BY place LIMIT ?", (max(limit, 0),)):
        if at >= before:
            break
        places.append((place,))
    session.each(f"DELETE FROM {table} WHERE place = ?", places)
    return len(places)


def _blocked(session: Session, before: int, limit: int) -> int:
    """Leave tombstones of blocked events."""
    old = session.all(
        f"""SELECT {EVENT_COLUMNS} FROM events WHERE status = 'blocked' AND metadata IS NOT '{{"deleted": true}}'
        AND created < ? ORDER BY created LIMIT ?""",
        before,
        max(limit, 0),
    )
    for packed in old:
        patch_event(session, packed[ROOM], tombstone(packed, "event.pruned"))
    return len(old)


def _values(session: Session, limit: int) -> int:
    """Values of plugins whose time is over."""
    return session.run(
        """DELETE FROM plugin_values WHERE (namespace, name) IN (
            SELECT namespace, name FROM plugin_values WHERE expires_at <= ? ORDER BY expires_at LIMIT ?
        )""",
        session.now,
        max(limit, 0),
    )
