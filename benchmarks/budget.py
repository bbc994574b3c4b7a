"""Microseconds per message, step by step, beside the budget of ``docs/explanation/hot-path.md``; ours, both loops."""

from __future__ import annotations

from pathlib import Path

from benchmarks.processes import Worker
from benchmarks.report import Goal, Row, Table

BUDGET: dict[str, tuple[float, float]] = {
    "the caller's InboundMessage(TextContent)": (3.0, 3.1),
    "passage, cache hit, context": (1.5, 1.5),
    "one cancel scope": (2.7, 6.7),
    "handle_inbound": (3.1, 3.1),
    "room lock": (1.0, 1.0),
    "one hook": (1.9, 1.9),
    "plan for two bindings": (0.4, 0.4),
    "event copies; room and timers copied": (2.7, 2.7),
    "packing and commit in memory": (0.8, 0.8),
    "lane, delivery, result": (2.4, 2.6),
    "the result": (0.6, 0.6),
    "frames, branches, cold data": (8.0, 8.0),
}
WHOLE = {"asyncio": 38.0, "trio": 47.0}
LOOPS = ("asyncio", "trio")


def measure_budget(python: Path, messages: int) -> Table:
    """The steps that can be called from outside, and the whole message, on both loops."""
    table = Table(
        "Budget, µs of the thread per message, ours",
        ("", "asyncio", "budget", "trio", "budget"),
        notes=["one hook: the whole message with it, minus the whole message without it"],
    )
    measured = []
    for loop in LOOPS:
        with Worker(python, "ours", loop) as worker:
            measured.append(worker.ask("steps", messages=messages))
    for step, budget in BUDGET.items():
        cells = [
            part for known, goal in zip(measured, budget, strict=True) for part in (_us(known.get(step)), _us(goal))
        ]
        data = {loop: known.get(step) for loop, known in zip(LOOPS, measured, strict=True)}
        table.rows.append(Row((step, *cells), data=data))
    table.rows.append(_rest(measured))
    for number, loop in enumerate(LOOPS):
        whole: float = measured[number]["whole"]
        cells = ["", "", "", ""]
        cells[2 * number] = _us(whole)
        goal = Goal(f"≤ {WHOLE[loop]:.0f}", high=WHOLE[loop])
        table.rows.append(Row((f"whole message, {loop}", *cells), (whole,), goal))
    return table


def _rest(measured: list[dict[str, float]]) -> Row:
    """What the whole message takes beyond the steps that were measured apart."""
    rests = [known["whole"] - sum(known.get(step, 0.0) for step in BUDGET) for known in measured]
    left = [sum(budget[number] for step, budget in BUDGET.items() if step not in measured[number]) for number in (0, 1)]
    return Row(
        ("all that was not measured apart", _us(rests[0]), _us(left[0]), _us(rests[1]), _us(left[1])),
        data=dict(zip(LOOPS, rests, strict=True)),
    )


def _us(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
