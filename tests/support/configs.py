"""Configurations for tests: written with what stands beside them, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from roomkit_core import ConfigError


def write_config(folder: Path, text: str, /, **files: str) -> Path:
    """Write ``roomkit.toml``, and other files beside it: ``token_txt`` is ``token.txt``. Returns its path."""
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(dedent(content), encoding="utf-8")
    path = folder / "roomkit.toml"
    path.write_text(dedent(text), encoding="utf-8")
    return path


def problems_of(make: Callable[[], object]) -> list[str]:
    """``line key: what is wrong`` of each problem that a configuration has when something is made of it."""
    with pytest.raises(ConfigError) as caught:
        make()
    problems = caught.value.problems
    assert all(problem.fix for problem in problems), "every problem says what to do"
    assert all(str(problem) in str(caught.value) for problem in problems)
    return [f"{problem.line} {problem.key}: {problem.what}" for problem in problems]
