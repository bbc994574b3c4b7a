"""The environments of the two sides: same interpreter, same pydantic, made once and kept under ``.bench/``."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".bench"
PEER = "roomkit==0.109.0"
PEER_NEEDS = (3, 12)
NAMES = ("python3.12", "python3.13", "python3.14", "python3", "python")


class SetupError(Exception):
    """An environment could not be made; the text says why and what can be done."""


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs here."""

    path: Path
    version: str


def find_interpreter() -> Interpreter:
    """The first Python on PATH, else of pyenv, that the peer can run on.

    Each is tried, since a name on PATH may be a shim with nothing behind it.

    Raises:
        SetupError: There is none.
    """
    for path in _candidates():
        version = _version(path)
        if version is not None and tuple(int(part) for part in version.split(".")[:2]) >= PEER_NEEDS:
            return Interpreter(path, version)
    raise SetupError(
        f"The peer ({PEER}) needs Python 3.12 or newer, and there is none: looked for {', '.join(NAMES)} on PATH and "
        "in ~/.pyenv/versions."
    )


def _candidates() -> Iterator[Path]:
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    yield from (folder / name for name in NAMES for folder in folders if (folder / name).is_file())
    yield Path(sys.executable)
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from (folder / "bin" / name for name in NAMES for folder in sorted(versions.glob("3.*")))


def _version(python: Path) -> str | None:
    """The version of a CPython with its final release, or None if it does not run or is something else."""
    program = (
        "import sys, platform; "
        "assert sys.version_info[3] == 'final' and platform.python_implementation() == 'CPython'; "
        "print(platform.python_version())"
    )
    try:
        done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def peer_environment(interpreter: Interpreter) -> Path:
    """The Python of an environment with the peer in it."""
    return _environment("peer", interpreter, [PEER])


def our_environment(interpreter: Interpreter) -> Path:
    """The Python of an environment with this checkout and its plugins in it, editable, and trio."""
    plugins = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
    editables = [part for folder in (ROOT, *plugins) for part in ("--editable", str(folder))]
    return _environment("ours", interpreter, [*editables, "trio"])


def _environment(name: str, interpreter: Interpreter, requirements: Sequence[str]) -> Path:
    """Make the environment, unless one made for the same interpreter, requirements and pins is there."""
    folder = KEPT / f"{name}-{interpreter.version}"
    python = folder / "bin" / "python"
    remembered = folder / "made-for"
    made_for = _fingerprint(interpreter, requirements)
    if remembered.exists() and remembered.read_text(encoding="utf-8") == made_for:
        return python
    print(f"making {folder.relative_to(ROOT)} (once)", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    KEPT.mkdir(exist_ok=True)
    _uv("venv", "--python", str(interpreter.path), str(folder))
    _uv("pip", "install", "--python", str(python), "--constraint", str(ROOT / "constraints.txt"), *requirements)
    remembered.write_text(made_for, encoding="utf-8")
    return python


def _fingerprint(interpreter: Interpreter, requirements: Sequence[str]) -> str:
    """Changes when the environment has to be made anew; the checkout is editable, so its code does not count."""
    files = [ROOT / "constraints.txt", ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    pins = hashlib.sha256()
    for file in files if "--editable" in requirements else files[:1]:
        pins.update(file.read_bytes())
    return "\n".join((str(interpreter.path), interpreter.version, *requirements, pins.hexdigest(), ""))


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run([uv, "--quiet", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(
            f"`uv {' '.join(arguments[:2])}` failed. It needs a network the first time.\n{done.stderr.strip()}"
        )
