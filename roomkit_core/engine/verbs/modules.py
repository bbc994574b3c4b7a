"""Modules of a bot: imported from where they stand, with all that they bring, and imported anew when they changed."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from importlib.util import cache_from_source
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from roomkit_core.errors import ConfigProblem

_MARK = "__roomkit_bot__"
INSTALLED = ("site-packages", "dist-packages")


class Source(NamedTuple):
    """Where a module of a bot comes from: its name, and the folder in which it is looked for first."""

    name: str
    folder: str | None = None


class Brought(NamedTuple):
    """A module, and the names of all modules of the bot that came with it."""

    module: ModuleType
    own: frozenset[str]


def source_of(place: str | PathLike[str], folder: str | PathLike[str] | None) -> Source:
    """A module by its name, or by the path of its file."""
    if not isinstance(place, str) or place.endswith(".py"):
        path = Path(folder or "", place).resolve()
        return Source(path.stem, str(path.parent))
    return Source(place, None if folder is None else str(Path(folder).resolve()))


def bring(source: Source) -> Brought:
    """Import a module; whatever it raises comes out.

    The folder goes to the front of the path. A module of the same name from another folder makes room, and so do
    modules that came with another bot.
    """
    name, folder = source
    if folder is not None:
        if folder not in sys.path:
            sys.path.insert(0, folder)
        _drop_namesakes(name.partition(".")[0], folder)
    importlib.invalidate_caches()
    before = set(sys.modules)
    module = importlib.import_module(name)
    brought = Brought(module, own_of(module, set(sys.modules) - before, folder))
    for own in brought.own:
        setattr(sys.modules[own], _MARK, True)
    return brought


def own_of(module: ModuleType, brought: Iterable[str] = (), folder: str | None = None) -> frozenset[str]:
    """The module and those of ``brought`` that stand beside it."""
    if folder is None:
        file = file_of(module.__name__)
        folder = None if file is None else str(file.parent)
    beside = {name for name in brought if folder is not None and _stands_in(name, folder)}
    return frozenset({module.__name__, *beside})


def file_of(name: str) -> Path | None:
    """The file of an imported module."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return None if file is None else Path(file)


def stamps(names: Iterable[str]) -> dict[str, tuple[int, int] | None]:
    """When the files of modules were written last, and how long they are; None for one that is gone."""
    found: dict[str, tuple[int, int] | None] = {}
    for name in names:
        file = file_of(name)
        if file is not None:
            found[name] = None
            with suppress(FileNotFoundError):
                status = file.stat()
                found[name] = status.st_mtime_ns, status.st_size
    return found


def forget(names: Iterable[str]) -> dict[str, ModuleType]:
    """Let the next import run these modules again; returns what they were, for :func:`restore`.

    Their bytecode goes too: it counts as fresh for an edit within the same second that leaves the length as it was.
    """
    former: dict[str, ModuleType] = {}
    for name in names:
        file = file_of(name)
        if file is not None:
            with suppress(OSError, NotImplementedError):  # there is none, or this Python writes none
                Path(cache_from_source(str(file))).unlink()
        if name in sys.modules:
            former[name] = sys.modules.pop(name)
    return former


@dataclass(frozen=True, slots=True)
class ImportProblem(ConfigProblem):
    """Why a module cannot be imported.

    Attributes:
        source: The module.
    """

    source: Source = field(kw_only=True)


def import_problem(source: Source, error: Exception) -> ImportProblem:
    """Why a module cannot be imported, at the last line of the bot's own code that was reached."""
    what = f"the module {source.name!r} cannot be imported: {type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename is not None:
        return ImportProblem(error.filename, error.lineno, "", what, "Mend that line.", source=source)
    folder = source.folder or str(Path.cwd())
    frames = [one for one in traceback.extract_tb(error.__traceback__) if _is_below(one.filename, folder)]
    if frames:
        return ImportProblem(frames[-1].filename, frames[-1].lineno, "", what, "Mend that line.", source=source)
    return ImportProblem(folder, None, "", what, "It is looked for in that folder.", source=source)


def _stands_in(name: str, folder: str) -> bool:
    file = file_of(name)
    return file is not None and not name.startswith("roomkit_") and _is_below(str(file), folder)


def _is_below(file: str, folder: str) -> bool:
    path = Path(file)
    return path.is_relative_to(folder) and not any(part in path.parts for part in INSTALLED)


def _drop_namesakes(top: str, folder: str) -> None:
    """Let the folder's own modules be imported where others of their names are: the bot's, and those of other bots."""
    for name in {top, *(name for name, module in list(sys.modules.items()) if hasattr(module, _MARK))}:
        loaded = sys.modules.get(name)
        here = PathFinder.find_spec(name, [folder]) if "." not in name else None
        if loaded is None or here is None or here.origin is None:
            continue
        if getattr(loaded.__spec__, "origin", None) != here.origin:
            for below in [below for below in sys.modules if below == name or below.startswith(f"{name}.")]:
                del sys.modules[below]
