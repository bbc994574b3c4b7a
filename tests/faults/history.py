"""What really happened, in its order: written line by line by processes that are killed, read by who judges.

A line is one ``write`` to a file opened with O_APPEND, and only the process dies, never the machine: a line is there
whole or not at all. One process writes at a time, so the order of the lines is that of the happenings.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class History:
    """The history of one case.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, kind: str, **facts: Any) -> None:
        """Append a line."""
        os.write(self._handle, json.dumps({"kind": kind, **facts}).encode() + b"\n")

    def read(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The lines of a kind, or all of them, each with its ``place``."""
        return [line for line in read_history(self._path) if kind in (None, line["kind"])]


def read_history(path: Path) -> list[dict[str, Any]]:
    """All lines of a history, each with its ``place``."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [{**json.loads(line), "place": place} for place, line in enumerate(lines)]
