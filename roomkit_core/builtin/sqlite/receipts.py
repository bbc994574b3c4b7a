"""Which delivery a provider's report is about, and reports that came before the delivery knew its provider's id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roomkit_core.builtin.memory.receipts import higher_rank
from roomkit_core.builtin.sqlite.session import Session

_EARLY = "SELECT place, rank FROM early_receipts WHERE channel_id = ? AND name = ?"


def learn_names(session: Session, names: Sequence[tuple[str, str, str]]) -> None:
    """From now on (name, channel) means this row; the newest row of a name is the one that is meant."""
    session.each("INSERT OR IGNORE INTO work_names (name, channel_id, row_id) VALUES (?, ?, ?)", names)


def join_early(session: Session, channel_id: str, names: Iterable[str], rank: str) -> str:
    """``rank``, raised by the early reports about ``names``, which are thereby used up."""
    if not session.has_early():
        return rank
    for name in names:
        early = session.one(_EARLY, channel_id, name)
        if early is not None:
            session.run("DELETE FROM early_receipts WHERE place = ?", early[0])
            rank = higher_rank(rank, early[1])
    return rank


def note_receipt(session: Session, channel_id: str, name: str, rank: str) -> bool:
    """Raise the rank of the delivery that goes by ``name``; True if that changed it."""
    named = session.one(
        "SELECT row_id FROM work_names WHERE name = ? AND channel_id = ? ORDER BY place DESC LIMIT 1", name, channel_id
    )
    row_id = name if named is None else named[0]
    row = session.one("SELECT seq, channel_id, receipt_rank FROM work WHERE id = ?", row_id)
    if row is None or row[1] != channel_id:
        _keep(session, channel_id, name, rank)
        return False
    seq, _, former = row
    if higher_rank(former, rank) == former:
        return False
    session.run("UPDATE work SET receipt_rank = ? WHERE seq = ?", rank, seq)
    return True


def _keep(session: Session, channel_id: str, name: str, rank: str) -> None:
    """Remember a report about a delivery that nobody knows yet."""
    rank = join_early(session, channel_id, (name,), rank)
    session.expect_early()
    session.run(
        "INSERT INTO early_receipts (channel_id, name, rank, at) VALUES (?, ?, ?, ?)",
        channel_id,
        name,
        rank,
        session.now,
    )
