"""Which processes a case has, and how each of them ends: all of it follows from a seed."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tests.faults.scenario import OPERATIONS, WITHDRAWALS, Plan


class Kill(NamedTuple):
    """How one process of a case ends.

    Attributes:
        boundary: It is killed there; None for nowhere.
        number: At which arrival there.
        after: It is killed after so many seconds; None for not by the clock.
        stop_after: It is stopped in good order after so many seconds, and may be killed while that goes on.
    """

    boundary: str | None = None
    number: int = 1
    after: float | None = None
    stop_after: float | None = None


class Script(NamedTuple):
    """One case: what is done, and how its processes end, one after the other; one more brings it to its end.

    Attributes:
        aim: The boundary that the case is about; None for random moments.
        is_fresh: Whether the first process makes the file.
        new_schema: From which process on the file has one more migration; None for never.
    """

    plan: Plan
    kills: tuple[Kill, ...]
    aim: str | None
    is_fresh: bool
    new_schema: int | None


def script_of(aim: str | None, seed: int) -> Script:
    """The case of a boundary, or of random moments, with this seed."""
    dice = Random(f"{aim} {seed}")
    operations = {operation for operation in OPERATIONS if dice.random() < 0.3}
    kind = (aim or "").partition(":")[0]
    if kind in OPERATIONS:
        operations.add(kind)
    if kind == "withdrawal":
        operations = set(WITHDRAWALS)
    plan = Plan(seed, tuple(sorted(operations)), 5 if kind == "group" or dice.random() < 0.2 else 0)
    first = Kill(after=dice.uniform(0.0, 0.25))
    if aim is None:
        kills = tuple(_at_random(dice) for _ in range(dice.choice((1, 1, 2, 3))))
        return Script(plan, kills, aim, dice.random() < 0.1, None)
    if kind == "close":
        return Script(plan, (Kill(aim, stop_after=dice.uniform(0.01, 0.1)),), aim, False, None)
    at = Kill(aim, dice.choice((1, 1, 1, 2, 3)))
    if kind == "recovery":
        first = Kill(
            dice.choice(("call: inside, after the provider took it", "claim: before the work", "model: inside")), 2
        )
        return Script(plan, (first, at), aim, False, None)
    if kind == "migration":
        is_fresh = dice.random() < 0.5
        return Script(plan, (at,) if is_fresh else (first, at), aim, is_fresh, None if is_fresh else 1)
    kills = (at, Kill(after=dice.uniform(0.0, 0.2))) if dice.random() < 0.2 else (at,)
    return Script(plan, kills, aim, False, None)


def _at_random(dice: Random) -> Kill:
    if dice.random() < 0.3:
        return Kill(stop_after=dice.uniform(0.0, 0.1))
    return Kill(after=dice.uniform(0.0, 0.25))
