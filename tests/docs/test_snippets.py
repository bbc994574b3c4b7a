"""Every snippet of the documentation is executed, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.snippets import ROOT, Snippet, execute, snippets

PAGES = sorted(
    page
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
    if any(snippets(page))
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_snippet_does_what_its_page_says(page: Path, tmp_path: Path) -> None:
    for snippet in snippets(page):
        try:
            execute(snippet, tmp_path)
        except Exception as error:
            error.add_note(f"{page.relative_to(ROOT)}:{snippet.line}")
            raise


@pytest.mark.parametrize(
    "snippet",
    [
        Snippet(1, "python", "assert False\n", ""),
        Snippet(1, "python", "import anyio\nawait anyio.sleep(0)\nassert False\n", ""),
        Snippet(1, "toml", "a = \n", ""),
        Snippet(1, "console", "$ echo one\ntwo\n", ""),
        Snippet(1, "console", "$ echo one; echo two\none\n", ""),
        Snippet(1, "console", "$ echo one\none\n", "fiel x"),
        Snippet(1, "python", "assert False\n", "skip,"),
    ],
)
def test_a_snippet_that_does_something_else_is_found(snippet: Snippet, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, ValueError)):
        execute(snippet, tmp_path)
