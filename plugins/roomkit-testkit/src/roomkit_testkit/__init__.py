"""Tests of bots: say something in a room, look at what is heard, let time pass.

Loaded when it is first used: the pytest plugin begins with every pytest run, also with those that test no bot.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roomkit_testkit.clock import VirtualClock as VirtualClock
    from roomkit_testkit.clock import settle as settle
    from roomkit_testkit.people import Person as Person
    from roomkit_testkit.room import BotRoom as BotRoom
    from roomkit_testkit.room import bot_room as bot_room

__all__ = ["BotRoom", "Person", "VirtualClock", "bot_room", "settle"]

_HOME = {"BotRoom": "room", "Person": "people", "VirtualClock": "clock", "bot_room": "room", "settle": "clock"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'roomkit_testkit' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"roomkit_testkit.{_HOME[name]}"), name)
    return value
