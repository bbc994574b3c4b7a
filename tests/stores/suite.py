"""All that a store has to do, in one class: subclass it and override the fixture ``store``."""

from __future__ import annotations

from tests.stores.births import BirthSuite
from tests.stores.commits import CommitSuite
from tests.stores.keys import KeySuite
from tests.stores.lanes import LaneSuite
from tests.stores.models import ModelSuite
from tests.stores.oracle import OracleSuite
from tests.stores.outcomes import OutcomeSuite
from tests.stores.reading import ReadSuite
from tests.stores.records import RecordSuite
from tests.stores.repeats import RepeatSuite
from tests.stores.rooms import RoomSuite
from tests.stores.verbs import VerbSuite


class StoreSuite(
    CommitSuite,
    RepeatSuite,
    KeySuite,
    RoomSuite,
    BirthSuite,
    LaneSuite,
    OutcomeSuite,
    RecordSuite,
    OracleSuite,
    ModelSuite,
    ReadSuite,
    VerbSuite,
):
    """Every suite of this folder; each stands in a module of its own and can be run alone."""
