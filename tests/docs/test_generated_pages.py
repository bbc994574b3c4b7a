"""The pages that are made of the code are what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.generate import pages
from docs.generate.__main__ import PAGES, page_of


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_its_generator_writes(name: str) -> None:
    assert pages.target(name).read_text(encoding="utf-8") == page_of(name)(), "run: python -m docs.generate"


def test_every_generator_is_among_those_that_are_checked() -> None:
    generators = {path.stem for path in Path(pages.__file__).parent.glob("*.py") if "def page()" in path.read_text()}

    assert generators == {name.replace("-", "_") for name in PAGES}


def test_check_tells_a_page_that_is_not_current_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pages, "REFERENCE", tmp_path)
    page = pages.target("colours")
    assert pages.finish("colours", lambda: "red\n", []) == 0
    assert pages.finish("colours", lambda: "red\n", ["--check"]) == 0
    assert capsys.readouterr().out == ""

    assert pages.finish("colours", lambda: "blue\n", ["--check"]) == 1

    assert capsys.readouterr().out == f"{page} is not current: python -m docs.generate.colours\n"
    assert page.read_text() == "red\n"


def test_what_is_between_braces_or_looks_like_html_is_shown_whole() -> None:
    assert pages.cell("retry {id}, a|b, <x> and ``roomkit {id}``") == (
        "retry &lt;id&gt;, a\\|b, &lt;x&gt; and `roomkit <id>`"
    )
