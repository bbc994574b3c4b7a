"""Writes docs/reference/errors.md: every error class and every code, from what the code itself says about them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module

from docs.generate.codes import Site, error_classes, sites
from docs.generate.pages import cell, finish, first_paragraph, table
from docs.generate.source import module_of, plugin_modules
from roomkit_core.engine.pure.explanations import EXPLANATIONS
from roomkit_core.errors import Explanation, RoomKitError

_command = re.compile(r"roomkit (dead|deliveries) [a-z]+ \{\w+\}|roomkit doctor")

_HEAD = """---
hide: [toc] # for the sake of the tables
---

# Errors and codes

Generated from the code by `python -m docs.generate.errors`.

Every error is a `RoomKitError` with a `code`, a `hint`, and `retryable`. The same codes stand in the outcomes of
deliveries, in logs and in what `roomkit why` tells. A provider's channel may bring codes of its own.

## Codes

*Where* a code is met:

- a **class** of errors: the call raises it;
- **outcome of owed work**: a delivery, an answer, a durable hook or an accepted message ended with it or waits because
  of it: `DeliveryResult.error`, `kit.deliveries`, `roomkit dead`, `roomkit why`;
- **result of a message**: `InboundResult.reason`, or an event that was blocked;
- **`why`**: in what `kit.deliveries.why()` and `roomkit why` tell;
- **health**: `kit.health()` and `/readyz`;
- **content of the event**: what stands in the place of a message that is gone;
- **WebSocket**: what a client of the WebSocket channel is told.

*Again* is whether the same again can succeed without a change by the caller: **by itself** means that RoomKit tries
it again, as long as it is allowed to.
"""

_CLASSES = """## Classes

What an error of the class has where the place that raises it says nothing else.
"""


def page() -> str:
    """The page.

    Raises:
        SystemExit: A class or a code is not documented, or an explanation is about a code that nobody writes.
    """
    found, known = sites(), explanations()
    check(found, known)
    lines = [_HEAD]
    lines += table(
        ("code", "what it means", "where", "again", "what to do"),
        (
            [f"`{code}`", f"{cell(known[code].cause)}.", *_met(found[code]), _hint(known[code])]
            for code in sorted(found)
        ),
    )
    lines.append(_CLASSES)
    lines += table(("class", "code", "meaning", "retryable", "hint"), map(_class_row, error_classes()))
    return "\n".join(lines)


def explanations() -> Mapping[str, Explanation]:
    """What codes mean, of the core and of its plugins.

    Raises:
        SystemExit: Two explain one code.
    """
    known = dict(EXPLANATIONS)
    for path in plugin_modules("codes"):
        for code, meaning in import_module(module_of(path)).EXPLANATIONS.items():
            if code in known:
                raise SystemExit(f"{code} is explained twice, the second time in {path}")
            known[code] = meaning
    return known


def check(found: Mapping[str, tuple[Site, ...]], known: Mapping[str, Explanation]) -> None:
    """Hold the codes that are written against those that are explained.

    Raises:
        SystemExit: They are not the same, or it is not clear where a code is met.
    """
    wrong = [
        f"{code} has no explanation; it is written in {found[code][0].file}" for code in found if code not in known
    ]
    wrong += [f"{code} is explained, and nothing writes it" for code in known if code not in found]
    wrong += [
        f"{code}: {site.file} does not tell where it is met: add its form to docs/generate/codes.py"
        for code, places in found.items()
        for site in places
        if not site.where
    ]
    if wrong:
        raise SystemExit("\n".join(wrong))


def _hint(meaning: Explanation) -> str:
    """What to do, with the commands in it as code."""
    return cell(_command.sub(r"`\g<0>`", meaning.hint))


def _met(places: tuple[Site, ...]) -> tuple[str, str]:
    again = sorted({site.again for site in places if site.again}, key=("no", "yes", "by itself").index)
    return ", ".join(sorted({_where(site) for site in places})), " or ".join(again)


def _where(site: Site) -> str:
    return "WebSocket" if site.file.startswith("plugins/roomkit-websocket/") else site.where


def _class_row(found: type[RoomKitError]) -> Iterator[str]:
    if not found.__doc__:
        raise SystemExit(f"{found.__name__} has no docstring")
    yield f"`{found.__name__}`"
    yield f"`{found.default_code}`"
    yield cell(first_paragraph(found.__doc__))
    yield "yes" if found.default_retryable else "no"
    yield cell(found.default_hint)


if __name__ == "__main__":
    raise SystemExit(finish("errors", page, sys.argv[1:]))
