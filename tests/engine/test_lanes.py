"""Lanes: what becomes of a row, what that means for the rows behind it, and how many are worked on at once."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from roomkit_core import (
    Access,
    ChangeSet,
    Channel,
    ChannelCapabilities,
    ChannelCategory,
    ChannelType,
    CustomContent,
    Delivery,
    DeliveryFailedError,
    DeliveryState,
    FrameworkEvent,
    InMemoryStore,
    Receipt,
    Rendering,
    RoomEvent,
    RoomKit,
    Route,
    TextContent,
    UnsupportedError,
    WorkRow,
    WorkState,
)
from roomkit_testkit.stores.makers import delivery
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message
from tests.support.kits import make_room, open_kit, rows_of
from tests.support.still import StillClock
from tests.support.stores import SlowStore

# ---------------------------------------------------------------------------------------- what becomes of one row

OUTCOMES = [
    # what the provider does, what the caller is told, its code, the row afterwards, whether the person may have it
    ("send", DeliveryState.SENT, None, WorkState.SENT, False),
    ("fail", DeliveryState.FAILED, "provider.refused", WorkState.FAILED, False),
    ("later", DeliveryState.PENDING, "provider.busy", WorkState.PENDING, False),
    ("raise", DeliveryState.UNKNOWN, "delivery.raised", WorkState.UNKNOWN, True),
    ("lose", DeliveryState.UNKNOWN, "delivery.raised", WorkState.UNKNOWN, True),
    ("hang", DeliveryState.UNKNOWN, "delivery.timeout", WorkState.UNKNOWN, True),
]


@pytest.mark.parametrize(("behaviour", "told", "code", "state", "maybe_sent"), OUTCOMES, ids=[o[0] for o in OUTCOMES])
async def test_t14_every_outcome_of_a_send_is_told_and_stored(
    behaviour: str, told: DeliveryState, code: str | None, state: WorkState, maybe_sent: bool
) -> None:
    sms = ScriptedChannel("sms", behaviour)
    sms.send_timeout = 0.01 if behaviour == "hang" else 15.0
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)

        result = (await kit.process_inbound(message(), room_id="room")).delivery_results["sms"]

        assert (result.state, result.maybe_sent) == (told, maybe_sent)
        assert (None if result.error is None else result.error.code) == code
        assert result.success is (behaviour == "send")
        [row] = await rows_of(kit, "room")
        assert (row.id, row.state, row.code, row.maybe_sent) == (result.delivery_id, state, code, maybe_sent)
        assert row.attempts == 1
        assert await kit.idle() == (1 if row.is_open else 0)


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (DeliveryFailedError("no such number", code="provider.bad_number"), WorkState.FAILED, "provider.bad_number"),
        (DeliveryFailedError("slow down", code="provider.rate", retryable=True), WorkState.PENDING, "provider.rate"),
        (UnsupportedError("no stickers", code="content.unsupported"), WorkState.FAILED, "content.unsupported"),
    ],
    ids=["refused", "not now", "unsupported"],
)
async def test_a_refusal_that_the_channel_raises_is_a_certain_outcome(
    error: Exception, state: WorkState, code: str
) -> None:
    class Refusing(ScriptedChannel):
        async def send(self, delivery: Delivery) -> Receipt:
            raise error

    async with open_kit(LiveProbe(), Refusing("sms")) as kit:
        await make_room(kit, "room", "live", "sms")

        result = await kit.process_inbound(message(), room_id="room")

        [row] = await rows_of(kit, "room")
        assert (row.state, row.code, row.maybe_sent) == (state, code, False)
        assert result.delivery_results["sms"].state == state.value


async def test_t14_what_is_no_receipt_is_not_a_success() -> None:
    class Silent(ScriptedChannel):
        async def send(self, delivery: Delivery) -> Any:
            return None

    async with open_kit(LiveProbe(), Silent("sms")) as kit:
        await make_room(kit, "room", "live", "sms")

        result = (await kit.process_inbound(message(), room_id="room")).delivery_results["sms"]

        assert (result.state, result.success) == (DeliveryState.UNKNOWN, False)
        assert result.error is not None
        assert result.error.code == "delivery.no_receipt"


async def test_t14_a_hint_to_no_client_is_not_a_success() -> None:
    class Deserted(LiveProbe):
        def on_hint(self, *args: Any) -> int:
            return 0

    async with open_kit(LiveProbe(), Deserted("empty")) as kit:
        await make_room(kit, "room", "live", "empty")

        results = (await kit.process_inbound(message(), room_id="room")).delivery_results

        assert (results["empty"].clients, results["empty"].success) == (0, False)
        assert (results["live"].clients, results["live"].success) == (1, True)


async def test_t14_the_handlers_are_told_what_became_of_a_delivery() -> None:
    told: list[tuple[str, str | None, Any]] = []

    def note(event: FrameworkEvent) -> None:
        told.append((event.type, event.channel_id, event.data["state"]))

    async with open_kit(LiveProbe(), ScriptedChannel("good"), ScriptedChannel("bad", "fail")) as kit:
        kit.on("delivery_succeeded")(note)
        kit.on("delivery_failed")(note)
        await make_room(kit, "room", "live", "good", "bad")

        await kit.process_inbound(message(), room_id="room")
        await kit.idle()

    assert sorted(told) == [("delivery_failed", "bad", "failed"), ("delivery_succeeded", "good", "sent")]


# ------------------------------------------------------------------------------------------- failed at their birth


async def test_t14_a_channel_that_is_not_registered_fails_at_birth_and_is_told() -> None:
    sms, told = ScriptedChannel("sms"), []
    async with open_kit(LiveProbe(), sms) as kit:
        kit.on("delivery_failed")(lambda event: told.append((event.channel_id, event.data["code"])))
        await make_room(kit, "room", "live", sms)
        kit.unregister_channel("sms")

        result = (await kit.process_inbound(message(), room_id="room")).delivery_results["sms"]
        await kit.idle()

        assert (result.state, result.status) == (DeliveryState.FAILED, "failed")
        assert result.error is not None
        assert (result.error.code, result.error.retryable) == ("channel.not_registered", False)
        [row] = await rows_of(kit, "room")
        assert (row.state, row.code, row.attempts) == (WorkState.FAILED, "channel.not_registered", 0)
        assert (told, sms.started) == ([("sms", "channel.not_registered")], 0)


POLL = CustomContent(type="poll")


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (POLL, "content.unsupported", "channel 'sms' cannot carry poll content"),
        (TextContent(body="longer than five"), "content.too_long", "has 16 characters"),
    ],
    ids=["kind", "length"],
)
async def test_t14_content_that_cannot_be_rendered_fails_at_birth_with_the_reason(
    content: Any, code: str, reason: str
) -> None:
    class Short(ScriptedChannel):
        def capabilities(self) -> ChannelCapabilities:
            return ChannelCapabilities(max_length=5)

    sms, fax = Short("sms"), ScriptedChannel("fax")
    async with open_kit(LiveProbe(), sms, fax) as kit:
        await make_room(kit, "room", "live", sms, fax)

        sent = await kit.process_inbound(message().model_copy(update={"content": content}), room_id="room")

        result = sent.delivery_results["sms"]
        assert (result.state, sms.started, sent.blocked) == (DeliveryState.FAILED, 0, False)
        assert result.error is not None
        assert result.error.code == code
        assert reason in result.error.message
        [row] = await rows_of(kit, "room", "sms")
        assert (row.state, row.code, row.reason) == (WorkState.FAILED, code, result.error.message)


async def test_t14_a_render_that_breaks_fails_its_own_delivery_only() -> None:
    class Broken(ScriptedChannel):
        def render(self, content: Any) -> Rendering:
            raise ZeroDivisionError("by zero")

    fax = ScriptedChannel("fax")
    async with open_kit(LiveProbe(), Broken("sms"), fax) as kit:
        await make_room(kit, "room", "live", "sms", fax)

        results = (await kit.process_inbound(message("hi"), room_id="room")).delivery_results

        assert results["sms"].error is not None
        assert results["sms"].error.code == "content.render_failed"
        assert "ZeroDivisionError" in results["sms"].error.message
        assert (results["fax"].state, fax.texts) == (DeliveryState.SENT, ["hi"])


async def test_a_row_that_failed_at_birth_does_not_hold_up_its_lane() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message().model_copy(update={"content": POLL}), room_id="room")

        result = await kit.process_inbound(message("text"), room_id="room")

        assert (result.delivery_results["sms"].state, sms.texts) == (DeliveryState.SENT, ["text"])


# ----------------------------------------------------------------------------------------------- order in a lane


@pytest.mark.parametrize("behaviour", ["later", "raise", "lose", "hang"])
async def test_t10_a_parked_head_blocks_its_own_lane_and_no_other(behaviour: str) -> None:
    sms = ScriptedChannel("sms", lambda delivery: behaviour if delivery.event.room_id == "stuck" else "send")
    sms.send_timeout = 0.01 if behaviour == "hang" else 15.0
    fax = ScriptedChannel("fax")
    async with open_kit(LiveProbe(), sms, fax) as kit:
        for room_id in ("stuck", "well"):
            await make_room(kit, room_id, "live", sms, fax)
        await kit.process_inbound(message("one"), room_id="stuck")

        behind = await kit.process_inbound(message("two"), room_id="stuck")
        elsewhere = await kit.process_inbound(message("other"), room_id="well")

        assert behind.delivery_results["sms"].state is DeliveryState.QUEUED
        assert behind.delivery_results["fax"].state is DeliveryState.SENT
        assert elsewhere.delivery_results["sms"].state is DeliveryState.SENT
        assert sms.started == 2
        assert fax.texts == ["one", "two", "other"]
        assert await kit.idle() == 2


async def test_a_failed_head_lets_its_lane_go_on() -> None:
    sms = ScriptedChannel("sms", lambda delivery: "fail" if delivery.parts[0].body == "bad" else "send")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)

        results = [await kit.process_inbound(message(text), room_id="room") for text in ("bad", "good")]

        assert [r.delivery_results["sms"].state for r in results] == [DeliveryState.FAILED, DeliveryState.SENT]
        assert (sms.texts, await kit.idle()) == (["good"], 0)


async def test_sends_of_one_lane_never_overlap_and_keep_the_order_of_the_indexes() -> None:
    sms = ScriptedChannel("sms", "wait")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        for number in range(5):
            await kit.process_inbound(message(str(number)), room_id="room", wait="committed")
        await anyio.wait_all_tasks_blocked()
        assert (sms.running, sms.started) == (1, 1)

        sms.gate.set()
        assert await kit.idle() == 0

        assert (sms.texts, sms.most_running) == (list("01234"), 1)


async def test_t10_two_routes_of_one_channel_are_two_lanes() -> None:
    sms = ScriptedChannel("sms", lambda delivery: "wait" if delivery.route.address == "slow" else "send")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live")
        routes = {name: Route(address=name, participant_id=name) for name in ("slow", "fast")}
        await kit.attach_channel("room", "sms", routes=routes)

        for text in ("one", "two"):
            await kit.process_inbound(message(text), room_id="room", wait="committed")
        await anyio.wait_all_tasks_blocked()

        assert [(d.route.address, d.parts[0].body) for d in sms.sent] == [("fast", "one"), ("fast", "two")]
        assert sms.running == 1
        sms.gate.set()
        await kit.idle()
        assert [d.parts[0].body for d in sms.sent if d.route.address == "slow"] == ["one", "two"]


async def test_t14_a_channels_result_is_the_worst_of_its_routes_with_each_of_them_beside_it() -> None:
    sms = ScriptedChannel("sms", lambda delivery: "fail" if delivery.route.address == "bad" else "send")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live")
        await kit.attach_channel("room", "sms", routes={name: Route(address=name) for name in ("bad", "good")})

        result = (await kit.process_inbound(message(), room_id="room")).delivery_results["sms"]

        assert (result.state, result.success) == (DeliveryState.FAILED, False)
        assert {address: one.state for address, one in result.routes.items()} == {
            "bad": DeliveryState.FAILED,
            "good": DeliveryState.SENT,
        }


async def test_t1_two_phones_on_one_number_share_a_room_and_the_authors_own_route_is_skipped() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(sms) as kit:
        await kit.process_inbound(message("I am here", channel_id="sms", sender_id="+1"), room_id="room")

        await kit.process_inbound(message("me too", channel_id="sms", sender_id="+2"), room_id="room")
        await kit.process_inbound(message("hello", channel_id="sms", sender_id="+1"), room_id="room")

        assert [(d.route.address, d.parts[0].body) for d in sms.sent] == [("+1", "me too"), ("+2", "hello")]


async def test_what_is_said_through_a_channel_without_an_author_goes_to_all_of_its_routes() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(sms) as kit:
        for sender in ("+1", "+2"):
            await kit.process_inbound(message("hi", channel_id="sms", sender_id=sender), room_id="room")
        sms.sent.clear()

        await kit.send_event("room", "sms", TextContent(body="to all"))
        await kit.send_event("room", "sms", TextContent(body="to the other"), participant_id="+1")

        assert sorted((d.route.address, d.parts[0].body) for d in sms.sent) == [
            ("+1", "to all"),
            ("+2", "to all"),
            ("+2", "to the other"),
        ]


async def test_a_delivery_carries_its_key_its_attempt_and_the_event_as_committed() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)

        result = await kit.process_inbound(message("hi"), room_id="room")

        [delivery] = sms.sent
        assert (delivery.attempt, delivery.maybe_sent, delivery.parts_done, delivery.route) == (1, False, 0, None)
        assert delivery.id == delivery.key == result.delivery_results["sms"].delivery_id
        assert delivery.event == result.event
        assert (delivery.binding.channel_id, delivery.context.room_id) == ("sms", "room")


# --------------------------------------------------------------------------------------------- runners of a channel


@pytest.mark.parametrize("most", [1, 3])
async def test_no_more_sends_run_than_the_channel_takes_and_a_freed_runner_takes_the_next_due_head(most: int) -> None:
    sms, fax = ScriptedChannel("sms", "wait"), ScriptedChannel("fax")
    sms.max_in_flight = most
    async with open_kit(LiveProbe(), sms, fax) as kit:
        for number in range(8):
            await make_room(kit, f"room{number}", "live", sms, fax)
            await kit.process_inbound(message(str(number)), room_id=f"room{number}", wait="committed")
        await anyio.wait_all_tasks_blocked()
        assert (sms.running, len(fax.sent)) == (most, 8)

        sms.gate.set()
        assert await kit.idle() == 0

        assert (sms.most_running, sorted(sms.texts)) == (most, list("01234567"))


async def test_the_runners_of_a_channel_are_not_exceeded_while_commits_take_their_time() -> None:
    sms = ScriptedChannel("sms", "wait")
    sms.max_in_flight = 2
    async with open_kit(LiveProbe(), sms, store=SlowStore(anyio.lowlevel.checkpoint)) as kit:
        for number in range(6):
            await make_room(kit, f"room{number}", "live", sms)

        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(say, kit, str(number), f"room{number}")
        await anyio.wait_all_tasks_blocked()
        assert sms.running == 2
        sms.gate.set()
        assert await kit.idle() == 0

        assert (sms.most_running, sorted(sms.texts)) == (2, list("012345"))


async def test_a_row_that_was_planned_while_every_runner_was_busy_is_not_forgotten() -> None:
    """Between the plan and its slow commit the last runner ends: then the commit has to look for itself."""
    sms, written = ScriptedChannel("sms", "wait"), anyio.Event()
    sms.max_in_flight = 1
    store = SlowStore(anyio.lowlevel.checkpoint)
    async with open_kit(LiveProbe(), sms, store=store) as kit:
        await make_room(kit, "first", "live", sms)
        await make_room(kit, "second", "live", sms)
        await say(kit, "one", "first")
        store.pause = written.wait
        async with anyio.create_task_group() as group:
            group.start_soon(say, kit, "two", "second")
            await anyio.wait_all_tasks_blocked()
            sms.gate.set()
            await anyio.wait_all_tasks_blocked()
            assert sms.texts == ["one"]
            written.set()

        assert (await kit.idle(), sms.texts) == (0, ["one", "two"])


async def say(kit: RoomKit, text: str, room_id: str) -> None:
    """Bring in a message and wait for its commit."""
    await kit.process_inbound(message(text), room_id=room_id, wait="committed")


# ------------------------------------------------------------------------------------------------- reasons that go


async def test_detaching_a_channel_withdraws_what_is_owed_to_it_in_that_room() -> None:
    sms = ScriptedChannel("sms", "later")
    async with open_kit(LiveProbe(), sms) as kit:
        for room_id in ("left", "kept"):
            await make_room(kit, room_id, "live", sms)
            for text in ("one", "two"):
                await kit.process_inbound(message(text), room_id=room_id)
        sms.behave = "send"

        assert await kit.detach_channel("left", "sms")

        assert [(row.state, row.code) for row in await rows_of(kit, "left")] == [
            (WorkState.SUPPRESSED, "channel.detached")
        ] * 2
        assert [row.state for row in await rows_of(kit, "kept")] == [WorkState.PENDING] * 2
        assert await kit.idle() == 2


async def test_l12_a_row_that_was_withdrawn_under_a_holder_who_died_is_not_tried_again() -> None:
    sms, clock = ScriptedChannel("sms"), StillClock()
    store = InMemoryStore(clock=clock)
    async with open_kit(LiveProbe(), sms, store=store, clock=clock) as kit:
        await make_room(kit, "room", "live", sms)
        event = await kit.send_event("room", "live", TextContent(body="oh no"), visibility="none")
        dead = ChangeSet("room", "by-the-dead", None, owner="dead", lease=60.0, work=(held_about(event),))
        assert await store.commit(dead)

        await kit.delete_event("room", event.id)
        clock.advance(61.0)

        assert (await kit.idle(), sms.texts) == (0, [])
        [row] = await rows_of(kit, "room", "sms")
        assert (row.state, row.code, row.maybe_sent) == (WorkState.SUPPRESSED, "event.deleted", True)


def held_about(event: RoomEvent) -> WorkRow:
    """A delivery of the event that is claimed at its birth."""
    return delivery(
        (event.room_id, "sms", ""), state=WorkState.IN_FLIGHT, event_id=event.id, payload=(("text", "oh no", None),)
    )


async def test_t14_a_row_whose_channel_was_detached_before_its_first_try_ends_with_that_reason() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message(), room_id="room", wait="committed")  # claimed, but not started yet

        await kit.detach_channel("room", "sms")
        await kit.idle()

        [row] = await rows_of(kit, "room")
        assert (row.state, row.code, sms.started) == (WorkState.SUPPRESSED, "channel.detached", 0)


async def test_a_send_that_is_under_way_when_its_channel_is_detached_ends_as_it_did() -> None:
    sms = ScriptedChannel("sms", "wait")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        for text in ("one", "two"):
            await kit.process_inbound(message(text), room_id="room", wait="committed")
        await sms.called.wait()

        await kit.detach_channel("room", "sms")
        sms.gate.set()
        assert await kit.idle() == 0

        assert [row.state for row in await rows_of(kit, "room")] == [WorkState.SENT, WorkState.SUPPRESSED]
        assert sms.texts == ["one"]


@pytest.mark.parametrize("access", [Access.WRITE_ONLY, Access.NONE])
async def test_what_is_owed_to_a_channel_that_may_not_read_any_more_ends(access: Access) -> None:
    sms = ScriptedChannel("sms", "later")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message("one"), room_id="room")

        await kit.set_access("room", "sms", access)

        [row] = await rows_of(kit, "room")
        assert (row.state, row.code) == (WorkState.SUPPRESSED, "channel.access")
        result = await kit.process_inbound(message("two"), room_id="room")
        assert "sms" not in result.delivery_results


async def test_a_question_to_a_channel_that_may_not_read_any_more_is_not_asked() -> None:
    ai, release = Answering(), anyio.Event()
    ai.reply = held(release)
    async with open_kit(LiveProbe(), ai) as kit:
        await make_room(kit, "room", "live", ai)
        for text in ("one", "two"):
            await kit.process_inbound(message(text), room_id="room", wait="committed")
        await anyio.wait_all_tasks_blocked()

        await kit.set_access("room", "ai", Access.NONE)
        release.set()
        assert await kit.idle() == 0

        assert len(ai.asked) == 1


@pytest.mark.parametrize("reason", ["detach", "close", "access", "delete"])
async def test_nobody_waits_for_a_question_that_was_withdrawn(reason: str) -> None:
    """The asking call is queued behind one that hangs; the timeout of the test is far below that of the kit."""
    ai, release, done = Answering(), anyio.Event(), anyio.Event()
    ai.reply = held(release)
    async with open_kit(LiveProbe(), ai) as kit:
        await make_room(kit, "room", "live", ai)
        await kit.process_inbound(message("one"), room_id="room", wait="committed")

        async def ask() -> None:
            await kit.process_inbound(message("two"), room_id="room")
            done.set()

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert not done.is_set()

            if reason == "detach":
                await kit.detach_channel("room", "ai")
            elif reason == "close":
                await kit.close_room("room")
            elif reason == "access":
                await kit.set_access("room", "ai", Access.NONE)
            else:
                await kit.delete_room("room")

            await anyio.wait_all_tasks_blocked()
            was_done = done.is_set()
            release.set()
            group.cancel_scope.cancel()
        assert was_done


def held(release: anyio.Event) -> Any:
    """Answers nothing, when it may."""

    async def reply(event: Any) -> list[str]:
        await release.wait()
        return []

    return reply


async def test_closing_a_room_lets_what_is_owed_go_out_and_withdraws_its_questions() -> None:
    sms, ai, release = ScriptedChannel("sms", "wait"), Answering(), anyio.Event()
    ai.reply = held(release)
    async with open_kit(LiveProbe(), sms, ai) as kit:
        await make_room(kit, "room", "live", sms, ai)
        for text in ("one", "two"):
            await kit.process_inbound(message(text), room_id="room", wait="committed")
        await anyio.wait_all_tasks_blocked()

        await kit.close_room("room")
        sms.gate.set()
        release.set()
        assert await kit.idle() == 0

        assert sms.texts == ["one", "two"]
        assert len(ai.asked) == 1
        assert [row.code for row in await rows_of(kit, "room", "ai") if row.state is WorkState.SUPPRESSED][-1:] == [
            "room_closed"
        ]


async def test_deleting_a_room_takes_its_rows_with_it_and_a_late_reply_is_dropped_quietly() -> None:
    sms = ScriptedChannel("sms", "wait")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        for text in ("one", "two"):
            await kit.process_inbound(message(text), room_id="room", wait="committed")
        await sms.called.wait()

        assert await kit.delete_room("room")
        sms.gate.set()

        assert (await kit.idle(), await rows_of(kit), sms.texts) == (0, [], ["one"])


# ------------------------------------------------------------------------------------------- open kinds, open classes


async def test_t34_channels_and_contents_of_kinds_that_the_core_does_not_know_are_delivered() -> None:
    class Pigeon(ScriptedChannel):
        channel_type = ChannelType("carrier_pigeon")

        def render(self, content: Any) -> Rendering:
            return Rendering((TextContent(body=f"{content.type}: {content.data['weight']}"),))

    pigeon = Pigeon("pigeon")
    async with open_kit(LiveProbe(), pigeon) as kit:
        await make_room(kit, "room", "live", pigeon)

        sent = await kit.send_event("room", "live", {"type": "parcel", "data": {"weight": 3}}, "parcel_sent")

        assert (sent.type, sent.content.type, pigeon.texts) == ("parcel_sent", "parcel", ["parcel: 3"])
        binding = await kit.get_binding("room", "pigeon")
        assert binding.channel_type == "carrier_pigeon"


async def test_t35_what_a_channel_does_follows_from_what_it_offers_and_not_from_its_class() -> None:
    """A class that is live and answers, bound as a transport: it gets hints and is asked, and nothing is owed to it."""

    class Both(LiveProbe):
        channel_type = ChannelType("kiosk")
        on_event = Answering.on_event

        def __init__(self) -> None:
            super().__init__("kiosk")
            self.asked: list[Any] = []
            self.reply = lambda event: ["thanks"]

    kiosk: Channel = Both()
    async with open_kit(LiveProbe(), kiosk) as kit:
        await make_room(kit, "room", "live", kiosk)

        await kit.process_inbound(message("hi"), room_id="room")

        assert [event.content.body for event in kiosk.got] == ["hi", "thanks"]
        assert [event.content.body for event in kiosk.asked] == ["hi"]
        assert {row.kind.value for row in await rows_of(kit)} == {"ask"}


async def test_a_durable_channel_bound_as_intelligence_is_asked_and_not_sent_to() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live")
        await kit.attach_channel("room", "sms", ChannelCategory.INTELLIGENCE)

        result = await kit.process_inbound(message(), room_id="room")

        assert (sms.started, set(result.delivery_results)) == (0, {"live"})
        assert [row.kind.value for row in await rows_of(kit)] == ["ask"]
