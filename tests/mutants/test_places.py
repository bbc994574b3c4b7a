"""Planted defects keep up with the code: what ``make prove`` breaks is there, once, and breaks something.

``python -m tests.mutants.run`` finds out whether the named tests catch it, which takes minutes.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.planted import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_defect_has_its_place(mutant: Mutant) -> None:
    assert (ROOT / mutant.path).read_text(encoding="utf-8").count(mutant.right) == 1
    assert mutant.wrong != mutant.right


def test_every_planted_defect_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(mutant.name for mutant in MUTANTS).items() if count > 1] == []
