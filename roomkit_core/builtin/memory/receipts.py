"""Which delivery a provider's report is about, and reports that came before the delivery knew its provider's id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from roomkit_core.builtin.memory.shelves import Index, Shelf
from roomkit_core.interfaces.store_types import Report, farther
from roomkit_core.models.work import WorkRow


class ReceiptBook:
    """Names of deliveries (the provider's ids, and the key of a retry's first row) and early reports, by channel."""

    __slots__ = ("_early", "_named")

    def __init__(self) -> None:
        self._named: dict[str, Index[str]] = {}
        self._early: Shelf[tuple[str, str], tuple[Report, int]] = Shelf(1)

    def find(self, channel_id: str, name: str) -> str | None:
        """The id of the newest row that goes by ``name``, or None."""
        named = self._named.get(channel_id)
        return None if named is None else named.newest(name)

    def called(self, name: str) -> Iterator[str]:
        """The ids of all rows of any channel that go by ``name``."""
        for named in self._named.values():
            yield from named.of(name)

    def name(self, channel_id: str, name: str, row_id: str) -> None:
        """From now on ``name`` means this row; the newest row of a name wins."""
        named = self._named.get(channel_id)
        if named is None:
            named = self._named[channel_id] = Index()
        named.add(name, row_id)

    def forget(self, row: WorkRow) -> None:
        """The row is no more."""
        named = self._named.get(row.channel_id)
        if named is None:
            return
        for name in (row.provider_key, *row.provider_ids):
            named.remove(name, row.id)
        if not named:
            del self._named[row.channel_id]

    def keep(self, channel_id: str, name: str, report: Report, now: int) -> None:
        """Remember a report about a delivery that nobody knows yet."""
        self._early[channel_id, name] = (self._use_up(channel_id, name, report), now)

    def join(self, channel_id: str, names: Iterable[str], report: Report) -> Report:
        """The farthest of ``report`` and the early ones about ``names``, which are thereby used up."""
        if self._early:
            for name in names:
                report = self._use_up(channel_id, name, report)
        return report

    def _use_up(self, channel_id: str, name: str, report: Report) -> Report:
        early = self._early.get((channel_id, name))
        if early is None:
            return report
        self._early.drop([(channel_id, name)])
        return farther(early[0], report)

    def purge(self, before: int, limit: int) -> int:
        """Forget reports from before ``before`` that nothing has joined; returns how many."""
        return len(self._early.take_old(before, limit))
