"""A configuration file and where in it everything stands.

``tomllib`` gives values without their lines. The lines are found by asking it again, statement by statement: what it
can parse alone is a statement, and what comes out of it says which keys stand there. So there is no second TOML parser,
and what :mod:`tomllib` accepts is what counts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roomkit_core.errors import ConfigError, ConfigProblem

Keys = tuple[str, ...]
"""The way to a value: ``("channels", "support", "from_number")``."""


@dataclass(frozen=True, slots=True)
class Document:
    """What is configured, and by which line or variable.

    Attributes:
        path: The file.
        data: Its tables.
        lines: Where keys and tables stand, counted from 1.
        variables: Which values came from which variable of the environment.
        texts: What such a variable says literally, if it could be read as a list or a table.
        problems: What was wrong when it was read, and could be left out.
    """

    path: Path
    data: dict[str, Any]
    lines: dict[Keys, int] = field(default_factory=dict)
    variables: dict[Keys, str] = field(default_factory=dict)
    texts: dict[Keys, str] = field(default_factory=dict)
    problems: list[ConfigProblem] = field(default_factory=list)

    def problem(self, keys: Keys, what: str, fix: str) -> ConfigProblem:
        """Something that is wrong at a key."""
        variable = next((name for at, name in self.variables.items() if at == keys[: len(at)]), None)
        line = None if variable else self.line_of(keys)
        return ConfigProblem(str(self.path), line, dotted(keys), what, fix, variable)

    def line_of(self, keys: Keys) -> int | None:
        """The line of the key, of the first that is below it, or of the nearest table that it would be in."""
        for length in range(len(keys), 0, -1):
            found = [line for at, line in self.lines.items() if at[:length] == keys[:length]]
            if found:
                return self.lines.get(keys[:length], min(found))
        return None


def dotted(keys: Keys) -> str:
    """The keys as TOML has them."""
    return ".".join(key if key.replace("_", "").replace("-", "").isalnum() else f'"{key}"' for key in keys)


def read(path: Path) -> Document:
    """Read a file.

    Raises:
        ConfigError: ``config.unreadable``: it is not there, or cannot be read; ``config.not_toml``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no {path}",
            code="config.unreadable",
            hint="Make one: the tutorial has five lines that are enough. Or name another file with --config.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {what}", code="config.unreadable") from error
    return parse(path, text)


def parse(path: Path, text: str) -> Document:
    """What a file with this text says; what stands there twice is a problem, and the first of the two counts.

    Raises:
        ConfigError: ``config.not_toml``, as :func:`read`.
    """
    problems: list[ConfigProblem] = []
    while True:
        try:
            return Document(path, tomllib.loads(text), dict(_lines(text)), problems=problems)
        except tomllib.TOMLDecodeError as error:
            what, line = _position(str(error))
            without = None if line is None else _without_repeat(text, what, line)
            if without is None or line is None:
                fix = "Mend that line: the file has to be TOML, see https://toml.io."
                problems.append(ConfigProblem(str(path), line, "", what[:1].lower() + what[1:], fix))
                raise ConfigError(problems=problems, code="config.not_toml") from None
            text, key = without
            fix = (
                "Every id needs a section of its own, and every key stands there once: rename or remove one of the two."
            )
            problems.append(ConfigProblem(str(path), line, key, "this stands there twice", fix))


def _position(message: str) -> tuple[str, int | None]:
    """What :mod:`tomllib` complains about and where; it says both in one sentence."""
    what, _, where = message.rpartition(" (at line ")
    number = where.partition(",")[0]
    return (what, int(number)) if number.isdecimal() else (message, None)


def _without_repeat(text: str, what: str, line: int) -> tuple[str, str] | None:
    """The text with blank lines for what stands there for the second time, and its key; None for other faults."""
    lines = text.split("\n")
    first = last = line - 1
    if what.startswith("Cannot declare"):  # a header: everything up to the next one is in its table
        while last + 1 < len(lines) and not lines[last + 1].lstrip().startswith("["):
            last += 1
    elif not what.startswith("Cannot overwrite"):
        return None
    key = lines[first].split("=")[0].strip().strip("[]").strip()
    lines[first : last + 1] = [""] * (last + 1 - first)
    return "\n".join(lines), key


def _lines(text: str) -> Iterator[tuple[Keys, int]]:
    table: Keys = ()
    for number, statement in _statements(text):
        found = tomllib.loads(statement)
        if statement.startswith("["):
            table = _only_way(found)
            yield table, number
        else:
            yield from ((table + keys, number) for keys in _ways(found))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The statements of a valid file with the lines in which they begin."""
    pending, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not pending:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            began = number
        pending = f"{pending}\n{line}" if pending else line.strip()
        try:
            tomllib.loads(pending)
        except tomllib.TOMLDecodeError:
            continue  # it goes on in the next line
        yield began, pending
        pending = ""


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
