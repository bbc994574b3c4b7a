"""Many rooms behind one provider: nobody starves, no lane loses its order, and who must be alone gets its turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from roomkit_core import Channel, Delivery, RateLimit, WorkState
from tests.protocol.fleet import Fleet, Member, fleet, lose_holders
from tests.protocol.providers import Phone, Provider, phone_of, phones
from tests.support.channels import LiveProbe

pytestmark = pytest.mark.anyio

SENT, PENDING, IN_FLIGHT = WorkState.SENT, WorkState.PENDING, WorkState.IN_FLIGHT

RATE = 10


class Timed(Phone):
    """A phone whose provider takes ten messages a second, and that notes when each was sent.

    Attributes:
        sent: (moment, room, text), in the order in which they were sent.
    """

    rate_limit = RateLimit(max_per_second=RATE)

    def __init__(self, member: Member, provider: Provider, channel_id: str = "phone") -> None:
        super().__init__(member, provider, channel_id)
        self.sent: list[tuple[float, str, str]] = []

    async def _send(self, delivery: Delivery, behaviour: str) -> object:  # type: ignore[override]
        self.sent.append((self._member.clock.monotonic(), delivery.event.room_id, delivery.part.body))
        return await super()._send(delivery, behaviour)


def timed_of(member: Member, channel_id: str = "phone") -> Timed:
    phone = phone_of(member, channel_id)
    assert isinstance(phone, Timed)
    return phone


def check_rate(sent: list[tuple[float, str, str]]) -> None:
    """In no second more than a burst and what flows in."""
    moments = [moment for moment, _, _ in sent]
    for number, moment in enumerate(moments):
        within = sum(1 for later in moments[number:] if later < moment + 1.0)
        assert within <= 2 * RATE + 1


async def test_1000_rooms_that_share_ten_messages_a_second_all_get_their_turn_in_the_order_of_their_birth() -> None:
    """T18 and T10: each room has two messages; the second ones stand behind all the first ones."""
    provider = Provider()
    rooms = [f"room{number:04}" for number in range(1000)]

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Timed(member, provider))

    async with fleet(make, kits="a", rooms=rooms) as all_of_them:
        a = all_of_them.a
        began = all_of_them.clock.monotonic()
        for text in ("one", "two"):
            for room_id in rooms:
                await a.say(text, room_id)
        while len(timed_of(a).sent) < 2000 and all_of_them.clock.monotonic() < began + 2 * 2000 / RATE:
            await all_of_them.pass_time(10.0)

        sent = timed_of(a).sent
        assert len(sent) == 2000
        assert sent[-1][0] - began <= 2000 / RATE + 5.0, "the rate is used up"
        check_rate(sent)
        first = [room for _, room, text in sent if text == "one"]
        assert sorted(first[:RATE]) == rooms[:RATE], "the burst, whose tasks begin in any order"
        assert first[RATE:] == rooms[RATE:]
        assert Counter(text for _, _, text in sent[:1000])["one"] >= 990, "who has waited longest is first"
        for room_id in rooms:
            assert [text for _, room, text in sent if room == room_id] == ["one", "two"]
        assert {row.state for row in await all_of_them.rows()} == {SENT}
        assert {row.attempts for row in await all_of_them.rows()} == {1}


async def test_a_room_that_never_stops_talking_does_not_starve_the_others() -> None:
    """What is born while others wait at the gate has its place behind them."""
    provider = Provider()
    rooms = [f"room{number}" for number in range(100)]

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Timed(member, provider))

    async with fleet(make, kits="a", rooms=[*rooms, "chatty0", "chatty1", "chatty2"]) as all_of_them:
        a = all_of_them.a
        for room_id in rooms:
            await a.say("one", room_id)
        for number in range(60):
            for chatty in range(3):
                await a.say(str(number), f"chatty{chatty}")
            await all_of_them.pass_time(0.25)

        quiet = [moment for moment, room, _ in timed_of(a).sent if room in rooms]
        assert len(quiet) == 100
        chatty_sent = [text for _, room, text in timed_of(a).sent if room == "chatty1"]
        assert chatty_sent == sorted(chatty_sent, key=int)


async def test_two_channels_at_their_rate_do_not_slow_each_other_down() -> None:
    """Without: the pump looks at one's moment only, and the other sends a message a second."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        return (LiveProbe(), Timed(member, provider), Timed(member, provider, "fax"))

    rooms = [f"room{number}" for number in range(200)]
    async with fleet(make, kits="a", rooms=rooms) as all_of_them:
        a = all_of_them.a
        for number, room_id in enumerate(rooms):
            await a.say("one", room_id)
            if number == 100:
                await all_of_them.pass_time(0.05)  # so that their moments are not the same
        await all_of_them.pass_time(200 / RATE + 3.0)

        for channel_id in ("phone", "fax"):
            assert len(timed_of(a, channel_id).sent) == 200
            check_rate(timed_of(a, channel_id).sent)


async def test_a_slow_room_keeps_one_place_and_no_more() -> None:
    """T10: one lane whose every call hangs, and ninety-nine that are well."""
    provider = Provider()

    def make(member: Member) -> Iterable[Channel]:
        phone = Phone(member, provider)
        phone.max_in_flight = 2
        return (LiveProbe(), phone)

    rooms = [f"room{number}" for number in range(100)]
    async with fleet(make, kits="a", rooms=rooms) as all_of_them:
        a = all_of_them.a
        stop = a.places.stop("calling", only=lambda delivery: delivery.event.room_id == "room0")
        for number in range(3):
            for room_id in rooms:
                await a.say(str(number), room_id)
        await all_of_them.rest()

        assert len(provider.effects) == 3 * 99
        assert phone_of(a).running == 1
        stop.open()
        await all_of_them.rest()
        assert len(provider.effects) == 300


async def test_l13_a_row_that_has_to_be_alone_gets_its_turn_under_load_and_the_load_goes_on() -> None:
    """Calls overlap all the time: there is no moment at which nothing runs, unless somebody sees to it."""
    provider = Provider()
    rooms = [f"room{number}" for number in range(10)]
    async with fleet(phones(provider), kits="a", rooms=[*rooms, "poison"]) as all_of_them:
        a = all_of_them.a
        await a_poisonous_row(all_of_them)
        running: list[int] = []
        most_beside = 0

        async def take_a_second() -> None:
            await a.clock.sleep_until(a.clock.monotonic() + 1.0)

        def note(delivery: Delivery) -> bool:
            nonlocal most_beside
            running.append(phone_of(a).running)
            if delivery.event.room_id == "poison":
                most_beside = max(most_beside, phone_of(a).running)
            return True

        a.places.at("calling", take_a_second, only=note)
        for number in range(40):
            await a.say(str(number), rooms[number % 10])
            await all_of_them.pass_time(0.3)
        await all_of_them.pass_time(20.0)

        assert most_beside == 1
        assert max(running) > 1, "there was load"
        assert len(provider.effects) == 41
        [row] = await all_of_them.rows(room_id="poison")
        assert (row.state, row.takeovers) == (SENT, 3)
        assert {r.takeovers for r in await all_of_them.rows() if r.id != row.id} == {0}
        for room_id in rooms:
            rows = [r.id for r in await all_of_them.rows(room_id=room_id)]
            assert [request.row_id for request in provider.requests if request.row_id in rows] == rows
        assert (a.holds, a.target("phone").gate.running) == (0, 0)


async def a_poisonous_row(all_of_them: Fleet) -> None:
    """A delivery whose holders have died twice, and that is due when its last lease is over."""
    a = all_of_them.a
    phone_of(a).behave = "later"
    await a.say("poison", "poison")
    await all_of_them.rest()
    phone_of(a).behave = "send"
    [row] = await all_of_them.rows()
    all_of_them.clock.jump(10.0)
    await lose_holders(all_of_them, row, 2)
    [row] = await all_of_them.store.claim("dead", lease=3.0, limit=1, lanes=[row.lane])
