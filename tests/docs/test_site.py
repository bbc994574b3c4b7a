"""The documentation builds without a warning, with every page in it, and a reader's browser asks nobody else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 200  # seconds for the whole site on a busy machine; only a failure waits so long


@pytest.mark.timeout(PATIENCE + 10)
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert built.returncode == 0, built.stdout + built.stderr  # --quiet would count no warnings
    pages = [page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html")]
    assert len(pages) > 20
    loaded = re.compile(r"<(?:script|img|iframe|link)[^>]+(?:src|href)=\"?(?:https?:)?//[^\"> ]+")
    assert [found for page in pages for found in loaded.findall(page) if 'rel="canonical"' not in found] == []
    assert [found for page in pages for found in re.findall(r":(?:class|meth|func):<code>", page)] == []
