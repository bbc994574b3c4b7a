"""What people get wrong when they mark functions, found before anything is registered and told with file and line."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Collection, Iterator
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from roomkit_core.errors import ConfigProblem

Definition = ast.FunctionDef | ast.AsyncFunctionDef


class Mistake(NamedTuple):
    """What is wrong, and what to do."""

    text: str
    fix: str


def problem_at(fn: Callable[..., Any], what: str, fix: str) -> ConfigProblem:
    """A problem of a function."""
    plain = inspect.unwrap(fn)
    assert inspect.isfunction(plain)  # nothing else can be marked
    return ConfigProblem(plain.__code__.co_filename, plain.__code__.co_firstlineno, plain.__name__, what, fix)


def why_unknown(what: str, name: str, known: Collection[str]) -> Mistake | None:
    """Whether a name is a known one, misspelt. Others may be a plugin's.

    Args:
        what: What it names.
        name: The name.
        known: The names that the core and its plugins have for that.
    """
    if not name or name in known:
        return None
    from difflib import get_close_matches  # for those who mistype

    close = get_close_matches(name.lower(), known, n=1, cutoff=0.8)
    return Mistake(f"there is no {what} {str(name)!r}", f"Did you mean {close[0]!r}?") if close else None


def why_not_callable(fn: FunctionType, arguments: int, kit: str) -> Mistake | None:
    """Whether a function can be called with what it gets, and gives an answer that can be waited for."""
    given: dict[str, Any] = {kit: None} if kit in inspect.signature(fn).parameters else {}
    what = "(event, context)" if arguments == 2 else "(event)"
    form = f"def {fn.__name__}{what[:-1]}, {kit}): ..." if given else f"def {fn.__name__}{what}: ..."
    try:
        inspect.signature(fn).bind(*[None] * arguments, **given)
    except TypeError as error:
        text = f"it is called with {what}{f' and {kit}=' if given else ''}, and takes {inspect.signature(fn)}: {error}"
        return Mistake(text, f"Write {form}")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        return Mistake("there is a yield in it, so calling it runs nothing", f"Write {form} without yield.")
    return None


def lost_definitions(module: ModuleType, kept: Collection[str]) -> Iterator[ConfigProblem]:
    """Decorated functions that a later one of the same name has replaced before anybody could see them.

    Args:
        module: The module; nothing is found if its source is not there.
        kept: Names of functions that are marked.
    """
    file = getattr(module, "__file__", None)
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return
    seen: dict[str, Definition] = {}
    for node in tree.body:
        if isinstance(node, Definition):
            former = seen.get(node.name)
            if former is not None and former.decorator_list and node.name in kept:
                what = f"the function of the same name in line {_line(node)} replaces it, so it is never called"
                yield ConfigProblem(str(file), _line(former), node.name, what, "Give one of the two another name.")
            seen[node.name] = node


def _line(node: Definition) -> int:
    """Where a function begins: with its first decorator."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
