"""Limits on what comes in: a direct call above one is refused and leaves nothing, a journaled message is delayed."""

from __future__ import annotations

from typing import Any

from roomkit_core import InboundResult, RateLimit, RoomKit, WorkKind, WorkState
from tests.support.channels import LiveProbe, ScriptedChannel, message
from tests.support.homes import Home
from tests.support.rooms import say, texts, work

ONE_A_SECOND = RateLimit(max_per_second=1)
ONE_A_MINUTE = RateLimit(max_per_minute=1)
THREE_A_SECOND = RateLimit(max_per_second=3)


async def arrive(kit: RoomKit, text: str = "hi", room_id: str | None = "room", **fields: Any) -> InboundResult:
    return await kit.process_inbound(message(text, **fields), room_id=room_id)


def is_refused(result: InboundResult) -> bool:
    assert result.blocked == (result.reason == "rate_limited") == (result.event is None)
    return result.blocked


# ---------------------------------------------------------------------------------------------------- a direct call


async def test_a_direct_call_above_the_limit_is_refused_and_leaves_nothing(home: Home) -> None:
    live = LiveProbe()
    async with home.kit(live, inbound_rate_limit=ONE_A_SECOND, rooms=[]) as kit:
        assert not is_refused(await arrive(kit, "one"))
        heads = await kit.store.heads(["room", "other"])

        result = await arrive(kit, "two", "other", idempotency_key="k")

        assert is_refused(result)
        assert dict(result.delivery_results) == {}
        assert await kit.store.heads(["room", "other"]) == heads
        assert await kit.store.find_key(("live", "ann", "k")) is None
        assert await work(kit) == []
        assert len(live.seen) == 1


async def test_what_was_refused_is_welcome_when_the_provider_brings_it_again(home: Home) -> None:
    async with home.kit(LiveProbe(), inbound_rate_limit=ONE_A_SECOND) as kit:
        await arrive(kit, "one")
        assert is_refused(await arrive(kit, "two", idempotency_key="k"))
        assert is_refused(await arrive(kit, "two", idempotency_key="k"))
        home.clock.jump(1)

        result = await arrive(kit, "two", idempotency_key="k")

        assert not is_refused(result)
        assert await texts(kit) == ["one", "two"]


async def test_a_repeat_of_what_is_known_costs_nothing_and_is_answered(home: Home) -> None:
    async with home.kit(LiveProbe(), inbound_rate_limit=THREE_A_SECOND) as kit:
        first = await arrive(kit, "one", idempotency_key="k")
        for _ in range(10):
            assert (await arrive(kit, "one", idempotency_key="k")).event == first.event

        assert [is_refused(await arrive(kit)) for _ in range(3)] == [False, False, True], "the first one was counted"


async def test_t18_a_limit_of_less_than_one_a_second_lets_something_through(home: Home) -> None:
    async with home.kit(LiveProbe(), inbound_rate_limit=RateLimit(max_per_hour=30)) as kit:
        assert not is_refused(await arrive(kit))
        passed = 0
        for _ in range(60):
            home.clock.jump(60)
            passed += not is_refused(await arrive(kit))

        assert 29 <= passed <= 60


async def test_t18_each_window_that_is_set_applies(home: Home) -> None:
    async with home.kit(LiveProbe(), inbound_rate_limit=RateLimit(max_per_second=2, max_per_minute=30)) as kit:
        assert [is_refused(await arrive(kit)) for _ in range(2)] == [False, True], "the minute has no room"
        home.clock.jump(1)
        assert is_refused(await arrive(kit))
        home.clock.jump(1)
        assert not is_refused(await arrive(kit))


async def test_a_limit_is_that_of_one_channel(home: Home) -> None:
    async with home.kit(LiveProbe(), LiveProbe("other"), inbound_rate_limit=ONE_A_SECOND) as kit:
        results = [is_refused(await arrive(kit, channel_id=name)) for name in ("live", "other", "live", "other")]

        assert results == [False, False, True, True]


async def test_t18_one_sender_does_not_keep_the_others_out(home: Home) -> None:
    async with home.kit(LiveProbe(), LiveProbe("other"), inbound_sender_rate_limit=ONE_A_SECOND) as kit:
        arrivals = [("live", "ann"), ("live", "ann"), ("live", "bob"), ("other", "ann"), ("live", "bob")]
        results = [is_refused(await arrive(kit, channel_id=c, sender_id=s)) for c, s in arrivals]

        assert results == [False, True, False, False, True]


async def test_whom_the_channel_refuses_has_not_spent_what_is_theirs(home: Home) -> None:
    limits = {"inbound_rate_limit": ONE_A_SECOND, "inbound_sender_rate_limit": ONE_A_MINUTE}
    async with home.kit(LiveProbe(), **limits) as kit:
        assert not is_refused(await arrive(kit, sender_id="bob"))
        assert is_refused(await arrive(kit, sender_id="ann"))
        home.clock.jump(1)

        assert not is_refused(await arrive(kit, sender_id="ann"))


async def test_whom_their_own_limit_refuses_has_not_spent_what_is_the_channels(home: Home) -> None:
    limits = {"inbound_rate_limit": THREE_A_SECOND, "inbound_sender_rate_limit": ONE_A_MINUTE}
    async with home.kit(LiveProbe(), **limits) as kit:
        assert [is_refused(await arrive(kit)) for _ in range(10)] == [False, *[True] * 9]

        assert [is_refused(await arrive(kit, sender_id=name)) for name in ("bob", "cid", "dan")] == [False, False, True]


async def test_what_the_program_says_itself_is_not_counted(home: Home) -> None:
    async with home.kit(LiveProbe(), inbound_rate_limit=ONE_A_SECOND) as kit:
        for number in range(5):
            await say(kit, str(number), channel_id="live")

        assert not is_refused(await arrive(kit))


# ------------------------------------------------------------------------------------------------------ the journal


async def test_l9_what_is_journaled_is_delayed_and_never_refused(home: Home) -> None:
    async with home.kit(LiveProbe(), spare=[ScriptedChannel("sms")], inbound_rate_limit=ONE_A_SECOND) as kit:
        for number in range(4):
            await kit.accept_inbound(message(str(number), channel_id="sms"), room_id="room")
        await kit.idle()
        assert await texts(kit) == ["0"]
        home.clock.jump(0.5)
        await kit.idle()
        assert await texts(kit) == ["0"]

        for _ in range(5):
            await home.later(kit, 1)

        assert await texts(kit) == ["0", "1", "2", "3"]
        rows = await work(kit, WorkKind.INBOUND)
        assert [(row.state, row.attempts) for row in rows] == [(WorkState.DONE, 1)] * 4, "waiting is no attempt"


async def test_l9_it_comes_in_by_itself_when_there_is_room_again(home: Home) -> None:
    live = LiveProbe()
    async with home.kit(live, spare=[ScriptedChannel("sms")], inbound_rate_limit=ONE_A_SECOND) as kit:
        for number in range(2):
            await kit.accept_inbound(message(str(number), channel_id="sms", sender_id=str(number)), room_id="room")
        await kit.idle()
        await home.clock.advance(2)
        await kit.idle()

        assert sorted(await texts(kit)) == ["0", "1"]


async def test_l9_a_sender_who_waits_does_not_hold_up_the_others(home: Home) -> None:
    async with home.kit(spare=[ScriptedChannel("sms")], inbound_sender_rate_limit=ONE_A_SECOND) as kit:
        for sender, text in (("ann", "1"), ("ann", "2"), ("bob", "3")):
            await kit.accept_inbound(message(text, channel_id="sms", sender_id=sender), room_id="room")
        await kit.idle()
        assert sorted(await texts(kit)) == ["1", "3"]

        await home.later(kit, 1.01)

        assert sorted(await texts(kit)) == ["1", "2", "3"]


async def test_l9_after_a_restart_what_waited_comes_in(home: Home) -> None:
    async with home.kit(spare=[ScriptedChannel("sms")], inbound_rate_limit=ONE_A_SECOND) as kit:
        for text in "12":
            await kit.accept_inbound(message(text, channel_id="sms"), room_id="room")
    async with home.kit(spare=[ScriptedChannel("sms")], inbound_rate_limit=ONE_A_SECOND) as kit:
        await home.later(kit, 1.01)
        await home.later(kit, 1.01)

        assert await texts(kit) == ["1", "2"]
