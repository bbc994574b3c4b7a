"""Importing what strings name."""

from __future__ import annotations

import importlib


def import_name(name: str) -> object:
    """The module ``"package.module"``, or the object ``"package.module:Name"`` in it. Raises what the module raises."""
    module, _, attribute = name.partition(":")
    found: object = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        found = getattr(found, part)
    return found
