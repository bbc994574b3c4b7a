"""A hook of mkdocs: docstrings write ``:class:`Channel```, pages say ``Channel``."""

from __future__ import annotations

import re
from typing import Any

_role = re.compile(r":(?:class|meth|func|mod|data|attr|exc):(<code>)[~.]?")


def on_page_content(html: str, **_: Any) -> str:
    """The page without the names of roles, which Markdown does not know."""
    return _role.sub(r"\1", html)
