"""A site with the plugin ``pager``, and a way to read configurations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from roomkit_core import RoomKit
from tests.config import pager
from tests.registry.conftest import make_site as make_site
from tests.registry.conftest import site as site
from tests.registry.plugins import Site
from tests.support.configs import problems_of, write_config

Problems = Callable[..., list[str]]
KitOf = Callable[..., RoomKit]


@pytest.fixture
def kit_of(site: Site, tmp_path: Path) -> KitOf:
    """The kit of a text, with the environment as keywords; ``pager`` is installed."""
    pager.install(site)

    def make(text: str, /, **environ: str) -> RoomKit:
        return RoomKit.from_config(write_config(tmp_path, text), environ=environ)

    return make


@pytest.fixture
def problems(kit_of: KitOf) -> Problems:
    """What :func:`problems_of` finds in a text."""

    def find(text: str, /, **environ: str) -> list[str]:
        return problems_of(lambda: kit_of(text, **environ))

    return find
