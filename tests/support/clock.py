"""Virtual time: it is the testkit's."""

from roomkit_testkit.clock import VirtualClock, settle

__all__ = ["VirtualClock", "settle"]
