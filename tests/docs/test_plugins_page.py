"""The page about plugins knows every state."""

from __future__ import annotations

import re
from pathlib import Path

from roomkit_core.registry import PluginState

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "plugins.md"


def test_every_state_stands_in_the_table_and_no_other() -> None:
    listed = re.findall(r"^\| ([A-Z_]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert listed == [state.value for state in PluginState]


def test_the_python_of_the_page_is_valid() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    program: dict[str, object] = {}

    exec(block, program)

    assert callable(program["change"])
