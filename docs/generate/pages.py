"""What all generated pages have in common: where they lie, how words get into a table, and ``--check``."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

REFERENCE: Final = Path(__file__).resolve().parents[1] / "reference"

_placeholder = re.compile(r"\{(\w+)\}")


def target(name: str) -> Path:
    """The file of the page ``name``."""
    return REFERENCE / f"{name}.md"


def finish(name: str, page: Callable[[], str], arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is what it would be.

    Args:
        name: Of the page; the module that makes it is called so, with ``_`` for ``-``.
        page: Makes it.
        arguments: Those of the command.

    Returns:
        The exit code: 0 if the page was written or is current, 1 if it is not.
    """
    new, file = page(), target(name)
    if "--check" not in arguments:
        file.write_text(new, encoding="utf-8")
        return 0
    if file.exists() and file.read_text(encoding="utf-8") == new:
        return 0
    sys.stdout.write(f"{file} is not current: python -m docs.generate.{name.replace('-', '_')}\n")
    return 1


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a table, of cells that are Markdown already."""
    titles = list(head)
    yield f"| {' | '.join(titles)} |"
    yield "|---" * len(titles) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def cell(text: str) -> str:
    """Words of the code in a cell: pipes, ``<`` and ``{placeholder}`` are the reader's, not Markdown's or HTML's."""
    parts = _placeholder.sub(r"<\1>", markdown(text)).split("`")
    parts[::2] = [html.escape(words, quote=False).replace("|", "\\|").replace("*", "\\*") for words in parts[::2]]
    return "`".join(parts)


def markdown(text: str) -> str:
    """Words of a docstring in one line of Markdown."""
    return " ".join(re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", text).replace("``", "`").split())


def first_paragraph(text: str) -> str:
    """The first paragraph of a docstring, in one line of Markdown."""
    return markdown(text.strip().partition("\n\n")[0])
