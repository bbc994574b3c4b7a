"""The forms that names take in a plugin's announcement."""

from __future__ import annotations

import re
from collections.abc import Iterable

_name = re.compile(r"[a-z][a-z0-9_]{0,63}")
_version = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_command = re.compile(r"[a-z][a-z0-9-]{0,63}")
_path = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def check_name(value: object, what: str) -> str:
    """``value``, if it is 1 to 64 of lowercase letters, digits and underscores and starts with a letter."""
    if isinstance(value, str) and _name.fullmatch(value):
        return value
    raise ValueError(f"{value!r} is not a {what}: expected {_name.pattern}")


def check_names(values: Iterable[object], what: str) -> tuple[str, ...]:
    """Each of ``values`` by :func:`check_name`; a single string is refused, because its letters would pass as names."""
    if isinstance(values, str):
        raise TypeError(f"expected several names, each a {what}, not the one string {values!r}")
    return tuple(check_name(value, what) for value in values)


def check_version(value: object, what: str) -> str:
    """``value``, if it is of the form ``"1.0"``."""
    if isinstance(value, str) and _version.fullmatch(value):
        return value
    raise ValueError(f'{value!r} is not a {what}: expected "major.minor", for instance "1.0"')


def check_target(value: object, what: str) -> str:
    """``value``, if it is of the form ``"package.module:Name"``."""
    if isinstance(value, str):
        module, _, name = value.partition(":")
        if name.isidentifier() and all(part.isidentifier() for part in module.split(".")):
            return value
    raise ValueError(f'{value!r} is not a {what}: expected "package.module:Name"')


def check_command(value: object, what: str) -> str:
    """``value``, if it is a word of lowercase letters, digits and hyphens."""
    if isinstance(value, str) and _command.fullmatch(value):
        return value
    raise ValueError(f"{value!r} is not a {what}: expected {_command.pattern}")


def check_path(value: object, what: str) -> str:
    """``value``, if it is of the form ``"/one/two"``: characters that need no escape, no slash at the end."""
    if isinstance(value, str) and _path.fullmatch(value) and not {".", ".."} & set(value.split("/")):
        return value
    raise ValueError(f'{value!r} is not a {what}: expected "/name" or "/name/name"')
