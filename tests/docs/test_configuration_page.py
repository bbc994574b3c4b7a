"""The reference of the configuration describes every key, and its examples are right."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "configuration.md"


def test_a_key_without_a_description_stops_the_generator() -> None:
    program = (
        "from pydantic import Field\n"
        "from roomkit_core.config.sections import SECTIONS\n"
        "from roomkit_core import Settings\n"
        "class Silent(Settings):\n    key: int = Field(default=1)\n"
        "SECTIONS['logging'] = Silent\n"
        "from docs.generate.configuration import page\n"
        "page()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert "key in [logging] has no description" in done.stderr


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
def test_an_example_is_toml(text: str) -> None:
    assert tomllib.loads(text)
