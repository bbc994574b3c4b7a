"""Where in a TOML text everything stands, found when a mistake has to be told.

``tomllib`` gives values without their lines. The lines are found by asking it again, statement by statement: what it
can parse alone is a statement, and what comes out of it says which keys stand there. So there is no second TOML parser,
and what :mod:`tomllib` accepts is what counts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain, product
from typing import Any, Final, NamedTuple

Keys = tuple[str, ...]
"""The way to a value: ``("channels", "support", "from_number")``; a place in a list is a number."""

_ENDS: Final = ("]", "}", '"""', "'''")
"""One of these is in every last line of a statement that has several."""

_DEPTH: Final = 5
"""So many lists and inline tables may stand around what is looked for inside a statement."""

_TALLEST: Final = 200
"""In statements of more lines nothing is looked for: each line is one more question to the parser."""


class Statement(NamedTuple):
    """A header, or a key with its value.

    Attributes:
        line: Where it begins, counted from 1.
        text: All of it.
        table: The table in which it stands; for a header the one that begins there.
        is_header: Whether it is a header.
    """

    line: int
    text: str
    table: Keys
    is_header: bool

    @property
    def last(self) -> int:
        """The line in which it ends."""
        return self.line + self.text.count("\n")


class Places:
    """The lines of a text.

    Args:
        text: TOML.
    """

    def __init__(self, text: str = "") -> None:
        self._text = text

    def line_of(self, keys: Keys) -> int | None:
        """The line of the value, of the first that is below it, or of the nearest thing that it would be in."""
        for length in range(len(keys), 0, -1):
            found = [statement for at, statement in self._statements.items() if at[:length] == keys[:length]]
            if found:
                statement = self._statements.get(keys[:length], min(found))
                return statement.line if statement.is_header else _line_within(statement, keys)
        return None

    @cached_property
    def _statements(self) -> dict[Keys, Statement]:
        return {keys: statement for statement in statements(self._text) for keys in _all_keys(statement)}


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text, as far as it is TOML."""
    table: Keys = ()
    entries: dict[Keys, int] = {}
    for line, statement in _split(text):
        is_header = statement.startswith("[")
        if is_header:
            table = _table(_only_way(tomllib.loads(statement)), entries, is_entry=statement.startswith("[["))
        yield Statement(line, statement, table, is_header)


def keys_of(statement: Statement) -> Keys:
    """What a statement declares: the table of a header, or the key with the table around it."""
    if statement.is_header:
        return statement.table
    sides = (statement.text[:place] for place, sign in enumerate(statement.text) if sign == "=")
    key = next(found for side in sides if (found := _parsed(f"{side} = {{}}")) is not None)
    return statement.table + _only_way(key)


def _split(text: str) -> Iterator[tuple[int, str]]:
    """The texts of the statements and the lines in which they begin."""
    pending, began = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if not pending:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            began, pending = number, line.strip()
        else:
            pending = f"{pending}\n{line}"
            if not any(end in line for end in _ENDS):
                continue
        if _parsed(pending) is not None:  # otherwise it goes on in the next line
            yield began, pending
            pending = ""


def _table(way: Keys, entries: dict[Keys, int], *, is_entry: bool) -> Keys:
    """The table of a header, with its place in each list of tables; ``entries`` are the last ones of those lists."""
    keys: Keys = ()
    for number, step in enumerate(way, 1):
        keys = (*keys, step)
        if is_entry and number == len(way):
            entries[keys] = entries.get(keys, -1) + 1
        if keys in entries:
            keys = (*keys, str(entries[keys]))
    return keys


def _all_keys(statement: Statement) -> Iterator[Keys]:
    if statement.is_header:
        yield statement.table
    else:
        yield from (statement.table + keys for keys in _ways(tomllib.loads(statement.text)))


def _line_within(statement: Statement, keys: Keys) -> int:
    """The line in which the innermost of the keys begins that stands in a statement."""
    lines = statement.text.split("\n")
    steps = keys[len(statement.table) :]
    if len(lines) > _TALLEST:
        return statement.line
    while not _is_in(steps, tomllib.loads(statement.text)):
        steps = steps[:-1]
    begins = 0
    for number in range(1, len(lines) + 1):
        found = _closed("\n".join(lines[:number]))
        if found is None:  # a text of several lines goes on
            continue
        if _is_in(steps, found):
            return statement.line + begins
        begins = number
    return statement.line


def _closed(beginning: str) -> dict[str, Any] | None:
    """What the beginning of a statement says, with all that is open in it closed behind it."""
    closings = (ends for depth in range(_DEPTH) for ends in product("]}", repeat=depth))
    ways = (f"{beginning}\n]{''.join(ends)}" for ends in closings)  # lines are only broken in lists
    return next((found for text in chain([beginning], ways) if (found := _parsed(text)) is not None), None)


def _is_in(steps: Keys, found: Any) -> bool:
    for step in steps:
        if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        elif isinstance(found, Mapping) and step in found:
            found = found[step]
        else:
            return False
    return True


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def _only_way(found: Any) -> Keys:
    """The keys of a header: one in each table, down to an empty one."""
    keys: list[str] = []
    while found:
        if isinstance(found, list):
            found = found[-1]
            continue
        [(key, found)] = found.items()
        keys.append(key)
    return tuple(keys)


def _ways(found: Any, above: Keys = ()) -> Iterator[Keys]:
    if above:
        yield above
    if isinstance(found, Mapping):
        for key, value in found.items():
            yield from _ways(value, (*above, key))
