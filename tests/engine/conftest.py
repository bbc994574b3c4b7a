"""Fixtures for tests of what has to survive the kit that did it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.homes import Home


@pytest.fixture(params=["memory", "sqlite"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A home of each kind of store."""
    return Home(tmp_path if request.param == "sqlite" else None)


@pytest.fixture
def disk(tmp_path: Path) -> Home:
    """A home on disk, where the store behind two kits is never the same object."""
    return Home(tmp_path)
