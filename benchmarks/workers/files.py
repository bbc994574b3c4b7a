"""The store files of a worker: a new one for each kit."""

from __future__ import annotations

from itertools import count
from pathlib import Path


class Files:
    """Names files in a folder that whoever started the worker removes.

    Args:
        folder: Where they are.
        synchronous: How far a commit gets before it is through.

    Attributes:
        newest: The last one that was named.
    """

    def __init__(self, folder: str, synchronous: str) -> None:
        self._folder = folder
        self._numbers = count()
        self.synchronous = synchronous
        self.newest = ""

    def new(self) -> str:
        """A name that no file has."""
        self.newest = f"{self._folder}/{self.synchronous}-{id(self)}-{next(self._numbers)}.db"
        return self.newest

    def size(self) -> int:
        """Bytes of the newest, which is closed, so that its log is in it."""
        return Path(self.newest).stat().st_size
