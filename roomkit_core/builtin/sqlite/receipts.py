"""Which delivery a provider's report is about, and reports that came before the delivery knew its provider's id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.interfaces.store_types import Report, farther

_EARLY = "SELECT place, rank, reported FROM early_receipts WHERE channel_id = ? AND name = ?"


def learn_names(session: Session, names: Sequence[tuple[str, str, str]]) -> None:
    """From now on (name, channel) means this row; the newest row of a name is the one that is meant."""
    session.each("INSERT OR IGNORE INTO work_names (name, channel_id, row_id) VALUES (?, ?, ?)", names)


def join_early(session: Session, channel_id: str, names: Iterable[str], report: Report) -> Report:
    """The farthest of ``report`` and the early ones about ``names``, which are thereby used up."""
    if not session.has_early():
        return report
    for name in names:
        early = session.one(_EARLY, channel_id, name)
        if early is not None:
            session.run("DELETE FROM early_receipts WHERE place = ?", early[0])
            report = farther(Report(*early[1:]), report)
    return report


def note_receipt(session: Session, channel_id: str, name: str, report: Report) -> bool:
    """Raise the rank of the delivery that goes by ``name``; True if that changed it."""
    named = session.one(
        "SELECT row_id FROM work_names WHERE name = ? AND channel_id = ? ORDER BY place DESC LIMIT 1", name, channel_id
    )
    row_id = name if named is None else named[0]
    row = session.one("SELECT seq, channel_id, receipt_rank, receipt_at FROM work WHERE id = ?", row_id)
    if row is None or row[1] != channel_id:
        _keep(session, channel_id, name, report)
        return False
    former = Report(*row[2:])
    if farther(former, report) is former:
        return False
    session.run("UPDATE work SET receipt_rank = ?, receipt_at = ? WHERE seq = ?", *report, row[0])
    return True


def _keep(session: Session, channel_id: str, name: str, report: Report) -> None:
    """Remember a report about a delivery that nobody knows yet."""
    report = join_early(session, channel_id, (name,), report)
    session.expect_early()
    session.run(
        "INSERT INTO early_receipts (channel_id, name, rank, reported, at) VALUES (?, ?, ?, ?, ?)",
        channel_id,
        name,
        *report,
        session.now,
    )
