"""Fresh virtual environments with real distributions in them, built and installed without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from venv import EnvBuilder

from hatchling.builders.wheel import WheelBuilder
from uv import find_uv_bin

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"

[project.entry-points."roomkit.plugins"]
{plugin} = "{module}"
"""


def build_wheel(
    folder: Path, plugin: str, source: str, *, name: str = "", version: str = "1.0", parts: dict[str, str] | None = None
) -> Path:
    """A wheel with one plugin, made from a project as its author has it.

    Args:
        folder: Where project and wheel go.
        plugin: The plugin's id.
        source: Its registration module.
        name: The distribution's name; ``roomkit-<plugin>`` if omitted.
        version: The distribution's version.
        parts: More modules of its package, by name.
    """
    name = name or f"roomkit-{plugin.replace('_', '-')}"
    package = name.replace("-", "_")
    project = folder / name
    code = project / package
    code.mkdir(parents=True)
    (code / "__init__.py").touch()
    for module, text in {"plugin": source, **(parts or {})}.items():
        (code / f"{module}.py").write_text(dedent(text), encoding="utf-8")
    text = PROJECT.format(name=name, version=version, plugin=plugin, module=f"{package}.plugin")
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    (wheel,) = WheelBuilder(str(project)).build(directory=str(folder), versions=["standard"])
    return Path(wheel)


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own, that also sees what this one has installed.

    Attributes:
        path: Where it is.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, wheels: Iterable[Path]) -> Environment:
        """Make one and install the wheels into it."""
        EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(path)
        environment = cls(path)
        install = [find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-cache", "--no-deps"]
        if files := [str(wheel) for wheel in wheels]:
            subprocess.run(
                [*install, "--python", environment.python, *files], check=True, capture_output=True, text=True
            )
        ours = sysconfig.get_path("purelib")  # as a site directory, so that what is installed editable is seen, too
        (environment._site() / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n", encoding="utf-8")
        return environment

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.path / ("Scripts" if os.name == "nt" else "bin") / "python")

    def add_commands(self, *names: str) -> Path:
        """Put commands into it that run its own Python, with modules that it sees; the folder in which they are."""
        folder = Path(self.python).parent
        for name in names:
            module = {"roomkit": "roomkit_core.cli"}.get(name, name)
            (folder / name).write_text(f'#!/bin/sh\nexec "{self.python}" -m {module} "$@"\n', encoding="utf-8")
            (folder / name).chmod(0o755)
        return folder

    def run(self, *arguments: str, cwd: Path, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run its Python in a directory; another exit code fails the test."""
        without = {"PYTHONPATH", "ROOMKIT_CONFIG", "ROOMKIT_STORE"}
        plain = {name: value for name, value in os.environ.items() if name not in without}
        environ = {**plain, "COLUMNS": "200", "TERMINAL_WIDTH": "200"}
        command = [self.python, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environ, check=False)
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done

    def roomkit(self, *arguments: str, cwd: Path, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the ``roomkit`` command of this checkout with the plugins of the environment."""
        return self.run("-m", "roomkit_core.cli", *arguments, cwd=cwd, exit_code=exit_code)

    def _site(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.path / ("Lib/site-packages" if os.name == "nt" else f"lib/{version}/site-packages")
