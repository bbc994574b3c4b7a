"""The folder in which files are written: on what it lies, and whether durability costs anything there."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.environments import KEPT

FOLDER = "ROOMKIT_BENCH_DIR"
FREE_BELOW = 20e-6
"""Seconds: a disk that is told to keep something does not answer faster than this."""
SYNCS = 60
PAGE = 4096
IN_MEMORY = {"tmpfs", "ramfs"}

_sync = getattr(os, "fdatasync", os.fsync)  # macOS and Windows have only the other one


class DiskError(Exception):
    """The folder is no place for a measurement; the text says why and what can be done."""


@dataclass(frozen=True)
class Disk:
    """A folder to measure in.

    Attributes:
        folder: The folder, empty.
        file_system: What it is on, as far as the system tells.
        sync_seconds: Median of what one fdatasync of a changed page took.
    """

    folder: Path
    file_system: str
    sync_seconds: float

    def __str__(self) -> str:
        return f"{self.file_system}, median fdatasync {self.sync_seconds * 1e6:,.0f} µs, in {self.folder.parent}"


@contextmanager
def disk_to_measure(*, anywhere: bool) -> Iterator[Disk]:
    """A new folder in ``ROOMKIT_BENCH_DIR``, else in the checkout; it is removed afterwards.

    Args:
        anywhere: Also where durability costs nothing.

    Raises:
        DiskError: The folder is missing, or is on a file system that keeps nothing.
    """
    home = Path(os.environ.get(FOLDER) or KEPT)
    if home == KEPT:
        home.mkdir(exist_ok=True)
    if not home.is_dir():
        raise DiskError(f"{FOLDER} names {home}, which is no folder")
    with tempfile.TemporaryDirectory(prefix="durable-", dir=home) as name:
        folder = Path(name)
        disk = Disk(folder, _file_system(folder), _median_sync(folder))
        if not anywhere and (disk.file_system in IN_MEMORY or disk.sync_seconds < FREE_BELOW):
            raise DiskError(
                f"{disk}: durability costs nothing here, so that its numbers would say nothing. "
                f"Name a folder on a disk with {FOLDER}=, or measure all the same with --any-disk."
            )
        yield disk


def _median_sync(folder: Path) -> float:
    """What it takes to make one changed page of a file durable, in seconds."""
    took = []
    handle = os.open(folder / "synced", os.O_RDWR | os.O_CREAT)
    try:
        os.write(handle, bytes(PAGE))
        for number in range(SYNCS):
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, bytes([number]) * PAGE)
            began = time.perf_counter()
            _sync(handle)
            took.append(time.perf_counter() - began)
    finally:
        os.close(handle)
    return median(took)


def _file_system(folder: Path) -> str:
    """The type of the file system, from Linux's list of mounts; "unknown file system" elsewhere."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown file system"
    best = ("", "unknown file system")
    for line in lines:
        _, place, kind, *_ = line.split()
        if len(place) >= len(best[0]) and folder.resolve().is_relative_to(place.replace("\\040", " ")):
            best = (place, kind)
    return best[1]
