"""Programs that a test cannot do without: it is skipped where they are missing, unless everything is required."""

from __future__ import annotations

import os
import shutil

import pytest


def require_program(name: str) -> str:
    """Where the program is; skips the test if there is none, or fails it with ROOMKIT_TEST_REQUIRE=all."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("ROOMKIT_TEST_REQUIRE") == "all":
            pytest.fail(f"no {name} here; install it")
        pytest.skip(f"no {name} here")
    return found
