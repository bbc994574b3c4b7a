"""Sections that ask for a component, such as ``[channels.support]``: found, checked, and not built yet."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from roomkit_core.config.catalog import Offer, Offers
from roomkit_core.config.checking import Checking, did_you_mean
from roomkit_core.config.document import Keys
from roomkit_core.config.naming import kinds_by_section, section_of
from roomkit_core.config.raised import as_a_whole, place_of, words_of
from roomkit_core.errors import PluginError, RoomKitError
from roomkit_core.models.base import evolve
from roomkit_core.models.ids import check_id
from roomkit_core.models.settings import Uses
from roomkit_core.plugin import Kind

log = logging.getLogger("roomkit.config")

USE: Final = "use"
NEEDS: Final = (
    "The component's documentation says what it needs; "
    "with ROOMKIT_LOGGING__LEVEL=debug commands log the whole traceback."
)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A component that is to be built, once, whoever takes it.

    Attributes:
        kind: Its kind.
        id: The id of the instance: the last name of its section; for one inside another, that of the outer one.
        offer: The component.
        fields: What its target is called with, by keyword; parts stand for what will be built of them.
        keys: Its section.
        given: The keys that its section has, ``use`` left out.
    """

    kind: str
    id: str
    offer: Offer
    fields: Mapping[str, Any]
    keys: Keys
    given: tuple[str, ...]


class Parts:
    """Finds the parts of a document, and builds them.

    Args:
        offers: The components.
        checking: Takes the problems.
        defaults: What ``[plugins.X]`` says about the components of X.
    """

    def __init__(self, offers: Offers, checking: Checking, defaults: Mapping[str, Mapping[str, Any]]) -> None:
        self._offers = offers
        self._checking = checking
        self._defaults = defaults
        self.kinds = kinds_by_section(kind for kind, _ in offers.all())
        self._found: dict[tuple[str, str], Part | None] = {}
        self._looking: set[tuple[str, str]] = set()
        self._built: dict[Part, Any] = {}

    # ------------------------------------------------------------------------------------------------ finding

    def of_section(self, section: str, tables: Any, others: Iterable[str] = ()) -> Iterator[Part]:
        """The instances of a section; ``others`` are sections that are none of ours, for a suggestion."""
        kind = self.kinds.get(section)
        if kind is None:
            self._checking.wrong((section,), "there is no such section", did_you_mean(section, {*self.kinds, *others}))
            return
        for name in self._checking.table(tables, (section,)):
            part = self.instance(kind, name)
            if part is not None:
                yield part

    def instance(self, kind: str, name: str) -> Part | None:
        """The instance of that name; None, and a problem, if there is none that can be had."""
        key = (kind, name)
        if key in self._looking:
            self._checking.wrong((section_of(kind), name), "it is a part of itself", "Take one of the references out.")
            return None
        if key not in self._found:
            self._looking.add(key)
            self._found[key] = self._instance(kind, name)
            self._looking.remove(key)
        return self._found[key]

    def _instance(self, kind: str, name: str) -> Part | None:
        keys = (section_of(kind), name)
        tables = self._checking.document.data.get(keys[0], {})
        if name not in tables:
            self._checking.wrong(keys, f"there is no [{'.'.join(keys)}]", did_you_mean(name, tables))
            return None
        try:
            check_id(name, f"{kind} id")
        except ValueError as error:
            self._checking.wrong(keys, str(error), "Give it another name.")
            return None
        return self.part(kind, name, self._checking.table(tables[name], keys), keys)

    def part(self, kind: str, name: str, table: Mapping[str, Any], keys: Keys) -> Part | None:
        """The part that a table asks for."""
        used = table.get(USE)
        if not isinstance(used, str):
            fix = did_you_mean("", (offer.name for _, offer in self._offers.all(kind)))
            self._checking.wrong((*keys, USE), f"it does not say which {kind} to use", f'Add use = "...". {fix}')
            return None
        try:
            offer = self._offers.find(kind, used)
            model = self._offers.model(offer)
        except PluginError as error:
            told = error.hint in str(error)  # what is wrong with a plugin that may have it, which says what to do
            fix = "Mend that; `roomkit plugins --check` looks again." if told else error.hint
            self._checking.wrong((*keys, USE), str(error), fix)
            return None
        own = {key: value for key, value in table.items() if key != USE}
        if model is None:
            for key in own:
                self._checking.wrong((*keys, key), f"{used} has nothing to set", "Remove this key.")
            return None if own else Part(kind, name, offer, {}, keys, ())
        defaults = {
            key: value
            for key, value in self._defaults.get(offer.plugin, {}).items()
            if key in model.model_fields and key not in own
        }
        made = self.settings(model, own, keys, name, dict.fromkeys(defaults, ("plugins", offer.plugin)), defaults)
        return None if made is None else Part(kind, name, offer, fields_of(made), keys, tuple(own))

    def settings(
        self,
        model: type[BaseModel],
        table: Mapping[str, Any],
        keys: Keys,
        name: str = "",
        elsewhere: Mapping[str, Keys] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> BaseModel | None:
        """What a model makes of a table, with the parts that it takes; None, and problems, if it does not fit.

        Args:
            model: The model.
            table: The table.
            keys: Where it stands.
            name: The id that parts get which stand in the table itself.
            elsewhere: Keys of ``defaults``, and the tables in which they stand.
            defaults: Values for keys that the table has not.
        """
        values, is_whole = {**(defaults or {}), **table}, True
        for key, uses in uses_of(model).items():
            if key in values:
                at = (*(elsewhere or {}).get(key, keys), key)
                values[key] = self._taken(uses.kind, values[key], name, at)
                is_whole = is_whole and values[key] is not None
        made = self._checking.model(model, values, keys, elsewhere or {})
        return made if is_whole else None

    def _taken(self, kind: str, value: Any, name: str, keys: Keys) -> Part | None:
        """What a field takes: a part that is described there, or an instance by its id."""
        if isinstance(value, str):
            there = self._checking.document.data.get(section_of(kind), {})
            if value in there:
                return self.instance(kind, value)
            fix = f"{did_you_mean(value, there)} Or add [{section_of(kind)}.{value}]."
            self._checking.wrong(keys, f"there is no [{section_of(kind)}.{value}]", fix)
            return None
        return self.part(kind, name, self._checking.table(value, keys), keys)

    # ------------------------------------------------------------------------------------------------ building

    def build(self, part: Part, *leading: Any) -> Any:
        """Build a part with all that is in it: a channel is called with its id, everything with its fields.

        Args:
            part: The part.
            leading: What the core hands to components of this kind: the store, for a router.

        Returns:
            What the target made; None, and a problem, if it did not.
        """
        if part not in self._built:
            self._built[part] = self._build(part, leading)
        return self._built[part]

    def complete(self, settings: BaseModel) -> Any:
        """Settings with what was built in the place of their parts; None, and a problem, if it could not be built."""
        fields = self._complete(fields_of(settings))
        return None if fields is None else evolve(settings, **fields)

    def _complete(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        made = {key: self.build(value) if isinstance(value, Part) else value for key, value in fields.items()}
        failed = any(made[key] is None for key, value in fields.items() if isinstance(value, Part))
        return None if failed else made

    def _build(self, part: Part, leading: tuple[Any, ...]) -> Any:
        fields = self._complete(part.fields)
        if fields is None:
            return None
        named = (part.id,) if part.kind == Kind.CHANNEL else ()
        target: Any = None
        try:
            target = self._offers.target(part.offer)
            return target(*leading, *named, **fields)
        except RoomKitError as error:
            self._checking.wrong(part.keys, str(error), error.hint)
            self._log(part, error)
        except Exception as error:
            place = place_of(error, target)
            where = "" if place is None else f" ({place})"
            words = " ".join(self._checking.redact(words_of(error)).split())
            self._checking.wrong(part.keys, f"{_cannot(part)}: {words}{where}", NEEDS)
            self._log(part, error)
        return None

    def _log(self, part: Part, error: Exception) -> None:
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "%s\n%s", _cannot(part), self._checking.redact(as_a_whole(error)), extra={"plugin": part.offer.plugin}
            )


def _cannot(part: Part) -> str:
    return f"{part.kind} {part.id!r} cannot be made"


def uses_of(model: type[BaseModel]) -> dict[str, Uses]:
    """The fields of a model that take components."""
    marks = {name: field.metadata for name, field in model.model_fields.items()}
    return {name: mark for name, metadata in marks.items() for mark in metadata if isinstance(mark, Uses)}


def fields_of(settings: BaseModel) -> dict[str, Any]:
    """The fields of settings as they are, not dumped."""
    return {key: getattr(settings, key) for key in type(settings).model_fields}
