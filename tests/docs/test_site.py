"""The documentation builds without a warning; a browser asks nobody else for it, and shows every table whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate.site import on_page_content
from tests.support.browser import chromium

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 200  # seconds for the whole site on a busy machine; only a failure waits so long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built documentation."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr  # --quiet would count no warnings
    return folder


@pytest.mark.timeout(PATIENCE + 10)
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = [page.read_text(encoding="utf-8") for page in site.rglob("*.html")]

    assert len(pages) > 20
    loaded = re.compile(r"<(?:script|img|iframe|link)[^>]+(?:src|href)=\"?(?:https?:)?//[^\"> ]+")
    assert [found for page in pages for found in loaded.findall(page) if 'rel="canonical"' not in found] == []
    assert [found for page in pages for found in re.findall(r":(?:class|meth|func):<code>", page)] == []


@pytest.mark.timeout(PATIENCE + 100)
@pytest.mark.parametrize("width", [1280, 400])
def test_no_table_of_the_reference_is_wider_than_its_place(site: Path, width: int) -> None:
    too_wide = []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 1000})
        for path in sorted(site.glob("reference/*/index.html")):
            page.goto(path.as_uri())
            tables = page.locator(".md-typeset table:not([class])")
            for table in tables.all():
                if table.evaluate("table => table.scrollWidth > table.closest('article').clientWidth"):
                    too_wide.append((path.parent.name, table.inner_text()[:60]))
            if path.parent.name == "errors":
                assert tables.count() == 2

    assert too_wide == []


def test_each_cell_has_the_title_of_its_column() -> None:
    table = "<table><thead><tr><th>a</th><th><code>b</code></th></tr></thead><tr><td>1</td><td>2</td></tr></table>"

    page = on_page_content(f"<td>:class:<code>~x.Y</code>{table}")

    assert page.startswith("<td><code>x.Y</code>")
    assert '<td data-title="a">1</td><td data-title="b">2</td>' in page
