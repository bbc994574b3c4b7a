"""What ``roomkit doctor`` found: one thing that was looked at, how it is, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["fine", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What: ``"python"``, ``"plugin pager"``, ``"channel support"``.
        status: ``"wrong"`` has to be mended, ``"note"`` is worth knowing.
        message: How it is.
        hint: What to do; empty if nothing.
    """

    subject: str
    status: Status
    message: str
    hint: str = ""
