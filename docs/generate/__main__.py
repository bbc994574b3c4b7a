"""Writes every generated page, or with ``--check`` looks at all: ``python -m docs.generate [--check]``."""

from __future__ import annotations

import sys
from importlib import import_module

from docs.generate.pages import finish

PAGES = ("configuration", "errors", "events", "hooks")

if __name__ == "__main__":
    raise SystemExit(max([finish(name, import_module(f"docs.generate.{name}").page, sys.argv[1:]) for name in PAGES]))
