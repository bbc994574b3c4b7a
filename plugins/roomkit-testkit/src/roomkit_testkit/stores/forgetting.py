"""What a store forgets, and when: cut-offs, tombstones, and values whose time is over (T4, T16, T24)."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.interfaces.store import Accepted, ConversationStore, Cutoffs, WorkFilter
from roomkit_core.models.base import evolve
from roomkit_core.models.changes import Value
from roomkit_core.models.content import SystemContent
from roomkit_core.models.enums import EventStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.packing import pack_event, tombstone, unpack_event
from roomkit_core.models.work import OPEN_STATES, Outcome, WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.journal import message
from roomkit_testkit.stores.lanes import ids, state_of
from roomkit_testkit.stores.makers import AGAIN, SENT, UNKNOWN, Writer, claim, decided, delivery, key, said, text_event
from roomkit_testkit.stores.models import CONTENTS, full_event
from roomkit_testkit.stores.outcomes import sent

IN_FLIGHT, PENDING = WorkState.IN_FLIGHT, WorkState.PENDING
GOOD = ["sent", "done", "answered", "refused", "suppressed"]
BAD = ["failed", "dead", "expired", "partial", "quarantined"]
BODY = (("text", "hello"),)


def blocked_event(clock: ManualClock, **fields: Any) -> RoomEvent:
    known = {"status": EventStatus.BLOCKED, "blocked_by": "guard", "created_at": clock.now()}
    return text_event(**{"text": "secret", **known, **fields})


class ForgettingSuite(StoreContract):
    @pytest.fixture
    async def ended(self, store: ConversationStore, writer: Writer, clock: ManualClock) -> ConversationStore:
        """A row for every way to end, one for every way to be open, and a second has passed."""
        await writer.create()
        states = [state for state in WorkState if state not in OPEN_STATES]
        await writer.owe(
            *(delivery((state,), row_id=state, state=IN_FLIGHT, route="+1") for state in states),
            *(delivery((state,), row_id=state, state=IN_FLIGHT, route="+1") for state in OPEN_STATES),
        )
        for state in states:
            assert await store.settle(state, 1, Outcome(state))
        await store.settle("pending", 1, AGAIN)
        await store.settle("unknown", 1, UNKNOWN)
        clock.advance(1)
        return store

    # --------------------------------------------------------------------------------------------------- rows

    async def test_purging_forgets_what_was_settled_before_a_moment(
        self, store: ConversationStore, writer: Writer, held: WorkRow, clock: ManualClock
    ) -> None:
        await store.settle("held", 1, sent("SM1"))
        accepted = await store.accept(message(), ("sms", "+1"), key("SM1"), owner="kit-1", lease=60.0)
        assert isinstance(accepted, Accepted)
        await store.settle(accepted.id, 1, Outcome(WorkState.QUARANTINED))
        clock.advance(100)
        await claim(store)
        await store.settle("queued", 1, SENT)

        cutoffs = Cutoffs(settled=clock.microseconds, dead=clock.microseconds)
        assert await store.purge(cutoffs) == 2
        assert await store.purge(cutoffs) == 0

        assert ids(await store.list_work(WorkFilter())) == ["queued"]
        assert not await store.note_receipt("sms", "SM1", "read", 0)
        assert isinstance(await store.accept(message(), ("sms", "+1"), key("SM1")), Accepted)

    async def test_purging_forgets_no_open_row(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        clock.advance(1_000_000)

        now = clock.microseconds
        assert await store.purge(Cutoffs(settled=now, dead=now, bodies=now)) == 0
        assert len(await store.list_work(WorkFilter())) == 2

    def test_the_ways_to_end_are_all_there(self) -> None:
        assert sorted([*GOOD, *BAD, *OPEN_STATES]) == sorted(WorkState)

    @pytest.mark.parametrize(
        ("kind", "left"), [("settled", BAD), ("dead", GOOD), ("keys", GOOD + BAD), ("blocked", GOOD + BAD)]
    )
    async def test_each_kind_of_end_has_its_cut_off_and_no_open_row_is_forgotten(
        self, ended: ConversationStore, clock: ManualClock, kind: str, left: list[str]
    ) -> None:
        await ended.purge(Cutoffs(**{kind: clock.microseconds}))

        assert ids(await ended.list_work(WorkFilter())) == sorted([*left, *OPEN_STATES])

    async def test_without_cut_offs_everything_stays(self, ended: ConversationStore) -> None:
        assert await ended.purge(Cutoffs()) == 0

        assert len(await ended.list_work(WorkFilter())) == len(WorkState)

    async def test_bodies_go_but_for_those_that_an_operator_may_need(
        self, ended: ConversationStore, clock: ManualClock
    ) -> None:
        before = {row.id: row for row in await ended.list_work(WorkFilter())}

        assert await ended.purge(Cutoffs(bodies=clock.microseconds)) == len(GOOD)
        assert await ended.purge(Cutoffs(bodies=clock.microseconds)) == 0

        for row in await ended.list_work(WorkFilter()):
            if row.id in GOOD:
                assert row == before[row.id]._replace(payload=(), route=None)
            else:
                assert row == before[row.id]
                assert (row.payload, row.route) == (BODY, "+1")

    async def test_bodies_are_forgotten_before_a_moment_and_the_rows_later(
        self, store: ConversationStore, writer: Writer, held: WorkRow, clock: ManualClock
    ) -> None:
        await store.settle("held", 1, SENT)
        clock.advance(10)
        await claim(store)
        await store.settle("queued", 1, SENT)
        now = clock.microseconds

        assert await store.purge(Cutoffs(bodies=now)) == 1
        assert (await state_of(store, held)).payload == ()
        clock.advance(10)
        assert await store.purge(Cutoffs(settled=now, bodies=clock.microseconds)) == 2

        (row,) = await store.list_work(WorkFilter())
        assert (row.id, row.payload) == ("queued", ())
        assert await store.purge(Cutoffs(settled=clock.microseconds)) == 1

    async def test_a_receipt_is_noted_also_after_the_body_is_gone(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        await store.settle("held", 1, sent("SM1"))
        clock.advance(1)
        await store.purge(Cutoffs(bodies=clock.microseconds))

        assert await store.note_receipt("sms", "SM1", "delivered", 0)
        clock.advance(1)
        assert (await state_of(store, held)).receipt_rank == "delivered"
        assert await store.purge(Cutoffs(settled=clock.microseconds)) == 1

    async def test_early_reports_are_forgotten_with_settled_rows(
        self, store: ConversationStore, held: WorkRow, clock: ManualClock
    ) -> None:
        await store.note_receipt("sms", "SM1", "delivered", 0)
        clock.advance(10)
        await store.note_receipt("sms", "SM2", "accepted", 0)
        now = clock.microseconds

        assert await store.purge(Cutoffs(dead=now, bodies=now, keys=now, blocked=now)) <= 1  # the room's commit id
        assert await store.purge(Cutoffs(settled=now)) == 1

        await store.settle("held", 1, sent("SM1", "SM2"))
        assert (await state_of(store, held)).receipt_rank == "accepted"

    @pytest.mark.parametrize("limit", [0, 1, 3])
    async def test_a_purge_does_no_more_than_it_was_allowed_to(
        self, ended: ConversationStore, writer: Writer, clock: ManualClock, limit: int
    ) -> None:
        await writer.write(
            events=(blocked_event(clock), blocked_event(clock)), keys=tuple(decided(str(number)) for number in range(4))
        )
        await writer.write(expected=None, kv={("plugin", name): Value("1", clock.microseconds + 1) for name in "abc"})
        for number in range(2):
            await ended.note_receipt("sms", f"SM{number}", "delivered", 0)
        clock.advance(1)
        # Bodies first, so that rows are still there to lose them.
        cuts = (Cutoffs(bodies=clock.microseconds), Cutoffs(*[clock.microseconds] * len(Cutoffs._fields)))

        forgotten = [0, 0]
        for place, cutoffs in enumerate(cuts):
            for _ in range(100):
                count = await ended.purge(cutoffs, limit=limit)
                assert count <= limit
                forgotten[place] += count
                if not count:
                    break

        if limit:
            assert ids(await ended.list_work(WorkFilter())) == sorted(OPEN_STATES)
            assert [await ended.find_key(key(str(number))) for number in range(4)] == [None] * 4
            assert [said(event) for event in await ended.list_events("room")][1:] == ["", ""]
            # bodies, and values on the way; then rows, keys, events, reports, and commit ids if they are counted
            assert sum(forgotten) >= len(GOOD) + 3 + len(GOOD) + len(BAD) + 4 + 2 + 2
        else:
            assert forgotten == [0, 0]
            assert len(await ended.list_work(WorkFilter())) == len(WorkState)

    @pytest.mark.parametrize("limit", [1, 2, 3, 4])
    async def test_rows_with_and_without_their_bodies_are_forgotten_oldest_first(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, limit: int
    ) -> None:
        await writer.create()
        for name in "abcd":
            clock.advance(1)
            if name == "c":
                assert await store.purge(Cutoffs(bodies=clock.microseconds)) == 2
            await writer.owe(delivery(row_id=name, state=IN_FLIGHT))
            await store.settle(name, 1, SENT)
        clock.advance(1)

        assert await store.purge(Cutoffs(settled=clock.microseconds), limit=limit) == limit

        assert ids(await store.list_work(WorkFilter())) == list("abcd"[limit:])

    async def test_what_was_forgotten_may_come_anew(
        self, store: ConversationStore, writer: Writer, held: WorkRow, clock: ManualClock
    ) -> None:
        await store.settle("held", 1, SENT)
        clock.advance(1)
        await store.purge(Cutoffs(settled=clock.microseconds))

        await writer.owe(delivery(("new",), row_id="held", state=IN_FLIGHT))

        row = await state_of(store, held)
        assert (row.state, row.token, row.lane) == (IN_FLIGHT, 1, ("new",))

    # ------------------------------------------------------------------------------------------ blocked events

    @pytest.mark.parametrize("content", CONTENTS, ids=lambda content: type(content).__name__)
    async def test_of_a_blocked_event_a_tombstone_stays_at_its_place(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, content: Any
    ) -> None:
        event = evolve(full_event(content), index=1)
        await writer.create(events=(text_event(), event, text_event("later")))

        assert await store.purge(Cutoffs(blocked=clock.microseconds)) == 1
        assert await store.purge(Cutoffs(blocked=clock.microseconds)) == 0

        left = await store.get_event("event")
        assert left == unpack_event(tombstone(pack_event(event), "event.pruned"))
        assert left.content == SystemContent(body="", code="event.pruned")
        assert (left.index, left.status, left.blocked_by) == (1, EventStatus.BLOCKED, "guard")
        assert (await store.list_events("room"))[1] == left
        timeline = await store.timeline("room", 0, 1)
        assert timeline is not None
        assert timeline[1] == [left]
        snapshot = await store.load_room("room", tail=2)
        assert snapshot is not None
        assert tuple(snapshot.tail[0]) == pack_event(left)

    async def test_leaving_a_tombstone_does_not_disturb_a_plan(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create(events=(blocked_event(clock),))
        clock.advance(1)

        assert await store.purge(Cutoffs(blocked=clock.microseconds)) == 1

        assert (await writer.say()).index == 1
        room = await store.get_room("room")
        assert room is not None
        assert room.event_count == 2

    @pytest.mark.parametrize("is_plain", [False, True])
    async def test_events_are_pruned_by_their_own_time_and_only_if_they_were_blocked(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, is_plain: bool
    ) -> None:
        await writer.create()
        young, then = clock.now(), clock.now()
        clock.advance(100)
        young = clock.now()
        for index, (text, created, status) in enumerate(
            [
                ("young", young, EventStatus.BLOCKED),
                ("old", then, EventStatus.BLOCKED),
                ("delivered", then, EventStatus.DELIVERED),
                ("read", then, EventStatus.READ),
            ]
        ):
            event = text_event(text, created_at=created, status=status, index=index)
            await writer.write(events=(event,), packed=(pack_event(event),), is_plain=is_plain)

        assert await store.purge(Cutoffs(blocked=clock.microseconds)) == 1

        assert [said(event) for event in await store.list_events("room")] == ["young", "", "delivered", "read"]

    async def test_an_event_that_was_blocked_or_let_through_later_is_taken_as_it_is_now(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        let_through, stopped = blocked_event(clock), blocked_event(clock, status=EventStatus.DELIVERED)
        await writer.create(events=(let_through, stopped))
        patches = (
            evolve(let_through, status=EventStatus.DELIVERED),
            evolve(stopped, status=EventStatus.BLOCKED),
        )
        await writer.write(patches=patches)
        clock.advance(1)

        assert await store.purge(Cutoffs(blocked=clock.microseconds)) == 1

        assert [said(event) for event in await store.list_events("room")] == ["secret", ""]

    async def test_blocked_events_of_a_deleted_room_are_gone_already(
        self, store: ConversationStore, writer: Writer, other: Writer, clock: ManualClock
    ) -> None:
        event = blocked_event(clock)
        await writer.create(events=(event,))
        await store.delete_room("room")
        await other.create(events=(evolve(event, status=EventStatus.DELIVERED),))
        clock.advance(1)

        assert await store.purge(Cutoffs(blocked=clock.microseconds)) == 0

        assert [said(event) for event in await store.list_events("room")] == ["secret"]

    # ------------------------------------------------------------------------------------------------- values

    async def test_a_value_is_read_until_its_time_is_over(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        at = clock.microseconds + 10_000_000
        await writer.write(
            room_id=None,
            expected=None,
            kv={("plugin", "timed"): Value("1", at), ("plugin", "lasting"): Value("2")},
        )

        clock.advance(9)
        assert await store.kv_get("plugin", "timed") == "1"
        assert await store.kv_scan("plugin") == [("lasting", "2"), ("timed", "1")]
        clock.advance(1)
        assert await store.kv_get("plugin", "timed") is None
        assert await store.kv_scan("plugin") == [("lasting", "2")]

    async def test_purging_removes_values_whose_time_is_over_and_no_others(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        now = clock.microseconds
        times = {"over": now + 1_000_000, "later": now + 60_000_000, "lasting": None}
        await writer.write(
            room_id=None, expected=None, kv={("plugin", name): Value("1", at) for name, at in times.items()}
        )
        clock.advance(1)

        assert await store.purge(Cutoffs()) == 1
        assert await store.purge(Cutoffs()) == 0

        assert [name for name, _ in await store.kv_scan("plugin")] == ["lasting", "later"]

    @pytest.mark.parametrize("prolonged", [None, 60_000_000], ids=["for ever", "for a while"])
    async def test_a_value_that_is_set_anew_has_its_new_time(
        self, store: ConversationStore, writer: Writer, clock: ManualClock, prolonged: int | None
    ) -> None:
        at = None if prolonged is None else clock.microseconds + prolonged
        for value in (Value("1", clock.microseconds + 1_000_000), Value("2", at)):
            await writer.write(room_id=None, expected=None, kv={("plugin", "x"): value})
        clock.advance(2)

        assert await store.purge(Cutoffs()) == 0

        assert await store.kv_get("plugin", "x") == "2"

    async def test_a_value_whose_time_is_over_may_come_anew(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        for _ in range(2):
            value = Value("1", clock.microseconds + 1_000_000)
            await writer.write(room_id=None, expected=None, kv={("plugin", "x"): value})
            assert await store.kv_get("plugin", "x") == "1"
            clock.advance(1)
            assert await store.kv_get("plugin", "x") is None
            await writer.write(room_id=None, expected=None, kv={("plugin", "x"): None})
        assert await store.purge(Cutoffs()) == 0
