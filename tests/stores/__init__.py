"""What every store must do, as classes that a store's own test module subclasses."""

from pathlib import Path

import pytest

# Suites are not named test_*, and their assertions should explain themselves all the same.
for _path in Path(__file__).parent.glob("[a-z]*.py"):
    if not _path.stem.startswith("test_"):
        pytest.register_assert_rewrite(f"{__name__}.{_path.stem}")
