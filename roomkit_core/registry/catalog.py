"""The components that loaded plugins offer, by kind and name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from roomkit_core.plugin import Component
from roomkit_core.registry.report import PluginRecord


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A component and the plugin that offers it."""

    plugin: str
    component: Component

    @property
    def full_name(self) -> str:
        """``"plugin:name"``, which is unique within a kind."""
        return f"{self.plugin}:{self.component.name}"


class Catalog:
    """A view of the registry's records, in the order of loading. Two plugins may offer the same name."""

    def __init__(self, records: Sequence[PluginRecord]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[CatalogEntry]:
        for record in self._records:
            for component in record.components:
                yield CatalogEntry(record.id, component)

    def of_kind(self, kind: str | None) -> tuple[CatalogEntry, ...]:
        """All of a kind, or all there are."""
        return tuple(entry for entry in self if kind in (None, entry.component.kind))

    def matches(self, kind: str, name: str) -> tuple[CatalogEntry, ...]:
        """Those that ``name`` can mean: one for ``"plugin:name"``, several where a bare name is not unique."""
        return tuple(entry for entry in self.of_kind(kind) if name in (entry.component.name, entry.full_name))
