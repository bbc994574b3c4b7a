"""All that a store has to do, as tests: subclass :class:`StoreSuite`, give it stores, and pytest runs it.

Needs hypothesis: ``pip install 'roomkit-testkit[stores]'``. Loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roomkit_testkit.stores.clock import ManualClock as ManualClock
    from roomkit_testkit.stores.makers import Writer as Writer
    from roomkit_testkit.stores.suite import StoreSuite as StoreSuite

__all__ = ["ManualClock", "StoreSuite", "Writer"]

_HOME = {"ManualClock": "clock", "StoreSuite": "suite", "Writer": "makers"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'roomkit_testkit.stores' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"roomkit_testkit.stores.{_HOME[name]}"), name)
    return value
