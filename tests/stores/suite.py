"""All that a store has to do, in one class: subclass it, override the fixture ``store`` and bring ``fresh_store``.

A store that outlives its process overrides ``reopen`` too (see :class:`~tests.stores.machine.MachineSuite`).
"""

from __future__ import annotations

from tests.stores.births import BirthSuite
from tests.stores.commits import CommitSuite
from tests.stores.finding import FindingSuite
from tests.stores.forgetting import ForgettingSuite
from tests.stores.history import HistorySuite
from tests.stores.journal import JournalSuite
from tests.stores.keys import KeySuite
from tests.stores.lanes import LaneSuite
from tests.stores.machine import MachineSuite
from tests.stores.models import ModelSuite
from tests.stores.oracle import OracleSuite
from tests.stores.outcomes import OutcomeSuite
from tests.stores.reading import ReadSuite
from tests.stores.records import RecordSuite
from tests.stores.repeats import RepeatSuite
from tests.stores.retries import RetrySuite
from tests.stores.rooms import RoomSuite
from tests.stores.takeovers import TakeoverSuite
from tests.stores.verbs import VerbSuite
from tests.stores.withdrawals import WithdrawalSuite


class StoreSuite(
    CommitSuite,
    RepeatSuite,
    KeySuite,
    RoomSuite,
    BirthSuite,
    LaneSuite,
    TakeoverSuite,
    OutcomeSuite,
    WithdrawalSuite,
    HistorySuite,
    JournalSuite,
    RecordSuite,
    RetrySuite,
    FindingSuite,
    ForgettingSuite,
    OracleSuite,
    MachineSuite,
    ModelSuite,
    ReadSuite,
    VerbSuite,
):
    """Every suite of this folder; each stands in a module of its own and can be run alone."""
