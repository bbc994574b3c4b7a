"""The in-memory store: what every store does, what that costs, and what it weighs at rest."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, TypeVar

import pytest

from roomkit_core.builtin.memory_store import InMemoryStore
from roomkit_core.errors import UnsupportedError
from roomkit_core.interfaces.store import ConversationStore, Cutoffs
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import ABSENT, ChangeSet, Committed, KeyResult, Withdrawal
from roomkit_core.models.ids import new_id
from roomkit_core.models.packing import Packed, pack_event, with_index
from roomkit_core.models.room import Room, Version
from roomkit_core.models.task import Task
from roomkit_core.models.work import Outcome, WorkKind, WorkState
from tests.stores.clock import ManualClock
from tests.stores.makers import AGAIN, Writer, binding, delivery, key, person, route, text_event
from tests.stores.suite import StoreSuite

T = TypeVar("T")

EVERYTHING = Cutoffs(*[2**62] * len(Cutoffs._fields))


class TestInMemoryStore(StoreSuite):
    @pytest.fixture
    def store(self, clock: ManualClock) -> ConversationStore:
        return InMemoryStore(clock=clock)

    async def fresh_store(self, clock: ManualClock) -> ConversationStore:
        return InMemoryStore(clock=clock)


async def test_what_does_not_outlive_the_process_is_neither_durable_nor_backed_up() -> None:
    store = InMemoryStore()

    assert (store.is_process_local, store.is_durable) == (True, False)
    with pytest.raises(UnsupportedError) as refused:
        await store.backup("copy")
    assert refused.value.code == "store.no_backup"


# ------------------------------------------------------------------------------------------------------------ cost


def count_calls(work: Callable[[], Any]) -> int:
    """How many calls, of Python functions and of built-in ones, it takes."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def finish(awaitable: Awaitable[T]) -> T:
    """The result of a call of this store, which never waits."""
    try:
        awaitable.__await__().__next__()
    except StopIteration as done:
        return done.value
    raise AssertionError("the in-memory store waited for something")


class Hand:
    """Hands in batches without any coroutine around them, so that nothing else is counted."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.version = self.commit(ChangeSet("room", new_id(), ABSENT, epoch="epoch", room=Room(id="room"))).version
        self.index = 0
        self.model = text_event()
        self.packed: Packed = tuple(str(field) if isinstance(field, str) else field for field in pack_event(self.model))

    def commit(self, changes: ChangeSet) -> Committed:
        answer = self.store.submit(changes).answer
        assert isinstance(answer, Committed)
        self.version = answer.version
        return answer

    def batch(self, **parts: Any) -> ChangeSet:
        event_id = new_id()
        event = evolve(self.model, id=event_id, index=self.index)
        packed: Packed = (event_id, *with_index(self.packed, self.index)[1:])
        self.index += 1
        return ChangeSet("room", new_id(), self.version, events=(event,), packed=(packed,), owner="kit", **parts)

    def grow(self, events: int) -> None:
        while self.index < events:
            self.commit(self.batch())


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


async def test_a_timer_that_each_message_sets_anew_leaves_nothing_behind() -> None:
    clock = ManualClock()
    store = InMemoryStore(clock=clock)
    writer = Writer(store)
    await writer.create()
    later = clock.microseconds + 10**12

    sizes = []
    for messages in (200, 2_000):
        for _ in range(messages):
            await writer.write(
                events=(text_event(),),
                withdrawals=(Withdrawal("set anew", kind=WorkKind.TIMER),),
                work=(delivery((), kind=WorkKind.TIMER, due=later, expires_at=later),),
            )
        await store.purge(EVERYTHING, limit=2**62)
        sizes.append(len(containers_in(store._work)))

    assert sizes[1] - sizes[0] < 100


# --------------------------------------------------------------------------------------------------------- memory


def test_messages_leave_no_reference_cycles() -> None:
    hand = Hand()
    gc.collect()
    gc.disable()
    try:
        for _ in range(1_000):
            row = delivery(state=WorkState.IN_FLIGHT)
            hand.commit(hand.batch(work=(row,), keys=((key(row.id), KeyResult("room", None)),)))
            finish(hand.store.settle(row.id, 1, Outcome(WorkState.SENT, provider_ids=(row.id,))))
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_what_rests_is_not_followed_by_the_garbage_collector() -> None:
    hand = Hand()
    gc.collect()
    before = len(gc.get_objects())

    for _ in range(1_000):
        row = delivery(state=WorkState.IN_FLIGHT)
        hand.commit(hand.batch(work=(row,), keys=((key(row.id), KeyResult("room", None)),)))
        finish(hand.store.settle(row.id, 1, Outcome(WorkState.SENT, provider_ids=(row.id,))))
    for _ in range(3):  # nested tuples are let go from the inside out
        gc.collect()

    assert len(gc.get_objects()) - before < 100


def test_ten_thousand_idle_rooms_weigh_less_than_45_mib(capsys: pytest.CaptureFixture[str]) -> None:
    capabilities = binding().capabilities
    tracemalloc.start()
    try:
        store = InMemoryStore()
        gc.collect()
        began = tracemalloc.get_traced_memory()[0]
        for number in range(10_000):
            room_id = new_id()
            store.submit(
                ChangeSet(
                    room_id,
                    new_id(),
                    ABSENT,
                    epoch=new_id(),
                    room=Room(id=room_id),
                    claims=(("sms", f"+1555{number}"),),
                    bindings={
                        name: binding(
                            name,
                            room_id=room_id,
                            participant_id=f"{name}-{number}",
                            routes={f"{name}-{number}": route(f"+1555{number}")},
                            capabilities=evolve(capabilities, max_length=1600),
                        )
                        for name in ("sms", "web")
                    },
                )
            )
        gc.collect()
        mebibytes = (tracemalloc.get_traced_memory()[0] - began) / 2**20
    finally:
        tracemalloc.stop()

    with capsys.disabled():
        print(f"\n10,000 idle rooms with two bindings: {mebibytes:.1f} MiB")
    assert mebibytes < 45
    assert len(finish(store.find_rooms(limit=10_001))) == 10_000


async def test_nothing_of_a_deleted_room_stays_behind() -> None:
    store = InMemoryStore()

    async def live_and_die(room_id: str) -> None:
        writer = Writer(store, room_id=room_id)
        await writer.create(
            Room(id=room_id, organization_id=room_id),
            bindings={room_id: binding(room_id, room_id=room_id, participant_id=room_id)},
            participants={"ada": person(room_id=room_id)},
            claims=((room_id, room_id),),
        )
        row = delivery((room_id,), room_id=room_id, state=WorkState.IN_FLIGHT)
        await writer.write(
            events=(text_event(room_id=room_id),),
            work=(row, delivery((room_id,), room_id=room_id)),
            tasks=(Task(room_id=room_id, title="x"),),
            read_markers=(("sms", 0),),
            keys=((key(room_id), KeyResult(room_id, None)),),
        )
        await store.settle(row.id, 1, Outcome(WorkState.SENT, provider_ids=(room_id,)))
        await store.delete_room(room_id)

    await live_and_die("first")
    await store.purge(EVERYTHING, limit=2**62)
    before = len(containers_in(store))
    for number in range(500):
        await live_and_die(f"r{number}")
    await store.purge(EVERYTHING, limit=2**62)

    # What is left is a heap of fewer than a hundred entries whose rows are gone.
    assert len(containers_in(store)) - before < 100


def containers_in(root: object) -> list[object]:
    """Every container and object that the store keeps."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set):
            waiting += item
        elif type(item).__module__.startswith("roomkit_core.builtin.memory"):
            slots = [name for cls in type(item).__mro__ for name in getattr(cls, "__slots__", ())]
            waiting += [getattr(item, name) for name in (*slots, *getattr(item, "__dict__", {}))]
        else:
            continue
        seen[id(item)] = item
    return list(seen.values())
