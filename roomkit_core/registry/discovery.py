"""Which plugins are installed, read from the metadata of distributions; nothing is imported.

``importlib.metadata.entry_points()`` reads all distributions in one go and raises if the entry points of any of them
are malformed, whether it has to do with us or not. Here each distribution is read for itself (T36).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from typing import Final

from roomkit_core.registry.imports import import_name

GROUP: Final = "roomkit.plugins"
"""The entry-point group; the name of an entry point is the plugin's id, its value the module to import."""

_log = logging.getLogger("roomkit.plugins")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry point that announces a plugin, not imported yet.

    Attributes:
        id: Name of the entry point; of the distribution if its entry points cannot be read.
        value: What to import: ``"package.module"`` or ``"package.module:object"``.
        distribution: Name of the distribution that brings it.
        version: That distribution's version.
        error: Why the entry points of that distribution cannot be read; the rest is then of no use.
    """

    id: str
    value: str
    distribution: str | None = None
    version: str | None = None
    error: Exception | None = None

    @property
    def origin(self) -> str:
        """Distribution and version for people."""
        return f"{self.distribution or 'an unnamed distribution'} {self.version or ''}".rstrip()

    def load(self) -> object:
        """Import the plugin. Raises whatever its module raises, or :attr:`error`."""
        if self.error is not None:
            raise self.error
        return import_name(self.value)

    def brings(self, plugin: object) -> bool:
        """Whether this is where ``plugin``, which exists already, comes from; found out without importing."""
        module, _, attribute = self.value.partition(":")
        found: object = sys.modules.get(module)
        for name in filter(None, attribute.split(".")):
            found = getattr(found, name, None)
        return found is plugin


def installed() -> tuple[Candidate, ...]:
    """All entry points of the group, in the order of ``sys.path``; a distribution that cannot be read has an error."""
    found = (_read(distribution) for distribution in metadata.distributions() if _mentions_group(distribution))
    # A second copy of a distribution further down sys.path has given the candidates of the first.
    return tuple(dict.fromkeys(chain.from_iterable(found)))


def _mentions_group(distribution: metadata.Distribution) -> bool:
    try:
        return GROUP in (distribution.read_text("entry_points.txt") or "")
    except Exception:
        # Not even text: whether it concerns us cannot be told, and it stops nobody else.
        _log.warning("the entry points of %s cannot be read", _read_name(distribution), exc_info=True)
        return False


def _read(distribution: metadata.Distribution) -> Iterator[Candidate]:
    name = _read_name(distribution)
    try:
        used = _first_on_path(name) or distribution
        for point in used.entry_points:
            if point.group == GROUP:
                target = point.value.partition("[")[0].replace(" ", "")
                yield Candidate(point.name, target, name, _read_version(used))
    except Exception as cause:
        error = ValueError(f"the entry points of {name or 'an unnamed distribution'} cannot be read: {cause}")
        error.__cause__ = cause
        yield Candidate(name or "unnamed", "", name, error=error)


def _first_on_path(name: str | None) -> metadata.Distribution | None:
    """The copy of a distribution that Python uses, where there are several."""
    return next(iter(metadata.distributions(name=name)), None) if name else None


def _read_name(distribution: metadata.Distribution) -> str | None:
    try:
        return distribution.name or None
    except Exception:  # damaged metadata; its plugin may work all the same and is reported without a name
        return None


def _read_version(distribution: metadata.Distribution) -> str | None:
    try:
        return distribution.version
    except Exception:  # as above
        return None
