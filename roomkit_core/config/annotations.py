"""What the annotations of settings say about how a value is written: as a table, as a text, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

EITHER: Final = (Union, UnionType, Annotated)
"""What stands around the annotations of which one counts."""

_TEXTS: Final = (str, bytes, SecretStr, SecretBytes, PurePath, Enum)
_SINGLE: Final = (*_TEXTS, int, float, NoneType)


def takes_table(model: type[BaseModel], name: str) -> bool:
    """Whether a field of a model is written as a table."""
    field = model.model_fields.get(name)
    return field is not None and _is_table(field.annotation)


def _is_table(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (Union, UnionType, Annotated):
        return any(_is_table(argument) for argument in get_args(annotation))
    kind = origin or annotation
    return isinstance(kind, type) and issubclass(kind, Mapping | BaseModel)


def wants_text(model: type[BaseModel], steps: Sequence[str]) -> bool:
    """Whether these steps lead, from a model down, to where a text is wanted and neither a list nor a table is."""
    places: list[Any] = [model]
    for step in steps:
        places = [inner for place in places for inner in within(place, step)]
    kinds = [kind for place in places for kind in _kinds(place)]
    return any(issubclass(kind, _TEXTS) for kind in kinds) and all(issubclass(kind, _SINGLE) for kind in kinds)


def _kinds(annotation: Any) -> Iterator[type]:
    """The classes of which one is wanted; of what is no class, such as Any, what all are."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin in EITHER:
        for way in get_args(annotation):
            yield from _kinds(way)
    elif origin is Literal:
        yield from map(type, get_args(annotation))
    else:
        kind = origin or annotation
        yield kind if isinstance(kind, type) else object


def within(annotation: Any, step: str) -> Iterator[Any]:
    """What is wanted one step further down; several where there are several ways."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if step in annotation.model_fields:
            yield annotation.model_fields[step].annotation
        return
    ways = get_args(annotation)
    if get_origin(annotation) in EITHER:
        for way in ways:
            yield from within(way, step)
    else:  # the items of a list, the values of a table
        yield from (way for way in ways[-1:] if way is not Ellipsis)
        yield from (way for way in ways[:1] if ways[-1] is Ellipsis)
