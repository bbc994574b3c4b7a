"""What the durability protocol says and the tests that hold us to it: a number in a test's name is the link.

``test_c5_25_...`` is a test of rule C5 and of interleaving 25, ``test_tr7_...`` one of transition 7;
``docs/explanation/durability.md`` has the lists.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.mutants.planted import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
DURABILITY = (ROOT / "docs/explanation/durability.md").read_text(encoding="utf-8")

RULES = [f"{letter}{number}" for letter, last in (("L", 14), ("C", 8), ("V", 4)) for number in range(1, last + 1)]
TRANSITIONS = [str(number) for number in range(1, 15)]
INTERLEAVINGS = [str(number) for number in range(1, 33)]
DEFECTS = (  # those that PROTOCOL names, by a part of the planted defect's name
    "no guard on discharges",
    "no lane rule",
    "no mark on takeover",
    "always claimed at birth",
    "the state decides and not the token",
    "no lease check",
    "the key is only looked up",
    "the hint before the commit",
    "a version without its epoch",
)


def handles() -> set[str]:
    """The numbers that stand in the names of tests."""
    found: set[str] = set()
    suites = ROOT / "plugins/roomkit-testkit/src/roomkit_testkit"  # they run where a store subclasses them
    for folder in (ROOT / "tests", *ROOT.glob("plugins/*/tests"), suites):
        for path in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    named = re.match(r"test_((?:(?:[lcv]|tr)?\d+_)+)", node.name)
                    found.update(named.group(1).upper().strip("_").split("_") if named else ())
    return found


TESTED = handles()


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_explained_and_has_a_test_with_its_number(rule: str) -> None:
    assert f"| {rule} " in DURABILITY
    assert rule in TESTED


@pytest.mark.parametrize("number", TRANSITIONS)
def test_every_transition_is_explained_and_has_a_test_with_its_number(number: str) -> None:
    assert f"\n| {number} | **" in DURABILITY
    assert f"TR{number}" in TESTED


@pytest.mark.parametrize("number", INTERLEAVINGS)
def test_every_interleaving_is_explained_and_has_a_test_with_its_number(number: str) -> None:
    assert f"\n{number}. " in DURABILITY
    assert number in TESTED


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_defect_that_the_protocol_names_is_planted(defect: str) -> None:
    planted = [mutant for mutant in MUTANTS if defect in mutant.name]
    assert planted
    for mutant in planted:
        rule = re.match(r"([LCV]\d+): ", mutant.name)
        assert rule is None or rule[1] in TESTED
