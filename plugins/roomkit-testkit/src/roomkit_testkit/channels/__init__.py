"""What every channel has to do, as tests: subclass :class:`ChannelSuite`, say how the provider answers, run pytest.

Loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roomkit_testkit.channels.provider import HANG_UP as HANG_UP
    from roomkit_testkit.channels.provider import SILENCE as SILENCE
    from roomkit_testkit.channels.provider import Answer as Answer
    from roomkit_testkit.channels.provider import HTTPProvider as HTTPProvider
    from roomkit_testkit.channels.provider import Request as Request
    from roomkit_testkit.channels.suite import ChannelSuite as ChannelSuite

__all__ = ["HANG_UP", "SILENCE", "Answer", "ChannelSuite", "HTTPProvider", "Request"]

_HOME = {name: "suite" if name == "ChannelSuite" else "provider" for name in __all__}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'roomkit_testkit.channels' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"roomkit_testkit.channels.{_HOME[name]}"), name)
    return value
