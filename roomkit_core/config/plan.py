"""What a configuration asks for, checked as a whole: either all of it makes sense, or every problem is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import BaseModel

from roomkit_core.config.catalog import Offers
from roomkit_core.config.checking import Checking, did_you_mean
from roomkit_core.config.document import Document, Keys
from roomkit_core.config.environment import overlay
from roomkit_core.config.parts import USE, Part, Parts
from roomkit_core.config.references import References
from roomkit_core.config.sections import PLUGINS, SECTIONS, KitSection, LoggingSection
from roomkit_core.errors import ConfigError, ConfigProblem, PluginError
from roomkit_core.models.retention import Retention
from roomkit_core.plugin import Kind

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

    def chosen(self, kind: str) -> Part | None:
        """Of a kind of which a kit has one: that which ``[roomkit]`` names, else the only one, else None."""
        there = self.of_kind(kind)
        name = getattr(self.kit, kind) or next(iter(there), None)
        return None if name is None else there[name]


class Planning:
    """Makes the plan of a document, and builds what is in it.

    Args:
        document: What was read.
        environ: The environment.
        offers: The components.
        overrides: Tables as in the file, whose values win over all others.
    """

    def __init__(
        self,
        document: Document,
        environ: Mapping[str, str],
        offers: Offers,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self.document = overlay(document, environ, overrides)
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
        named = self._name_plugins(data.get(PLUGINS, {}))
        self._find_secrets()
        core = {name: self._core(name) for name in SECTIONS}
        settings = self._settings()
        parts: list[Part] = []
        for section, tables in data.items():
            if section not in SECTIONS and section != PLUGINS:
                parts += self._parts.of_section(section, tables, (*SECTIONS, PLUGINS))
        kit, logging, retention = core["roomkit"], core["logging"], core["retention"]
        if isinstance(kit, KitSection):
            self._check_names(kit, parts)
        self.raise_problems()
        assert isinstance(kit, KitSection)
        assert isinstance(logging, LoggingSection)
        assert isinstance(retention, Retention)
        return Plan(self.document, kit, logging, retention, tuple(parts), named, settings)

    def build(self, part: Part, *leading: Any) -> Any:
        """Build a part; None if it cannot be built, which :meth:`raise_problems` tells."""
        return self._parts.build(part, *leading)

    def complete(self, settings: BaseModel) -> Any:
        """Settings of a plugin with the components that they take; None if one of them cannot be built."""
        return self._parts.complete(settings)

    def redact(self, text: str) -> str:
        """A text without any secret of this configuration."""
        return self._references.secrecy.redact(text)

    def raise_problems(self) -> None:
        """Raise what was found so far, if anything was."""
        found = [*self.document.problems, *self._checking.problems, *self._references.problems]
        if found:
            raise ConfigError(problems=sorted(map(self._redacted, found), key=_place))

    def _redacted(self, problem: ConfigProblem) -> ConfigProblem:
        """Once more: what is a secret may have been learned after the problem was noted."""
        return replace(problem, what=self.redact(problem.what), fix=self.redact(problem.fix))

    def _core(self, section: str) -> BaseModel | None:
        table = self._checking.table(self.document.data.get(section, {}), (section,))
        return self._checking.model(SECTIONS[section], table, (section,))

    def _find_secrets(self) -> None:
        """What can stand in front of a reference: sections, and components of kind secret that need none."""
        names = [offer.name for _, offer in self._offers.all(Kind.SECRET)]
        there = self.document.data.get(SECRETS, {})
        for name in {*names, *(there if isinstance(there, dict) else ())}:
            self._secrets[name] = partial(self._secret, name, name in there)

    def _secret(self, name: str, has_section: bool, reference: str) -> str:
        if has_section:
            part = self._parts.instance(Kind.SECRET, name)
        else:
            part = self._parts.part(Kind.SECRET, name, {USE: name}, (SECRETS, name))
        store = None if part is None else self._parts.build(part)
        if store is None:
            raise ConfigError(f"[{SECRETS}.{name}] is not usable", hint="Mend what is told about it.")
        return str(store.get(reference))

    def _name_plugins(self, tables: Any) -> dict[str, bool]:
        """The plugins that have a section, and whether they are required."""
        named: dict[str, bool] = {}
        for plugin, table in self._checking.table(tables, (PLUGINS,)).items():
            keys: Keys = (PLUGINS, plugin)
            given = dict(self._checking.table(table, keys))
            named[plugin] = self._is_required(given.pop(REQUIRED, True), keys)
            self._defaults[plugin] = given
            trouble = self._offers.trouble(plugin)
            if trouble is not None and named[plugin]:
                self._checking.wrong(keys, *trouble)
        return named

    def _settings(self) -> dict[str, BaseModel]:
        """The own settings of those plugins, which stand between the defaults of their components."""
        settings: dict[str, BaseModel] = {}
        for plugin, given in self._defaults.items():
            keys: Keys = (PLUGINS, plugin)
            try:
                model = self._offers.settings_model(plugin)
                known = self._component_keys(plugin)
            except PluginError as error:
                self._checking.wrong(keys, str(error), error.hint)
                continue
            own = set(model.model_fields) if model is not None else set()
            if self._offers.trouble(plugin) is None:
                for key in given:
                    if key not in own and key not in known:
                        fix = did_you_mean(key, {REQUIRED, *own, *known})
                        self._checking.wrong((*keys, key), "there is no such key", fix)
            if model is not None:
                made = self._parts.settings(model, {key: given[key] for key in given if key in own}, keys)
                if made is not None:
                    settings[plugin] = made
        return settings

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
            ids = [part.id for part in parts if part.kind == key]
            if name is None and len(ids) > 1:
                names = " or ".join(f'"{part_id}"' for part_id in ids)
                fix = f"Say which one: {key} = {names}."
                self._checking.wrong(("roomkit", key), f"there are several {section}", fix)
        channels = self.document.data.get("channels", {})
        for index, name in enumerate(kit.attach):
            if name not in channels:
                fix = f"{did_you_mean(name, channels)} Or add [channels.{name}]."
                self._checking.wrong(("roomkit", "attach", str(index)), f"there is no [channels.{name}]", fix)


def _place(problem: ConfigProblem) -> tuple[bool, int, str]:
    return problem.line is None, problem.line or 0, problem.key
