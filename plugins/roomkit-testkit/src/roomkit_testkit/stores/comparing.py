"""A store beside the reference of it, and the look at both after every step of a machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from itertools import count
from typing import Any, Protocol, TypeVar

from anyio.from_thread import BlockingPortal
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
)

from roomkit_core.interfaces.store import ConversationStore, WorkFilter
from roomkit_core.models.changes import (
    ABSENT,
    ChangeSet,
    Committed,
    Key,
    Refused,
)
from roomkit_core.models.ids import new_id
from roomkit_core.models.room import Room
from roomkit_core.models.work import WorkKind, WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.reference import Reference

T = TypeVar("T")

IN_FLIGHT = WorkState.IN_FLIGHT
ROOMS = ["room", "hall"]
LANES: list[tuple[str, ...]] = [(), ("a",), ("b",), ("sms", "+1")]
KEYS: list[Key] = [("sms", "+1", "SM1"), ("sms", "+1", "SM2")]


class Stores(Protocol):
    """Where a machine gets its store from."""

    async def fresh_store(self, clock: ManualClock) -> ConversationStore: ...


class ComparingMachine(RuleBasedStateMachine):
    """A store and the reference of it; whoever adds rules does each step to both."""

    portal: BlockingPortal
    suite: Stores

    # ------------------------------------------------------------------------------------------------ framework

    @initialize()
    def start(self) -> None:
        self.numbers = count()
        self.clock = ManualClock()
        self.model = Reference()
        self.settled: dict[str, WorkRow] = {}
        self.store: ConversationStore = self.portal.call(self.suite.fresh_store, self.clock)
        for room_id in ROOMS:
            self.commit(room_id, expected=ABSENT, epoch=new_id(), room=Room(id=room_id))
            self.model.rooms.add(room_id)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.portal.call(self.check_histories, [row.id for row in self.model.rows])
            self.portal.call(self.store.close)

    def do(self, call: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
        """Do it to the store; the model follows at the same moment."""
        self.model.now = self.clock.microseconds

        async def run() -> T:
            return await call(*args, **options)

        return self.portal.call(run)

    def commit(self, room_id: str | None, **parts: Any) -> Committed | Refused:
        return self.do(self.store.commit, self.batch(room_id, **parts))

    def batch(self, room_id: str | None, **parts: Any) -> ChangeSet:
        return ChangeSet(**{"room_id": room_id, "commit_id": new_id(), "expected": None, **parts})

    def pick(self, rows: list[WorkRow], which: int) -> WorkRow:
        return rows[which % len(rows)]

    def held(self, which: int) -> WorkRow:
        return self.pick(self.of_state({IN_FLIGHT}), which)

    def of_state(self, states: Collection[WorkState]) -> list[WorkRow]:
        return [row for row in self.model.rows if row.state in states]

    def deliveries(self) -> list[WorkRow]:
        """Rows that a provider can tell about."""
        return [row for row in self.model.rows if row.kind is not WorkKind.INBOUND]

    # ------------------------------------------------------------------------------------------------ comparing

    def plain(self, row: WorkRow) -> WorkRow:
        """The row without what a store is free to choose: places, words about an expiry, keys that were taken along."""
        key = row.key if row.key is not None and self.model.holders.get(row.key) == row.id else None
        reason = None if row.state is WorkState.EXPIRED else row.reason
        return row._replace(seq=0, key=key, reason=reason)

    def same(self, found: list[WorkRow] | tuple[WorkRow, ...], expected: list[WorkRow]) -> None:
        assert [self.plain(row) for row in found] == [self.plain(row) for row in expected]

    @invariant()
    def the_store_is_as_the_reference_says(self) -> None:
        if hasattr(self, "store"):
            self.portal.call(self.check)

    async def check(self) -> None:
        rows = await self.store.list_work(WorkFilter(), limit=10_000)
        self.same(rows, sorted(self.model.rows, key=lambda row: row.id))
        places = {row.id: row.seq for row in rows}
        assert len(set(places.values())) == len(places)
        assert [row.id for row in self.model.rows] == sorted(places, key=places.__getitem__)
        for lane in LANES:
            assert await self.store.has_open(lane) == self.model.has_open(lane)
        for key in KEYS:
            assert await self.store.find_key(key) == self.model.find_key(key)
        for row in self.model.rows:  # final is final
            former = self.settled.get(row.id, row)
            assert (row.state, row.settled_at, row.maybe_sent) == (former.state, former.settled_at, former.maybe_sent)
        self.settled = {row.id: row for row in self.model.rows if not row.is_open}
        await self.check_histories({attempt.row_id for attempt in self.model.attempts[-3:]})

    async def check_histories(self, row_ids: list[str] | set[str]) -> None:
        for row_id in row_ids:
            assert await self.store.work_history(row_id) == self.model.history(row_id)
