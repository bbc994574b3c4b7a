"""Two kits in a storm: anything that can happen to them, in the order of a seed, and what must hold afterwards.

The windows that matter are forced by the tests beside this one; here is what nobody has thought of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Any

import pytest

from roomkit_core import Channel, HookExecution, HookTrigger, RoomEvent, StoreError, WorkKind, WorkState
from roomkit_core.engine.pure.verdicts import MAX_TAKEOVERS
from roomkit_core.interfaces.channel import Guarantee
from tests.protocol.fleet import Fleet, Member, fleet
from tests.protocol.places import Stop
from tests.protocol.providers import GUARANTEES, Phone, Provider, phone_of
from tests.support.channels import Answering, LiveProbe, message, text_of

pytestmark = pytest.mark.anyio

ROOMS = ("room0", "room1")
PLACES = (
    "commit",
    "committed",
    "claim",
    "claimed",
    "settle",
    "settled",
    "renew",
    "renewed",
    "calling",
    "taken",
    "hook",
)
FAULTS = ("commit", "committed", "claim", "settle", "settled", "renew")
BEHAVIOURS = ("send", "send", "send", "later", "lose", "vanish", "raise")

ENDS = {
    WorkKind.INBOUND: WorkState.DONE,
    WorkKind.DELIVERY: WorkState.SENT,
    WorkKind.ASK: WorkState.ANSWERED,
    WorkKind.HOOK: WorkState.DONE,
}


class Storm:
    """What happens, and what was said."""

    def __init__(self, all_of_them: Fleet, random: Random) -> None:
        self.fleet = all_of_them
        self.random = random
        self.number = 0
        self.direct: list[str] = []
        self.accepted: dict[str, list[str]] = {room: [] for room in ROOMS}
        self.before: dict[str, list[str]] = {}  # what its sender had in the journal when it was said
        self.stops: list[Stop] = []
        self.caught: list[tuple[Member, Stop]] = []
        self.happened: list[str] = []

    async def happen(self) -> None:
        """One thing, whatever it is."""
        what: dict[Callable[[], Awaitable[None]], int] = {
            self.say: 3,
            self.accept: 3,
            self.behave: 1,
            self.stop: 1,
            self.catch: 4,
            self.open: 2,
            self.fail: 1,
            self.freeze: 1,
            self.thaw: 1,
            self.sleep: 1,
            self.pass_time: 5,
        }
        [thing] = self.random.choices([*what], [*what.values()])
        self.happened.append(thing.__name__)
        await thing()
        if any(row.takeovers > MAX_TAKEOVERS - 3 for row in await self.fleet.rows()):
            await self.calm()

    def somebody(self) -> Member:
        return self.random.choice(self.fleet.members)

    async def say(self) -> None:
        """A direct call, often by two ways at once, each of which is repeated until it has an answer."""
        self.number += 1
        text, room_id = f"d{self.number}", self.random.choice(ROOMS)
        self.direct.append(text)
        self.before[text] = list(self.accepted[room_id])
        for member in self.random.choice(([self.somebody()], self.fleet.members)):
            self.fleet.start(self._persist, member, text, room_id)
        await self.fleet.rest()

    async def _persist(self, member: Member, text: str, room_id: str) -> None:
        incoming = message(text, sender_id=room_id, idempotency_key=text)
        while True:
            try:
                await member.kit.process_inbound(incoming, room_id=room_id, wait="committed")
                return
            except StoreError:
                await member.clock.sleep_until(member.clock.monotonic() + 1.0)

    async def accept(self) -> None:
        """A journaled message of the one sender that its room has."""
        self.number += 1
        room_id = self.random.choice(ROOMS)
        text = f"j{self.number}"
        key = self.random.choice((None, text))
        incoming = message(text, sender_id=room_id, idempotency_key=key)
        await self.somebody().kit.accept_inbound(incoming, room_id=room_id)
        self.accepted[room_id].append(text)

    async def behave(self) -> None:
        for member in self.fleet.members:
            phone_of(member).behave = self.random.choice(BEHAVIOURS)

    async def stop(self) -> None:
        self.stops.append(self.somebody().places.stop(self.random.choice(PLACES)))

    async def catch(self) -> None:
        """Whoever comes to a place is frozen there, until both are undone in the one order or the other."""
        member, stop = self.somebody(), Stop()

        async def freeze() -> None:
            member.freeze()
            await stop()

        member.places.at(self.random.choice(PLACES), freeze)
        self.caught.append((member, stop))

    async def fail(self) -> None:
        error = StoreError("the disk is full", code="store.disk_full")
        self.somebody().places.fail(self.random.choice(FAULTS), error, times=self.random.randint(1, 4))

    async def open(self) -> None:
        if self.stops:
            self.stops.pop(self.random.randrange(len(self.stops))).open()
        elif self.caught:
            member, stop = self.caught.pop(0)
            for undo in self.random.sample([stop.open, member.thaw], 2):
                undo()
                await self.fleet.rest()
        await self.fleet.rest()

    async def freeze(self) -> None:
        self.somebody().freeze()

    async def thaw(self) -> None:
        self.somebody().thaw()
        await self.fleet.rest()

    async def sleep(self) -> None:
        """The whole machine sleeps."""
        self.fleet.clock.jump(self.random.choice((10.0, 70.0, 130.0)))

    async def pass_time(self) -> None:
        await self.fleet.pass_time(self.random.choice((0.1, 1.0, 20.0, 61.0, 100.0)))

    async def calm(self) -> None:
        """Everybody goes on, for a row that loses its holder again and again is given up on purpose (PROTOCOL L13)."""
        self.happened.append("calm")
        for stop in [*self.stops, *(stop for _, stop in self.caught)]:
            stop.open()
        for member in self.fleet.members:
            member.places.clear()
            phone_of(member).behave = "send"
            member.thaw()
        self.stops.clear()
        self.caught.clear()
        await self.fleet.pass_time(200.0)

    async def end(self) -> None:
        """Everything is well again."""
        await self.calm()
        await self.fleet.until_over(3000.0)
        await self.fleet.pass_time(30.0)


async def weather(guarantee: Guarantee, seed: int) -> None:
    """Sixty things, and then what must hold."""
    provider, heard = Provider(guarantee), []

    def make(member: Member) -> Iterable[Channel]:
        async def after(event: RoomEvent, context: Any) -> None:
            await member.places("hook")
            heard.append(text_of(event))

        member.kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="after", durable=True)(after)
        phone = Phone(member, provider)
        phone.delivery_lifetime = 7 * 86_400.0

        async def reply(event: RoomEvent) -> list[str]:
            await member.places("asking")
            return [f"re {text_of(event)}"]

        return (LiveProbe(), phone, Answering(reply=reply))

    async with fleet(make, rooms=ROOMS) as all_of_them:
        storm = Storm(all_of_them, Random(seed))
        for _ in range(60):
            await storm.happen()
        await storm.end()

        said = {room: await all_of_them.texts(room) for room in ROOMS}
        everything = [text for room in ROOMS for text in said[room]]
        asked = [*storm.direct, *storm.accepted["room0"], *storm.accepted["room1"]]
        assert sorted(everything) == sorted([*asked, *(f"re {text}" for text in asked)]), storm.happened
        for room_id in ROOMS:
            journaled = [text for text in said[room_id] if text[0] == "j"]
            assert journaled == storm.accepted[room_id]
            for number, text in enumerate(said[room_id]):
                assert set(storm.before.get(text, ())) <= set(said[room_id][:number]), "it overtook the journal"
            answers = [text for text in said[room_id] if text[0] == "r"]
            assert answers == [f"re {text}" for text in said[room_id] if text[0] != "r"]
            firsts = [text for text in provider.firsts() if text in said[room_id]]
            assert firsts == said[room_id], storm.happened
        provider.check_marks()
        if guarantee == "idempotent":
            assert sorted(provider.effects) == sorted(everything)
        assert {row.kind: row.state for row in await all_of_them.rows()} == {
            kind: state for kind, state in ENDS.items() if kind in {row.kind for row in await all_of_them.rows()}
        }
        assert set(heard) == set(everything)
        for member in all_of_them.members:
            assert (member.holds, member.target("phone").gate.running, member.target("ai").gate.running) == (0, 0, 0)
            ports = member.kit._engine.ports
            assert (ports.house.running, ports.journal.running) == (0, 0)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_a_storm_loses_nothing_doubles_nothing_in_silence_and_keeps_the_order(
    guarantee: Guarantee, seed: int
) -> None:
    await weather(guarantee, seed)


@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_hundreds_of_storms(guarantee: Guarantee) -> None:
    for seed in range(1000, 1250):
        try:
            await weather(guarantee, seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
