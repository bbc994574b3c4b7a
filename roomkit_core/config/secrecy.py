"""What must be shown nowhere: values that were looked up, and those of fields that are secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr

_SHORT = 3  # characters: so few are in every text, and hiding them would only make it unreadable


class Secrecy:
    """Remembers secrets, and keeps them out of texts."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def keep(self, *values: str) -> None:
        """These are shown nowhere from now on."""
        self._values.update(value for value in values if len(value) > _SHORT)

    def redact(self, text: str) -> str:
        """The text without any of them."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, "***")
        return text


def is_secret(model: type[BaseModel], name: str) -> bool:
    """Whether a field of a model holds a secret."""
    field = model.model_fields.get(name)
    return field is not None and _mentions_secret(field.annotation)


def texts_in(value: Any) -> Iterator[str]:
    """All strings in a value as it was written, and all secrets in models."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode("utf-8", "replace")
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from texts_in(item)


def secrets_in(model: BaseModel) -> Iterator[str]:
    """All secrets in a model and in those within it."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from secrets_in(value)
        elif is_secret(type(model), name):
            yield from texts_in(value)


def _mentions_secret(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, SecretStr | SecretBytes):
        return True
    return any(_mentions_secret(argument) for argument in get_args(annotation))
