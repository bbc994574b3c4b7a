"""The rules of live connections, PROTOCOL 3, V1 to V4, and PROTOCOL 7, 28: two committers, clients that come and go."""

from __future__ import annotations

from collections.abc import Iterable

import anyio
import pytest

from roomkit_core import Channel, Cursor, RoomEvent, StoreError
from tests.protocol.fleet import Fleet, Member, fleet
from tests.support.channels import LiveProbe, text_of
from tests.support.kits import make_room

pytestmark = pytest.mark.anyio


class Clients(LiveProbe):
    """A live channel that passes its hints on to connected clients."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: list[Client] = []

    def on_hint(self, room_id: str, event: RoomEvent, cursor: Cursor) -> int:
        for client in self.clients:
            client.hint(event, cursor)
        return super().on_hint(room_id, event, cursor)


class Client:
    """A client as PROTOCOL V3 and V4 have it: it subscribes, reads the gap, and shows from memory its cursor + 1 only.

    Attributes:
        shown: What its person saw.
        cursor: Its own; nobody else's word counts for it.
        missed: Whether a hint was further ahead than the next event.
    """

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.cursor: Cursor | None = None
        self.missed = True
        self._member: Member | None = None

    async def connect(self, member: Member) -> None:
        """Subscribe first, then read what was missed."""
        self._member = member
        _clients_of(member).clients.append(self)
        await self.read()

    def drop(self) -> None:
        """The connection is lost, with whatever was on its way."""
        assert self._member is not None
        _clients_of(self._member).clients.remove(self)
        self._member = None

    def hint(self, event: RoomEvent, cursor: Cursor) -> None:
        seen = self.cursor
        if seen is not None and cursor.epoch == seen.epoch and cursor.index <= seen.index:
            return
        if seen is None or cursor != Cursor(seen.epoch, seen.index + 1):
            self.missed = True
            return
        self._show([event])
        self.cursor = cursor

    async def read(self) -> None:
        """Read until nothing is missing."""
        assert self._member is not None
        more = True
        while more:
            self.missed = False
            page = await self._member.kit.rooms.read("room", viewer="live", after=self.cursor, limit=2)
            if page.reset:
                self.shown.clear()
            self._show(page.events)
            self.cursor, more = page.cursor, page.more or self.missed

    def _show(self, events: Iterable[RoomEvent]) -> None:
        self.shown += [text_of(event) or event.type for event in events if event.type in ("message", "delete")]


def _clients_of(member: Member) -> Clients:
    channel = member.channels["live"]
    assert isinstance(channel, Clients)
    return channel


def clients(member: Member) -> Iterable[Channel]:
    return (Clients(),)


async def poll(all_of_them: Fleet, *connected: Client) -> None:
    """What a live channel does about once a second: whoever is behind the head of its room reads."""
    head = (await all_of_them.store.heads(["room"]))["room"]
    for client in connected:
        if client.cursor != head:
            await client.read()


# ------------------------------------------------------------------------------------------------------------ V1, V2


async def test_v1_indexes_are_given_in_the_order_of_the_commits_which_is_the_order_in_which_readers_see() -> None:
    """Without: a cursor passes a gap that fills later, and that message is never shown."""
    async with fleet(clients) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        reader = Client()
        await reader.connect(a)
        stop = a.places.stop("commit")
        all_of_them.start(a.say, "planned first")
        await stop.reached.wait()
        for number in range(3):
            await b.say(str(number))
            await reader.read()
        stop.open()
        await all_of_them.rest()
        await reader.read()

        assert reader.shown == await all_of_them.texts() == ["0", "1", "2", "planned first"]


async def test_v2_nobody_is_told_before_the_commit_is_durable() -> None:
    """Without: the client saw an event that never was."""
    async with fleet(clients, kits="a") as all_of_them:
        a = all_of_them.a
        told = _clients_of(a).seen
        for place in ("commit", "committed"):
            stop = a.places.stop(place)
            before = len(told)
            all_of_them.start(a.say, place)
            await stop.reached.wait()
            await all_of_them.pass_time(5.0)
            assert len(told) == before
            stop.open()
            await all_of_them.rest()
            a.places.clear()
            assert [text_of(event) for event, _ in told[before:]] == [place]


async def test_v2_what_could_not_be_committed_was_never_told() -> None:
    async with fleet(clients, kits="a") as all_of_them:
        a = all_of_them.a
        a.places.fail("commit", StoreError("the disk is full", code="store.disk_full"), times=2)
        with pytest.raises(StoreError):
            await a.say("never was")
        a.places.clear()
        await a.say("was")

        assert [(text_of(event), cursor.index) for event, cursor in _clients_of(a).seen] == [
            ("was", (await all_of_them.store.heads(["room"]))["room"].index)
        ]


async def test_v2_hints_of_a_room_are_given_in_the_order_of_its_indexes() -> None:
    """Twenty callers at once, and each commit suspends before it is written and before it is answered."""
    async with fleet(clients, kits="a") as all_of_them:
        a = all_of_them.a

        async def suspend() -> None:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()

        for place in ("commit", "committed"):
            a.places.at(place, suspend)
        for number in range(20):
            all_of_them.start(a.say, str(number))
        await all_of_them.rest()

        indexes = [cursor.index for _, cursor in _clients_of(a).seen]
        assert indexes == sorted(indexes)
        assert len(indexes) == 20
        assert [text_of(event) for event, _ in _clients_of(a).seen] == await all_of_them.texts()


# ------------------------------------------------------------------------------------------------------- V3, V4 and 28

STEPS = ["before", "commit", "committed", "after"]


@pytest.mark.parametrize("connects", STEPS)
@pytest.mark.parametrize("on", ["a", "b"])
async def test_v3_28_a_client_that_connects_at_any_step_of_a_commit_sees_the_event_once(connects: str, on: str) -> None:
    """Without: it is told of the event before it subscribed, and reads before it is there: it never arrives."""
    async with fleet(clients) as all_of_them:
        a = all_of_them.a
        member = all_of_them.members["ab".index(on)]
        await a.say("earlier")
        client = Client()
        if connects == "before":
            await client.connect(member)
        stop = a.places.stop(connects if connects in ("commit", "committed") else "commit")
        all_of_them.start(a.say, "one")
        await stop.reached.wait()
        if connects in ("commit", "committed"):
            await client.connect(member)
        stop.open()
        await all_of_them.rest()
        if connects == "after":
            await client.connect(member)
        await poll(all_of_them, client)
        await a.say("later")
        await poll(all_of_them, client)

        assert client.shown == ["earlier", "one", "later"]


async def test_v3_28_two_committers_and_clients_on_both_kits_that_drop_and_come_back_elsewhere() -> None:
    """Each event once, in order, on whatever kit it connects; what was on a dying connection does not count."""
    async with fleet(clients) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        steady, moving, late = Client(), Client(), Client()
        await steady.connect(a)
        await moving.connect(a)
        for number in range(24):
            await (a, b)[number % 2].say(str(number))
            if number % 6 == 5:  # it had not read yet: its cursor is what it showed, not what was sent
                moving.drop()
                await (b, a)[number // 6 % 2].say(f"while away {number}")
                await moving.connect((b, a)[number // 6 % 2])
            if number == 11:
                await late.connect(b)
            if number % 4 == 3:
                await poll(all_of_them, steady, moving, *([late] if number > 11 else []))
        await poll(all_of_them, steady, moving, late)

        said = await all_of_them.texts()
        assert len(said) == 28
        assert steady.shown == moving.shown == late.shown == said


async def test_v4_the_cursor_moves_over_what_its_client_may_not_see() -> None:
    """Without: it stands before an event of somebody else for ever, and reads that page again and again."""
    async with fleet(clients) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        client = Client()
        await client.connect(a)
        for number in range(4):
            await b.say(f"whispered {number}", visibility="internal")
        await b.say("said")
        await poll(all_of_them, client)

        assert client.shown == ["said"]
        assert client.cursor == (await all_of_them.store.heads(["room"]))["room"]


async def test_v4_a_deletion_appends_an_event_so_that_cursors_learn_of_it() -> None:
    async with fleet(clients) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        connected, away = Client(), Client()
        for client in (connected, away):
            await client.connect(a)
        result = await a.say("one")
        assert result.event is not None
        away.drop()

        await b.kit.delete_event("room", result.event.id)
        await poll(all_of_them, connected)
        await away.connect(b)

        assert connected.shown == away.shown == ["one", "delete"]


async def test_v4_a_client_of_a_room_that_is_made_again_begins_anew() -> None:
    """Without: the new room's first events are below its cursor."""
    async with fleet(clients) as all_of_them:
        a, b = all_of_them.a, all_of_them.b
        client = Client()
        await client.connect(a)
        for number in range(5):
            await a.say(f"old {number}")
        client.drop()
        await b.kit.delete_room("room")
        await make_room(b.kit, "room", "live")
        await b.say("new")

        await client.connect(a)
        await a.say("newer")
        await poll(all_of_them, client)

        assert client.shown == ["new", "newer"]
