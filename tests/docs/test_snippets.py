"""Every snippet of the documentation is executed, or says why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.snippets import ROOT, Place, Snippet, free_port, needs, snippets
from tests.wheels.environment import Environment

PAGES = sorted(
    page
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
    if any(snippets(page))
)

# pip takes what is there: it asks no index, and a build uses what is installed; and tables have room
FRESH = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_BUILD_ISOLATION": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "COLUMNS": "200",
    "TERMINAL_WIDTH": "200",
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where a page is followed that needs nothing."""
    place = Place(tmp_path)
    yield place
    place.leave()


def prepare(place: Place, page: Path) -> None:
    """Give a page what it needs."""
    wanted = needs(page)
    place.ports = {port: free_port() for port in wanted.ports}
    if wanted.fresh:
        environment = Environment.create(place.folder / ".venv", [])
        place.commands, place.python = environment.add_commands("pip", "pytest", "roomkit"), environment.python
        place.environ = FRESH


@pytest.mark.timeout(500)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_snippet_does_what_its_page_says(page: Path, place: Place) -> None:
    prepare(place, page)
    for snippet in snippets(page):
        try:
            place.execute(snippet)
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
        Snippet(1, "console", "$ echo one\ntwo\n", "background"),
        Snippet(1, "python", "assert False\n", "skip,"),
    ],
)
def test_a_snippet_that_does_something_else_is_found(snippet: Snippet, place: Place) -> None:
    with pytest.raises((AssertionError, ValueError)):
        place.execute(snippet)


def test_a_command_in_the_background_runs_on_until_the_page_ends(place: Place) -> None:
    place.execute(Snippet(1, "console", "$ echo ready; sleep 600; echo over\nready\n", "background"))
    place.execute(Snippet(1, "console", "$ echo one\none\n", ""))

    place.leave()

    with pytest.raises(AssertionError, match="it ended after saying"):
        place.execute(Snippet(1, "console", "$ echo two\none\n", "background"))
