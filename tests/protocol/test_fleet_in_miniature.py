"""One kit is frozen past its lease and woken at each window: what it can still do is what PROTOCOL 5 promises.

It can write nothing, its one possible late call is on a row that is marked, and the order is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from roomkit_core import Channel, HookExecution, HookTrigger, RoomEvent, TextContent, WorkKind, WorkState
from roomkit_core.interfaces.channel import Guarantee
from tests.protocol.fleet import LEASE, Fleet, Member, fleet
from tests.protocol.places import Stop
from tests.protocol.providers import GUARANTEES, Phone, Provider, phones
from tests.support.channels import Answering, LiveProbe, text_of

pytestmark = pytest.mark.anyio

SENT, ANSWERED, DONE = WorkState.SENT, WorkState.ANSWERED, WorkState.DONE

WINDOWS = ["committed", "calling", "taken", "settle", "settled"]
"""Where a kit is frozen that works on a delivery: the claim is durable and no call begun; between lease check and call;
in the call, which the provider has taken; reply in hand; the outcome durable, and nobody has looked at the lane."""

WHO_SENT = {"committed": "b", "calling": "ba", "taken": "ab", "settle": "ab", "settled": "a"}
"""Whose requests reach the provider then, in this order, where it neither can be asked nor remembers keys."""


def owes(what: Any) -> bool:
    """Of commits only those that owe something are meant."""
    return bool(getattr(what, "work", True))


async def everything(all_of_them: Fleet) -> tuple[Any, ...]:
    """What is stored: to see that nothing of it changes."""
    return await all_of_them.rows(), await all_of_them.texts(), await all_of_them.store.load_room("room")


async def wake(all_of_them: Fleet, stop: Stop, *, first: str) -> None:
    """Wake the first kit: first what was under way, or first its heartbeat, which tells it that it is late."""
    for what in (first, "call" if first == "heartbeat" else "heartbeat"):
        if what == "call":
            stop.open()
        else:
            all_of_them.a.thaw()
        await all_of_them.rest()


@pytest.mark.parametrize("first", ["call", "heartbeat"])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_a_kit_frozen_past_its_lease_writes_nothing_and_its_late_call_is_on_a_marked_row(
    guarantee: Guarantee, window: str, first: str
) -> None:
    provider = Provider(guarantee)
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop(window, only=owes)
        all_of_them.start(a.say, "one")
        await stop.reached.wait()
        a.freeze()
        await b.say("two")
        await all_of_them.pass_time(2 * LEASE)
        assert await all_of_them.states() == [SENT, SENT], "the other kit has taken over"
        before = await everything(all_of_them)

        await wake(all_of_them, stop, first=first)
        await all_of_them.pass_time(LEASE)

        assert await everything(all_of_them) == before
        provider.check_marks()
        assert provider.firsts() == ["one", "two"]
        assert max(provider.by_key.values()) <= 2, "one late call at most"
        one, two = await all_of_them.rows(WorkKind.DELIVERY)
        assert (one.maybe_sent, one.takeovers) == ((False, 0) if window == "settled" else (True, 1))
        assert (two.maybe_sent, two.takeovers) == (False, 0)
        if guarantee == "idempotent" or (guarantee == "reconcilable" and window != "calling"):
            assert provider.effects == ["one", "two"]
        elif guarantee == "at_least_once" and not (window == "calling" and first == "heartbeat"):
            assert "".join(r.kit for r in provider.requests if r.text == "one") == WHO_SENT[window]


async def test_l4_a_kit_that_froze_while_it_renewed_makes_no_call_on_the_strength_of_that_renewal() -> None:
    """Without: the renewal's answer is read two leases later, taken for fresh, and the row is sent by both."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        claimed, renewed = a.places.stop("committed", only=owes), a.places.stop("renewed")
        all_of_them.start(a.say, "one")
        await claimed.reached.wait()
        a.freeze()
        await all_of_them.pass_time(LEASE - 5)
        claimed.open()
        await renewed.reached.wait()

        await all_of_them.pass_time(2 * LEASE)
        renewed.open()
        await all_of_them.rest()
        a.thaw()
        await all_of_them.rest()

        assert [(r.text, r.kit) for r in provider.requests] == [("one", "b")]
        assert a.holds == 0


@pytest.mark.parametrize("key", [None, "k1"])
@pytest.mark.parametrize("window", ["claimed", "commit", "committed"])
async def test_a_kit_frozen_before_it_commits_a_journaled_message_writes_no_copy_of_it(
    window: str, key: str | None
) -> None:
    """The other kit has taken the message over meanwhile; there is one event, and everything is sent once."""
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        stop = a.places.stop(window, only=discharges)
        await b_accepts_and_a_works(all_of_them, key)
        await stop.reached.wait()
        a.freeze()

        await all_of_them.pass_time(2 * LEASE)
        assert await all_of_them.texts() == ["one"]
        before = await everything(all_of_them)
        await wake(all_of_them, stop, first="call")

        assert await everything(all_of_them) == before
        assert provider.effects == ["one"]
        assert await all_of_them.states(WorkKind.INBOUND) == [DONE]
        assert (a.holds, b.holds) == (0, 0)


def discharges(what: Any) -> bool:
    """Of commits only those that discharge a row, and of claims those that got one."""
    return bool(getattr(what, "discharges", what))


async def b_accepts_and_a_works(all_of_them: Fleet, key: str | None) -> None:
    """A message that the second kit has accepted and handed back, for the first one to find."""
    b = all_of_them.b
    b.freeze()
    pool = b.kit._engine.ports.journal
    pool.running, taken = pool.limit, pool.running  # nobody is free there
    await b.accept("one", idempotency_key=key)
    await all_of_them.pass_time(1.0)
    pool.running = taken
    b.thaw()


@pytest.mark.parametrize("window", ["asking", "commit", "committed"])
async def test_a_kit_frozen_in_a_model_call_gives_no_second_answer(window: str) -> None:
    """Two runs of one question: one answer, of one run, whole."""
    provider, asked = Provider(), []

    def make(member: Member) -> Iterable[Channel]:
        async def reply(event: RoomEvent) -> list[str]:
            asked.append(member.name)
            await member.places("asking")
            return [f"first of {member.name}", f"second of {member.name}"]

        return (LiveProbe(), Phone(member, provider), Answering(reply=reply))

    async with fleet(make) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop(window, only=discharges_or_asks)
        await a.say("why?")
        await stop.reached.wait()
        a.freeze()

        await all_of_them.pass_time(2 * LEASE)
        answer = ["why?", "first of b", "second of b"] if window != "committed" else ["why?", *whole("a")]
        assert await all_of_them.texts() == answer
        assert provider.firsts() == answer
        before = await everything(all_of_them)
        await wake(all_of_them, stop, first="call")

        assert await everything(all_of_them) == before
        assert provider.effects == answer
        assert await all_of_them.states(WorkKind.ASK) == [ANSWERED]
        assert asked == (["a"] if window == "committed" else ["a", "b"])


def whole(name: str) -> list[str]:
    return [f"first of {name}", f"second of {name}"]


def discharges_or_asks(what: Any) -> bool:
    return bool(getattr(what, "discharges", True))


async def test_what_a_durable_hook_says_is_said_once_although_a_frozen_kit_goes_on_with_it() -> None:
    """At least once: the hook runs in both kits; what it sends has the key of its row."""
    provider, ran = Provider(), []
    async with fleet(phones(provider)) as all_of_them:
        for member in (all_of_them.a, all_of_them.b):
            member.kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="greet", durable=True)(
                greeting(member, ran)
            )
        a = all_of_them.a
        stop = a.places.stop("hook")
        await a.say("hi")
        await stop.reached.wait()
        a.freeze()

        await all_of_them.pass_time(2 * LEASE)
        assert await all_of_them.texts() == ["hi", "welcome"]
        before = await everything(all_of_them)
        await wake(all_of_them, stop, first="call")

        assert await everything(all_of_them) == before
        assert ran == ["a", "b"]
        assert provider.effects == ["hi", "welcome"]
        assert [row.state for row in await all_of_them.rows(WorkKind.HOOK)] == [DONE]


def greeting(member: Member, ran: list[str]) -> Any:
    async def greet(event: RoomEvent, context: Any) -> None:
        if text_of(event) != "hi":
            return
        ran.append(member.name)
        await member.places("hook")
        await member.kit.send_event("room", "live", TextContent(body="welcome"))

    return greet


@pytest.mark.parametrize("window", ["claimed", "commit", "committed"])
async def test_a_kit_frozen_in_a_scheduled_send_does_not_say_it_again(window: str) -> None:
    provider = Provider()
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        b.freeze()
        at = a.clock.now() + timedelta(seconds=30)
        await a.kit.send_event("room", "live", TextContent(body="later"), at=at)
        stop = a.places.stop(window, only=discharges)
        await all_of_them.pass_time(31.0)
        assert stop.arrivals == 1
        a.freeze()
        b.thaw()

        await all_of_them.pass_time(2 * LEASE)
        assert await all_of_them.texts() == ["later"]
        before = await everything(all_of_them)
        await wake(all_of_them, stop, first="call")

        assert await everything(all_of_them) == before
        assert provider.effects == ["later"]
        assert await all_of_them.states(WorkKind.SCHEDULED) == [DONE]
