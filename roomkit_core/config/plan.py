"""What a configuration asks for, checked as a whole: either all of it makes sense, or every problem is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from roomkit_core.config.catalog import Offers
from roomkit_core.config.checking import Checking, did_you_mean
from roomkit_core.config.document import Document, Keys
from roomkit_core.config.environment import overlay
from roomkit_core.config.parts import Part, Parts
from roomkit_core.config.references import References
from roomkit_core.config.sections import PLUGINS, SECTIONS, KitSection, LoggingSection
from roomkit_core.errors import ConfigError, ConfigProblem, PluginError
from roomkit_core.models.retention import Retention

SECRETS = "secrets"
REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be built.

    Attributes:
        document: Where it comes from.
        kit, logging, retention: The core's own sections.
        parts: The components, in the order of the file.
        named: The plugins that have a section, and whether the kit must not start without them.
        settings: The own settings of plugins, as their models made them.
    """

    document: Document
    kit: KitSection
    logging: LoggingSection
    retention: Retention
    parts: tuple[Part, ...]
    named: Mapping[str, bool]
    settings: Mapping[str, BaseModel]

    def of_kind(self, kind: str) -> dict[str, Part]:
        """The parts of a kind, by id."""
        return {part.id: part for part in self.parts if part.kind == kind}


class Planning:
    """Makes the plan of a document, and builds what is in it.

    Args:
        document: What was read.
        environ: The environment.
        offers: The components.
    """

    def __init__(self, document: Document, environ: Mapping[str, str], offers: Offers) -> None:
        self.document = overlay(document, environ)
        self._offers = offers
        self._secrets: dict[str, Any] = {}
        self._references = References(self.document, environ, self._secrets)
        self._checking = Checking(self.document, self._references)
        self._defaults: dict[str, dict[str, Any]] = {}
        self._parts = Parts(offers, self._checking, self._defaults)

    def plan(self) -> Plan:
        """Check everything.

        Raises:
            ConfigError: With all problems, in the order of the file.
        """
        data = self.document.data
        for part in self._parts.of_section(SECRETS, data[SECRETS]) if SECRETS in data else ():
            secret = self._parts.build(part)
            if secret is not None:
                self._secrets[part.id] = secret.get
        core = {name: self._core(name) for name in SECTIONS}
        named, settings = self._plugins(data.get(PLUGINS, {}))
        parts: list[Part] = []
        for section, tables in data.items():
            if section not in SECTIONS and section not in (PLUGINS, SECRETS):
                parts += self._parts.of_section(section, tables)
        kit, logging, retention = core["roomkit"], core["logging"], core["retention"]
        if isinstance(kit, KitSection):
            self._check_names(kit, parts)
        self.raise_problems()
        assert isinstance(kit, KitSection)
        assert isinstance(logging, LoggingSection)
        assert isinstance(retention, Retention)
        return Plan(self.document, kit, logging, retention, tuple(parts), named, settings)

    def build(self, part: Part) -> Any:
        """Build a part.

        Raises:
            ConfigError: It cannot be built.
        """
        made = self._parts.build(part)
        self.raise_problems()
        return made

    def raise_problems(self) -> None:
        """Raise what was found so far, if anything was."""
        found = [*self.document.problems, *self._checking.problems, *self._references.problems]
        if found:
            raise ConfigError(problems=sorted(found, key=_place))

    def _core(self, section: str) -> BaseModel | None:
        table = self._checking.table(self.document.data.get(section, {}), (section,))
        return self._checking.model(SECTIONS[section], table, (section,))

    def _plugins(self, tables: Any) -> tuple[dict[str, bool], dict[str, BaseModel]]:
        named: dict[str, bool] = {}
        settings: dict[str, BaseModel] = {}
        for plugin, table in self._checking.table(tables, (PLUGINS,)).items():
            keys: Keys = (PLUGINS, plugin)
            given = dict(self._checking.table(table, keys))
            named[plugin] = self._is_required(given.pop(REQUIRED, True), keys)
            try:
                model = self._offers.settings_model(plugin)
                known = self._component_keys(plugin)
            except PluginError as error:
                self._checking.wrong(keys, str(error), error.hint)
                continue
            own = set(model.model_fields) if model is not None else set()
            for key in [key for key in given if key not in own and key not in known]:
                del given[key]
                self._checking.wrong((*keys, key), "there is no such key", did_you_mean(key, {REQUIRED, *own, *known}))
            self._defaults[plugin] = {key: value for key, value in given.items() if key in known}
            if model is not None:
                made = self._checking.model(model, {key: given[key] for key in given if key in own}, keys)
                if made is not None:
                    settings[plugin] = made
        return named, settings

    def _is_required(self, value: Any, keys: Keys) -> bool:
        if value in (True, False, "true", "false"):
            return value in (True, "true")
        self._checking.wrong((*keys, REQUIRED), "this is neither true nor false", "Write required = true or false.")
        return True

    def _component_keys(self, plugin: str) -> set[str]:
        """All keys that components of the plugin know."""
        models = (self._offers.model(offer) for _, offer in self._offers.all() if offer.plugin == plugin)
        return {key for model in models if model is not None for key in model.model_fields}

    def _check_names(self, kit: KitSection, parts: list[Part]) -> None:
        """What ``[roomkit]`` names has to be there."""
        for key, section in (("store", "stores"), ("lock", "locks"), ("router", "routers")):
            name, there = getattr(kit, key), self.document.data.get(section, {})
            if name is not None and name not in there:
                fix = f"{did_you_mean(name, there)} Or add [{section}.{name}]."
                self._checking.wrong(("roomkit", key), f"there is no [{section}.{name}]", fix)
        stores = [part for part in parts if part.kind == "store"]
        if kit.store is None and len(stores) > 1:
            names = " or ".join(f'"{part.id}"' for part in stores)
            self._checking.wrong(("roomkit", "store"), "there are several stores", f"Say which one: store = {names}.")


def _place(problem: ConfigProblem) -> tuple[bool, int, str]:
    return problem.line is None, problem.line or 0, problem.key
