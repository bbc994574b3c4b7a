"""Ours beside the peer: the scenarios, how large each side's share of a pair is, and the goals."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.processes import Pairs, Run, Worker, alternate
from benchmarks.report import Goal, Row, Table

COLUMNS = ("µs per message, thread time in brackets", "ours", "a second", "peer", "a second", "ratio", "worst-best")


@dataclass(frozen=True)
class Scenario:
    """A command that both workers know. Ours gets more rounds of it: a measurement should last some 100 ms."""

    name: str
    goal: Goal
    do: str
    parameters: dict[str, int]
    ours: dict[str, int]
    peer: dict[str, int]


FRESH = Scenario(
    name="one room, one after another",
    goal=Goal("≥ 25 (30 wanted)", low=25),
    do="fresh",
    parameters={"messages": 200},
    ours={"rounds": 20},
    peer={"rounds": 1},
)
CONCURRENT = Scenario(
    name="100 rooms at once",
    goal=Goal("≥ 25 (30 wanted)", low=25),
    do="concurrent",
    parameters={"rooms": 100, "messages": 5},
    ours={"rounds": 10},
    peer={"rounds": 1},
)
STANDING = Scenario(
    name="events in the room: {events:,}",
    goal=Goal("≥ 150", low=150),
    do="standing",
    parameters={},
    ours={"messages": 2000},
    peer={"messages": 20},
)
STANDING_EVENTS = 10_000


def compare(ours: Worker, peer: Worker | None, pairs: int, events: int) -> Table:
    """All scenarios. Without a peer only our side is measured."""
    table = Table("Memory store on asyncio, two WebSocket channels, one hook, settled", COLUMNS)
    for scenario in (FRESH, CONCURRENT):
        table.rows.append(_measure(scenario, scenario.name, ours, peer, pairs))
    table.rows.append(_compare_standing(ours, peer, pairs, events, table.notes))
    table.notes.append("ours also tells the client of the author's own channel, the peer does not")
    return table


def _compare_standing(ours: Worker, peer: Worker | None, pairs: int, events: int, notes: list[str]) -> Row:
    """The same in a room that already holds ``events``, which are sent to it first."""
    took = []
    for name, worker in (("ours", ours), ("peer", peer)):
        if worker is not None:
            print(f"sending {events:,} messages to a room ({name})", file=sys.stderr)
            took.append(f"{name} {worker.run('prepare', events=events).seconds:.1f} s")
    notes.append(f"sending the first {events:,} took: {', '.join(took)}")
    name = STANDING.name.format(events=events)
    row = _measure(STANDING, name, ours, peer, pairs)
    if events == STANDING_EVENTS:
        return row
    notes.append(f"the goal of {STANDING.goal.text} is for {STANDING_EVENTS:,} events, not for {events:,}")
    return Row(row.cells, row.values, None, row.data)


def _measure(scenario: Scenario, name: str, ours: Worker, peer: Worker | None, pairs: int) -> Row:
    def run_ours() -> Run:
        return ours.run(scenario.do, **scenario.parameters, **scenario.ours)

    if peer is None:
        runs = [run_ours() for _ in range(pairs + 1)][1:]
        return Row((name, cost(runs), rate(runs), "-", "-", "-", "-"), data={"ours": runs_data(runs)})
    result = alternate(pairs, run_ours, lambda: peer.run(scenario.do, **scenario.parameters, **scenario.peer))
    ratios = result.ratios
    cells = (
        name,
        cost(result.first),
        rate(result.first),
        cost(result.second),
        rate(result.second),
        f"{median(ratios):.1f} ({result.thread_ratio:.1f})",
        f"{min(ratios):.1f}-{max(ratios):.1f}",
    )
    return Row(cells, (median(ratios), result.thread_ratio), scenario.goal, pairs_data(result, "ours", "peer"))


def cost(runs: Sequence[Run]) -> str:
    """Medians of wall and thread time per message."""
    return f"{median(run.wall for run in runs):,.1f} ({median(run.thread for run in runs):,.1f})"


def rate(runs: Sequence[Run]) -> str:
    """Messages a second, at the median."""
    return f"{1e6 / median(run.wall for run in runs):,.0f}"


def runs_data(runs: Sequence[Run]) -> dict[str, Any]:
    """Runs for ``--json``."""
    return {
        "wall_us": [run.wall for run in runs],
        "thread_us": [run.thread for run in runs],
        "longest_pause_seconds": max(run.longest_pause for run in runs),
        "paused_seconds": sum(run.paused for run in runs),
        "messages": sum(run.count for run in runs),
    }


def pairs_data(pairs: Pairs, first: str, second: str) -> dict[str, Any]:
    """Pairs for ``--json``."""
    return {
        first: runs_data(pairs.first),
        second: runs_data(pairs.second),
        "ratios": pairs.ratios,
        "thread_ratio": pairs.thread_ratio,
    }
