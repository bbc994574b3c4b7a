"""`kit.deliveries`: listing, retrying, cancelling, purging, holding back what is owed (PROTOCOL 2, 11 and 12; T16)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from roomkit_core import (
    Access,
    Cancelling,
    Channel,
    ChannelNotFoundError,
    ConflictError,
    Delivery,
    EventNotFoundError,
    InMemoryStore,
    Rendering,
    RoomClosedError,
    RoomKit,
    RoomNotFoundError,
    Route,
    StoreError,
    TextContent,
    Ticket,
    UnsupportedError,
    WorkFilter,
    WorkKind,
    WorkNotFoundError,
    WorkRow,
    WorkState,
)
from roomkit_core.interfaces.store import Cutoffs
from roomkit_core.models.changes import ChangeSet
from roomkit_core.models.work import Outcome
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message
from tests.support.clock import VirtualClock, settle
from tests.support.kits import make_room, open_kit, rows_of
from tests.support.rooms import wait_for
from tests.support.still import StillClock


async def failed(kit: RoomKit, sms: ScriptedChannel, text: str = "hi", *, behave: str = "fail") -> WorkRow:
    """A row that the provider has just refused for good."""
    sms.behave = behave
    await kit.process_inbound(message(text), room_id="room")
    sms.behave = "send"
    return (await rows_of(kit, "room", "sms"))[-1]


class Parts(ScriptedChannel):
    """Sends everything in three parts."""

    def render(self, content: Any) -> Rendering:
        return Rendering(tuple(TextContent(body=f"{content.body} {part}") for part in range(3)))


# ----------------------------------------------------------------------------------------------------------- listing


async def test_t16_rows_are_listed_by_state_kind_channel_and_room_page_by_page() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms, Answering()) as kit:
        await make_room(kit, "room", "live", sms, "ai")
        bad = await failed(kit, sms)
        await kit.process_inbound(message("two"), room_id="room")

        everything = await kit.deliveries.list()
        dead = await kit.deliveries.list(states={"failed", "dead"})
        asks = await kit.deliveries.list(kinds={WorkKind.ASK})
        page = await kit.deliveries.list(channel_id="sms", room_id="room", limit=1)
        rest = await kit.deliveries.list(channel_id="sms", room_id="room", after=page[-1].id)

    assert bad.id in [row.id for row in dead]
    assert {row.kind for row in everything} == {WorkKind.DELIVERY, WorkKind.ASK}
    assert [row.state for row in asks] == [WorkState.ANSWERED] * 2
    assert [row.id for row in everything] == sorted(row.id for row in everything)
    assert {row.id for row in (*page, *rest)} == {row.id for row in everything if row.channel_id == "sms"}


async def test_a_word_that_is_no_state_is_refused() -> None:
    async with open_kit() as kit:
        with pytest.raises(ValueError, match="lost"):
            await kit.deliveries.list(states={"lost"})


async def test_one_row_is_shown_without_what_is_pinned_in_it() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live")
        await kit.attach_channel("room", "sms", route=Route(address="+1555"))
        bad = await failed(kit, sms)
        row = await kit.deliveries.get(bad.id)

        with pytest.raises(WorkNotFoundError):
            await kit.deliveries.get("nothing")

    assert (row.name, row.state, row.code, row.reason) == ("+1555", "failed", "provider.refused", "no such number")
    assert (row.attempts, row.parts, row.parts_done, row.is_open) == (1, 1, 0, False)
    assert "hi" not in row.model_dump_json()


# ---------------------------------------------------------------------------------------------------------- retrying


async def test_a_retry_is_a_copy_that_is_sent_at_once_with_the_key_of_the_first() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        bad = await failed(kit, sms)

        copy = await kit.deliveries.retry(bad.id)
        await wait_for(lambda: sms.texts)  # time stands still: nobody finds it by polling
        await kit.idle()

        after = await kit.deliveries.get(copy.id)
        assert (await rows_of(kit, "room", "sms"))[0] == bad
    assert (copy.retry_of, copy.event_id, copy.room_id) == (bad.id, bad.event_id, "room")
    assert (after.state, after.attempts) == (WorkState.SENT, 1)
    assert sms.texts == ["hi"]
    assert sms.sent[0].key == bad.provider_key


async def test_a_retry_has_time_as_the_first_one_had() -> None:
    sms, clock = ScriptedChannel("sms"), StillClock()
    async with open_kit(LiveProbe(), sms, clock=clock) as kit:
        await make_room(kit, "room", "live", sms)
        bad = await failed(kit, sms)
        clock.advance(500_000)

        copy = await kit.deliveries.retry(bad.id)
        await kit.idle()

        assert copy.expires_at is not None
        assert (copy.expires_at - copy.created_at).total_seconds() == pytest.approx(sms.delivery_lifetime)
        assert (await kit.deliveries.get(copy.id)).state is WorkState.SENT


async def test_a_retry_stands_behind_what_the_lane_owes_already() -> None:
    sms, clock = ScriptedChannel("sms"), StillClock()
    async with open_kit(LiveProbe(), sms, clock=clock) as kit:
        await make_room(kit, "room", "live", sms)
        bad = await failed(kit, sms, "one")
        await failed(kit, sms, "two", behave="later")

        copy = await kit.deliveries.retry(bad.id)
        await kit.idle()
        assert copy.is_queued
        assert sms.texts == []
        clock.advance(60)
        await kit.idle()

    assert sms.texts == ["two", "one"]


async def test_a_second_retry_finds_the_first_whatever_became_of_it() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        bad = await failed(kit, sms)
        sms.behave = "fail"
        first = await kit.deliveries.retry(bad.id)
        await kit.idle()

        second = await kit.deliveries.retry(bad.id)
        third = await kit.deliveries.retry(first.id)

    assert (second.id, second.state) == (first.id, WorkState.FAILED)
    assert third.retry_of == first.id


class LosesAnswers(InMemoryStore):
    """Writes a commit, and loses its answer when it is told to."""

    is_losing = False

    def submit(self, changes: ChangeSet) -> Ticket:
        ticket = super().submit(changes)
        if self.is_losing:
            self.is_losing = False
            raise StoreError("the answer was lost")
        return ticket


async def test_a_retry_whose_answer_is_lost_is_one_copy() -> None:
    sms, store = ScriptedChannel("sms"), LosesAnswers()
    async with open_kit(LiveProbe(), sms, store=store) as kit:
        await make_room(kit, "room", "live", sms)
        bad = await failed(kit, sms)

        store.is_losing = True
        copy = await kit.deliveries.retry(bad.id)
        await kit.idle()

        assert [row.id for row in await kit.store.list_work(WorkFilter(retry_of=bad.id))] == [copy.id]
    assert sms.texts == ["hi"]


async def test_a_retry_finds_the_first_also_when_its_commit_is_forgotten() -> None:
    sms, clock = ScriptedChannel("sms"), StillClock()
    async with open_kit(LiveProbe(), sms, clock=clock) as kit:
        await make_room(kit, "room", "live", sms)
        bad = await failed(kit, sms)
        first = await kit.deliveries.retry(bad.id)
        await kit.idle()
        await kit.store.purge(Cutoffs(keys=clock.microseconds + 1))

        second = await kit.deliveries.retry(bad.id)

    assert second.id == first.id
    assert sms.texts == ["hi"]


class Meeting(InMemoryStore):
    """Lets two readers of a room go on only when both are there."""

    expected = 0

    async def load_room(self, room_id: str, *, tail: int = 0) -> Any:
        if self.expected:
            self.expected -= 1
            await wait_for(lambda: not self.expected)
        return await super().load_room(room_id, tail=tail)


async def test_two_operators_who_retry_at_once_make_one_copy() -> None:
    sms, store = ScriptedChannel("sms"), Meeting()
    copies = []
    async with open_kit(LiveProbe(), sms, store=store) as kit:
        await make_room(kit, "room", "live", sms)
        bad = await failed(kit, sms)

        async def retry() -> None:
            copies.append((await kit.deliveries.retry(bad.id)).id)

        store.expected = 2
        async with anyio.create_task_group() as group:
            group.start_soon(retry)
            group.start_soon(retry)
        await kit.idle()

    assert copies[0] == copies[1]
    assert sms.texts == ["hi"]


async def test_l10_a_retry_goes_on_behind_the_parts_that_are_through_and_keeps_the_mark() -> None:
    sms, clock = Parts("sms"), StillClock()
    async with open_kit(LiveProbe(), sms, clock=clock) as kit:
        await make_room(kit, "room", "live", sms)
        sms.behave = lambda delivery: (
            ("send", "lose", "send")[delivery.parts_done] if not delivery.maybe_sent else "fail"
        )
        await kit.process_inbound(message(), room_id="room")
        clock.advance(60)
        await kit.idle()
        (partial,) = await rows_of(kit, "room", "sms")
        assert (partial.state, partial.parts_done, partial.maybe_sent) == (WorkState.PARTIAL, 1, True)
        sms.sent.clear()
        sms.behave = "send"

        copy = await kit.deliveries.retry(partial.id)
        await kit.idle()
        after = await kit.deliveries.get(copy.id)

    assert [delivery.part.body for delivery in sms.sent] == ["hi 1", "hi 2"]
    assert [delivery.part_key for delivery in sms.sent] == [f"{partial.provider_key}:{part}" for part in (1, 2)]
    assert all(delivery.maybe_sent for delivery in sms.sent)
    assert (after.state, after.maybe_sent, after.provider_ids[0]) == (WorkState.SENT, True, partial.provider_ids[0])


async def test_what_is_not_through_or_ended_well_is_not_retried() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message(), room_id="room")
        (sent,) = await rows_of(kit, "room", "sms")
        waiting = await failed(kit, sms, behave="later")

        for row, code in ((sent, "retry.ended_well"), (waiting, "retry.not_final")):
            with pytest.raises(ConflictError) as raised:
                await kit.deliveries.retry(row.id)
            assert (raised.value.code, raised.value.retryable) == (code, False)
        with pytest.raises(WorkNotFoundError):
            await kit.deliveries.retry("nothing")


async def test_a_cancelled_row_can_be_retried_as_long_as_its_body_is_kept() -> None:
    sms, clock = ScriptedChannel("sms"), StillClock()
    async with open_kit(LiveProbe(), sms, clock=clock) as kit:
        await make_room(kit, "room", "live", sms)
        first, second = [await failed(kit, sms, text, behave="later") for text in ("one", "two")]
        await kit.deliveries.cancel(first.id)
        await kit.deliveries.cancel(second.id)

        await kit.deliveries.retry(first.id)
        await kit.idle()
        clock.advance(2 * 86_400)
        await wait_for(lambda: len(kit.store._work._settled._bare) >= 2)  # type: ignore[attr-defined]
        with pytest.raises(ConflictError) as raised:
            await kit.deliveries.retry(second.id)

    assert sms.texts == ["one"]
    assert raised.value.code == "retry.no_body"


@pytest.mark.parametrize(
    ("undo", "error"),
    [
        (lambda kit: kit.detach_channel("room", "sms"), ChannelNotFoundError),
        (lambda kit: kit.set_access("room", "sms", Access.WRITE_ONLY), ChannelNotFoundError),
    ],
    ids=["detached", "access taken"],
)
async def test_l12_a_retry_needs_the_reason_of_its_row(undo: Any, error: type[Exception]) -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        bad = await failed(kit, sms)
        await undo(kit)

        with pytest.raises(error):
            await kit.deliveries.retry(bad.id)

        await kit.attach_channel("room", "sms")
        await kit.deliveries.retry(bad.id)
        await kit.idle()
    assert sms.texts == ["hi"]


async def test_l12_access_that_is_taken_after_the_retry_ends_it() -> None:
    sms, store = ScriptedChannel("sms"), InMemoryStore(clock=StillClock())
    async with open_kit(LiveProbe(), sms, store=store) as kit:
        await make_room(kit, "room", "live", sms)
        bad = await failed(kit, sms)
        await kit.deliveries.pause("sms")
        copy = await kit.deliveries.retry(bad.id)
        (row,) = await store.list_work(WorkFilter(row_id=copy.id))
        # Another kit takes the access away between the plan of the retry and its commit: nothing is withdrawn.
        binding = (await kit.get_binding("room", "sms")).model_copy(update={"access": Access.NONE})
        await store.update_binding(binding)
        kit._engine.ports.cache.drop(("room",))
        await kit.deliveries.resume("sms")
        await kit.idle()

        after = await kit.deliveries.get(row.id)
    assert (after.state, after.code) == (WorkState.SUPPRESSED, "channel.access")
    assert sms.sent == []


async def test_a_retry_of_a_room_or_an_event_that_is_gone_is_refused() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        bad = await failed(kit, sms)
        event = await kit.store.get_event(bad.event_id or "")
        assert event is not None
        await kit.store.update_event(event.model_copy(update={"metadata": {"deleted": True}}))
        with pytest.raises(EventNotFoundError):
            await kit.deliveries.retry(bad.id)

        desk = kit._engine.deliveries._desk
        taken = await desk.row(bad.id)
        await kit.delete_room("room")
        with pytest.raises(WorkNotFoundError):
            await kit.deliveries.retry(bad.id)
        with pytest.raises(RoomNotFoundError):
            await desk._reason(taken)


async def test_a_question_that_failed_is_asked_again_unless_the_room_is_closed() -> None:
    def reply(event: Any) -> Any:
        raise RuntimeError("out of tokens")

    bot = Answering(reply=reply)
    async with open_kit(LiveProbe(), bot) as kit:
        await make_room(kit, "room", "live", bot)
        await kit.process_inbound(message("one"), room_id="room")
        await kit.process_inbound(message("two"), room_id="room")
        one, two = await kit.deliveries.list(kinds={"ask"})
        bot.reply = lambda event: ["better"]

        copy = await kit.deliveries.retry(one.id)
        await kit.idle()
        answered = await kit.deliveries.get(copy.id)
        await kit.close_room("room")
        with pytest.raises(RoomClosedError):
            await kit.deliveries.retry(two.id)

    assert answered.state is WorkState.ANSWERED


async def test_a_quarantined_message_comes_in_when_it_is_retried() -> None:
    class Poison(LiveProbe):
        is_poison = True

        async def handle_inbound(self, message: Any, context: Any) -> Any:
            if self.is_poison:
                raise ValueError("bad payload")
            return await super().handle_inbound(message, context)

    live, clock = Poison(), StillClock()
    async with open_kit(live, clock=clock) as kit:
        await make_room(kit, "room", "live")
        accepted = await kit.accept_inbound(message(provider_message_id="SM1"), room_id="room")
        for _ in range(8):
            await kit.idle()
            clock.advance(400)
        assert (await kit.deliveries.get(accepted.id)).state is WorkState.QUARANTINED
        live.is_poison = False

        copy = await kit.deliveries.retry(accepted.id)
        await kit.idle()

        assert (await kit.deliveries.get(copy.id)).state is WorkState.DONE
        story = str(await kit.deliveries.why("SM1"))
    assert "put back as" in story
    assert "let in and stored as event" in story


async def test_what_was_planned_without_its_channel_is_rendered_once_when_it_is_retried() -> None:
    sms = Parts("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live")
        await kit.attach_channel("room", "sms", routes={"bea": Route(address="+1"), "cem": Route(address="+2")})
        kit.unregister_channel("sms")
        await kit.process_inbound(message(), room_id="room")
        (bad,) = await rows_of(kit, "room", "sms")
        assert bad.code == "channel.not_registered"
        kit.register_channel(sms)

        await kit.deliveries.retry(bad.id)
        await kit.idle()

        rows = [row for row in await rows_of(kit, "room", "sms") if row.state is WorkState.SENT]
        story = await kit.deliveries.why(rows[0].id)
    addresses = [delivery.route.address for delivery in sms.sent if delivery.route is not None]
    assert sorted(addresses) == ["+1"] * 3 + ["+2"] * 3
    assert [len(row.payload) for row in rows] == [3, 3]
    assert len({delivery.key for delivery in sms.sent}) == 2
    assert [row.code for row in story.work if row.state is WorkState.SUPPRESSED] == ["delivery.rendered"] * 2
    assert story.cause is not None  # the first row is still there; it is said what became of it
    assert "It was retried as" in (story.hint or "")


async def test_what_cannot_be_rendered_fails_again_for_the_same_reason() -> None:
    class Mute(ScriptedChannel):
        def render(self, content: Any) -> Rendering:
            raise UnsupportedError("no text here", code="content.unsupported")

    async with open_kit(LiveProbe(), Mute("sms")) as kit:
        await make_room(kit, "room", "live", "sms")
        await kit.process_inbound(message(), room_id="room")
        (bad,) = await rows_of(kit, "room", "sms")

        copy = await kit.deliveries.retry(bad.id)
        await kit.idle()

        after = await kit.deliveries.get(copy.id)
    assert (bad.state, after.state, after.code) == (WorkState.FAILED, WorkState.FAILED, "content.unsupported")


# --------------------------------------------------------------------------------------------------------- cancelling


async def test_a_row_that_waits_is_cancelled_and_its_lane_goes_on() -> None:
    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        head = await failed(kit, sms, "one", behave="later")
        await kit.process_inbound(message("two"), room_id="room")
        await kit.idle()
        await settle()  # the pump has looked, and does so again when time passes
        assert sms.texts == []

        cancellation = await kit.deliveries.cancel(head.id)
        await wait_for(lambda: sms.texts)  # time stands still: nobody finds it by polling
        again = await kit.deliveries.cancel(head.id)

    assert cancellation.result is Cancelling.CANCELLED
    assert (cancellation.work.state, cancellation.work.code) == (WorkState.SUPPRESSED, "cancelled")
    assert again.result is Cancelling.TOO_LATE
    assert sms.texts == ["two"]


async def test_a_row_that_is_being_sent_gets_no_further_attempt() -> None:
    def behave(delivery: Delivery) -> str:
        return "wait"

    class Busy(ScriptedChannel):
        async def _send(self, behaviour: str, delivery: Delivery) -> Any:
            await self.gate.wait()
            return await super()._send("later", delivery)

    sms = Busy("sms", behave)
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message(), room_id="room", wait="committed")
        await wait_for(lambda: sms.running)
        (row,) = await rows_of(kit, "room", "sms")

        cancellation = await kit.deliveries.cancel(row.id)
        why = (await kit.deliveries.why(row.id)).cause or ""
        sms.gate.set()
        left = await kit.idle()

        after = await kit.deliveries.get(row.id)
    assert (cancellation.result, cancellation.work.is_cancelled) == (Cancelling.UNDER_WAY, True)
    assert "It was withdrawn meanwhile (cancelled) and gets no further attempt" in why
    assert (after.state, after.code, left) == (WorkState.SUPPRESSED, "cancelled", 0)


async def test_what_is_scheduled_is_cancelled_and_never_said() -> None:
    clock = StillClock()
    async with open_kit(LiveProbe(), clock=clock) as kit:
        await make_room(kit, "room", "live")
        event = await kit.send_event("room", "live", TextContent(body="hi"), at=clock.now() + timedelta(hours=1))

        cancellation = await kit.deliveries.cancel(event.id)
        clock.advance(3_601)
        await kit.idle()

        assert cancellation.result is Cancelling.CANCELLED
        assert await kit.store.get_event(event.id) is None


async def test_an_accepted_message_is_never_dropped_by_hand() -> None:
    async with open_kit(LiveProbe()) as kit:
        await make_room(kit, "room", "live")
        accepted = await kit.accept_inbound(message(), room_id="room")
        with pytest.raises(UnsupportedError) as raised:
            await kit.deliveries.cancel(accepted.id)
        await kit.idle()

        assert raised.value.code == "work.cannot_cancel"
        with pytest.raises(WorkNotFoundError):
            await kit.deliveries.cancel("nothing")


# ------------------------------------------------------------------------------------------------------------ purging


async def test_dead_letters_are_forgotten_on_request_and_nothing_else_is() -> None:
    sms, clock = ScriptedChannel("sms"), StillClock()
    async with open_kit(LiveProbe(), sms, clock=clock) as kit:
        await make_room(kit, "room", "live", sms)
        old = await failed(kit, sms)
        clock.advance(3_600)
        young = await failed(kit, sms)
        await kit.process_inbound(message(), room_id="room")
        waiting = await failed(kit, sms, behave="later")

        assert await kit.deliveries.purge(older_than=7_200) == 0
        assert await kit.deliveries.purge(older_than=1_800) == 1
        left = {row.id for row in await kit.deliveries.list()}
        assert old.id not in left
        assert young.id in left
        assert await kit.deliveries.purge() == 1
        states = sorted(row.state for row in await kit.deliveries.list())
        with pytest.raises(ValueError, match="older_than"):
            await kit.deliveries.purge(older_than=-1)

    assert states == ["pending", "sent"]
    assert waiting.is_open


# ------------------------------------------------------------------------------------------------------------ pausing


async def test_nothing_that_is_owed_to_a_paused_channel_is_tried_and_all_of_it_goes_out_in_order_then() -> None:
    sms, other = ScriptedChannel("sms"), ScriptedChannel("other")
    async with open_kit(LiveProbe(), sms, other) as kit:
        await make_room(kit, "room", "live", sms, other)
        pause = await kit.deliveries.pause("sms", reason="the provider moves")
        for text in ("one", "two"):
            await kit.process_inbound(message(text), room_id="room")
        await kit.idle()

        assert (sms.texts, other.texts) == ([], ["one", "two"])
        assert [row.attempts for row in await rows_of(kit, "room", "sms")] == [0, 0]
        assert await kit.deliveries.pause("sms") == pause
        assert await kit.deliveries.paused() == (pause,)
        assert await kit.deliveries.resume("sms")
        await kit.idle()

        assert not await kit.deliveries.resume("sms")
        assert await kit.deliveries.paused() == ()
    assert sms.texts == ["one", "two"]


async def test_what_is_under_way_goes_through_a_pause() -> None:
    sms = ScriptedChannel("sms", "wait")
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message("one"), room_id="room", wait="committed")
        await wait_for(lambda: sms.running)
        await kit.deliveries.pause("sms")
        await kit.process_inbound(message("two"), room_id="room", wait="committed")
        sms.gate.set()
        await kit.idle()

    assert sms.texts == ["one"]


async def test_a_pause_outlives_the_kit_and_holds_from_the_first_row_on() -> None:
    store, clock = InMemoryStore(clock=StillClock()), StillClock()
    async with open_kit(LiveProbe(), ScriptedChannel("sms"), store=store, clock=clock) as kit:
        await make_room(kit, "room", "live", "sms")
        await kit.deliveries.pause("sms")

    sms = ScriptedChannel("sms")
    async with open_kit(LiveProbe(), store=store, clock=clock) as kit:
        kit.register_channel(sms)  # later than the start: the pause is known all the same
        await kit.process_inbound(message(), room_id="room")
        await kit.idle()
        assert sms.texts == []
        await kit.deliveries.resume("sms")
        await kit.idle()
    assert sms.texts == ["hi"]


async def test_kits_on_one_store_obey_each_others_pauses_within_about_a_second() -> None:
    clock = VirtualClock()
    store, sms = InMemoryStore(clock=clock), ScriptedChannel("sms")
    async with open_kit(LiveProbe(), sms, store=store, clock=clock) as kit, open_kit(store=store, clock=clock) as desk:
        await make_room(kit, "room", "live", sms)
        await desk.deliveries.pause("sms")
        await clock.advance(1.1)
        await kit.process_inbound(message(), room_id="room", wait="committed")
        await clock.advance(5)
        assert sms.texts == []

        await desk.deliveries.resume("sms")
        await clock.advance(1.1)
        await wait_for(lambda: sms.texts == ["hi"])


async def test_an_id_that_no_channel_can_have_is_not_paused() -> None:
    async with open_kit() as kit:
        with pytest.raises(ValueError, match="channel id"):
            await kit.deliveries.pause("a channel")


async def test_a_channel_without_gate_words_is_told_about_beside_the_kit() -> None:
    """What keeps a channel closed is told through the store, for commands that are no kit, and taken back then."""
    clock = VirtualClock()
    store, sms = InMemoryStore(clock=clock), ScriptedChannel("sms", "later")
    sms.failure_threshold, sms.recovery_timeout = 1, 600.0
    async with open_kit(LiveProbe(), sms, store=store, clock=clock) as kit:
        await make_room(kit, "room", "live", sms)
        await kit.process_inbound(message(), room_id="room", wait="committed")
        await wait_for(lambda: sms.started)
        await clock.advance(1.1)
        (row,) = await rows_of(kit, "room", "sms")
        desk = kit._engine.deliveries._desk

        told = (await desk.why(row.id)).cause or ""
        await clock.advance(60)
        renewed = (await desk.why(row.id)).cause or ""
        sms.behave = "send"
        await clock.advance(700)
        await wait_for(lambda: sms.texts)
        await clock.advance(1.1)

        assert await store.kv_scan("roomkit.notices") == []
    for cause in (told, renewed):
        assert cause.startswith("The breaker of its channel is open, because the provider failed again and again")


async def test_the_verbs_work_inside_hooks_too() -> None:
    sms: Channel = ScriptedChannel("sms")
    found: list[Any] = []
    async with open_kit(LiveProbe(), sms) as kit:
        await make_room(kit, "room", "live", "sms")

        @kit.on("delivery_succeeded")
        async def look(event: Any) -> None:
            found.append(await kit.deliveries.get(event.data["delivery_id"]))

        await kit.process_inbound(message(), room_id="room")
        await kit.idle()
    assert [row.state for row in found] == [WorkState.SENT]


async def test_rows_of_a_kind_without_channel_are_retried_where_they_are_worked_on() -> None:
    clock = StillClock()
    store = InMemoryStore(clock=clock)
    async with open_kit(store=store, clock=clock) as kit:
        row = WorkRow("timer", WorkKind.TIMER, "", (), None, None, payload=("x",), provider_key="timer")
        await store.commit(ChangeSet(None, "c", None, owner="other", work=(row._replace(state=WorkState.IN_FLIGHT),)))
        await store.settle("timer", 1, Outcome(WorkState.DEAD, "acme.gone", "why"))

        desk = kit._engine.deliveries._desk
        (copy,) = await desk.retry("timer")
    assert (copy.kind, copy.retry_of, copy.payload) == (WorkKind.TIMER, "timer", ("x",))
