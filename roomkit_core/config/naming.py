"""How the sections of components are called: by their kind in the plural, ``[channels.support]``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from roomkit_core.plugin import Kind

_UNCOUNTABLE: Final = frozenset(
    {
        Kind.AI,
        Kind.AUTH,
        Kind.CONTENT,
        Kind.MEMORY,
        Kind.ORCHESTRATION,
        Kind.REALTIME,
        Kind.STT,
        Kind.TELEMETRY,
        Kind.TTS,
        Kind.VAD,
    }
)

_OURS: Final = tuple(value for name, value in vars(Kind).items() if name.isupper() and isinstance(value, str))


def section_of(kind: str) -> str:
    """The section with the components of a kind: ``channels``, ``identities``; ``auth`` has no plural."""
    if kind in _UNCOUNTABLE:
        return kind
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def kinds_by_section(offered: Iterable[str]) -> Mapping[str, str]:
    """Which kind a section has: all kinds of the core, and those of which somebody offers a component."""
    return {section_of(kind): kind for kind in sorted({*_OURS, *offered})}
