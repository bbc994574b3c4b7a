"""What the in-memory store costs, counted in calls and never in time."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.builtin.memory.store import InMemoryStore
from roomkit_core.interfaces.store import Cutoffs, WorkFilter
from roomkit_core.models.changes import ABSENT, ChangeSet, KeyResult
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.ids import new_id
from roomkit_core.models.room import Room, Version
from roomkit_core.models.work import Outcome, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.makers import AGAIN, LANE, binding, delivery, key, text_event
from tests.stores.counting import Hand, count_calls, finish


@pytest.mark.parametrize("kind", ["plain", "with key, delivery and receipt"])
def test_a_commit_costs_the_same_with_a_hundred_events_and_with_twenty_thousand(kind: str) -> None:
    hand, costs = Hand(), []
    for _ in range(20):  # the lane has a past before anything is counted
        row = delivery(state=WorkState.IN_FLIGHT)
        hand.commit(hand.batch(work=(row, delivery(("first",)))))
        finish(hand.store.settle(row.id, 1, Outcome(WorkState.SENT, provider_ids=(row.id,))))

    for size in (100, 20_000):
        hand.grow(size)
        row = delivery(state=WorkState.IN_FLIGHT)
        parts = {} if kind == "plain" else {"work": (row,), "keys": ((key(row.id), KeyResult("room", None)),)}
        changes = hand.batch(**parts)
        costs.append(count_calls(lambda changes=changes: hand.store.submit(changes)))
        hand.version = Version("epoch", changes.commit_id)
        settled = Outcome(WorkState.SENT, provider_ids=(row.id,))
        costs.append(count_calls(lambda row=row, settled=settled: finish(hand.store.settle(row.id, 1, settled))))

    assert costs[:2] == costs[2:]
    assert hand.index == 20_001


def test_a_plain_commit_is_a_handful_of_calls() -> None:
    hand = Hand()
    changes = hand.batch()

    assert count_calls(lambda: hand.store.submit(changes)) <= 20


@pytest.mark.parametrize("by_lane", [False, True], ids=["by time", "by lane"])
def test_a_claim_costs_the_same_with_ten_and_with_twenty_thousand_rows_behind_a_parked_head(by_lane: bool) -> None:
    costs = []

    for queued in (10, 20_000):
        hand = Hand()
        head, due = delivery(("slow",), state=WorkState.IN_FLIGHT), delivery(("quick",))
        hand.commit(hand.batch(work=(head,)))
        finish(hand.store.settle(head.id, 1, AGAIN))
        hand.commit(hand.batch(work=tuple(delivery(("slow",)) for _ in range(queued))))
        hand.commit(hand.batch(work=(due,)))
        lanes = [("slow",), ("quick",)] if by_lane else None
        claimed: list[str] = []

        def claim(store: InMemoryStore = hand.store, lanes: Any = lanes, claimed: list[str] = claimed) -> None:
            claimed += [row.id for row in finish(store.claim("kit", lease=60.0, limit=100, lanes=lanes))]

        costs.append(count_calls(claim))
        assert claimed == [due.id]

    assert costs[0] == costs[1]


def test_ending_a_lane_of_many_rows_costs_a_fixed_number_of_calls_for_each() -> None:
    costs = []

    for queued in (100, 2_000):
        hand = Hand()
        hand.commit(hand.batch(work=tuple(delivery() for _ in range(queued))))
        costs.append(count_calls(lambda store=hand.store: finish(store.delete_room("room"))) / queued)

    assert costs[1] <= costs[0]


def test_finding_work_and_keys_costs_the_same_with_a_hundred_rows_and_with_ten_thousand() -> None:
    costs = []

    for others in (100, 10_000):
        hand = Hand()
        for number in range(others):
            row = delivery((str(number),), event_id=f"e{number}", correlation_id=f"c{number}", retry_of=f"r{number}")
            hand.commit(hand.batch(work=(row,), keys=((key(f"k{number}"), KeyResult("room", f"v{number}")),)))
        sent, dead = (delivery(row_id=name, state=WorkState.IN_FLIGHT, **WANTED) for name in ("sent", "dead"))
        for row, state in ((sent, WorkState.SENT), (dead, WorkState.DEAD)):
            hand.commit(hand.batch(work=(row,), keys=((key(row.id), KeyResult("room", "event")),)))
            finish(hand.store.settle(row.id, 1, Outcome(state, provider_ids=("SM1",))))

        def look(store: InMemoryStore = hand.store) -> None:
            searches = [*({field: value} for field, value in WANTED.items()), {"name": "SM1"}, {"lane": LANE}]
            for where in searches:
                assert len(finish(store.list_work(WorkFilter(**where)))) == 2
            assert len(finish(store.find_keys("event"))) == 2
            assert len(finish(store.find_keys("sent"))) == 1
            assert len(finish(store.work_history("dead"))) == 1

        costs.append(count_calls(look))

    assert costs[0] == costs[1]


WANTED = {"event_id": "event", "correlation_id": "trace", "retry_of": "first"}


def test_one_more_row_in_a_lane_costs_the_same_after_twenty_thousand() -> None:
    hand, costs = Hand(), []

    for size in (100, 20_000):
        while hand.index < size:
            row = delivery(state=WorkState.IN_FLIGHT, correlation_id="trace")
            hand.commit(hand.batch(work=(row,)))
            finish(hand.store.settle(row.id, 1, Outcome(WorkState.SENT)))
        changes = hand.batch(work=(delivery(row_id=str(size), state=WorkState.IN_FLIGHT, correlation_id="trace"),))
        costs.append(count_calls(lambda changes=changes: hand.commit(changes)))
        finish(hand.store.settle(str(size), 1, Outcome(WorkState.SENT)))

    assert costs[0] == costs[1]


@pytest.mark.parametrize("kind", ["settled", "dead", "bodies", "keys", "blocked"])
def test_a_purge_costs_what_it_forgets_and_not_what_it_keeps(kind: str) -> None:
    costs = []

    for young in (100, 10_000):
        clock = ManualClock()
        hand = Hand(InMemoryStore(clock=clock))

        def live(messages: int, hand: Hand = hand, clock: ManualClock = clock) -> None:
            for _ in range(messages):
                good, bad, waiting = (delivery((name,), state=WorkState.IN_FLIGHT) for name in "abc")
                status = {"status": EventStatus.BLOCKED, "created_at": clock.now()}
                hand.commit(
                    hand.batch(**status, work=(good, bad, waiting), keys=((key(good.id), KeyResult("room", None)),))
                )
                finish(hand.store.settle(good.id, 1, Outcome(WorkState.SENT)))
                finish(hand.store.settle(bad.id, 1, Outcome(WorkState.DEAD)))

        live(50)
        clock.advance(10)
        cutoffs = Cutoffs(**{kind: clock.microseconds})
        live(young)
        assert finish(hand.store.purge(cutoffs, limit=10)) == 10  # what is made at the first use is there by now

        def purge(store: InMemoryStore = hand.store, cutoffs: Cutoffs = cutoffs) -> None:
            assert finish(store.purge(cutoffs, limit=20)) == 20

        costs.append(count_calls(purge))
        assert finish(hand.store.purge(cutoffs)) >= 20
        assert finish(hand.store.purge(cutoffs)) == 0

    assert costs[0] == costs[1]


def test_deleting_a_room_costs_what_belongs_to_it_and_not_what_belongs_to_others() -> None:
    costs = []

    for others in (1, 2_000):
        hand = Hand()
        for number in range(others):
            room_id = f"other-{number}"
            hand.store.submit(
                ChangeSet(
                    room_id,
                    new_id(),
                    ABSENT,
                    epoch="epoch",
                    room=Room(id=room_id),
                    events=(text_event(room_id=room_id),),
                    work=(delivery((room_id,), room_id=room_id),),
                    keys=((key(room_id), KeyResult(room_id, None)),),
                    bindings={"sms": binding(room_id=room_id)},
                )
            )
        hand.grow(10)
        hand.commit(hand.batch(work=(delivery(),), bindings={"sms": binding()}))
        costs.append(count_calls(lambda store=hand.store: finish(store.delete_room("room"))))

    assert costs[0] == costs[1]
