"""Fixtures of the protocol's tests."""

from __future__ import annotations

import pytest

from roomkit_core.engine.flow import pump


@pytest.fixture
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself: who does not look after his own commit leaves the lane to nobody."""
    monkeypatch.setattr(pump, "POLL", 1e9)
