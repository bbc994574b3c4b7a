"""What configuration models are made of: a frozen base without unknown keys, paths, and lengths of time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, ValidationInfo, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from roomkit_core.models.base import Base

FOLDER: Final = "folder"
"""The key under which the validation context has the folder of the configuration file."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*")


class Settings(Base):
    """Base of the models that ``Component.config`` and ``PluginInfo.config`` name.

    Each field is a key of the section, with a description that people read in the reference and in their editor. A
    secret is a ``pydantic.SecretStr``: it is shown nowhere.
    """


@dataclass(frozen=True, slots=True)
class Uses:
    """Marks a field that takes a component: ``provider: Annotated[SMSProvider, Uses("provider")]``.

    In the file it is a table with ``use``, or the id of an instance that has a section of its own. What is made with
    these settings gets the component itself.

    Args:
        kind: The kind of component.
    """

    kind: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.any_schema(metadata={"pydantic_js_extra": {"x-roomkit-kind": self.kind}})


def _seconds(value: Any) -> Any:
    """``"7d"`` as seconds; numbers are seconds already."""
    if isinstance(value, bool):
        raise ValueError("expected seconds, not a truth value")
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value)
    if found is None:
        try:
            return float(value)
        except ValueError:
            raise ValueError('expected seconds, or a number with a unit: "500ms", "30s", "5m", "72h", "7d"') from None
    return float(found[1]) * _UNITS[found[2]]


def _beside(path: Path, info: ValidationInfo) -> Path:
    """A relative path begins where the configuration file is, whatever directory the process runs in."""
    folder = (info.context or {}).get(FOLDER)
    return path.expanduser() if folder is None else Path(folder) / path.expanduser()


Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(allow_inf_nan=False),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{_DURATION.pattern}$"}]}),
]
"""Seconds, which may be written with a unit: ``"500ms"``, ``"30s"``, ``"5m"``, ``"72h"``, ``"7d"``."""

FilePath = Annotated[Path, AfterValidator(_beside)]
"""A path; a relative one begins in the folder of the configuration file."""
