"""How commands print: tables for people, JSON for programs. What comes from outside cannot steer a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from roomkit_core.models.story import WorkView, printable

WIDE = 200
"""Columns of a table that goes into a file or a pipe."""


def print_json(value: Any) -> None:
    """Print models, or lists of them, as one JSON document."""
    typer.echo(json.dumps(_plain(value), ensure_ascii=False, indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; no cell is cut, so that ids can be copied."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title.startswith("id"))
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    width = None if sys.stdout.isatty() else WIDE
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


def print_work(rows: Sequence[WorkView]) -> None:
    """Print rows of owed work."""
    print_table(
        ("id", "kind", "channel", "to", "state", "tries", "since", "code", "reason"),
        (
            (
                row.id,
                row.kind,
                row.channel_id,
                row.name,
                _state(row),
                row.attempts + row.takeovers,
                row.settled_at or row.created_at,
                row.code,
                row.reason if row.reason != row.code else None,
            )
            for row in rows
        ),
    )


def _state(row: WorkView) -> str:
    text = "queued" if row.is_queued else row.state.value
    return f"{text}, maybe sent" if row.maybe_sent else text


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return printable(str(value))
