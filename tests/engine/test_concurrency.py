"""Many writers at once: one kit, and two kits over one store that takes its time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from roomkit_core import (
    Access,
    ChangeSet,
    ConflictError,
    DeliveryState,
    EventStatus,
    HookResult,
    HookTrigger,
    InboundResult,
    RoomContext,
    RoomEvent,
    RoomKit,
    StoreError,
    TextContent,
    Ticket,
    WorkState,
)
from roomkit_core.interfaces.store import Answer
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.kits import make_room, messages_of, open_kit, rows_of, texts_of, whole_timeline
from tests.support.stores import SlowStore


def dawdling(seed: int, most: int = 4) -> Callable[[], Awaitable[None]]:
    """Suspends a random number of times."""
    random = Random(seed)

    async def dawdle() -> None:
        for _ in range(random.randrange(most)):
            await anyio.lowlevel.checkpoint()

    return dawdle


async def check_order(kit: RoomKit, room_id: str, *channels: ScriptedChannel) -> None:
    """The indexes have no gap, and what reached each provider from the room is in the order of the indexes."""
    events = await whole_timeline(kit, room_id)
    assert [event.index for event in events] == list(range(len(events)))
    owed = [event.id for event in events if event.type == "message" and event.status is EventStatus.DELIVERED]
    for channel in channels:
        assert [sent.event.id for sent in channel.sent if sent.event.room_id == room_id] == owed


async def persist(call: Callable[[], Awaitable[InboundResult]]) -> InboundResult:
    """Call again as long as the room changes underneath too often."""
    while True:
        try:
            return await call()
        except ConflictError as error:
            if not error.retryable:
                raise


# ------------------------------------------------------------------------------------------------------------ one kit


async def test_a_hundred_rooms_with_fifty_messages_each_at_once() -> None:
    sms, live, dawdle = ScriptedChannel("sms"), LiveProbe(), dawdling(1)

    async def decide(event: RoomEvent, _: RoomContext) -> HookResult:
        await dawdle()
        return HookResult.allow()

    async with open_kit(live, sms) as kit:
        kit.hook(HookTrigger.BEFORE_BROADCAST)(decide)
        rooms = [f"room{number}" for number in range(100)]
        for room_id in rooms:
            await make_room(kit, room_id, live, sms)

        async def write(room_id: str, writer: int) -> None:
            for number in range(10):
                await kit.process_inbound(message(f"{writer}.{number}"), room_id=room_id, wait="committed")

        async with anyio.create_task_group() as group:
            for room_id in rooms:
                for writer in range(5):
                    group.start_soon(write, room_id, writer)
        assert await kit.idle() == 0

        for room_id in rooms:
            texts = await texts_of(kit, room_id)
            assert len(texts) == len(set(texts)) == 50
            for writer in range(5):
                assert [text for text in texts if text[0] == str(writer)] == [f"{writer}.{n}" for n in range(10)]
            await check_order(kit, room_id, sms)
        hints = Counter((event.room_id, cursor.index) for event, cursor in live.seen)
        assert (len(hints), set(hints.values())) == (5_000, {1})
        in_order: dict[str, int] = {}
        for event, cursor in live.seen:
            assert in_order.setdefault(event.room_id, -1) < cursor.index
            in_order[event.room_id] = cursor.index


async def test_verbs_that_change_a_room_at_once_are_all_there_and_none_is_half() -> None:
    dawdle = dawdling(2)
    async with open_kit(LiveProbe(), ScriptedChannel("sms"), store=SlowStore(dawdle)) as kit:
        await make_room(kit, "room", "live", "sms")

        async def toggle() -> None:
            await kit.mute("room", "sms")
            await kit.unmute("room", "sms")

        async def note(number: int) -> None:
            await kit.update_binding_metadata("room", "sms", {str(number): number})

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(toggle)
                group.start_soon(note, number)
                group.start_soon(partial(kit.process_inbound, message(str(number)), room_id="room"))

        binding = await kit.get_binding("room", "sms")
        assert dict(binding.metadata) == {str(number): number for number in range(20)}
        kinds = Counter(event.type for event in await whole_timeline(kit, "room"))
        assert (kinds["channel_muted"], kinds["channel_unmuted"], kinds["channel_updated"]) == (20, 20, 20)
        assert sorted(await texts_of(kit, "room"), key=int) == [str(number) for number in range(20)]
        await check_order(kit, "room")


async def test_t3_a_room_that_is_made_by_many_at_once_is_made_once() -> None:
    outcomes: list[str] = []
    async with open_kit(store=SlowStore(dawdling(3))) as kit:

        async def create(number: int) -> None:
            try:
                await kit.create_room("room", {"by": number})
                outcomes.append(f"made by {number}")
            except Exception as error:
                outcomes.append(type(error).__name__)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(create, number)

        assert Counter(outcomes)["RoomExistsError"] == 19
        assert f"made by {(await kit.get_room('room')).metadata['by']}" in outcomes


async def test_the_answers_of_a_bot_come_one_by_one_and_to_every_message() -> None:
    ai, sms, dawdle = Answering(), ScriptedChannel("sms"), dawdling(4)

    async def reply(event: RoomEvent) -> list[str]:
        await dawdle()
        return [f"re {text_of(event)}"]

    ai.reply = reply
    async with open_kit(LiveProbe(), sms, ai, store=SlowStore(dawdle)) as kit:
        await make_room(kit, "room", "live", sms, ai)
        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(partial(kit.process_inbound, message(str(number)), room_id="room"))
        assert await kit.idle() == 0

        texts = await texts_of(kit, "room")
        asked = [text for text in texts if not text.startswith("re ")]
        assert [text for text in texts if text.startswith("re ")] == [f"re {text}" for text in asked]
        assert sorted(asked, key=int) == [str(number) for number in range(30)]
        await check_order(kit, "room", sms)


# ------------------------------------------------------------------------------------------------ first messages (T2)


@asynccontextmanager
async def two_kits(store: SlowStore, *channels: Any) -> AsyncIterator[tuple[RoomKit, RoomKit]]:
    """Two kits over one store; they share the channels, and each has a live one of its own."""
    async with (
        open_kit(LiveProbe(), *channels, store=store) as one,
        open_kit(LiveProbe(), *channels, store=store) as other,
    ):
        yield one, other


@pytest.mark.parametrize("kits", [1, 2])
async def test_t2_fifty_parallel_first_messages_of_one_conversation_make_one_room(kits: int) -> None:
    sms, store = ScriptedChannel("sms"), SlowStore(dawdling(5))
    results: list[InboundResult] = []
    async with two_kits(store, sms) as pair:

        async def first(number: int) -> None:
            kit = pair[number % kits]
            incoming = message(str(number), channel_id="sms", sender_id="+1")
            results.append(await persist(partial(kit.process_inbound, incoming)))

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(first, number)

        [room] = await store.list_rooms()
        assert {result.event.room_id for result in results} == {room.id}
        assert sorted(await texts_of(pair[0], room.id), key=int) == [str(number) for number in range(50)]
        assert await store.find_conversation(("sms", "+1")) == room.id
        assert "taken" in store.refusals
        await check_order(pair[0], room.id)


async def test_t1_parallel_first_messages_of_many_people_on_one_number_make_a_room_for_each() -> None:
    sms, store = ScriptedChannel("sms"), SlowStore(dawdling(6))
    rooms: dict[str, set[str]] = {}
    async with open_kit(sms, store=store) as kit:

        async def first(sender: str) -> None:
            result = await kit.process_inbound(message(sender, channel_id="sms", sender_id=sender))
            rooms.setdefault(sender, set()).add(result.event.room_id)

        async with anyio.create_task_group() as group:
            for number in range(60):
                group.start_soon(first, f"+{number % 20}")

        assert [len(found) for found in rooms.values()] == [1] * 20
        assert len({next(iter(found)) for found in rooms.values()}) == 20
        for sender, [room_id] in rooms.items():
            assert await texts_of(kit, room_id) == [sender] * 3


# ------------------------------------------------------------------------------------------- two kits over one store


def effects(kit: RoomKit, dawdle: Callable[[], Awaitable[None]], attempts: list[int]) -> None:
    """A hook that suspends between three effects on its own room."""

    @kit.hook(HookTrigger.BEFORE_BROADCAST, on_error="block")
    async def decide(event: RoomEvent, context: RoomContext) -> HookResult:
        attempts.append(context.attempt)
        text = text_of(event)
        if text.startswith("re "):
            return HookResult.allow()
        await dawdle()
        await kit.send_event(event.room_id, "bot", TextContent(body=f"re {text}"))
        await dawdle()
        await kit.update_binding_metadata(event.room_id, "bot", {text: True})
        await kit.mute(event.room_id, "side")
        await dawdle()
        await kit.unmute(event.room_id, "side")
        return HookResult.allow()


async def test_two_kits_fifty_rooms_twenty_writers_and_hooks_with_effects() -> None:
    store, sms, attempts = SlowStore(dawdling(7)), ScriptedChannel("sms"), []
    rooms = [f"room{number}" for number in range(50)]
    async with two_kits(store, sms, ScriptedChannel("bot"), ScriptedChannel("side")) as pair:
        for seed, kit in enumerate(pair):
            effects(kit, dawdling(seed, most=3), attempts)
        for room_id in rooms:
            await make_room(pair[0], room_id, "live", sms, "bot", "side")

        async def write(writer: int) -> None:
            order = Random(writer).sample(rooms, len(rooms))
            for room_id in order:
                incoming = message(f"{writer}")
                await persist(partial(pair[writer % 2].process_inbound, incoming, room_id=room_id, wait="committed"))

        async with anyio.create_task_group() as group:
            for writer in range(20):
                group.start_soon(write, writer)
        assert [await kit.idle() for kit in (*pair, *pair)][2:] == [0, 0]

        assert store.refusals.count("stale") > 20
        assert max(attempts) > 1
        for room_id in rooms:
            events = await messages_of(pair[1], room_id)
            texts = [text_of(event) for event in events]
            assert sorted(texts[::2], key=int) == [str(writer) for writer in range(20)]
            assert texts[1::2] == [f"re {text}" for text in texts[::2]]
            assert all(answer.index == said.index + 1 for said, answer in zip(events[::2], events[1::2], strict=True))
            bot = await pair[0].get_binding(room_id, "bot")
            assert dict(bot.metadata) == {str(writer): True for writer in range(20)}
            kinds = Counter(event.type for event in await whole_timeline(pair[0], room_id))
            assert (kinds["channel_muted"], kinds["channel_unmuted"], kinds["channel_updated"]) == (20, 20, 20)
            assert not (await pair[0].get_binding(room_id, "side")).muted
            await check_order(pair[0], room_id, sms)


async def test_a_room_that_changes_underneath_five_times_is_a_conflict_and_nothing_is_written() -> None:
    store, attempts = SlowStore(dawdling(8)), []
    async with two_kits(store) as (kit, other):
        await make_room(kit, "room", "live")

        @kit.hook(HookTrigger.BEFORE_BROADCAST)
        async def decide(event: RoomEvent, context: RoomContext) -> HookResult:
            attempts.append(context.attempt)
            await kit.send_event("room", "live", TextContent(body="from the hook"))
            if len(attempts) <= 5:
                await other.process_inbound(message(f"foreign {len(attempts)}"), room_id="room")
            return HookResult.allow()

        with pytest.raises(ConflictError) as refused:
            await kit.process_inbound(message("hi"), room_id="room")

        assert (refused.value.retryable, refused.value.code) == (True, "store.conflict")
        assert attempts == [1, 2, 3, 4, 5]
        assert await texts_of(kit, "room") == [f"foreign {number}" for number in range(1, 6)]
        await kit.process_inbound(message("hi"), room_id="room")
        assert (await texts_of(kit, "room"))[5:] == ["hi", "from the hook"]


@pytest.mark.parametrize("same_room", [True, False])
async def test_t4_a_message_that_comes_to_both_kits_at_once_is_one_event(same_room: bool) -> None:
    store, sms = SlowStore(dawdling(9)), ScriptedChannel("sms")
    found: dict[str, list[InboundResult]] = {}
    async with two_kits(store, sms) as pair:
        for room_id in ("room0", "room1"):
            await make_room(pair[0], room_id, "live", sms)

        async def bring(number: int, copy: int) -> None:
            incoming = message(f"text {number}", idempotency_key=f"key {number}")
            room_id = "room0" if same_room else f"room{copy % 2}"
            call = partial(pair[copy % 2].process_inbound, incoming, room_id=room_id)
            found.setdefault(f"text {number}", []).append(await persist(call))

        async with anyio.create_task_group() as group:
            for number in range(20):
                for copy in range(4):
                    group.start_soon(bring, number, copy)
        for kit in pair:
            assert await kit.idle() == 0

        for text, results in found.items():
            assert len({result.event.id for result in results}) == 1
            assert {(text_of(result.event), result.blocked, result.reason) for result in results} == {
                (text, False, None)
            }
        texts = [*await texts_of(pair[0], "room0"), *await texts_of(pair[0], "room1")]
        assert sorted(texts) == sorted(sms.texts) == sorted(found)
        for room_id in ("room0", "room1"):
            await check_order(pair[0], room_id, sms)


async def test_t4_a_send_with_a_key_that_comes_to_both_kits_at_once_is_one_event() -> None:
    store, sms = SlowStore(dawdling(10)), ScriptedChannel("sms")
    ids: list[str] = []
    async with two_kits(store, sms) as pair:
        await make_room(pair[0], "room", "live", sms)

        async def send(copy: int) -> None:
            content = TextContent(body="once")
            event = await pair[copy % 2].send_event("room", "live", content, idempotency_key="key")
            ids.append(event.id)

        async with anyio.create_task_group() as group:
            for copy in range(10):
                group.start_soon(send, copy)

        assert len(set(ids)) == 1
        assert (await texts_of(pair[1], "room"), sms.texts) == (["once"], ["once"])


# ---------------------------------------------------------------------------- what one kit knows and the other does not


Deed = Callable[[RoomKit], Awaitable[Any]]

STALE: list[tuple[str, Deed, str | None]] = [
    ("mute", lambda other: other.mute("room", "live"), "source_muted"),
    ("read only", lambda other: other.set_access("room", "live", Access.READ_ONLY), "source_read_only"),
    ("detach", lambda other: other.detach_channel("room", "live"), "channel_detached"),
    ("close", lambda other: other.close_room("room"), "room_closed"),
    ("another message", lambda other: other.process_inbound(message("foreign"), room_id="room"), None),
]


@pytest.mark.parametrize(
    ("deed", "reason"), [(deed, reason) for _, deed, reason in STALE], ids=[n for n, _, _ in STALE]
)
async def test_what_the_other_kit_did_counts_for_a_message_that_was_planned_on_older_state(
    deed: Deed, reason: str | None
) -> None:
    store, sms = SlowStore(dawdling(11)), ScriptedChannel("sms")
    async with two_kits(store, sms) as (kit, other):
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message("warm"), room_id="room")
        await deed(other)

        result = await kit.process_inbound(message("hi"), room_id="room")

        assert (result.blocked, result.reason) == (reason is not None, reason)
        assert ("hi" in sms.texts) is (reason is None)


async def test_a_refusal_that_rests_on_what_the_kit_remembers_is_confirmed_first() -> None:
    store, sms = SlowStore(dawdling(12)), ScriptedChannel("sms")
    async with two_kits(store, sms) as (kit, other):
        await make_room(kit, "room", "live", sms)
        await kit.detach_channel("room", "live")
        assert (await kit.process_inbound(message("no"), room_id="room")).reason == "channel_detached"
        await other.attach_channel("room", "live")

        result = await kit.process_inbound(message("yes"), room_id="room")

        assert (result.reason, await texts_of(kit, "room")) == (None, ["yes"])


VERBS: dict[str, Deed] = {
    "send_event": lambda kit: kit.send_event("room", "sms", TextContent(body="hi")),
    "mute": lambda kit: kit.mute("room", "sms"),
    "set_access": lambda kit: kit.set_access("room", "sms", Access.READ_ONLY),
    "detach_channel": lambda kit: kit.detach_channel("room", "sms"),
}


@pytest.mark.parametrize("verb", list(VERBS))
async def test_a_channel_that_the_other_kit_attached_is_there_for_every_verb(verb: str) -> None:
    async with two_kits(SlowStore(dawdling(13)), ScriptedChannel("sms")) as (kit, other):
        await make_room(kit, "room", "live")
        await kit.process_inbound(message("warm"), room_id="room")
        await other.attach_channel("room", "sms")

        assert await VERBS[verb](kit)


async def test_a_message_for_a_room_that_the_other_kit_deleted_makes_the_room_that_it_names() -> None:
    async with two_kits(SlowStore(dawdling(14)), ScriptedChannel("sms")) as (kit, other):
        for channel_id in ("live", "sms"):
            await kit.process_inbound(message("old", channel_id=channel_id), room_id="room")
        await other.delete_room("room")

        for channel_id in ("live", "sms"):
            await kit.process_inbound(message("new", channel_id=channel_id), room_id="room")

        assert [room.id for room in await kit.store.list_rooms()] == ["room"]
        assert await texts_of(kit, "room") == ["new", "new"]


# ----------------------------------------------------------------------------------------------- a store that fails


class LosingTicket(Ticket):
    """The commit is written, and its answer is lost."""

    __slots__ = ("_changes", "_store")

    def __init__(self, store: LosingStore, changes: ChangeSet) -> None:
        self.answer = None
        self._store = store
        self._changes = changes

    async def wait(self) -> Answer:
        await anyio.lowlevel.checkpoint()
        self._store.write(self._changes)
        raise StoreError("the connection broke")


class LosingStore(SlowStore):
    """Loses the answers to the commits that bring messages, the first time."""

    lost = 0

    def submit(self, changes: ChangeSet) -> Ticket:
        is_message = any(event.type == "message" for event in changes.events)
        if is_message and changes.commit_id not in self.seen:
            self.seen.add(changes.commit_id)
            self.lost += 1
            return LosingTicket(self, changes)
        return super().submit(changes)

    def __init__(self) -> None:
        super().__init__(dawdling(15))
        self.seen: set[str] = set()


async def test_t4_a_commit_whose_answer_was_lost_is_looked_up_and_its_deliveries_go_out_once() -> None:
    sms, ai, store = ScriptedChannel("sms"), Answering(), LosingStore()
    async with open_kit(LiveProbe(), sms, ai, store=store) as kit:
        await make_room(kit, "room", "live", sms, ai)

        result = await kit.process_inbound(message("hi", idempotency_key="key"), room_id="room")
        assert await kit.idle() == 0

        assert (store.lost, result.blocked) == (2, False)
        assert result.delivery_results["sms"].state is DeliveryState.SENT
        assert await texts_of(kit, "room") == sms.texts == ["hi", "echo hi"]
        assert [(row.state, row.attempts) for row in await rows_of(kit, "room", "sms")] == [(WorkState.SENT, 1)] * 2


async def test_a_store_that_fails_for_good_leaves_nothing_and_the_redelivery_is_welcome() -> None:
    sms, store = ScriptedChannel("sms"), SlowStore(anyio.lowlevel.checkpoint)
    async with open_kit(LiveProbe(), sms, store=store) as kit:
        await make_room(kit, "room", "live", sms)
        incoming = message("hi", idempotency_key="key")

        async def fail() -> None:
            raise StoreError("the disk is full")

        store.pause = fail
        with pytest.raises(StoreError, match="full"):
            await kit.process_inbound(incoming, room_id="room")
        store.pause = anyio.lowlevel.checkpoint
        assert await texts_of(kit, "room") == []

        result = await kit.process_inbound(incoming, room_id="room")

        assert (result.blocked, await texts_of(kit, "room"), sms.texts) == (False, ["hi"], ["hi"])


@pytest.mark.parametrize("phase", ["before the write", "after the write"])
async def test_a_caller_that_is_cancelled_while_its_commit_is_on_the_way_changes_nothing(phase: str) -> None:
    """The commit is on its way and cannot be called back: it is written, once, and all that is owed goes out."""
    gate, sms, store = anyio.Event(), ScriptedChannel("sms"), SlowStore(anyio.lowlevel.checkpoint)
    async with open_kit(LiveProbe(), sms, store=store) as kit:
        await make_room(kit, "room", "live", sms)
        store.pause = gate.wait
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(cancel_when_blocked, scope, gate, phase)
                await kit.process_inbound(message("hi"), room_id="room", wait="committed")
        assert await kit.idle() == 0

        assert (await texts_of(kit, "room"), sms.texts) == (["hi"], ["hi"])
        await kit.process_inbound(message("next"), room_id="room")
        await check_order(kit, "room", sms)


async def cancel_when_blocked(scope: anyio.CancelScope, gate: anyio.Event, phase: str) -> None:
    await anyio.wait_all_tasks_blocked()
    if phase == "after the write":
        gate.set()
    scope.cancel()
    await anyio.lowlevel.checkpoint()
    gate.set()


async def test_t7_a_hook_that_writes_from_many_tasks_at_once_writes_all_of_it() -> None:
    """Children of one hook exclude each other where they write."""
    dawdle = dawdling(16)
    async with open_kit(LiveProbe(), ScriptedChannel("bot"), store=SlowStore(dawdle), max_chain_depth=5) as kit:
        await make_room(kit, "room", "live", "bot")

        async def child(number: int) -> None:
            await dawdle()
            await kit.send_event("room", "bot", TextContent(body=f"child {number}"))
            await kit.update_binding_metadata("room", "bot", {str(number): True})

        @kit.hook(HookTrigger.BEFORE_BROADCAST)
        async def decide(event: RoomEvent, _: RoomContext) -> HookResult:
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(child, number)
            return HookResult.allow()

        await kit.process_inbound(message("hi"), room_id="room")

        events = await whole_timeline(kit, "room")
        assert sorted(map(text_of, await messages_of(kit, "room"))) == sorted(
            ["hi", *(f"child {number}" for number in range(10))]
        )
        assert [event.type for event in events].count("channel_updated") == 10
        assert len((await kit.get_binding("room", "bot")).metadata) == 10
        await check_order(kit, "room")


async def test_t24_locks_and_runners_of_a_burst_are_gone_afterwards() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        rooms = [f"room{number}" for number in range(200)]

        async def use(room_id: str) -> None:
            for text in ("one", "two"):
                await kit.process_inbound(message(text, channel_id="sms"), room_id=room_id)
            kit.add_room_hook(room_id, HookTrigger.AFTER_BROADCAST, "async", lambda event, context: None)
            await kit.delete_room(room_id)

        async with anyio.create_task_group() as group:
            for room_id in rooms:
                group.start_soon(use, room_id)
        assert await kit.idle() == 0

        assert await kit.store.list_rooms() == []
        assert await rows_of(kit) == []
        assert [kit.hook_engine.select(HookTrigger.AFTER_BROADCAST, room_id) for room_id in rooms] == [()] * 200
        assert not (await kit.process_inbound(message("again"), room_id="room0")).blocked
