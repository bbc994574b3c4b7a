"""The reference of errors knows every error class."""

from __future__ import annotations

from docs.generate.errors import classes
from docs.generate.pages import target


def test_every_class_has_its_row() -> None:
    text = target("errors").read_text(encoding="utf-8")

    assert all(f"| `{found.__name__}` | `{found.default_code}` |" in text for found in classes())
