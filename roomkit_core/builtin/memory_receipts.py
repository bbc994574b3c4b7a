"""Which delivery a provider's report is about, and reports that came before the delivery knew its provider's id."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from roomkit_core.models.enums import ReceiptRank
from roomkit_core.models.work import WorkRow

_RANKS = {rank.value: place for place, rank in enumerate(ReceiptRank)}


def higher_rank(one: str, other: str) -> str:
    """The later of two ranks in the order of :class:`ReceiptRank`."""
    return other if _RANKS[other] > _RANKS[one] else one


class ReceiptBook:
    """Names of deliveries (the provider's ids, and the key of a retry's first row) and early reports, by channel."""

    __slots__ = ("_early", "_named")

    def __init__(self) -> None:
        self._named: dict[str, dict[str, str]] = {}
        self._early: dict[tuple[str, str], tuple[str, int]] = {}

    def find(self, channel_id: str, name: str) -> str | None:
        """The id of the row that goes by ``name``, or None."""
        named = self._named.get(channel_id)
        return None if named is None else named.get(name)

    def name(self, channel_id: str, name: str, row_id: str) -> None:
        """From now on ``name`` means this row; the newest row of a name wins."""
        self._named.setdefault(channel_id, {})[name] = row_id

    def forget(self, row: WorkRow) -> None:
        """The row is no more."""
        named = self._named.get(row.channel_id)
        if named is None:
            return
        for name in (row.provider_key, *row.provider_ids):
            if named.get(name) == row.id:
                del named[name]
        if not named:
            del self._named[row.channel_id]

    def keep(self, channel_id: str, name: str, rank: str, now: int) -> None:
        """Remember a report about a delivery that nobody knows yet."""
        early = self._early.pop((channel_id, name), None)
        self._early[channel_id, name] = (rank if early is None else higher_rank(early[0], rank), now)

    def join(self, channel_id: str, names: Iterable[str], rank: str) -> str:
        """``rank``, raised by the early reports about ``names``, which are thereby used up."""
        if self._early:
            for name in names:
                early = self._early.pop((channel_id, name), None)
                if early is not None:
                    rank = higher_rank(rank, early[0])
        return rank

    def purge(self, before: int) -> None:
        """Forget reports from before ``before`` that nothing has joined."""
        # Kept in the order of their arrival: the first young one ends the search.
        old = list(takewhile(lambda name: self._early[name][1] < before, self._early))
        for name in old:
            del self._early[name]
