"""Plant each defect in a copy of the tree and see that the tests named for it fail: ``python -m tests.mutants.run``.

Arguments select mutants by a part of their name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from tests.mutants.planted import CRASH, MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("roomkit_core", "plugins", "tests", "examples", "docs")
FILES = ("pyproject.toml", "Makefile", "README.md", "constraints.txt")
CAUGHT = 1  # pytest's exit code for "some tests failed"


def main() -> int:
    """Run all mutants, or those whose names contain an argument; as many at once as there are processors."""
    chosen = [mutant for mutant in MUTANTS if not sys.argv[1:] or any(part in mutant.name for part in sys.argv[1:])]
    missed = 0
    with tempfile.TemporaryDirectory(prefix="roomkit-mutants-") as folder:
        copies: Queue[Path] = Queue()
        for number in range(os.cpu_count() or 1):
            copies.put(copy_tree(Path(folder) / str(number)))

        def attempt(mutant: Mutant) -> str:
            copy = copies.get()
            try:
                return try_mutant(copy, mutant)
            finally:
                copies.put(copy)

        alone = [mutant for mutant in chosen if mutant.where == CRASH[1]]
        beside = [mutant for mutant in chosen if mutant.where != CRASH[1]]
        # Which moment a kill hits depends on what else the machine does: the crash driver has it to itself.
        for mutants, workers in ((beside, copies.qsize()), (alone, 1)):
            with ThreadPoolExecutor(workers) as pool:
                for mutant, verdict in zip(mutants, pool.map(attempt, mutants), strict=True):
                    missed += verdict != "caught"
                    print(f"{verdict:8} {mutant.name}", flush=True)
    print(f"{len(chosen) - missed} passed, {missed} failed")
    return 1 if missed else 0


def copy_tree(copy: Path) -> Path:
    """A copy of what the tests need."""
    copy.mkdir()
    for part in PARTS:
        if (ROOT / part).exists():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    return copy


def try_mutant(copy: Path, mutant: Mutant) -> str:
    """``caught``, or why not."""
    path = copy / mutant.path
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.right) != 1:
        return "no place"
    path.write_text(text.replace(mutant.right, mutant.wrong), encoding="utf-8")
    try:
        return judge(copy, mutant)
    finally:
        path.write_text(text, encoding="utf-8")


def judge(copy: Path, mutant: Mutant) -> str:
    """What the tests say to the planted defect."""
    sources = [str(copy), *(str(path) for path in copy.glob("plugins/*/src"))]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "--timeout=30",
    ]
    if mutant.select:
        command += ["-k", mutant.select]
    done = subprocess.run(
        [*command, mutant.where],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sources), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == CAUGHT:
        return "caught"
    return "MISSED" if done.returncode == 0 else f"exit {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
