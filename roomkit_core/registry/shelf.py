"""The plugins of a registry: who is taken, under which id, and who is refused because the id is taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roomkit_core.registry import lookup
from roomkit_core.registry.admission import Admission
from roomkit_core.registry.checks import info_of
from roomkit_core.registry.discovery import Candidate, installed
from roomkit_core.registry.loader import Loader
from roomkit_core.registry.report import PluginRecord, PluginState


class Shelf:
    """All plugins that were looked at, in that order.

    Args:
        loader: Loads and registers one plugin.
        candidates: The installed plugins; those of this Python environment if None, read at first need and once.
        admission: Which of them may be loaded.
    """

    def __init__(self, loader: Loader, candidates: Iterable[Candidate] | None, admission: Admission) -> None:
        self.records: list[PluginRecord] = []
        self._loader = loader
        self._admission = admission
        self._candidates = None if candidates is None else tuple(candidates)

    @property
    def installed(self) -> Sequence[Candidate]:
        if self._candidates is None:
            self._candidates = installed()
        return self._candidates

    def take_all(self) -> None:
        """Take every installed plugin that was not looked at yet."""
        for plugin_id in dict.fromkeys(candidate.id for candidate in self.installed):
            self._take(plugin_id)

    def take_installed(self, plugin_id: str) -> list[PluginRecord]:
        """Take the one plugin of this id, or refuse all that claim it. PluginError if nobody does."""
        if not self.known(plugin_id):
            if all(candidate.id != plugin_id for candidate in self.installed):
                raise lookup.unknown_plugin(plugin_id, self.installed)
            self._take(plugin_id)
        return self.known(plugin_id)

    def take_object(self, plugin: object) -> PluginRecord:
        """Take a plugin that code passes in, unless its id belongs to another one that works."""
        info = info_of(plugin)
        record = PluginRecord(info.id if info else getattr(plugin, "__name__", repr(plugin)))
        for known in self.known(record.id):
            if known.plugin is plugin:
                return known
        holders = [known for known in self.known(record.id) if known.registered]
        self.records.append(record)
        if holders:
            self._refuse([record], holders)
        else:
            self._loader.load(record, lambda: plugin)
        return record

    def working(self, plugin_id: str) -> PluginRecord:
        """The registered plugin of this id. PluginError if there is none, with what is known of it."""
        known = self.known(plugin_id)
        for record in known:
            if record.registered:
                return record
        raise lookup.not_working(plugin_id, known, self.installed)

    def _take(self, plugin_id: str) -> None:
        known = self.known(plugin_id)
        seen = [record.source for record in known]
        claims = [found for found in self.installed if found.id == plugin_id and found not in seen]
        for record in known:
            # The very module that code passed in: the same plugin, and now we know which distribution it is from.
            if len(claims) == 1 and claims[0].brings(record.plugin):
                record.source = claims.pop()
        records = [PluginRecord(plugin_id, claim) for claim in claims]
        self.records += records
        if objection := self._admission.objection(plugin_id):
            for record in records:
                record.fail(PluginState.DISABLED, objection)
        elif len(records) > 1 or (records and known):
            self._refuse(records, known)
        else:
            for record, claim in zip(records, claims, strict=True):
                self._loader.load(record, claim.load)

    def _refuse(self, records: Sequence[PluginRecord], holders: Sequence[PluginRecord]) -> None:
        """Nobody can say whom the configuration means: none of several gets the id, and who holds it keeps it."""
        claimed = " and ".join(_origin(record) for record in [*holders, *records])
        for record in records:
            hint = f"the id {record.id!r} is claimed by {claimed}: uninstall or rename all but one"
            record.fail(PluginState.CONFLICT, hint)

    def known(self, plugin_id: str) -> list[PluginRecord]:
        """What was looked at under this id; several if several claim it."""
        return [record for record in self.records if record.id == plugin_id]


def _origin(record: PluginRecord) -> str:
    return record.source.origin if record.source else "a plugin that was passed in by code"
