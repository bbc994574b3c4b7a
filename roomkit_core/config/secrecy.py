"""What must be shown nowhere: values that were looked up, and those of fields that are secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

from roomkit_core.config.annotations import EITHER, within

_SHORT = 3  # characters: so few are in every text, and hiding them would only make it unreadable


class Secrecy:
    """Remembers secrets, and keeps them out of texts."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def keep(self, *values: str) -> None:
        """These are shown nowhere from now on, nor as messages may have them: quoted by Python or in JSON."""
        for value in values:
            forms = (value, repr(value)[1:-1], json.dumps(value)[1:-1])
            self._values.update(form for form in forms if len(form) > _SHORT)

    def redact(self, text: str) -> str:
        """The text without any of them."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, "***")
        return text


def written_secrets(annotation: Any, value: Any) -> Iterator[str]:
    """Of a value as it was written, the texts that stand where the annotation wants a secret."""
    if _is_secret(annotation):
        yield from _texts_in(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            for inner in within(annotation, str(key)):
                yield from written_secrets(inner, item)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            for inner in within(annotation, str(place)):
                yield from written_secrets(inner, item)


def is_secret(model: type[BaseModel], steps: Sequence[str]) -> bool:
    """Whether these steps lead to a secret, from a model down."""
    places: list[Any] = [model]
    for step in steps:
        if any(_is_secret(place) for place in places):
            return True
        places = [inner for place in places for inner in within(place, step)]
    return any(_is_secret(place) for place in places)


def _is_secret(annotation: Any) -> bool:
    if isinstance(annotation, type):
        return issubclass(annotation, SecretStr | SecretBytes)
    return get_origin(annotation) in EITHER and any(map(_is_secret, get_args(annotation)))


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts_in(item)
