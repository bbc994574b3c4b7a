"""Writes ``docs/reference/configuration.md`` from the models: ``python -m docs.generate.configuration [--check]``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel

from docs.generate.pages import cell, finish, first_paragraph
from docs.generate.registry import distribution, own_plugins
from roomkit_core.config.naming import section_of
from roomkit_core.config.sections import SECTIONS
from roomkit_core.engine.verbs.configured import Offered

INTRODUCTION: Final = """\
# The configuration file

Generated from the models by `python -m docs.generate.configuration`.

`roomkit.toml` is read by `RoomKit.from_config()` and by every command. `roomkit config check` tells all that is wrong
with it, each mistake with its line and what to do; `roomkit config schema` describes it to editors, for what is
installed.

## Sections

| section | what it is |
|---|---|
| `[roomkit]` | the kit itself |
| `[<kind>s.<id>]` | an instance of the component that it has to `use`, such as `[channels.support]` |
| `[plugins.<id>]` | settings of a plugin, and defaults for its components; makes the plugin's hooks run |
| `[logging]` | what commands write down |
| `[retention]` | how long what is over is kept |

`use` is the name of a component, or `"plugin:name"` where several plugins have one of that name. A key that takes a
component is a table with `use`, or the id of an instance with a section of its own:

```toml
[channels.support.provider]
use = "twilio"
```

A plugin that has a section has to work, or nothing starts; with `required = false` it is a warning.

## Values

What comes first wins: `overrides` that code gives to `from_config`, the environment, the section, the defaults in
`[plugins.<id>]`, the default of the key.

- **Environment**: `ROOMKIT_CHANNELS__SUPPORT__FROM_NUMBER` is `from_number` in `[channels.support]`. Each `__` leads
  into a table, case does not matter, `_` stands for `-` and `.` of an id. Lists and tables are JSON;
  where a text is wanted, one that looks like JSON stays that text.
- **References**, in the place of any value:
  `{ env = "NAME" }` is a variable; `{ file = "path" }` is the content of a file without the line break at its end; and
  `{ STORE = "reference" }` comes from a store of secrets, which is a section `[secrets.STORE]` or a component of kind
  `secret` that needs no settings. A reference that leads nowhere is a mistake. A table where a table is wanted is none.
- **Paths** begin in the folder of the file. **Durations** are seconds, or text such as `"500ms"`, `"30s"`, `"5m"`,
  `"72h"`, `"7d"`, `"2w"`.
- **Secrets**, and whatever a reference gave, are shown nowhere: in no message, no log and no output of a command.
"""


def page() -> str:
    """The page."""
    return "\n".join([INTRODUCTION, *_core(), *_components(), *_plugins()]).rstrip() + "\n"


def _core() -> Iterator[str]:
    for name, model in SECTIONS.items():
        yield f"## `[{name}]`\n"
        yield from _model(model, name)


def _components() -> Iterator[str]:
    registry = own_plugins()
    offers = Offered(registry)
    for kind in sorted({kind for kind, _ in offers.all()} - {"server"}):
        yield f"## `[{section_of(kind)}.<id>]`\n"
        for _, offer in offers.all(kind):
            yield f'### `use = "{offer.name}"` ({distribution(offer.plugin)})\n'
            model = offers.model(offer)
            if model is not None:
                yield from _model(model, f"{section_of(kind)}.<id>")


def _plugins() -> Iterator[str]:
    registry = own_plugins()
    offers = Offered(registry)
    for report in registry.report():
        model = offers.settings_model(report.id)
        if model is not None:
            yield f"## `[plugins.{report.id}]`\n"
            yield from _model(model, f"plugins.{report.id}")


def _model(model: type[BaseModel], section: str) -> Iterator[str]:
    """What a model says of itself, a table of its keys, and the tables within it."""
    schema = model.model_json_schema()
    if text := first_paragraph(schema.get("description", "")):
        yield f"{text}\n"
    yield from _table(schema, section)
    for name, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            is_keyed = schema["properties"][name].get("type") == "object"
            within = f"{section}.{name}.<name>" if is_keyed else f"{section}.{name}"
            yield f"### `[{within}]`\n"
            yield from _model(inner, within)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _table(schema: dict[str, Any], section: str) -> Iterator[str]:
    if not schema.get("properties"):
        yield "It has nothing to set.\n"
        return
    yield "| key | what it takes | if absent | |"
    yield "|---|---|---|---|"
    for key, value in schema["properties"].items():
        default = "needed" if key in schema.get("required", ()) else _default(value)
        yield f"| `{key}` | {_words(value)} | {default} | {_text(key, value, section)} |"
    yield ""


def _text(key: str, value: dict[str, Any], section: str) -> str:
    text = cell(value.get("description", ""))
    if not text:
        raise SystemExit(f"{key} in [{section}] has no description: give its field one")
    return text


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    if default in (None, [], {}):
        return ""
    if _words(value) == "a duration":
        return f'`"{_duration(default)}"`'
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def _words(value: dict[str, Any]) -> str:
    """What a value looks like."""
    if "x-roomkit-kind" in value:
        return f"a {value['x-roomkit-kind']}"
    if "enum" in value:
        return " or ".join(f"`{json.dumps(word)}`" for word in value["enum"])
    if "$ref" in value:
        return "a table"
    if "anyOf" in value:
        ways = [way for way in value["anyOf"] if way.get("type") != "null"]
        if [way.get("type") for way in ways] == ["number", "string"]:
            return "a duration"
        return " or ".join(map(_words, ways))
    if value.get("type") == "array":
        return f"a list: {_words(value['items'])}"
    if value.get("type") == "object":
        return f"a table: {_words(value['additionalProperties'])}"
    by_format = {"path": "a path", "password": "a secret"}
    by_type = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "`true` or `false`"}
    return by_format.get(value.get("format", "")) or by_type.get(value.get("type", ""), "anything")


if __name__ == "__main__":
    raise SystemExit(finish("configuration", page, sys.argv[1:]))
