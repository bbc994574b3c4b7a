"""Writes every generated page, or with ``--check`` looks at all: ``python -m docs.generate [--check]``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

from docs.generate.pages import finish

PAGES = ("commands", "configuration", "errors", "events", "hooks", "plugin-kinds")


def page_of(name: str) -> Callable[[], str]:
    """What makes the page of this name."""
    page: Callable[[], str] = import_module(f"docs.generate.{name.replace('-', '_')}").page
    return page


if __name__ == "__main__":
    raise SystemExit(max([finish(name, page_of(name), sys.argv[1:]) for name in PAGES]))
