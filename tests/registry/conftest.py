"""Directories of installed distributions for the tests of the registry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.registry.plugins import Site


@pytest.fixture
def make_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Site]]:
    """Directories on ``sys.path``, the newest first; what was imported from them is forgotten afterwards."""
    before = set(sys.modules)

    def make(name: str) -> Site:
        path = tmp_path / name
        path.mkdir()
        monkeypatch.syspath_prepend(str(path))
        return Site(path)

    yield make
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def site(make_site: Callable[[str], Site]) -> Site:
    """One directory on ``sys.path``."""
    return make_site("site")
