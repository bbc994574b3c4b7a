"""Sections that ask for a component, such as ``[channels.support]``: found, checked, and not built yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from roomkit_core.config.catalog import Offer, Offers
from roomkit_core.config.checking import Checking, did_you_mean
from roomkit_core.config.document import Keys
from roomkit_core.errors import PluginError, RoomKitError
from roomkit_core.models.ids import check_id

USE: Final = "use"

PLURALS: Final = {"identities": "identity", "auth": "auth"}
"""Sections whose names are not those of their kinds with an ``s``."""


@dataclass(frozen=True, slots=True)
class Part:
    """A component that is to be built.

    Attributes:
        kind: Its kind.
        id: The id of the instance: the last name of its section.
        offer: The component.
        fields: What its target is called with, by keyword.
        parts: The parts in it, by the keyword under which it gets them.
        keys: Its section.
    """

    kind: str
    id: str
    offer: Offer
    fields: Mapping[str, Any]
    parts: Mapping[str, Part] = field(default_factory=dict)
    keys: Keys = ()


class Parts:
    """Finds the parts of a document.

    Args:
        offers: The components.
        checking: Takes the problems.
        defaults: What ``[plugins.X]`` says about the components of X.
    """

    def __init__(self, offers: Offers, checking: Checking, defaults: Mapping[str, Mapping[str, Any]]) -> None:
        self._offers = offers
        self._checking = checking
        self._defaults = defaults

    def kind_of(self, section: str) -> str | None:
        """The kind of the components of a section; None if no installed plugin has any."""
        kind = PLURALS.get(section) or section.removesuffix("s")
        return kind if kind != section or section in PLURALS else None

    def of_section(self, section: str, tables: Any) -> Iterator[Part]:
        """The instances of a section."""
        kind = self.kind_of(section)
        kinds = {known for known, _ in self._offers.all()}
        if kind is None or kind not in kinds:
            names = {*(section_of(known) for known in kinds), "roomkit", "plugins", "logging", "retention"}
            self._checking.wrong((section,), "there is no such section", did_you_mean(section, names))
            return
        for name, table in self._checking.table(tables, (section,)).items():
            keys = (section, name)
            try:
                check_id(name, f"{kind} id")
            except ValueError as error:
                self._checking.wrong(keys, str(error), "Give it another name.")
                continue
            part = self.part(kind, name, self._checking.table(table, keys), keys)
            if part is not None:
                yield part

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
            self._checking.wrong((*keys, USE), str(error), error.hint)
            return None
        inner = {key: below for key, value in table.items() if (below := self._inner(key, value, name, keys))}
        own = {key: value for key, value in table.items() if key != USE and key not in inner}
        if any(key for key, value in table.items() if _asks(value) and key not in inner):
            return None
        if model is None:
            for key in own:
                self._checking.wrong((*keys, key), f"{used} has nothing to set", "Remove this key.")
            return Part(kind, name, offer, {}, inner, keys)
        defaults = {
            key: value for key, value in self._defaults.get(offer.plugin, {}).items() if key in model.model_fields
        }
        made = self._checking.model(model, {**defaults, **own}, keys)
        if made is None:
            return None
        return Part(kind, name, offer, {key: getattr(made, key) for key in type(made).model_fields}, inner, keys)

    def _inner(self, key: str, value: Any, name: str, keys: Keys) -> Part | None:
        """The part in a part: a table that says what to use, under the name of a kind."""
        return self.part(key, name, value, (*keys, key)) if _asks(value) else None

    def build(self, part: Part) -> Any:
        """Build a part with all that is in it: a channel is called with its id, everything with its fields.

        Returns:
            What the target made; None, and a problem, if it did not.
        """
        inner = {key: self.build(below) for key, below in part.parts.items()}
        if any(value is None for value in inner.values()):
            return None
        try:
            target = self._offers.target(part.offer)
            named = (part.id,) if part.kind == "channel" else ()
            return target(*named, **part.fields, **inner)
        except RoomKitError as error:
            self._checking.wrong(part.keys, str(error), error.hint)
        except Exception as error:
            what = f"{part.kind} {part.id!r} cannot be made: {type(error).__name__}: {error}"
            self._checking.wrong(part.keys, what, "The component's documentation says what it needs.")
        return None


def _asks(value: Any) -> bool:
    return isinstance(value, dict) and USE in value


def section_of(kind: str) -> str:
    """The section with the components of a kind."""
    return next((section for section, known in PLURALS.items() if known == kind), f"{kind}s")
