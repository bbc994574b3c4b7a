"""Writes docs/reference/plugin-kinds.md: the hookspecs and the kinds of component, and who of ours has them."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from docs.generate.pages import cell, finish, markdown, table
from docs.generate.registry import distribution, own_plugins
from docs.generate.source import attribute_texts, module_of, plugin_modules
from roomkit_core.builtin import plugin as builtin_plugin
from roomkit_core.config.naming import section_of
from roomkit_core.config.parts import uses_of
from roomkit_core.config.sections import KitSection
from roomkit_core.engine.verbs.configured import Offered
from roomkit_core.plugin import Kind, specs
from roomkit_core.registry import CatalogEntry
from roomkit_core.registry.checks import SPECIFIED
from roomkit_core.registry.targets import BASES

_HEAD: Final = """# Plugin hooks and kinds of component

Generated from the code by `python -m docs.generate.plugin_kinds`.

What a plugin may implement, and what it may offer; [how a plugin is written and found](../how-to/plugins.md) comes
before that. The classes that a component derives from are in the [Python API](api.md), the keys of each section in
[the configuration file](configuration.md).

## Hooks of a plugin
"""

_KINDS: Final = """## Kinds of component

`Component(kind, name, target)` announces a component; `[section.<id>]` with `use = "name"` asks for it. A kind without
a class may name any object.
"""

_TAKEN: Final = """## Kinds that are taken

Nothing here takes or offers one of these: a plugin does, and then they mean this.
"""

_OTHERS: Final = """## Kinds of our plugins

No file asks for these; a program does: `kit.plugins.resolve(kind, name)`.
"""


def page() -> str:
    """The page.

    Raises:
        SystemExit: A hookspec, a kind or a component is not documented.
    """
    lines = [_HEAD, markdown_of(specs.__doc__ or "").partition("\n\n")[2], ""]
    for name in SPECIFIED:
        lines += _spec(getattr(specs, name))
    texts, offered = kinds(), entries()
    namers = {kind: list(_namers(kind)) for kind in texts}
    used = [kind for kind in texts if kind in BASES or kind in offered or namers[kind]]
    lines.append(_KINDS)
    head = ("kind", "what it is", "class", "section", "named by", "components")
    lines += table(head, (_used(kind, texts[kind], namers[kind], offered.get(kind, [])) for kind in used))
    lines.append(_OTHERS)
    lines += table(
        ("kind", "components"), ([f"`{kind}`", _offers(offered[kind])] for kind in sorted({*offered} - {*texts}))
    )
    lines.append(_TAKEN)
    taken = ([f"`{kind}`", cell(text), _section(kind)] for kind, text in texts.items() if kind not in used)
    lines += table(("kind", "what it is", "section"), taken)
    return "\n".join(lines).rstrip() + "\n"


# ------------------------------------------------------------------------------------------------------- hookspecs


def _spec(spec: Callable[..., Any]) -> Iterator[str]:
    text = inspect.getdoc(spec) or ""
    check_contract(spec.__name__, text)
    keyword = "async def" if inspect.iscoroutinefunction(spec) else "def"
    signature = str(inspect.signature(spec)).replace("'", "")  # annotations stand there as they are written
    yield f"### {spec.__name__}\n"
    yield f"`{keyword} {spec.__name__}{signature}`\n"
    yield markdown_of(text) + "\n"
    users = [distribution(module.PLUGIN.id) for module in _modules() if hasattr(module, spec.__name__)]
    yield f"Implemented by: {', '.join(users) or 'none of ours'}.\n"


def check_contract(name: str, text: str) -> None:
    """Hold the docstring of a hookspec to saying what it is for, when it is called, and what a raise does.

    Raises:
        SystemExit: It does not.
    """
    paragraphs = text.split("\n\n")
    for start in ("When: ", "A raise"):
        if not any(paragraph.startswith(start) for paragraph in paragraphs[1:]):
            raise SystemExit(f"the docstring of {name} has no paragraph that begins with {start.strip()!r}")


def markdown_of(text: str) -> str:
    """A docstring, paragraph by paragraph."""
    paragraphs = [markdown(paragraph) for paragraph in inspect.cleandoc(text).split("\n\n")]
    return "\n\n".join(re.sub(r"^(When|A raise[^:]*):", r"**\1**:", paragraph) for paragraph in paragraphs)


def _modules() -> Iterator[ModuleType]:
    yield builtin_plugin
    for path in plugin_modules("plugin"):
        yield import_module(module_of(path))


# ------------------------------------------------------------------------------------------------------------ kinds


def kinds() -> Mapping[str, str]:
    """What is said of each kind of the core, by its name.

    Raises:
        SystemExit: Nothing is.
    """
    texts = attribute_texts(Kind)
    for name, text in texts.items():
        if not text:
            raise SystemExit(f"Kind.{name} has no text below it")
    return {getattr(Kind, name): text for name, text in texts.items()}


def entries() -> dict[str, list[CatalogEntry]]:
    """The components of our plugins, by their kind.

    Raises:
        SystemExit: A component has no summary.
    """
    found: dict[str, list[CatalogEntry]] = {}
    for entry in own_plugins().components():
        if not entry.component.summary:
            raise SystemExit(f"the component {entry.full_name} of kind {entry.component.kind} has no summary")
        found.setdefault(entry.component.kind, []).append(entry)
    return found


def _used(kind: str, text: str, namers: list[str], offered: list[CatalogEntry]) -> Iterator[str]:
    yield f"`{kind}`"
    yield cell(text)
    yield f"`{BASES[kind].partition(':')[2]}`" if kind in BASES else ""
    yield _section(kind)
    yield "<br>".join(namers)
    yield _offers(offered)


def _section(kind: str) -> str:
    return f"`[{section_of(kind)}.<id>]`"


def _offers(offered: list[CatalogEntry]) -> str:
    return "<br>".join(
        f"`{entry.component.name}` ({distribution(entry.plugin)}): {cell(entry.component.summary)}" for entry in offered
    )


def _namers(kind: str) -> Iterator[str]:
    """Which keys of the file take an instance of a kind."""
    if kind in KitSection.model_fields:
        yield f"`{kind}` in `[roomkit]`"
    offers = Offered(own_plugins())
    for outer, offer in offers.all():
        model = offers.model(offer)
        for key, uses in uses_of(model).items() if model is not None else ():
            if uses.kind == kind:
                yield f"`{key}` in `[{section_of(outer)}.<id>]` of `{offer.name}`"


if __name__ == "__main__":
    raise SystemExit(finish("plugin-kinds", page, sys.argv[1:]))
