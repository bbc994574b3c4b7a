"""A changed bot takes the place of the one that runs, and what people are told about it."""

from __future__ import annotations

from dataclasses import dataclass

from roomkit_core.errors import ConfigProblem, HookError
from roomkit_core.kit import RoomKit


@dataclass(frozen=True, slots=True)
class Renewal:
    """What came of a change.

    Attributes:
        text: What people are told.
        problems: Why the bot stayed as it was; empty if it is new.
    """

    text: str
    problems: tuple[ConfigProblem, ...] = ()


def renew(kit: RoomKit) -> Renewal | None:
    """Take over what changed in the modules of a bot, or tell each mistake with file and line and keep what was.

    Call it on the kit's event loop.

    Returns:
        What came of it; None if nothing changed.
    """
    try:
        names = kit.reload_app()
    except HookError as error:
        return Renewal("\n".join([*map(str, error.problems), "* the bot stays as it was"]), tuple(error.problems))
    return Renewal(f"* new: {', '.join(names)}") if names else None
