"""Writes docs/reference/errors.md: every error class and every code, from what the code itself says about them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from docs.generate.pages import cell, finish
from roomkit_core import errors
from roomkit_core.engine.pure.explanations import EXPLANATIONS

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
        lines.append(f"| `{code}` | {name} | {cell(meaning.cause)} | {cell(meaning.hint)} |")
    return "\n".join(lines) + "\n"


def _class_row(found: type[errors.RoomKitError]) -> str:
    if not found.__doc__:
        raise SystemExit(f"{found.__name__} has no docstring")
    meaning = cell(found.__doc__.partition("\n\n")[0])
    retryable = "yes" if found.default_retryable else "no"
    return f"| `{found.__name__}` | `{found.default_code}` | {meaning} | {cell(found.default_hint)} | {retryable} |"


if __name__ == "__main__":
    raise SystemExit(finish("errors", page, sys.argv[1:]))
