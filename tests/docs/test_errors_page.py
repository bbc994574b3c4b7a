"""The reference of errors is what its generator writes, and knows every error class."""

from __future__ import annotations

from docs.generate.errors import TARGET, classes, page


def test_the_page_is_what_the_code_says() -> None:
    assert TARGET.read_text(encoding="utf-8") == page(), "run: python -m docs.generate.errors"


def test_every_class_has_its_row() -> None:
    text = TARGET.read_text(encoding="utf-8")

    assert all(f"| `{found.__name__}` | `{found.default_code}` |" in text for found in classes())
