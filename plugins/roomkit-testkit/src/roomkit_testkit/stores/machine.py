"""Work in any order, crashes included, done to a store and to the reference: after every step both hold the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
    run_state_machine_as_test,
)

from roomkit_core.interfaces.store import Accepted, ConversationStore, Cutoffs, Known, WorkFilter
from roomkit_core.models.changes import (
    ABSENT,
    ChangeSet,
    Committed,
    Discharge,
    Key,
    KeyResult,
    Refused,
    Withdrawal,
)
from roomkit_core.models.enums import ReceiptRank
from roomkit_core.models.ids import new_id
from roomkit_core.models.room import Room
from roomkit_core.models.work import OPEN_STATES, Outcome, WorkKind, WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.comparing import KEYS, LANES, ROOMS, ComparingMachine
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.journal import message
from roomkit_testkit.stores.makers import delivery
from roomkit_testkit.stores.reference import RETRYABLE
from roomkit_testkit.stores.retries import copy_of

IN_FLIGHT, PENDING, UNKNOWN = WorkState.IN_FLIGHT, WorkState.PENDING, WorkState.UNKNOWN
SECOND = 1_000_000
CHANNELS = ["sms", "mail"]
KINDS = [WorkKind.DELIVERY, WorkKind.ASK]
FINAL = [state for state in WorkState if state not in OPEN_STATES]
RANKS = list(ReceiptRank)
CODES = [None, "code"]

which = st.integers(0, 2**16)
owners = st.sampled_from(["kit-1", "kit-2"])
leases = st.sampled_from([5.0, 60.0])
delays = st.sampled_from([None, 0.0, 0.0, 3.0, 40.0])


def some(*states: WorkState) -> Callable[[StoreMachine], bool]:
    """Whether there is a row in one of these states."""
    return lambda machine: bool(machine.of_state(states))


class StoreMachine(ComparingMachine):
    """One thing after the other; ``which`` picks one of the rows that a step can be about."""

    suite: MachineSuite

    # --------------------------------------------------------------------------------------------------- births

    @rule(room_id=st.sampled_from(ROOMS))
    def a_room_is_made(self, room_id: str) -> None:
        answer = self.commit(room_id, expected=ABSENT, epoch=new_id(), room=Room(id=room_id))
        if room_id in self.model.rooms:
            assert answer == Refused("exists")
        self.model.rooms.add(room_id)

    def owed(self, lane: tuple[str, ...], room_id: str | None, **fields: Any) -> WorkRow:
        return delivery(lane, row_id=f"{next(self.numbers):04}", room_id=room_id, **fields)

    @rule(
        room_id=st.sampled_from([*ROOMS, None]),
        lanes=st.lists(st.sampled_from(LANES), min_size=1, max_size=4),
        state=st.sampled_from([IN_FLIGHT, PENDING]),
        channel_id=st.sampled_from(CHANNELS),
        kind=st.sampled_from(KINDS),
        event_id=st.sampled_from([None, "x", "y"]),
        expires_in=st.sampled_from([None, 50]),
        owner=owners,
        lease=leases,
    )
    def rows_are_born(
        self,
        room_id: str | None,
        lanes: list[tuple[str, ...]],
        expires_in: int | None,
        owner: str,
        lease: float,
        **fields: Any,
    ) -> None:
        fields["expires_at"] = None if expires_in is None else self.clock.microseconds + expires_in * SECOND
        rows = tuple(self.owed(lane, room_id, **fields) for lane in lanes)
        self.bring(self.batch(room_id, work=rows, owner=owner, lease=lease))

    @rule(lanes=st.sets(st.sampled_from(LANES), min_size=1), quiet=st.sampled_from([0, 20]), owner=owners, lease=leases)
    def rows_are_born_to_be_worked_on(self, lanes: set[tuple[str, ...]], quiet: int, owner: str, lease: float) -> None:
        rows = tuple(self.owed(lane, "room", state=IN_FLIGHT, quiet=quiet * SECOND) for lane in sorted(lanes))
        self.bring(self.batch("room", work=rows, owner=owner, lease=lease))

    def bring(self, batch: ChangeSet) -> None:
        """A batch of rows alone, handed in twice."""
        answer = self.do(self.store.commit, batch)
        if batch.room_id is not None and batch.room_id not in self.model.rooms:
            assert answer == Refused("gone")
            return
        born = [self.model.bear(row, batch.owner, batch.lease) for row in batch.work]
        assert isinstance(answer, Committed)
        self.same(answer.claims, [row for row in born if row is not None])
        assert self.do(self.store.commit, batch) == answer

    @rule(key=st.sampled_from([*KEYS, None]), lease=st.sampled_from([None, 5.0, 60.0]), owner=owners)
    def a_message_is_accepted(self, key: Key | None, lease: float | None, owner: str) -> None:
        received, lane = message(), ("sms", "+1")
        known = self.model.known(key)

        answer = self.do(self.store.accept, received, lane, key, owner=owner, lease=lease)

        assert isinstance(answer, Known) == (known is not None)
        if isinstance(answer, Accepted):
            row = WorkRow("", WorkKind.INBOUND, "sms", lane, None, None, (received.model_dump_json(),), key=key)
            claimed = self.model.adopt(answer, row, owner, lease)
            self.same([answer.claim] if answer.claim else [], [claimed] if claimed else [])
        else:
            assert answer == known

    # --------------------------------------------------------------------------------------------------- claims

    @rule(
        owner=owners,
        lease=leases,
        limit=st.sampled_from([1, 2, 100]),
        kinds=st.sampled_from([None, None, None, [WorkKind.DELIVERY], [WorkKind.ASK, WorkKind.INBOUND]]),
        channels=st.sampled_from([None, None, None, ["sms"], ["mail", "nowhere"]]),
        lanes=st.none() | st.just(LANES) | st.lists(st.sampled_from(LANES), max_size=3),
    )
    def work_is_claimed(self, owner: str, lease: float, limit: int, **options: Any) -> None:
        claimed = self.do(self.store.claim, owner, lease=lease, limit=limit, **options)

        self.same(claimed, self.model.claim(owner, lease, limit, **options))

    @rule(owner=owners, lease=leases)
    def all_work_is_claimed(self, owner: str, lease: float) -> None:
        self.work_is_claimed(owner, lease, 100)

    @precondition(some(IN_FLIGHT))
    @rule(which=which, late=st.booleans(), lease=leases)
    def a_tenure_is_renewed(self, which: int, late: bool, lease: float) -> None:
        row = self.held(which)
        claims = [(row.id, row.token - late), ("unknown", 1)]
        assert self.do(self.store.renew, claims, lease=lease) == self.model.renew(claims, lease)

    @rule(seconds=st.sampled_from([1, 4, 20, 61]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(some(IN_FLIGHT))
    @rule(which=which, early=st.booleans())
    def a_holder_falls_silent(self, which: int, early: bool) -> None:
        row = self.held(which)
        assert row.lease_until is not None
        wait = (row.lease_until + row.quiet - self.clock.microseconds) // SECOND - early
        self.clock.advance(max(wait, 0))

    # ------------------------------------------------------------------------------------------------- outcomes

    def settles(self, row_id: str, token: int, outcome: Outcome, **options: Any) -> None:
        settled = self.do(self.store.settle, row_id, token, outcome, **options)

        assert settled == self.model.settle(row_id, token, outcome, **options)

    @precondition(some(IN_FLIGHT))
    @rule(which=which, state=st.sampled_from(FINAL), code=st.sampled_from(CODES), named=st.booleans())
    def a_row_ends(self, which: int, state: WorkState, code: str | None, named: bool) -> None:
        row = self.held(which)
        self.settles(row.id, row.token, Outcome(state, code, code, self.names(row, 9) if named else ()))

    @precondition(some(IN_FLIGHT))
    @rule(which=which, state=st.sampled_from([PENDING, UNKNOWN]), code=st.sampled_from(CODES), due_in=delays)
    def a_row_waits_again(self, which: int, state: WorkState, code: str | None, due_in: float | None) -> None:
        row = self.held(which)
        self.settles(row.id, row.token, Outcome(state, code, code), due_in=due_in)

    @precondition(some(IN_FLIGHT))
    @rule(which=which, due_in=delays)
    def a_row_is_handed_back(self, which: int, due_in: float | None) -> None:
        row = self.held(which)
        self.settles(row.id, row.token, Outcome(PENDING, untouched=True), due_in=due_in)

    @precondition(some(IN_FLIGHT))
    @rule(which=which)
    def a_part_is_done(self, which: int) -> None:
        row = self.held(which)
        done = row.parts_done + 1
        self.settles(row.id, row.token, Outcome(IN_FLIGHT, provider_ids=self.names(row, done)), parts_done=done)

    @precondition(some(*WorkState))
    @rule(which=which, state=st.sampled_from([PENDING, UNKNOWN, IN_FLIGHT, WorkState.SENT]))
    def somebody_settles_too_late(self, which: int, state: WorkState) -> None:
        row = self.pick(self.model.rows, which)
        stale = row.token - 1 if row.state is IN_FLIGHT else row.token
        self.settles(row.id, stale, Outcome(state, provider_ids=("late",)))

    def names(self, row: WorkRow, part: int) -> tuple[str, ...]:
        """What a provider calls a part of a row; a copy made by an operator sends its parts anew."""
        return (f"{row.id}/{part}",) if row.kind is not WorkKind.INBOUND else ()

    @rule(which=which, key=st.sampled_from(KEYS), late=st.booleans(), blocked=st.booleans())
    def a_message_is_committed(self, which: int, key: Key, late: bool, blocked: bool) -> None:
        rows = self.of_state({IN_FLIGHT})[which % 3 :]
        discharges = tuple(Discharge(row.id, row.token - late, Outcome(WorkState.DONE, "ok")) for row in rows[:1])
        result = KeyResult("room", None if blocked else new_id(), blocked)

        answer = self.commit("room", keys=((key, result),), discharges=discharges)

        if "room" not in self.model.rooms:
            assert answer == Refused("gone")
        elif (decided := self.model.find_key(key)) is not None:
            assert answer == Refused("known", key=key, result=decided)
        elif discharges and late:
            assert answer == Refused("lost")
        else:
            assert answer == Committed(None)
            self.model.decided[key] = (result, self.clock.microseconds)
            for row_id, token, outcome in discharges:
                assert self.model.settle(row_id, token, outcome)

    # ---------------------------------------------------------------------------------------------- withdrawing

    @precondition(some(*WorkState))
    @rule(which=which, room_id=st.sampled_from([None, *ROOMS]), channel_id=st.sampled_from([None, None, *CHANNELS]))
    def a_row_is_cancelled(self, which: int, room_id: str | None, channel_id: str | None) -> None:
        row = self.pick(self.model.rows, which)
        if room_id is not None and room_id not in self.model.rooms:
            return
        withdrawal = Withdrawal("cancelled", channel_id=channel_id, row_id=row.id)

        assert self.commit(room_id, withdrawals=(withdrawal,)) == Committed(None)

        self.model.withdraw(None, withdrawal)

    @rule(
        room_id=st.sampled_from(ROOMS),
        channel_id=st.sampled_from([None, *CHANNELS]),
        kind=st.sampled_from([None, "ask"]),
        event_id=st.sampled_from([None, "x"]),
    )
    def rows_lose_their_reason(self, room_id: str, **fields: Any) -> None:
        snapshot = self.do(self.store.load_room, room_id)
        if snapshot is None:
            return
        withdrawal = Withdrawal("detached", **fields)

        assert isinstance(self.commit(room_id, expected=snapshot.version, withdrawals=(withdrawal,)), Committed)

        self.model.withdraw(room_id, withdrawal)

    @rule()
    def what_is_too_late_expires(self) -> None:
        expired = self.do(self.store.expire, self.clock.microseconds)

        assert expired == self.model.expire()

    # -------------------------------------------------------------------------------------- operators, providers

    @precondition(some(*RETRYABLE))
    @rule(which=which, state=st.sampled_from([IN_FLIGHT, PENDING]), owner=owners, lease=leases)
    def an_operator_retries(self, which: int, state: WorkState, owner: str, lease: float) -> None:
        row = self.pick(self.of_state(RETRYABLE), which)
        if row.key is not None and self.model.holders.get(row.key) != row.id:
            row = row._replace(key=None)  # a former copy has taken it along
        copy = copy_of(row, f"{next(self.numbers):04}", state=state)
        self.bring(self.batch(row.room_id, work=(copy,), owner=owner, lease=lease))

    @precondition(lambda self: self.deliveries())
    @rule(
        which=which,
        part=st.sampled_from([None, 1, 2, 9]),
        rank=st.sampled_from(RANKS),
        of=st.sampled_from(CHANNELS),
        at=st.integers(0, 3),
    )
    def a_provider_reports(self, which: int, part: int | None, rank: ReceiptRank, of: str, at: int) -> None:
        row = self.pick(self.deliveries(), which)
        name = row.provider_key if part is None else f"{row.id}/{part}"
        reported = self.do(self.store.note_receipt, of, name, rank, at)
        assert reported == self.model.report(of, name, rank.value, at)

    # ----------------------------------------------------------------------------------------------- forgetting

    @rule(room_id=st.sampled_from([None, None, None, *ROOMS]))
    def a_room_is_deleted(self, room_id: str | None) -> None:
        if room_id is None:  # mostly not, so that there is something to lose
            return
        deleted = self.do(self.store.delete_room, room_id)

        assert deleted == self.model.delete_room(room_id)

    @rule(
        ages=st.fixed_dictionaries({name: st.sampled_from([None, None, 0, 10]) for name in Cutoffs._fields}),
        limit=st.sampled_from([1, 2, 1000]),
    )
    def old_things_are_purged(self, ages: dict[str, int | None], limit: int) -> None:
        self.clock.advance(1)
        now = self.clock.microseconds
        cutoffs = Cutoffs(**{name: None if age is None else now - age * SECOND for name, age in ages.items()})

        while purged := self.do(self.store.purge, cutoffs, limit=limit):
            assert purged <= limit

        self.model.purge(cutoffs)

    @rule()
    def the_process_ends_and_another_begins(self) -> None:
        self.store = self.do(self.suite.reopen, self.store, self.clock)
        if self.suite.ends_leases_on_open:
            self.portal.call(self.look_at_leases)

    async def look_at_leases(self) -> None:
        """The leases of all rows in flight have ended, none of them earlier than it would have."""
        now = self.clock.microseconds
        for row in await self.store.list_work(WorkFilter(states=frozenset({IN_FLIGHT})), limit=10_000):
            known = self.model.get(row.id)
            assert known is not None
            assert row.lease_until is not None
            assert known.lease_until is not None
            assert min(known.lease_until, now) <= row.lease_until <= now
            self.model.put(known._replace(lease_until=row.lease_until))


class MachineSuite(StoreContract):
    """A store that keeps what it has brings :meth:`reopen` beside :meth:`fresh_store`. This takes a minute."""

    ends_leases_on_open = False
    """Whether nobody holds a row any more when the store is opened."""

    machine_examples = 100
    """How many sequences of steps each loop does."""

    async def reopen(self, store: ConversationStore, clock: ManualClock) -> ConversationStore:
        """The store as the next process finds it; what does not outlive a process stays as it is."""
        return store

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_whatever_happens_in_whatever_order_the_work_is_where_the_protocol_says(self, backend: str) -> None:
        with start_blocking_portal(backend) as portal:
            run_state_machine_as_test(
                type("Machine", (StoreMachine,), {"portal": portal, "suite": self}),
                settings=settings(
                    max_examples=self.machine_examples,
                    stateful_step_count=80,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
