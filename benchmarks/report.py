"""Tables of what was measured, each number beside its goal."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A range that a number should be in, and how the table says so."""

    text: str
    low: float = -math.inf
    high: float = math.inf

    def is_met(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        cells: As printed.
        values: The numbers that the goal is about, all of which have to meet it: a ratio by the clock and the same by
            CPU time of the thread, so that a busy machine cannot make a goal look met.
        goal: What they should be.
        data: Everything for ``--json``.
    """

    cells: tuple[str, ...]
    values: tuple[float, ...] = ()
    goal: Goal | None = None
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None where there is none, or nothing to hold against it."""
        if self.goal is None or not self.values:
            return None
        return all(self.goal.is_met(value) for value in self.values)

    @property
    def verdict(self) -> str:
        if self.goal is None or self.is_met is None:
            return ""
        return self.goal.text if self.is_met else f"{self.goal.text}  MISSED"


@dataclass
class Table:
    """Rows under one heading."""

    title: str
    columns: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [(*self.columns, "goal"), *((*row.cells, row.verdict) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        text = ["", self.title, "-" * len(self.title)]
        for line in lines:
            first, *rest = (
                cell.ljust(width) if column in (0, len(widths) - 1) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            text.append("   ".join((first, *rest)).rstrip())
        return "\n".join([*text, *(f"  {note}" for note in self.notes)])


def write_json(path: Path, facts: dict[str, Any], tables: Iterable[Table]) -> None:
    """Everything that was measured, for programs."""
    document = {
        **facts,
        "tables": [
            {
                "title": table.title,
                "notes": table.notes,
                "rows": [
                    {
                        "name": row.cells[0],
                        **row.data,
                        "values": row.values,
                        "goal": row.goal and row.goal.text,
                        "met": row.is_met,
                    }
                    for row in table.rows
                ],
            }
            for table in tables
        ],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
