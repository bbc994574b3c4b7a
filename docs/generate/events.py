"""Writes docs/reference/events.md: every framework event, from :mod:`roomkit_core.hooks.told`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from docs.generate.pages import cell, finish, table
from docs.generate.source import constants, sources
from roomkit_core.hooks.told import TOLD, Told

_HEAD: Final = """# Framework events

Generated from the code by `python -m docs.generate.events`.

What the kit tells about itself. `@on("delivery_failed")` in a module of the bot, or `@kit.on("delivery_failed")` in a
program, marks a function that is called with one `FrameworkEvent`: its `type`, its `timestamp`, what it is *about*
(`room_id`, `channel_id`, `event_id`; None where it is about none, or none is known) and its `data`.

Handlers run beside everything else, after what they are told is durable: at most once, in the order in which they were
registered, for 30 seconds at most. One that raises is a line in the log. What must not be lost belongs into a durable
[hook](hooks.md).
"""

_OWN: Final = """
A plugin or a program tells events of its own with `kit.emit("acme_order_paid", data={...})`.
"""

_NAME_FIRST: Final = ("emit", "_emit", "Announcement", "about_channel", "_gates.tell")
_DATA_AT: Final = {"Announcement": 3}


class Site(NamedTuple):
    """One place in the source that tells an event.

    Attributes:
        name: The event.
        file: Where it is told, from the root of the repository.
        data: The keys of its data; None if they do not stand there.
    """

    name: str
    file: str
    data: frozenset[str] | None


def page() -> str:
    """The page.

    Raises:
        SystemExit: What is told and what is documented are not the same.
    """
    check(list(sites()), TOLD)
    lines = [_HEAD]
    lines += table(("event", "when", "about", "data"), map(_row, TOLD.items()))
    lines.append(_OWN.strip())
    return "\n".join(lines) + "\n"


def _row(item: tuple[str, Told]) -> list[str]:
    name, told = item
    about = ", ".join(f"`{field.removesuffix('_id')}`" for field in told.about)
    return [
        f"`{name}`",
        cell(told.when),
        about,
        "<br>".join(f"`{key}`: {cell(text)}" for key, text in told.data.items()),
    ]


def check(found: list[Site], told: Mapping[str, Told]) -> None:
    """Hold the events that are told against those that are documented.

    Raises:
        SystemExit: They, or their data, are not the same.
    """
    wrong = [f"{site.name} is not in TOLD; {site.file} tells it" for site in found if site.name not in told]
    wrong += [f"{name} is in TOLD, and nothing tells it" for name in told if name not in {site.name for site in found}]
    for name, one in told.items():
        places = [site.data for site in found if site.name == name]
        seen = frozenset().union(*(data for data in places if data is not None))
        wrong += [f"{name} has {key} in its data, which TOLD does not say" for key in sorted(seen - set(one.data))]
        if None not in places:
            wrong += [f"TOLD says of {name} that it has {key}, and nothing sets it" for key in set(one.data) - seen]
    if wrong:
        raise SystemExit("\n".join(wrong))


def sites() -> Iterator[Site]:
    """All places of the core and its plugins that tell an event."""
    for file, source in sources():
        yield from read(source, file)


def read(source: str, file: str = "") -> Iterator[Site]:
    """The places of one module."""
    tree = ast.parse(source)
    known = constants(tree)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        function = ast.unparse(call.func)
        if call.args and function.removeprefix("self.").endswith(_NAME_FIRST):
            around = [one for one in functions if one.lineno <= call.lineno <= (one.end_lineno or 0)]
            local = _assigned(around[-1]) if around else {}
            keys = _keys(_data_of(call, function), local)
            for name in _names(call.args[0], local, known):
                yield Site(name, file, None if function.endswith(("tell", "about_channel")) else keys)


def _data_of(call: ast.Call, function: str) -> ast.expr | None:
    if any(keyword.arg is None for keyword in call.keywords):
        return ast.Name("**")
    place = _DATA_AT.get(function, len(call.args))
    given = call.args[place] if place < len(call.args) else None
    return next((keyword.value for keyword in call.keywords if keyword.arg == "data"), given)


def _assigned(function: ast.AST) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def _names(node: ast.expr, local: Mapping[str, list[ast.expr]], known: Mapping[str, str]) -> set[str]:
    """Which events an expression can name."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.IfExp):
        return _names(node.body, local, known) | _names(node.orelse, local, known)
    if isinstance(node, ast.Name) and node.id in local:
        return set().union(*(_names(value, {}, known) for value in local[node.id]))
    return {known[node.id]} if isinstance(node, ast.Name) and node.id in known else set()


def _keys(node: ast.expr | None, local: Mapping[str, list[ast.expr]]) -> frozenset[str] | None:
    """The keys of an event's data, or None if they do not stand there."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return frozenset()
    if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        return frozenset(ast.literal_eval(key) for key in node.keys if key is not None)
    ways = [node.body, node.orelse] if isinstance(node, ast.IfExp) else []
    ways += local.get(node.id, []) if isinstance(node, ast.Name) else []
    found = [_keys(way, {}) for way in ways]
    return None if not found or None in found else frozenset().union(*(keys for keys in found if keys is not None))


if __name__ == "__main__":
    raise SystemExit(finish("events", page, sys.argv[1:]))
