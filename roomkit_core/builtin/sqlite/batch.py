"""A batch on its way to the writer: what can be made ready on the loop is, so that the thread only writes."""

from __future__ import annotations

from roomkit_core.builtin.memory.batch import Prepared, has_rare_parts, prepare
from roomkit_core.builtin.sqlite.errors import bare
from roomkit_core.builtin.sqlite.rows import PackedWork, pack_work
from roomkit_core.models.changes import ChangeSet
from roomkit_core.models.packing import Packed, pack_event
from roomkit_core.models.room import Version
from roomkit_core.models.work import WorkKind


class Batch:
    """A change set with its parts in the form in which they are written.

    Attributes:
        changes: What was handed in.
        events: The new events, packed.
        is_common: Whether it is one event for a room that exists, with at most keys, discharges and work: a message.
        rare: All but new events, keys and work; None if there is nothing else.
        work: The new rows.
        adds_to_journal: Whether one of them is an inbound message.
        flaw: What is wrong with it. It is raised when the batch's turn has come and its guards hold: a batch that is
            refused is refused whatever else it holds.
    """

    __slots__ = ("adds_to_journal", "changes", "events", "flaw", "is_common", "rare", "work")

    def __init__(self, changes: ChangeSet) -> None:
        self.changes = changes
        self.events: tuple[Packed, ...] = changes.packed
        self.rare: Prepared | None = None
        self.work: tuple[PackedWork, ...] = ()
        self.adds_to_journal = False
        self.flaw: Exception | None = None
        if not changes.is_plain:
            try:
                self._pack()
            except Exception as error:  # noqa: BLE001, RUF100 (raised in the batch's turn)
                self.flaw = bare(error)
        self.is_common = self._is_message()

    def _is_message(self) -> bool:
        changes = self.changes
        return (
            len(self.events) == len(changes.events) == 1
            and self.rare is None
            and self.flaw is None
            and type(changes.expected) is Version
        )

    def _pack(self) -> None:
        changes = self.changes
        if not self.events and changes.events:
            self.events = tuple(map(pack_event, changes.events))
        if changes.work:
            self.adds_to_journal = any(row.kind is WorkKind.INBOUND for row in changes.work)
            self.work = pack_work(changes.work)
        if has_rare_parts(changes):
            # Whether the room has the events that are patched is found out in their turn.
            self.rare = prepare(changes, {patch.id: pack_event(patch) for patch in changes.patches})
