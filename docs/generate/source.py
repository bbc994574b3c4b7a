"""Reading the source of the core and its plugins: their modules, constants, and the texts below attributes."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
TESTKIT: Final = ROOT / "plugins/roomkit-testkit"
"""What it writes is made up by tests."""


def sources() -> Iterator[tuple[str, str]]:
    """Every module of the core and its plugins that runs in production: its file, from the root, and its text."""
    for path in sorted([*ROOT.glob("roomkit_core/**/*.py"), *plugin_modules("*")]):
        if not path.is_relative_to(TESTKIT):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def plugin_modules(name: str) -> list[Path]:
    """The modules of the plugins of this repository that have this name, which may be a pattern."""
    return sorted(ROOT.glob(f"plugins/*/src/**/{name}.py"))


def module_of(path: Path) -> str:
    """What to import for a module of a plugin."""
    path = path.relative_to(ROOT)
    return ".".join(path.with_suffix("").parts[path.parts.index("src") + 1 :])


def constants(tree: ast.Module) -> Mapping[str, str]:
    """The texts that names of a module stand for, its own and those that it imports from the core."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if isinstance(node.value.value, str):
                found |= dict.fromkeys(map(ast.unparse, targets), node.value.value)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("roomkit_core."):
            found |= _imported(node)
    return found


def _imported(node: ast.ImportFrom) -> Iterator[tuple[str, str]]:
    for alias in node.names:
        if alias.name.isupper():
            value = getattr(import_module(node.module or ""), alias.name, None)
            if isinstance(value, str):
                yield alias.asname or alias.name, value


def attribute_texts(owner: type) -> Mapping[str, str]:
    """The text below each attribute of a class, in the order of the source; empty for an attribute without one."""
    (definition,) = ast.parse(inspect.getsource(owner)).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    last = None
    for node in definition.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):  # one that is annotated
            last = node.target.id
            texts[last] = ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last is not None:
            texts[last] = inspect.cleandoc(str(node.value.value))
        else:
            last = None
    return texts


def sections(text: str) -> Mapping[str, str]:
    """The paragraphs of a text by the word that they begin with, as ``Gets: ...``; the first one is that of ``""``."""
    found: dict[str, str] = {}
    for paragraph in text.split("\n\n"):
        word, colon, rest = paragraph.partition(": ")
        is_named = bool(found) and bool(colon) and word.isalpha()
        found[word if is_named else ""] = " ".join((rest if is_named else paragraph).split())
    return found
