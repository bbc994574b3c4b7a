"""A configuration file: what it says, and where."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from roomkit_core.config.places import Keys as Keys
from roomkit_core.config.places import Places, keys_of, statements
from roomkit_core.errors import ConfigError, ConfigProblem

MEND: Final = "Mend that: the file has to be TOML, see https://toml.io."
TWICE: Final = "Every id needs a section of its own, and every key stands there once: rename or remove one of the two."


@dataclass(frozen=True, slots=True)
class Document:
    """What is configured, and by which line or variable.

    Attributes:
        path: The file.
        data: Its tables.
        places: Where everything stands in it.
        variables: Which values came from which variable of the environment.
        texts: What such a variable says literally, if it could be read as a list or a table.
        problems: What was wrong when it was read, and could be left out.
    """

    path: Path
    data: dict[str, Any]
    places: Places = field(default_factory=Places)
    variables: dict[Keys, str] = field(default_factory=dict)
    texts: dict[Keys, str] = field(default_factory=dict)
    problems: list[ConfigProblem] = field(default_factory=list)

    def problem(self, keys: Keys, what: str, fix: str) -> ConfigProblem:
        """Something that is wrong at a key."""
        variable = next((name for at, name in self.variables.items() if at == keys[: len(at)]), None)
        line = None if variable else self.places.line_of(keys)
        return ConfigProblem(str(self.path), line, dotted(keys), what, fix, variable)


def dotted(keys: Keys) -> str:
    """The keys as TOML has them."""
    return ".".join(key if key.replace("_", "").replace("-", "").isalnum() else f'"{key}"' for key in keys)


def is_there(path: Path) -> bool:
    """Whether there is anything to read, or to complain about: a link that leads nowhere counts."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):  # reading it will tell
        return True
    return True


def read(path: Path) -> Document:
    """Read a file.

    Raises:
        ConfigError: ``config.unreadable``: it is not there, or cannot be read; ``config.not_toml``.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a mark in front
    except FileNotFoundError:
        hint = "Make one: the tutorial has five lines that are enough. Or name another file with --config."
        raise ConfigError(f"there is no {path}", code="config.unreadable", hint=hint) from None
    except OSError as error:
        hint = "It has to be a file that the user of this process may read."
        raise ConfigError(f"{path} cannot be read: {error.strerror}", code="config.unreadable", hint=hint) from error
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        problem = ConfigProblem(str(path), line, "", "this is not UTF-8", "Let your editor save the file as UTF-8.")
        raise ConfigError(problems=[problem], code="config.unreadable") from None
    except ValueError:
        what = f"{str(path)!r} cannot be the name of a file"
        raise ConfigError(what, code="config.unreadable", hint="Name another file with --config.") from None
    return parse(path, text)


def parse(path: Path, text: str) -> Document:
    """What a file with this text says; what stands there twice is a problem, and the first of the two counts.

    Raises:
        ConfigError: ``config.not_toml``, as :func:`read`.
    """
    problems: list[ConfigProblem] = []
    while True:
        try:
            return Document(path, tomllib.loads(text), Places(text), problems=problems)
        except tomllib.TOMLDecodeError as error:
            what, line = _position(str(error), text)
            repeat = _repeat(text, what, line)
            if repeat is None:
                problems.append(ConfigProblem(str(path), line, "", what[:1].lower() + what[1:], MEND))
                raise ConfigError(problems=problems, code="config.not_toml") from None
            keys, first, last = repeat
            problems.append(ConfigProblem(str(path), first, dotted(keys), "this stands there twice", TWICE))
            text = _without(text, first, last)
        except RecursionError:
            raise ConfigError(f"{path} is nested too deeply", code="config.not_toml", hint=MEND) from None
        except ValueError:  # what Python itself says about a number of thousands of digits
            raise ConfigError(f"{path} has a number with too many digits", code="config.not_toml", hint=MEND) from None


def _position(message: str, text: str) -> tuple[str, int]:
    """What :mod:`tomllib` complains about and in which line; it says both in one sentence."""
    what, _, where = message.rpartition(" (at ")
    number = where.removeprefix("line ").partition(",")[0]
    return what or message, int(number) if number.isdecimal() else text.rstrip().count("\n") + 1


def _repeat(text: str, what: str, line: int) -> tuple[Keys, int, int] | None:
    """Of what stands there for the second time the keys, the first and the last line; None for other faults."""
    if not what.startswith(("Cannot declare", "Cannot overwrite")):
        return None
    there = iter(statements(text))
    second = next((statement for statement in there if statement.line <= line <= statement.last), None)
    if second is None:
        return None
    last = second.last
    if second.is_header:  # everything up to the next one is in its table
        behind = next((statement.line for statement in there if statement.is_header), None)
        last = text.count("\n") + 1 if behind is None else behind - 1
    return keys_of(second), second.line, last


def _without(text: str, first: int, last: int) -> str:
    """The text with blank lines for some of its lines."""
    lines = text.split("\n")
    lines[first - 1 : last] = [""] * (last + 1 - first)
    return "\n".join(lines)
