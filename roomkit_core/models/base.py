"""How models are made: one frozen base, read-only containers, and the two constructors of the hot path.

Models are validated once, where data enters. Inside, :func:`build` and :func:`evolve` make instances from values
that were validated before; they are the only places that go around pydantic's constructor (a lint rule keeps
``model_construct`` and ``model_copy`` out of the rest: they cost up to ten times as much).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict


class Base(BaseModel):
    """Base of every model: frozen, no unknown fields, schema built at first use."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


ModelT = TypeVar("ModelT", bound=BaseModel)

_new = object.__new__
_set_dict = BaseModel.__dict__["__dict__"].__set__
_set_fields = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private = BaseModel.__dict__["__pydantic_private__"].__set__
_field_names: dict[type[BaseModel], set[str]] = {}


def build(cls: type[ModelT], fields: dict[str, Any]) -> ModelT:
    """An instance of ``cls`` that takes ``fields`` over as its own; every field must be there and valid."""
    model = _new(cls)
    _set_dict(model, fields)
    try:
        _set_fields(model, _field_names[cls])
    except KeyError:
        _set_fields(model, _field_names.setdefault(cls, set(cls.model_fields)))
    _set_extra(model, None)
    _set_private(model, None)
    return model


def evolve(model: ModelT, **changes: Any) -> ModelT:
    """A copy of ``model`` with ``changes``, which must be valid values of existing fields."""
    fields = model.__dict__.copy()
    fields.update(changes)
    return build(type(model), fields)


def _read_only(self: object, *args: object, **kwargs: object) -> NoReturn:
    raise TypeError("this value belongs to a frozen model; make a copy with dict(...) or list(...) to change it")


class FrozenDict(dict[str, Any]):
    """A dict that refuses to change; equal to, and serialised like, any dict of the same items."""

    __slots__ = ()
    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = _read_only
    __ior__ = _read_only

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self))

    def __copy__(self) -> FrozenDict:
        return self

    def __deepcopy__(self, memo: object) -> FrozenDict:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return freeze, (dict(self),)


class FrozenList(list[Any]):
    """A list that refuses to change; equal to, and serialised like, any list of the same items."""

    __slots__ = ()
    __setitem__ = __delitem__ = append = clear = extend = insert = pop = _read_only
    remove = reverse = sort = __iadd__ = __imul__ = _read_only

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(len(self))

    def __copy__(self) -> FrozenList:
        return self

    def __deepcopy__(self, memo: object) -> FrozenList:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return freeze, (list(self),)


EMPTY = FrozenDict()


def freeze(value: Any) -> Any:
    """``value`` with every dict and list in it copied into a read-only one."""
    if isinstance(value, FrozenDict | FrozenList):
        return value
    if isinstance(value, Mapping):
        return FrozenDict({key: freeze(item) for key, item in value.items()}) if value else EMPTY
    if isinstance(value, list | tuple | set | frozenset):
        return FrozenList(freeze(item) for item in value)
    return value


def _freeze_json(value: Any) -> Any:
    if value is EMPTY:
        return value
    check_json(value)
    return freeze(value)


def check_json(value: Any) -> None:
    """Refuse what JSON cannot hold, or would give back as something else.

    Raises:
        ValueError: It is not made of strings, finite numbers, booleans, None, lists, and dicts with string keys.
    """
    if value is None or isinstance(value, str | int):
        return
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"{value} has no place in JSON")
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"a key must be a string, not {type(key).__name__}")
            check_json(item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_json(item)
    else:
        raise ValueError(f"{type(value).__name__} has no place in JSON")


Data = Annotated[dict[str, Any], AfterValidator(_freeze_json)]
"""A dict of what JSON can hold, read-only at every depth, so that every store gives back what it was given."""
