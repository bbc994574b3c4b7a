"""PROTOCOL 7, 9: content of several calls that is refused, lost or killed at part k goes on at part k."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from roomkit_core import Channel, Delivery, RateLimit, WorkState
from roomkit_core.interfaces.channel import Guarantee
from tests.protocol.fleet import LEASE, Member, fleet
from tests.protocol.providers import GUARANTEES, Behave, Phone, Provider, phone_of, phones
from tests.support.channels import LiveProbe

pytestmark = pytest.mark.anyio

SENT, PARTIAL, FAILED, IN_FLIGHT = WorkState.SENT, WorkState.PARTIAL, WorkState.FAILED, WorkState.IN_FLIGHT

PARTS = ["one", "two", "three"]


def first_at(part: int, behaviour: str) -> Behave:
    """Behaves so at that part of the content in parts, when it is worked on for the first time."""

    def behave(delivery: Delivery) -> str:
        is_meant = len(delivery.parts) > 1 and delivery.parts_done == part and delivery.attempt == 1
        return behaviour if is_meant else "send"

    return behave


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("behaviour", ["later", "lose", "vanish", "raise"])
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_9_what_went_wrong_at_one_part_goes_on_at_that_part(
    guarantee: Guarantee, behaviour: str, part: int
) -> None:
    provider = Provider(guarantee)
    async with fleet(phones(provider)) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        phone_of(a).behave = phone_of(b).behave = first_at(part, behaviour)
        await a.say("|".join(PARTS))
        await a.say("next")

        await all_of_them.until_over()

        provider.check_marks()
        assert provider.firsts() == [*PARTS, "next"]
        again = behaviour == "lose" and guarantee == "at_least_once"
        assert provider.effects == [*PARTS[: part + again], *PARTS[part:], "next"]
        row = (await all_of_them.rows())[0]
        assert (row.state, row.maybe_sent) == (SENT, behaviour != "later")
        assert len(row.provider_ids) == len(PARTS)
        assert set(provider.asked) == (
            {f"{row.id}:{part}"} if guarantee == "reconcilable" and row.maybe_sent else set()
        )


@pytest.mark.parametrize(("part", "state"), [(0, FAILED), (1, PARTIAL), (2, PARTIAL)])
async def test_9_what_is_refused_for_good_at_one_part_ends_with_what_was_sent(part: int, state: WorkState) -> None:
    provider = Provider()
    async with fleet(phones(provider), kits="a") as all_of_them:
        a = all_of_them.a
        phone_of(a).behave = first_at(part, "refuse")
        await a.say("|".join(PARTS))
        await a.say("next")

        await all_of_them.until_over()

        row = (await all_of_them.rows())[0]
        assert (row.state, row.code, row.parts_done, row.maybe_sent) == (state, "provider.refused", part, False)
        assert provider.effects == [*PARTS[:part], "next"]


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("window", ["calling", "taken", "settle", "settled"])
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_9_a_kill_at_one_part_is_taken_over_at_that_part(guarantee: Guarantee, window: str, part: int) -> None:
    """A holder that is killed between two parts, in a call, or with the reply in hand; never a part before that."""
    provider = Provider(guarantee)
    async with fleet(phones(provider)) as all_of_them:
        a = all_of_them.a
        seen = 0

        def is_meant(what: object) -> bool:
            nonlocal seen
            seen += 1
            return seen == part + 1

        stop = a.places.stop(window, only=is_meant)
        await a.say("|".join(PARTS))
        await a.say("next")
        await stop.reached.wait()
        a.freeze()

        await all_of_them.until_over()

        provider.check_marks()
        assert provider.firsts() == [*PARTS, "next"]
        row = (await all_of_them.rows())[0]
        if window == "settled" and part == 2:
            assert (row.state, row.takeovers, row.maybe_sent) == (SENT, 0, False)
            return
        assert (row.state, row.takeovers, row.maybe_sent) == (SENT, 1, True)
        again = guarantee == "at_least_once" and window in ("taken", "settle")
        assert provider.effects == [*PARTS[: part + again], *PARTS[part:], "next"]


async def test_9_between_two_parts_the_rate_is_waited_for_without_a_lease() -> None:
    """Each part takes a token: the second one waits a minute, and nothing is in flight meanwhile (L9)."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, provider)
        phone.rate_limit = RateLimit(max_per_minute=1)
        return (LiveProbe(), phone)

    async with fleet(make, kits="a") as all_of_them:
        await all_of_them.a.say("|".join(PARTS))
        for sent in (1, 2):
            await all_of_them.pass_time(30.0)
            [row] = await all_of_them.rows()
            assert provider.effects == PARTS[:sent]
            assert (row.state, row.parts_done, row.owner, row.maybe_sent) == (WorkState.PENDING, sent, None, False)
            await all_of_them.pass_time(31.0)
        await all_of_them.until_over()

        [row] = await all_of_them.rows()
        assert (row.state, row.attempts, provider.effects) == (SENT, 1, PARTS)


@pytest.mark.parametrize("fate", ["taken over", "room deleted"])
async def test_9_a_row_that_is_lost_between_two_parts_keeps_no_place_of_its_channel(fate: str) -> None:
    """Without: after each such row one send less runs at once, until the channel stands still."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, provider)
        phone.max_in_flight = 2
        return (LiveProbe(), phone)

    async with fleet(make) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("settle")
        await a.say("|".join(PARTS))
        await stop.reached.wait()
        assert (await all_of_them.rows())[0].state is IN_FLIGHT
        if fate == "taken over":
            a.freeze()
            await all_of_them.pass_time(2 * LEASE)
        else:
            await all_of_them.b.kit.delete_room("room")
        stop.open()
        await all_of_them.rest()
        a.thaw()
        await all_of_them.rest()

        assert a.target("phone").gate.running == 0
        assert phone_of(a).calls == 1
        assert a.holds == 0
