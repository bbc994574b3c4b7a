"""What an import costs: a process that imports, minus a process that does nothing, best of several in turn."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT
from benchmarks.processes import WorkerError
from benchmarks.report import Goal, Row, Table

NOTHING = "pass"
OURS = "from roomkit_core import RoomKit"
PEER = "from roomkit import RoomKit"
MODULES = """
import json, sys
before = set(sys.modules)
import roomkit_core
print(json.dumps(sorted(set(sys.modules) - before)))
"""
FORBIDDEN = {"pydantic", "pluggy", "anyio", "sqlite3"}


def measure_imports(ours: Path, peer: Path | None, rounds: int) -> Table:
    """Both imports, and the modules that ``import roomkit_core`` loads."""
    table = Table("Import, milliseconds above the bare interpreter", ("", "ours", "peer", "ours / peer"))
    programs = [(ours, NOTHING), (ours, OURS)] + ([(peer, NOTHING), (peer, PEER)] if peer else [])
    best = _best_of(programs, rounds)
    own = best[1] - best[0]
    theirs = best[3] - best[2] if peer else None
    ratio = own / theirs if theirs else None
    table.rows.append(
        Row(
            ("RoomKit", f"{own * 1e3:.0f}", _milliseconds(theirs), f"{ratio:.2f}" if ratio else "-"),
            () if ratio is None else (ratio,),
            Goal("≤ 0.25", high=0.25),
            {"ours_seconds": own, "peer_seconds": theirs},
        )
    )
    table.rows.append(_loaded_modules(ours))
    return table


def _loaded_modules(python: Path) -> Row:
    """How many modules ``import roomkit_core`` loads; what it must not load is the number that counts."""
    done = subprocess.run([python, "-c", MODULES], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise WorkerError(f"`import roomkit_core` failed:\n{done.stderr}")
    loaded: list[str] = json.loads(done.stdout)
    unwanted = [name for name in loaded if name.partition(".")[0] in FORBIDDEN]
    own = [name for name in loaded if name.partition(".")[0] == "roomkit_core"]
    data: dict[str, Any] = {"modules": loaded, "unwanted": unwanted}
    goal = Goal("1, no pydantic, pluggy, anyio, sqlite3", high=1)
    name = f"modules of its own and unwanted that `import roomkit_core` loads, of {len(loaded)}"
    return Row((name, str(len(own) + len(unwanted)), "", ""), (float(len(own) + len(unwanted)),), goal, data)


def _best_of(programs: list[tuple[Path, str]], rounds: int) -> list[float]:
    """The shortest of ``rounds`` runs of each program, all in turn; a first run of each writes the bytecode.

    It does so whatever the environment says: who installs a package has its bytecode.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    best = [float("inf")] * len(programs)
    for number in range(rounds + 1):
        for place, (python, program) in enumerate(programs):
            began = time.perf_counter()
            done = subprocess.run(
                [python, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
            )
            took = time.perf_counter() - began
            if done.returncode:
                raise WorkerError(f"`{program}` failed:\n{done.stderr}")
            if number:
                best[place] = min(best[place], took)
    return best


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.0f}"
