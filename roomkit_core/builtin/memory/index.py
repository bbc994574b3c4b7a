"""By what the in-memory store finds work rows, open and settled ones alike: everything that few rows share."""

from __future__ import annotations

from collections.abc import Collection

from roomkit_core.builtin.memory.receipts import ReceiptBook
from roomkit_core.builtin.memory.shelves import Index
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.work import WorkRow


class RowIndexes:
    """Ids of rows by lane, event, correlation, the row they repeat, and their names.

    Args:
        receipts: Knows what providers call the rows.
    """

    __slots__ = ("_correlations", "_events", "_keys", "_lanes", "_originals", "_receipts")

    def __init__(self, receipts: ReceiptBook) -> None:
        self._receipts = receipts
        self._lanes: Index[str] = Index()
        self._events: Index[str] = Index()
        self._correlations: Index[str] = Index()
        self._originals: Index[str] = Index()
        self._keys: Index[str] = Index()

    def add(self, row: WorkRow) -> None:
        """A row is born."""
        row_id = row.id
        self._lanes.add(row.lane, row_id)
        if row.event_id is not None:
            self._events.add(row.event_id, row_id)
        if row.correlation_id is not None:
            self._correlations.add(row.correlation_id, row_id)
        if row.retry_of is not None:
            self._originals.add(row.retry_of, row_id)
        if row.key is not None:
            self._keys.add(row.key[2], row_id)
        if row.provider_key and row.provider_key != row_id:
            self._receipts.name(row.channel_id, row.provider_key, row_id)
        for name in row.provider_ids:
            self._receipts.name(row.channel_id, name, row_id)

    def remove(self, row: WorkRow) -> None:
        """A row is forgotten."""
        self._lanes.remove(row.lane, row.id)
        self._events.remove(row.event_id, row.id)
        self._correlations.remove(row.correlation_id, row.id)
        self._originals.remove(row.retry_of, row.id)
        if row.key is not None:
            self._keys.remove(row.key[2], row.id)
        self._receipts.forget(row)

    def narrow(self, where: WorkFilter) -> Collection[str] | None:
        """Ids among which all are that the filter can match, as few as there are; None if they are not indexed."""
        groups: list[Collection[str]] = []
        if where.row_id is not None:
            groups.append((where.row_id,))
        if where.name is not None:  # a row's own id is its name at the provider, unless it is a retry
            groups.append({where.name, *self._keys.of(where.name), *self._receipts.called(where.name)})
        for index, wanted in (
            (self._originals, where.retry_of),
            (self._events, where.event_id),
            (self._correlations, where.correlation_id),
            (self._lanes, where.lane),
        ):
            if wanted is not None:
                groups.append(index.of(wanted))
        return min(groups, key=len) if groups else None
