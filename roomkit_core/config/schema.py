"""One JSON Schema of the whole file, for what is installed here: editors complete and check with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from roomkit_core.config.annotations import takes_table
from roomkit_core.config.catalog import Offer, Offers
from roomkit_core.config.naming import section_of
from roomkit_core.config.parts import USE
from roomkit_core.config.plan import REQUIRED
from roomkit_core.config.sections import PLUGINS, SECTIONS
from roomkit_core.errors import PluginError

Schema = dict[str, Any]

_KIND: Final = "x-roomkit-kind"
_DEFS: Final = "$defs"
_REQUIRED: Final[Schema] = {
    "type": "boolean",
    "default": True,
    "description": "Whether the kit refuses to start if the plugin does not work.",
}


def schema_of(offers: Offers, plugins: Iterable[str]) -> Schema:
    """The schema.

    Args:
        offers: The components that can be used. Those whose model does not import are left out.
        plugins: The ids of all plugins, which may have a section.
    """
    writing = _Writing(offers)
    properties = {name: writing.table(model) for name, model in SECTIONS.items()}
    kinds = sorted({kind for kind, _ in offers.all()})
    for kind in kinds:
        writing.kind(kind)
        properties[section_of(kind)] = {
            "type": "object",
            "description": f"Each table in it is a {kind.replace('_', ' ')}; its name is the id.",
            "additionalProperties": {"$ref": f"#/{_DEFS}/{kind}"},
        }
    properties[PLUGINS] = {
        "type": "object",
        "description": "Settings of plugins, and defaults for their components.",
        "properties": {plugin: writing.plugin(plugin) for plugin in plugins},
        "additionalProperties": False,
    }
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "roomkit.toml",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        _DEFS: writing.definitions,
    }


class _Writing:
    """Collects what several sections share under ``$defs``."""

    def __init__(self, offers: Offers) -> None:
        self._offers = offers
        self._reference = {
            "type": "object",
            "description": 'Where the value stands: { env = "NAME" }, { file = "path" } or { STORE = "reference" }.',
            "properties": {
                name: {"type": "string"} for name in ("env", "file", *(offer.name for _, offer in offers.all("secret")))
            },
            "additionalProperties": {"type": "string"},
            "minProperties": 1,
            "maxProperties": 1,
        }
        self.definitions: Schema = {"reference": self._reference}

    def table(self, model: type[BaseModel], *, needs_all: bool = True) -> Schema:
        """A section that a model describes. Each of its values may be a reference instead."""
        owner = f"{model.__module__}.{model.__qualname__}"
        schema = model.model_json_schema(ref_template=f"#/{_DEFS}/{owner}.{{model}}")
        for name, definition in schema.pop(_DEFS, {}).items():
            self.definitions[f"{owner}.{name}"] = definition
        schema.pop("title", None)
        if "description" in schema:
            schema["description"] = schema["description"].partition("\n\n")[0]
        if not needs_all:
            schema.pop("required", None)
        schema["properties"] = {
            name: self._value(dict(value), is_table=takes_table(model, name))
            for name, value in schema.get("properties", {}).items()
        }
        return schema

    def _value(self, value: Schema, *, is_table: bool) -> Schema:
        value.pop("title", None)
        kind = value.pop(_KIND, None)
        about: Schema = {key: value.pop(key) for key in ("description", "default") if key in value}
        if about.get("default", ...) is None:
            del about["default"]  # TOML has no null: it stands for a key that is not there
        if kind is not None:
            self.kind(kind)
            section = {"type": "string", "description": f"The id of a [{section_of(kind)}.*]."}
            return {**about, "anyOf": [section, {"$ref": f"#/{_DEFS}/{kind}"}]}
        if is_table:
            return {**about, **value}
        return {**about, "anyOf": [value, {"$ref": f"#/{_DEFS}/reference"}]}

    def kind(self, kind: str) -> None:
        """The components of a kind, told apart by what they ``use``."""
        if kind in self.definitions:
            return
        self.definitions[kind] = {}  # a component may take another of its own kind
        offers = [offer for _, offer in self._offers.all(kind)]
        known = [schema for offer in offers if (schema := self._component(kind, offer, offers)) is not None]
        self.definitions[kind] = {
            "type": "object",
            "required": [USE],
            "properties": {USE: {"enum": [name for schema in known for name in schema["properties"][USE]["enum"]]}},
            "oneOf": known or [False],
        }

    def _component(self, kind: str, offer: Offer, others: Iterable[Offer]) -> Schema | None:
        try:
            model = self._offers.model(offer)
        except PluginError:
            return None
        # Nothing is required: the environment and [plugins.X] may give what is missing here.
        schema: Schema = {"type": "object", "additionalProperties": False}
        if model is not None:
            schema = self.table(model, needs_all=False)
        is_unique = sum(other.name == offer.name for other in others) == 1
        names = [offer.name] if is_unique else []
        use = {"enum": [*names, f"{offer.plugin}:{offer.name}"], "description": f"The {kind} {offer.name}."}
        schema["properties"] = {USE: use, **schema.get("properties", {})}
        schema["required"] = [USE]
        return schema

    def plugin(self, plugin: str) -> Schema:
        """What a plugin's own section may have."""
        properties: Schema = {}
        for model in self._models_of(plugin):
            properties |= self.table(model, needs_all=False)["properties"]
        return {
            "type": "object",
            "properties": {REQUIRED: _REQUIRED, **properties},
            "additionalProperties": False,
        }

    def _models_of(self, plugin: str) -> Iterator[type[BaseModel]]:
        """Those of its components, then that of its own settings, whose words about a key count."""
        offers = [offer for _, offer in self._offers.all() if offer.plugin == plugin]
        finders = [partial(self._offers.model, offer) for offer in offers]
        for find in (*finders, partial(self._offers.settings_model, plugin)):
            try:
                model: type[BaseModel] | None = find()
            except PluginError:
                continue  # `roomkit doctor` tells of it; the others are no less right
            if model is not None:
                yield model
