"""Tests of bots: say something in a room, look at what is heard, let time pass."""

from roomkit_testkit.clock import VirtualClock, settle
from roomkit_testkit.people import Person
from roomkit_testkit.room import BotRoom, bot_room

__all__ = ["BotRoom", "Person", "VirtualClock", "bot_room", "settle"]
