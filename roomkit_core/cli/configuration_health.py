"""The configuration file, as ``roomkit doctor`` looks at it: every problem with its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from roomkit_core.cli.configuration import check_configuration
from roomkit_core.cli.findings import Finding
from roomkit_core.cli.installed import installed_plugins, quietly
from roomkit_core.cli.lists import DEFAULT_CONFIG
from roomkit_core.config import Plan
from roomkit_core.config.document import is_there
from roomkit_core.errors import ConfigError

SUBJECT = "configuration"


def look_at_configuration(path: str) -> tuple[list[Finding], Plan | None]:
    """What is wrong with the file, and its plan if nothing is; neither if none is there or named."""
    if path == DEFAULT_CONFIG and not is_there(Path(path)):
        return [], None
    try:
        with quietly():
            plan = check_configuration(path, installed_plugins(path))
    except ConfigError as error:
        return list(findings_of(error)), None
    return [Finding(SUBJECT, "fine", f"{path} makes sense")], plan


def findings_of(error: ConfigError) -> Iterator[Finding]:
    """A finding for each problem, or one for the whole."""
    if not error.problems:
        yield Finding(SUBJECT, "wrong", str(error), error.hint)
    for problem in error.problems:
        where = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        variable = f" (from {problem.variable})" if problem.variable else ""
        key = f" {problem.key}{variable}:" if problem.key or variable else ""
        yield Finding(SUBJECT, "wrong", f"{where}:{key} {problem.what}", problem.fix)


def store_of(plan: Plan) -> str | None:
    """The file of the store that is planned; None if it is of another kind."""
    stores = plan.of_kind("store")
    name = plan.kit.store or next(iter(stores), None)
    if name is None:
        return str(plan.document.path.parent / "room.db")
    path = stores[name].fields.get("path")
    return None if path is None else str(path)
