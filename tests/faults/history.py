"""What really happened, in its order: written line by line by processes that are killed, read by who judges.

A line is one ``write`` to a file opened with O_APPEND, and only the process dies, never the machine: a line is there
whole or not at all. One process writes at a time, so the order of the lines is that of the happenings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class History:
    """The history of one case.

    Args:
        path: The file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b", buffering=0)
        self._lines: list[dict[str, Any]] = []
        self._read = 0

    def add(self, kind: str, **facts: Any) -> None:
        """Append a line."""
        self._file.write(json.dumps({"kind": kind, **facts}).encode() + b"\n")

    def read(self, *kinds: str) -> list[dict[str, Any]]:
        """The lines of these kinds, or all of them, each with its ``place``."""
        self._file.seek(self._read)
        for line in self._file.read().splitlines():
            self._read += len(line) + 1
            self._lines.append({**json.loads(line), "place": len(self._lines)})
        return [line for line in self._lines if not kinds or line["kind"] in kinds]
