"""Values from the environment: ``ROOMKIT_CHANNELS__SUPPORT__FROM_NUMBER`` is ``channels.support.from_number``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from roomkit_core.config.document import Document, Keys
from roomkit_core.errors import ConfigProblem

PREFIX: Final = "ROOMKIT_"
BETWEEN: Final = "__"


def overlay(document: Document, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Document:
    """The document with what the environment says instead, and over that what code says.

    A variable counts if it begins with ``ROOMKIT_`` and has a ``__``; each ``__`` leads into a table. Case does not
    matter, and ``_`` stands for a ``-`` or a ``.`` of an id that is in the file. A value that is a JSON array or object
    is read as one, and kept as a text too: which of them counts is known where it is wanted. ``overrides`` are tables
    as in the file; what is no table in them replaces what is there.
    """
    data = deepcopy(document.data)
    variables: dict[Keys, str] = {}
    texts: dict[Keys, str] = {}
    problems = [*document.problems]
    for name in sorted(environ):
        if name.startswith(PREFIX) and BETWEEN in name:
            value = _value(environ[name])
            keys = _put(data, name.removeprefix(PREFIX).split(BETWEEN), value)
            if keys is None:
                fix = f"Unset it, or mend the file: each {BETWEEN} in a name leads into a table."
                what = "there is something else than a table on the way to it"
                problems.append(ConfigProblem(str(document.path), None, "", what, fix, name))
                continue
            variables[keys] = name
            if not isinstance(value, str):
                texts[keys] = environ[name]
    for above in list(_join(data, overrides or {}, ())):
        for at in [at for at in variables if at[: len(above)] == above]:
            del variables[at]
            texts.pop(at, None)
    return replace(document, data=data, variables=variables, texts=texts, problems=problems)


def _join(table: dict[str, Any], over: Mapping[str, Any], above: Keys) -> Iterator[Keys]:
    """Put one over the other; yields where something was replaced."""
    for key, value in over.items():
        keys = (*above, key)
        if isinstance(value, Mapping) and isinstance(table.get(key, {}), dict):
            yield from _join(table.setdefault(key, {}), value, keys)
        else:
            yield keys
            table[key] = value


def _put(data: dict[str, Any], parts: list[str], value: Any) -> Keys | None:
    """Set the value; returns its keys, or None if there is something else than a table on the way."""
    *ways, last = parts
    keys: list[str] = []
    table = data
    for part in ways:
        key = _known(table, part)
        keys.append(key)
        below = table.setdefault(key, {})
        if not isinstance(below, dict):
            return None
        table = below
    key = _known(table, last)
    table[key] = value
    return (*keys, key)


def _known(table: Mapping[str, Any], part: str) -> str:
    """The key of the table that is meant; a new one if there is none."""
    plain = _plain(part)
    return next((key for key in table if _plain(key) == plain), part.lower())


def _plain(key: str) -> str:
    return key.lower().replace("-", "_").replace(".", "_")


def _value(text: str) -> Any:
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):  # a text that begins so
            return text
    return text
