"""Finding work and decided keys by what people and providers know of them (T16, T28)."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.interfaces.store import Accepted, ConversationStore, Cutoffs, DecidedKey, WorkFilter
from roomkit_core.models.changes import KeyResult, Withdrawal
from roomkit_core.models.work import Outcome, WorkKind, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.journal import message
from roomkit_testkit.stores.lanes import ids
from roomkit_testkit.stores.makers import (
    AGAIN,
    FAILED,
    LANE,
    SENT,
    UNKNOWN,
    Writer,
    claim,
    decided,
    delivery,
    key,
    text_event,
)
from roomkit_testkit.stores.outcomes import sent

IN_FLIGHT, PENDING = WorkState.IN_FLIGHT, WorkState.PENDING


class FindingSuite(StoreContract):
    # --------------------------------------------------------------------------------------------------- work

    async def found(self, store: ConversationStore, **where: Any) -> list[str]:
        return ids(await store.list_work(WorkFilter(**where)))

    @pytest.mark.parametrize(
        ("field", "value", "other"),
        [
            ("correlation_id", "trace", "else"),
            ("retry_of", "first", "second"),
            ("lane", ("room", "sms", "a"), ("room", "sms", "b")),
            ("event_id", "event", "another"),
        ],
    )
    async def test_rows_are_found_by_what_few_share_whether_open_or_settled(
        self, store: ConversationStore, writer: Writer, field: str, value: Any, other: Any
    ) -> None:
        await writer.create()
        await writer.owe(
            delivery(**{"lane": (), "row_id": "open", field: value}),
            delivery(**{"lane": (), "row_id": "settled", "state": IN_FLIGHT, field: value}),
            delivery(**{"lane": (), "row_id": "dead", "state": IN_FLIGHT, field: value}),
            delivery(**{"lane": (), "row_id": "mail", "channel_id": "mail", field: value}),
            delivery(**{"lane": (), "row_id": "other", field: other}),
            delivery((), row_id="without"),
        )
        if field != "lane":
            await store.settle("settled", 1, SENT)
            await store.settle("dead", 1, FAILED)

        where = {field: value}
        assert await self.found(store, **where) == ["dead", "mail", "open", "settled"]
        assert await self.found(store, **where, channel_id="sms") == ["dead", "open", "settled"]
        assert await self.found(store, **where, row_id="open", room_id="room") == ["open"]
        assert await self.found(store, **where, row_id="other") == []
        assert await self.found(store, **where, room_id="elsewhere") == []
        assert await self.found(store, **where, kinds=frozenset({WorkKind.ASK})) == []
        assert await self.found(store, **{field: other}) == ["other"]
        if field != "lane":
            assert await self.found(store, **where, states=frozenset({WorkState.SENT})) == ["settled"]
            assert await self.found(store, **where, states=frozenset({PENDING, WorkState.FAILED})) == [
                "dead",
                "mail",
                "open",
            ]

    async def test_the_rows_of_a_lane_are_found_in_pages_however_many_there_are(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        await writer.create()
        names = [f"{number:02}" for number in range(30)]
        await writer.owe(*(delivery(row_id=name) for name in names), delivery(("else",), row_id="else"))
        for _ in range(15):
            (row,) = await claim(store, lanes=[LANE])
            await store.settle(row.id, row.token, SENT)

        pages = [
            ids(await store.list_work(WorkFilter(lane=LANE), limit=12, after=after))
            for after in (None, "11", "23", "29")
        ]

        assert pages == [names[:12], names[12:24], names[24:], []]
        assert await self.found(store, lane=LANE, states=frozenset({WorkState.SENT})) == names[:15]
        assert await self.found(store, lane=("nowhere",)) == []

    async def test_rows_without_a_lane_are_found_as_such(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        await writer.owe(delivery((), row_id="a"), delivery(row_id="b"), delivery((), row_id="c", state=IN_FLIGHT))
        await store.settle("c", 1, SENT)

        assert await self.found(store, lane=()) == ["a", "c"]

    async def test_a_row_is_found_by_what_the_provider_calls_it(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        await writer.owe(
            delivery(("1",), row_id="parts", state=IN_FLIGHT),
            delivery(("2",), row_id="retry", retry_of="first", provider_key="first", state=IN_FLIGHT),
            delivery(("3",), row_id="first", channel_id="mail", state=IN_FLIGHT),
        )
        await store.settle("parts", 1, Outcome(IN_FLIGHT, provider_ids=("SM1",)), parts_done=1)
        assert await self.found(store, name="SM1") == ["parts"]
        await store.settle("parts", 1, sent("SM2"), parts_done=2)
        await store.settle("retry", 1, AGAIN)
        await store.settle("first", 1, sent("SM1"))

        assert await self.found(store, name="SM1") == ["first", "parts"]
        assert await self.found(store, name="SM2") == ["parts"]
        assert await self.found(store, name="parts") == ["parts"]
        assert await self.found(store, name="first") == ["first", "retry"]
        assert await self.found(store, name="first", channel_id="sms") == ["retry"]
        assert await self.found(store, name="SM1", states=frozenset({PENDING})) == []
        assert await self.found(store, name="retry") == []  # its provider knows it by the key of the first row
        assert await self.found(store, name="SM3") == []
        await writer.owe(delivery((), row_id="nameless", provider_key=""))
        assert await self.found(store, name="") == await self.found(store, name="", row_id="nameless") == []

    async def test_a_journaled_message_is_found_by_the_id_that_its_sender_gave_it(
        self, store: ConversationStore
    ) -> None:
        accepted = [
            await store.accept(message(), ("sms", sender), key("SM1", sender=sender), owner="kit-1", lease=60.0)
            for sender in ("+1", "+2")
        ]
        await store.accept(message(), ("sms", "+3"), key("SM2"))
        first, second = (one.id for one in accepted if isinstance(one, Accepted))
        await store.settle(first, 1, Outcome(WorkState.DONE))

        assert sorted(await self.found(store, name="SM1")) == sorted([first, second])
        assert await self.found(store, name="SM1", states=frozenset({WorkState.DONE})) == [first]

    async def test_what_was_forgotten_is_found_no_more(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create()
        named: dict[str, Any] = {"correlation_id": "trace", "event_id": "event", "retry_of": "r", "provider_key": "k"}
        await writer.owe(delivery(("1",), row_id="a", state=IN_FLIGHT, **named), delivery(("1",), row_id="b", **named))
        await store.settle("a", 1, sent("SM1"))
        clock.advance(1)
        searches: list[dict[str, Any]] = [
            {"correlation_id": "trace"},
            {"event_id": "event"},
            {"retry_of": "r"},
            {"lane": ("1",)},
            {"name": "k"},
        ]

        await store.purge(Cutoffs(settled=clock.microseconds))
        assert [await self.found(store, **where) for where in searches] == [["b"]] * 5
        assert await self.found(store, name="SM1") == []
        await store.delete_room("room")
        assert [await self.found(store, **where) for where in searches] == [[]] * 5

    # -------------------------------------------------------------------------------------------------- lanes

    async def test_a_lane_is_open_as_long_as_one_of_its_rows_is(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        assert not await store.has_open(LANE)
        await writer.owe(delivery(row_id="a", state=IN_FLIGHT), delivery(row_id="b"), delivery(("other",), row_id="c"))

        assert await store.has_open(LANE)
        await store.settle("a", 1, UNKNOWN, due_in=0)
        assert await store.has_open(LANE)
        await claim(store, limit=1, lanes=[LANE])
        await store.settle("a", 2, FAILED)
        assert await store.has_open(LANE)
        await writer.write(withdrawals=(Withdrawal("deleted", row_id="b"),))
        assert not await store.has_open(LANE)
        assert await store.has_open(("other",))
        await store.delete_room("room")
        assert not await store.has_open(("other",))

    async def test_a_lane_of_the_journal_is_open_until_its_messages_are_through(self, store: ConversationStore) -> None:
        accepted = await store.accept(message(), ("sms", "+1"), key("SM1"), owner="kit-1", lease=60.0)

        assert await store.has_open(("sms", "+1"))
        assert not await store.has_open(("sms", "+2"))
        await store.settle(accepted.id, 1, Outcome(WorkState.DONE))
        assert not await store.has_open(("sms", "+1"))

    async def test_work_without_order_stands_in_no_lane(self, store: ConversationStore, writer: Writer) -> None:
        await writer.create()
        await writer.owe(delivery(()))

        assert not await store.has_open(())

    # --------------------------------------------------------------------------------------------------- keys

    async def test_decided_keys_are_found_by_their_id_oldest_first(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        await writer.create(keys=(decided("SM1"), decided("SM2")))
        first = clock.microseconds
        clock.advance(5)
        event = text_event()
        mail = ("mail", "ada", "SM1")
        await writer.write(events=(event,), keys=((mail, KeyResult("room", event.id, True, "blocked_by:guard")),))

        assert await store.find_keys("SM1") == [
            DecidedKey(key("SM1"), KeyResult("room", None), first),
            DecidedKey(mail, KeyResult("room", event.id, True, "blocked_by:guard"), clock.microseconds),
        ]
        assert await store.find_keys("unknown") == await store.find_keys("ada") == []

    async def test_decided_keys_are_found_by_the_event_that_their_message_became(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        event = text_event()
        await writer.create(events=(event,), keys=(decided("SM1", event.id), decided(event.id, event.id)))

        assert await store.find_keys(event.id) == [
            DecidedKey(key(name), KeyResult("room", event.id), clock.microseconds) for name in sorted(["SM1", event.id])
        ]

    async def test_keys_that_were_decided_at_one_moment_are_ordered_by_themselves(
        self, store: ConversationStore, writer: Writer
    ) -> None:
        keys = [(channel, "+1", "SM1") for channel in ("web", "sms", "mail")]
        await writer.create(keys=tuple((one, KeyResult("room", None)) for one in keys))

        assert [one.key for one in await store.find_keys("SM1")] == sorted(keys)

    async def test_keys_of_a_deleted_room_are_found_as_deleted(
        self, store: ConversationStore, writer: Writer, other: Writer, clock: ManualClock
    ) -> None:
        event = text_event()
        await writer.create(events=(event,), keys=(decided("SM1", event.id),))
        at = clock.microseconds
        clock.advance(5)

        await store.delete_room("room")

        deleted = [DecidedKey(key("SM1"), KeyResult("room", None, True, "deleted"), at)]
        assert await store.find_keys("SM1") == await store.find_keys(event.id) == deleted
        await other.create()
        assert await store.find_keys("SM1") == deleted

    async def test_keys_that_were_purged_are_not_found(
        self, store: ConversationStore, writer: Writer, clock: ManualClock
    ) -> None:
        event = text_event()
        await writer.create(events=(event,), keys=(decided("SM1", event.id),))
        clock.advance(5)
        await writer.write(keys=((("mail", "ada", "SM1"), KeyResult("room", event.id)),))

        await store.purge(Cutoffs(keys=clock.microseconds))

        assert [one.key[0] for one in await store.find_keys("SM1")] == ["mail"]
        assert [one.key[0] for one in await store.find_keys(event.id)] == ["mail"]
