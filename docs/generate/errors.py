"""Writes docs/reference/errors.md: every error class and every code, from what the code itself says about them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from roomkit_core import errors
from roomkit_core.engine.pure.explanations import EXPLANATIONS

TARGET = Path(__file__).resolve().parents[1] / "reference" / "errors.md"

_HEAD = """# Errors and codes

<!-- Written by python -m docs.generate.errors. -->

Every error is a `RoomKitError` with a `code`, a `hint`, and `retryable`: whether the same call can succeed later
without a change by the caller. The same codes stand in the outcomes of deliveries, in logs and in what `roomkit why`
tells. A channel may bring codes of its own.
"""


def classes() -> Iterator[type[errors.RoomKitError]]:
    """The error classes, in the order in which they are written."""
    for found in vars(errors).values():
        if inspect.isclass(found) and issubclass(found, errors.RoomKitError):
            yield found


def page() -> str:
    """The page.

    Raises:
        SystemExit: A class or a code is not documented.
    """
    lines = [_HEAD, "## Classes\n", "| class | code | meaning | what to do | retryable |", "|---|---|---|---|---|"]
    lines += [_class_row(found) for found in classes()]
    lines += ["\n## Codes\n", "| code | class | meaning | what to do |", "|---|---|---|---|"]
    own = {found.default_code: found.__name__ for found in classes()}
    if missing := sorted(set(own) - set(EXPLANATIONS)):
        raise SystemExit(f"codes without an explanation: {', '.join(missing)}")
    for code, meaning in sorted(EXPLANATIONS.items()):
        name = f"`{own[code]}`" if code in own else ""
        lines.append(f"| `{code}` | {name} | {_cell(meaning.cause)} | {_cell(meaning.hint)} |")
    return "\n".join(lines) + "\n"


def _class_row(found: type[errors.RoomKitError]) -> str:
    if not found.__doc__:
        raise SystemExit(f"{found.__name__} has no docstring")
    meaning = _cell(found.__doc__.partition("\n\n")[0])
    retryable = "yes" if found.default_retryable else "no"
    return f"| `{found.__name__}` | `{found.default_code}` | {meaning} | {_cell(found.default_hint)} | {retryable} |"


def _cell(text: str) -> str:
    """Words of the code in a cell: braces and pipes are the reader's, not Markdown's."""
    return " ".join(text.replace("``", "`").replace("|", "\\|").replace("{", "").replace("}", "").split())


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is what it would be."""
    new = page()
    if "--check" in arguments:
        is_current = TARGET.exists() and TARGET.read_text(encoding="utf-8") == new
        sys.stdout.write("" if is_current else f"{TARGET} is not current: python -m docs.generate.errors\n")
        return 0 if is_current else 1
    TARGET.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
