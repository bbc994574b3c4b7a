"""Bots in files of their own, and a path that is as before afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

WriteBot = Callable[..., Path]


@pytest.fixture
def write_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteBot:
    """Writes a module into the folder of the test, ``bot.py`` unless another name is given; returns its path."""
    monkeypatch.setattr(sys, "path", sys.path[:])

    def write(text: str, name: str = "bot") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write
