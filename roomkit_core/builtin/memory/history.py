"""Tenures of work rows that did not bring them to a good end, packed, until their row is forgotten."""

from __future__ import annotations

from typing import Any

from roomkit_core.models.work import Attempt, WorkRow, WorkState


class History:
    """Attempts by row, oldest first."""

    __slots__ = ("_of_row",)

    def __init__(self) -> None:
        self._of_row: dict[str, tuple[tuple[Any, ...], ...]] = {}

    def note(
        self,
        tenure: WorkRow,
        now: int,
        state: WorkState,
        code: str | None = None,
        reason: str | None = None,
        *,
        maybe_sent: bool,
    ) -> None:
        """Remember how a tenure ended.

        Args:
            tenure: The row as its holder had it.
            now: When that ended, in microseconds.
            state: What the row is now; IN_FLIGHT if another holder has taken it over.
            code: Why, in one word.
            reason: Why, for a person.
            maybe_sent: Whether a call may have got through, in this tenure or before.
        """
        entry = (tenure.token, tenure.attempts, tenure.owner, now, state.value, code, reason, maybe_sent)
        self._of_row[tenure.id] = (*self._of_row.get(tenure.id, ()), entry)

    def of(self, row_id: str) -> list[Attempt]:
        return [
            Attempt(row_id, token, attempt, owner, ended_at, WorkState(state), code, reason, maybe_sent)
            for token, attempt, owner, ended_at, state, code, reason, maybe_sent in self._of_row.get(row_id, ())
        ]

    def forget(self, row_id: str) -> None:
        self._of_row.pop(row_id, None)
