"""The page about the Python API has every public name, once, below the heading that says what it is for."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

import roomkit_core

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "api.md"
SHOWN = re.findall(r"^::: ([\w.]+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_public_name_is_on_the_page() -> None:
    public = {f"roomkit_core.{name}" for name in roomkit_core.__all__ if name != "__version__"}

    assert sorted(public - set(SHOWN)) == []
    assert "`roomkit_core.__version__`" in PAGE.read_text(encoding="utf-8")


def test_no_name_is_there_twice() -> None:
    assert [name for name, count in Counter(SHOWN).items() if count > 1] == []


@pytest.mark.parametrize("name", SHOWN)
def test_a_name_on_the_page_is_in_the_code_and_says_what_it_is(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(import_module(module), attribute)

    if inspect.isclass(found) or inspect.isfunction(found):
        assert (found.__doc__ or "").strip(), f"{name} has no docstring"


def test_every_name_stands_below_a_heading() -> None:
    before_the_first = PAGE.read_text(encoding="utf-8").split("\n## ")[0]

    assert ":::" not in before_the_first
