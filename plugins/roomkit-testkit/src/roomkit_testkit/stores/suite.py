"""All that a store has to do, in one class: subclass it and bring ``fresh_store``.

A store that outlives its process brings ``reopen`` too (see :class:`~roomkit_testkit.stores.machine.MachineSuite`).
"""

from __future__ import annotations

from roomkit_testkit.stores.births import BirthSuite
from roomkit_testkit.stores.commits import CommitSuite
from roomkit_testkit.stores.finding import FindingSuite
from roomkit_testkit.stores.forgetting import ForgettingSuite
from roomkit_testkit.stores.history import HistorySuite
from roomkit_testkit.stores.journal import JournalSuite
from roomkit_testkit.stores.keys import KeySuite
from roomkit_testkit.stores.lanes import LaneSuite
from roomkit_testkit.stores.machine import MachineSuite
from roomkit_testkit.stores.models import ModelSuite
from roomkit_testkit.stores.oracle import OracleSuite
from roomkit_testkit.stores.outcomes import OutcomeSuite
from roomkit_testkit.stores.reading import ReadSuite
from roomkit_testkit.stores.records import RecordSuite
from roomkit_testkit.stores.repeats import RepeatSuite
from roomkit_testkit.stores.retries import RetrySuite
from roomkit_testkit.stores.rooms import RoomSuite
from roomkit_testkit.stores.takeovers import TakeoverSuite
from roomkit_testkit.stores.verbs import VerbSuite
from roomkit_testkit.stores.withdrawals import WithdrawalSuite


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
    """Every suite of this package; each stands in a module of its own and can be run alone.

    Tests are asynchronous by anyio's own plugin (``anyio_mode = "auto"``), on the loops of the fixture
    ``anyio_backend``. A subclass may not replace any of them.
    """
