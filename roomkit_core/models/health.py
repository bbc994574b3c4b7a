"""Whether a kit can do its work, and why not."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from roomkit_core.models.base import Base, freeze


class HealthProblem(Base):
    """One reason why a kit is not ready: a stable code and a sentence for people."""

    code: str
    message: str


class Health(Base):
    """How a kit is.

    ``is_alive`` is False only if restarting the process is the one thing that helps. ``is_ready`` says whether new
    messages should be sent here; ``problems`` say why not.
    """

    is_alive: bool
    is_ready: bool
    problems: Annotated[list[HealthProblem], AfterValidator(freeze)]
