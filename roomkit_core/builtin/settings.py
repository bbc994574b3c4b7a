"""What can be configured about built-in components."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from roomkit_core.models.settings import FilePath, Settings


class MemoryStoreSettings(Settings):
    """``use = "memory"``: a store that forgets everything with the process, for tests."""


class MemoryLockSettings(Settings):
    """``use = "memory"``: one lock per room, for one process."""

    max_locks: int = Field(default=1024, ge=1, description="How many rooms are remembered while nobody is in them.")


class DefaultRouterSettings(Settings):
    """``use = "default"``: routes by conversation key."""


class BotSettings(Settings):
    """``use = "bot"``: a bot's place in a room."""


class TerminalSettings(Settings):
    """``use = "terminal"``: people at the terminal of ``roomkit chat``."""


class SQLiteSettings(Settings):
    """``use = "sqlite"``: a store in one file."""

    path: FilePath = Field(default=Path("room.db"), validate_default=True, description="The file, on a local disk.")
    synchronous: Literal["full", "normal", "off"] = Field(
        "full",
        description="`full` survives a loss of power; `normal` the end of the process; `off` is for measurements.",
    )
