"""What the in-memory store weighs at rest, in bytes and in objects that the garbage collector follows."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from roomkit_core.builtin.memory.store import InMemoryStore
from roomkit_core.interfaces.store import Cutoffs
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import ABSENT, ChangeSet, KeyResult, Value, Withdrawal
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.ids import new_id
from roomkit_core.models.room import Room
from roomkit_core.models.task import Task
from roomkit_core.models.work import Outcome, WorkKind, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.journal import message
from roomkit_testkit.stores.makers import AGAIN, Writer, binding, delivery, key, person, route, text_event
from tests.stores.counting import EVERYTHING, Hand, containers_in, finish


def live(hand: Hand, messages: int) -> None:
    """Messages with a key, blocked ones among them, each of which is sent at the second attempt or given up."""
    for number in range(messages):
        row = delivery(
            state=WorkState.IN_FLIGHT,
            event_id=new_id(),
            correlation_id=new_id(),
            retry_of=new_id(),
            provider_key=new_id(),
        )
        status = {"status": EventStatus.BLOCKED} if number % 2 else {}
        hand.commit(hand.batch(**status, work=(row,), keys=((key(row.id), KeyResult("room", row.event_id)),)))
        finish(hand.store.settle(row.id, 1, AGAIN, due_in=0))
        finish(hand.store.claim("kit", lease=60.0, limit=1, lanes=[row.lane]))
        end = WorkState.DEAD if number % 3 else WorkState.SENT
        finish(hand.store.settle(row.id, 2, Outcome(end, "code", "reason", (row.id,))))


def test_messages_leave_no_reference_cycles() -> None:
    hand = Hand()
    gc.collect()
    gc.disable()
    try:
        live(hand, 1_000)
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("is_stripped", [False, True], ids=["whole", "without bodies"])
def test_what_rests_is_not_followed_by_the_garbage_collector(is_stripped: bool) -> None:
    hand = Hand()
    gc.collect()
    before = len(gc.get_objects())

    live(hand, 1_000)
    if is_stripped:
        finish(hand.store.purge(Cutoffs(bodies=2**62, blocked=2**62)))
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
        names = {"event_id": room_id, "correlation_id": room_id, "retry_of": room_id, "provider_key": room_id}
        row = delivery((room_id,), room_id=room_id, state=WorkState.IN_FLIGHT, **names)
        await writer.write(
            events=(text_event(room_id=room_id, status=EventStatus.BLOCKED),),
            work=(row, delivery((room_id,), room_id=room_id)),
            tasks=(Task(room_id=room_id, title="x"),),
            read_markers=(("sms", 0),),
            keys=((key(room_id), KeyResult(room_id, room_id)),),
            kv={(room_id, room_id): Value("1", 1)},
        )
        await store.settle(row.id, 1, AGAIN, due_in=0)
        await store.claim("kit", lease=60.0, limit=1, lanes=[row.lane])
        await store.settle(row.id, 2, Outcome(WorkState.SENT, provider_ids=(room_id,)))
        await store.delete_room(room_id)
        await store.note_receipt(room_id, room_id, "read", 0)
        accepted = await store.accept(message(), (room_id, "+1"), key(f"in {room_id}"), owner="kit", lease=60.0)
        await store.settle(accepted.id, 1, Outcome(WorkState.QUARANTINED))

    await live_and_die("first")
    await store.purge(EVERYTHING, limit=2**62)
    before = len(containers_in(store))
    for number in range(500):
        await live_and_die(f"r{number}")
    await store.purge(EVERYTHING, limit=2**62)

    # What is left is a heap of fewer than a hundred entries whose rows are gone.
    assert len(containers_in(store)) - before < 100


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
