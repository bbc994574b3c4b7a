"""The public face: what is exported, and that the kit stays a composition root without an algorithm."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import roomkit_core

ROOT = Path(__file__).resolve().parents[2]
FACADE = ROOT / "roomkit_core" / "__init__.py"
KIT = ROOT / "roomkit_core" / "kit.py"


def twin() -> dict[str, str]:
    """Name to module, as type checkers read it."""
    tree = ast.parse(FACADE.read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                names.update({alias.name: str(statement.module) for alias in statement.names})
    return names


def test_what_runs_and_what_type_checkers_see_is_the_same() -> None:
    assert twin() == roomkit_core._HOME
    assert set(roomkit_core.__all__) == {*twin(), "__version__"}


def test_every_exported_name_is_there() -> None:
    for name, module in roomkit_core._HOME.items():
        assert getattr(roomkit_core, name) is getattr(importlib.import_module(module), name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchThing"):
        roomkit_core.NoSuchThing  # noqa: B018 (the access is what is tested)


def test_importing_the_package_loads_nothing_beyond_itself() -> None:
    program = "import json, sys; before = set(sys.modules); import roomkit_core; "
    program += "print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"pydantic", "pydantic_core", "pluggy", "anyio", "sqlite3", "asyncio"}
    assert {name for name in json.loads(done.stdout) if name.startswith("roomkit_core")} == {"roomkit_core"}


def test_a_verb_of_the_kit_has_at_most_three_statements() -> None:
    tree = ast.parse(KIT.read_text(encoding="utf-8"))
    (kit,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "RoomKit")
    assert not kit.bases, "no mixins"
    long = []
    for verb in kit.body:
        if isinstance(verb, ast.FunctionDef | ast.AsyncFunctionDef) and verb.name != "__init__":
            body = verb.body[1:] if ast.get_docstring(verb) else verb.body
            long += [f"{verb.name}: {len(body)} statements"] if len(body) > 3 else []
    assert not long


def test_every_public_verb_of_the_kit_says_what_it_does() -> None:
    tree = ast.parse(KIT.read_text(encoding="utf-8"))
    (kit,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "RoomKit")
    verbs = [node for node in kit.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [verb.name for verb in verbs if not verb.name.startswith("_") and not ast.get_docstring(verb)] == []
