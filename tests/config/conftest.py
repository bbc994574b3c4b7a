"""A site with the plugin ``pager``, and a way to read configurations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from roomkit_core import ConfigError, RoomKit
from tests.config import pager
from tests.registry.conftest import make_site as make_site
from tests.registry.conftest import site as site
from tests.registry.plugins import Site

Problems = Callable[..., list[str]]
KitOf = Callable[..., RoomKit]


@pytest.fixture
def kit_of(site: Site, tmp_path: Path) -> KitOf:
    """The kit of a text, with the environment as keywords; ``pager`` is installed."""
    pager.install(site)

    def make(text: str, /, **environ: str) -> RoomKit:
        return RoomKit.from_config(pager.write(tmp_path, text), environ=environ)

    return make


@pytest.fixture
def problems(kit_of: KitOf) -> Problems:
    """``line key: what is wrong`` of each problem of a text, which says what to do about each."""

    def find(text: str, /, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            kit_of(text, **environ)
        assert all(problem.fix for problem in caught.value.problems)
        return [f"{problem.line} {problem.key}: {problem.what}" for problem in caught.value.problems]

    return find
