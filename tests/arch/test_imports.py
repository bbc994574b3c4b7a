"""What the core may load, and what no linter can express about how it does so."""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "roomkit_core"
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
RUNTIME = {"pluggy", "pydantic", "pydantic_core", "anyio"}
COMMAND_LINE = {"typer", "rich"}


def sources(*folders: Path) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_the_core_imports_the_standard_library_and_its_three_dependencies_only() -> None:
    foreign = set()
    for path, tree in sources(CORE):
        allowed = RUNTIME | COMMAND_LINE if path.is_relative_to(CORE / "cli") else RUNTIME
        foreign |= {
            f"{path.relative_to(ROOT)}: {name}"
            for name in imported(tree)
            if name not in allowed | {"roomkit_core"} and name not in sys.stdlib_module_names
        }
    assert not foreign


def test_what_plugins_register_with_loads_the_standard_library_and_pluggy_only() -> None:
    program = "import json, sys; before = set(sys.modules); import roomkit_core.plugin; "
    program += "print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name for name in json.loads(done.stdout) if name.partition(".")[0] not in sys.stdlib_module_names}
    surplus = {name for name in loaded if name.partition(".")[0] != "pluggy"}
    assert {name for name in surplus if name != "roomkit_core" and not name.startswith("roomkit_core.plugin")} == set()


def test_models_are_copied_by_evolve_and_made_by_build_off_the_edge() -> None:
    slow = []
    for path, tree in sources(CORE, *(plugin / "src" for plugin in PLUGINS)):
        if path == CORE / "models" / "base.py":
            continue
        slow += [
            f"{path.relative_to(ROOT)}:{node.lineno} {node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in {"model_construct", "model_copy"}
        ]
    assert not slow, "use roomkit_core.models.base.build and evolve, which cost a tenth"


def test_every_plugin_of_this_repository_stands_in_the_contracts() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contracts = {contract["id"]: contract for contract in settings["importlinter"]["contracts"]}
    names = {plugin.name for plugin in PLUGINS}
    packages = {name.replace("-", "_") for name in names}

    assert packages == set(settings["importlinter"]["root_packages"]) - {"roomkit_core"}
    assert packages <= set(contracts["core-dependencies"]["forbidden_modules"])
    assert packages == set(contracts["engine-is-private"]["source_modules"])
    assert names | {"roomkit-core"} == set(settings["uv"]["sources"])
