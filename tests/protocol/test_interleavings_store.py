"""PROTOCOL 7, 23 and 30 to 32: a store that fails, loses answers, holds many rows, or a machine that slept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from roomkit_core import (
    Channel,
    InMemoryStore,
    RoomEvent,
    StoreError,
    WorkKind,
    WorkRow,
    WorkState,
)
from roomkit_core.builtin.memory import rows as memory_rows
from roomkit_testkit.stores.makers import AGAIN, Writer
from tests.protocol.fleet import LEASE, Member, fleet
from tests.protocol.providers import GUARANTEES, Phone, Provider, phone_of, phones
from tests.support.channels import Answering, LiveProbe, text_of
from tests.support.clock import VirtualClock

pytestmark = pytest.mark.anyio

PENDING, IN_FLIGHT, SENT, DONE, ANSWERED = (
    WorkState.PENDING,
    WorkState.IN_FLIGHT,
    WorkState.SENT,
    WorkState.DONE,
    WorkState.ANSWERED,
)
CUT = StoreError("the connection was cut", code="store.io")

# ------------------------------------------------------------------------------------------------ 23: cut during COMMIT


@pytest.mark.parametrize("key", [None, "k1"])
@pytest.mark.parametrize("place", ["commit", "committed"])
async def test_23_a_commit_whose_answer_was_lost_is_looked_up_and_its_claims_are_read_back(
    place: str, key: str | None
) -> None:
    """Without: "store error" for what is stored; said again it is there twice, and its row waits."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        a.places.fail(place, CUT)

        result = await a.say("one", idempotency_key=key)
        await all_of_them.rest()

        assert (result.blocked, await all_of_them.texts()) == (False, ["one"])
        assert [(r.text, r.kit, r.attempt) for r in provider.requests] == [("one", "a", 1)]
        assert [(r.state, r.token) for r in await all_of_them.rows()] == [(SENT, 1)]


@pytest.mark.parametrize("place", ["commit", "committed"])
async def test_23_whoever_is_told_of_an_error_may_say_it_again_with_its_key(place: str) -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        a.places.fail(place, CUT, times=2)
        with pytest.raises(StoreError):
            await a.say("one", idempotency_key="k1")

        result = await b.say("one", idempotency_key="k1")
        await all_of_them.until_over()

        assert not result.blocked
        assert await all_of_them.texts() == ["one"]
        assert provider.firsts() == ["one"]
        provider.check_marks()


@pytest.mark.parametrize("place", ["commit", "committed"])
async def test_23_a_journaled_message_is_tried_again_and_is_there_once(place: str) -> None:
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        a.places.fail(place, CUT, times=2)
        await a.accept("one")

        await all_of_them.until_over()

        assert await all_of_them.texts() == ["one"]
        assert await all_of_them.states(WorkKind.INBOUND) == [DONE]
        assert provider.firsts() == ["one"]
        provider.check_marks()


@pytest.mark.parametrize("place", ["accept", "accepted"])
async def test_23_accepting_again_with_a_key_finds_out_whether_it_was_written(place: str) -> None:
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        a.places.fail(place, CUT)
        with pytest.raises(StoreError):
            await a.accept("one", idempotency_key="k1")

        answer = await a.accept("one", idempotency_key="k1")
        await all_of_them.until_over()

        assert answer.duplicate is (place == "accepted")
        assert await all_of_them.texts() == ["one"]


# ------------------------------------------------------------------------------------------ 30: the record fails


@pytest.mark.parametrize("place", ["settle", "settled"])
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_30_a_record_that_fails_is_repeated_and_never_the_call(guarantee: Any, place: str) -> None:
    """Without: a full disk sends everything twice."""
    provider = Provider(guarantee)
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        fault = a.places.fail(place, times=6)
        await a.say("one")
        await a.say("two")

        await all_of_them.until_over()
        await all_of_them.pass_time(30.0)

        assert fault.raised == 6
        assert [r.text for r in provider.requests] == ["one", "two"]
        assert [(r.state, r.maybe_sent) for r in await all_of_them.rows()] == 2 * [(SENT, False)]


async def test_30_while_the_record_fails_the_tenure_is_prolonged_and_the_other_kit_keeps_away() -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        fault = a.places.fail("settle", times=1_000_000)
        await a.say("one")

        await all_of_them.pass_time(5 * LEASE)
        assert provider.by_key.total() == 1
        fault.times = 0
        await all_of_them.until_over()

        assert provider.effects == ["one"]
        assert [(r.state, r.token, r.maybe_sent) for r in await all_of_them.rows()] == [(SENT, 1, False)]


async def test_a_claim_that_fails_is_made_again_and_takes_no_place() -> None:
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = "later"
        await a.say("one")
        await all_of_them.rest()
        phone_of(a).behave = "send"
        fault = a.places.fail("claim", times=20)

        await all_of_them.until_over()

        assert fault.raised == 20
        assert a.target("phone").gate.running == 0
        assert provider.effects == ["one"]


async def test_a_lease_that_cannot_be_renewed_before_the_call_costs_no_attempt() -> None:
    """Without: a store that hiccups spends the attempts of rows that were never tried."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("committed", only=lambda changes: changes.work)
        all_of_them.start(a.say, "one")
        await stop.reached.wait()
        a.freeze()
        await all_of_them.pass_time(LEASE)
        fault = a.places.fail("renew", times=3)
        stop.open()
        await all_of_them.rest()

        [row] = await all_of_them.rows()
        assert (row.state, row.attempts, row.maybe_sent) == (PENDING, 0, False)
        a.thaw()
        await all_of_them.until_over()

        assert fault.raised >= 1
        assert provider.effects == ["one"]
        assert [(r.state, r.attempts) for r in await all_of_them.rows()] == [(SENT, 1)]


@pytest.mark.usefixtures("no_poll")
@pytest.mark.parametrize("read", ["list_work", "load_room"])
async def test_a_read_that_fails_after_the_record_ends_no_runner(read: str) -> None:
    """Without: the runner dies of what comes after the record, and the lane waits for the next poll."""
    asked: list[str] = []

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            asked.append(text_of(event))
            await member.places("asking")
            raise RuntimeError("no model")

        return (LiveProbe(), Answering(reply=reply))

    async with fleet(make, kits="a") as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("asking")
        await a.say("one")
        await stop.reached.wait()
        all_of_them.start(a.wait_for_all, "two")
        await all_of_them.rest()
        a.kit._engine.ports.cache.drop(["room"])
        fault = a.places.fail("reading", CUT, only=lambda name: name == read)

        stop.open()
        await all_of_them.rest()

        assert (fault.raised, asked) == (1, ["one", "two"])


# ------------------------------------------------------------------------------------ 31: many rows behind one head


async def test_31_a_claim_looks_at_heads_and_not_at_what_is_queued_behind_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """By counting: looks at rows for one claim, with ten and with 20,000 rows behind a head in back-off."""

    async def looks(queued: int) -> int:
        clock = VirtualClock()
        store = InMemoryStore(clock=clock)
        writer = Writer(store)
        await writer.create()
        lane = ("room", "sms", "")
        rows = [
            WorkRow(f"row{number}", WorkKind.DELIVERY, "sms", lane, "room", None, state=IN_FLIGHT)
            for number in range(queued)
        ]
        await writer.write(work=tuple(rows))
        await store.settle("row0", 1, AGAIN, due_in=3600.0)
        await writer.write(work=(WorkRow("due", WorkKind.DELIVERY, "sms", ("other",), "room", None),))
        seen = 0
        ready_at = memory_rows.ready_at

        def count(row: WorkRow) -> int | None:
            nonlocal seen
            seen += 1
            return ready_at(row)

        for module in ("queue", "open"):
            monkeypatch.setattr(f"roomkit_core.builtin.memory.{module}.ready_at", count)
        claimed = await store.claim("kit", lease=60.0, limit=10)
        monkeypatch.undo()
        assert [row.id for row in claimed] == ["due"]
        return seen

    assert await looks(20_000) == await looks(10) > 0


# --------------------------------------------------------------------------------------- 32: resume after suspend


@pytest.mark.parametrize("kits", ["a", "ab"])
@pytest.mark.parametrize("kind", ["delivery", "ask"])
async def test_32_after_suspend_a_kit_does_not_take_over_what_its_own_live_task_holds(kits: str, kind: str) -> None:
    """The whole machine slept, past every lease. Without: the row is worked on by two tasks of one kit."""
    provider = Provider()
    asked = []

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            asked.append(member.name)
            await member.places("asking")
            return ["because"]

        return (LiveProbe(), Phone(member, provider)) if kind == "delivery" else (LiveProbe(), Answering(reply=reply))

    async with fleet(make, kits=kits[:1]) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("calling" if kind == "delivery" else "asking")
        await a.say("one")
        await stop.reached.wait()

        all_of_them.clock.jump(3 * LEASE)  # asleep; and everybody wakes up at once
        await all_of_them.rest()
        await all_of_them.pass_time(1.0)
        stop.open()
        await all_of_them.pass_time(2 * LEASE)

        [row] = await all_of_them.rows()
        assert (row.state, row.token, row.takeovers, row.maybe_sent) == (
            SENT if kind == "delivery" else ANSWERED,
            1,
            0,
            False,
        )
        assert len(asked) + provider.by_key.total() == 1


async def test_32_what_nobody_could_renew_in_time_is_adopted_by_the_task_that_lives() -> None:
    """The store does not answer when the machine wakes up, so the claim finds the row before the renewal does."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("calling")
        await a.say("one")
        await stop.reached.wait()
        a.places.fail("renew", times=1_000)
        all_of_them.clock.jump(3 * LEASE)
        await all_of_them.pass_time(2.0)
        [row] = await all_of_them.rows()
        assert (row.state, row.token, row.maybe_sent) == (IN_FLIGHT, 2, True)

        stop.open()
        await all_of_them.rest()

        assert provider.by_key.total() == 1
        assert [(r.state, r.token) for r in await all_of_them.rows()] == [(SENT, 2)]
        assert (a.holds, a.target("phone").gate.running) == (0, 0)


# --------------------------------------------------------------------------------------------- claims nobody can use


async def test_a_row_whose_channel_goes_between_its_commit_and_its_start_is_handed_back() -> None:
    """Without: claimed and worked on by nobody until its lease has ended, and marked although it was never tried."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("committed", only=lambda changes: changes.work)
        all_of_them.start(a.say, "one")
        await stop.reached.wait()
        a.kit.unregister_channel("phone")
        stop.open()

        await all_of_them.pass_time(2.0)

        assert [(r.text, r.kit, r.is_marked, r.attempt) for r in provider.requests] == [("one", "b", False, 1)]


async def test_a_channel_that_is_registered_anew_goes_on_where_the_old_one_stopped() -> None:
    """The row that is under way ends as it would have; those behind it go through the new one, in order."""
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("taken")
        for text in ("one", "two", "three"):
            await a.say(text)
        await stop.reached.wait()
        a.kit.unregister_channel("phone")
        await all_of_them.pass_time(2.0)
        a.kit.register_channel(Phone(a, provider))
        await all_of_them.pass_time(2.0)
        assert provider.effects == ["one"]

        stop.open()
        await all_of_them.pass_time(2.0)

        assert provider.effects == ["one", "two", "three"]
        assert set(await all_of_them.states()) == {SENT}


async def test_rows_of_a_channel_that_is_gone_wait_and_others_go_on() -> None:
    provider, other = Provider(), Provider()

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Phone(member, provider), Phone(member, other, "fax"))

    async with fleet(make, kits="a") as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = phone_of(a, "fax").behave = "later"
        await a.say("one")
        await all_of_them.rest()
        phone_of(a).behave = phone_of(a, "fax").behave = "send"
        a.kit.unregister_channel("phone")

        await all_of_them.pass_time(600.0)

        [row] = await all_of_them.rows(channel_id="phone")
        assert (row.state, row.attempts, provider.effects, other.effects) == (PENDING, 1, [], ["one"])
