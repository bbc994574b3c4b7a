"""The stores of the core: held to ``roomkit_testkit.stores``, and what is theirs alone."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.counting")
