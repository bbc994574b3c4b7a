"""The application on real sockets, with a real kit behind it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from anyio import Event, fail_after, lowlevel, sleep
from websockets.exceptions import InvalidStatus

from roomkit_core import HookResult, HookTrigger, RoomKit, TextContent
from roomkit_core.models.room import Cursor, Page
from roomkit_websocket.channel import WebSocketChannel

pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # uvicorn and websockets need it

Call = Callable[..., Awaitable[Any]]


def web(kit: RoomKit) -> WebSocketChannel:
    channel = kit.get_channel("web")
    assert isinstance(channel, WebSocketChannel)
    return channel


async def says(kit: RoomKit, *texts: str, **options: Any) -> None:
    for text in texts:
        await kit.send_event("room", "desk", TextContent(body=text), **options)


async def reaches(condition: Callable[[], bool]) -> None:
    with fail_after(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await sleep(0.01)


async def test_what_one_says_both_hear_and_the_sender_gets_an_ack(call: Call) -> None:
    ann, bob = await call(), await call()
    welcome = await ann.join("ann")
    await bob.join("bob")

    ack = await ann.say("m1", "hello")
    if not ann.events:
        await ann.next("event")
    event = (await bob.next("event"))["event"]

    assert (ack["event_id"], ack["index"], ack["blocked"]) == (event["id"], event["index"], False)
    assert ann.events == bob.events == [(event["index"], "hello")]
    assert event["from"] == {
        "channel": "web",
        "channel_type": "websocket",
        "participant": welcome["participant"],
        "name": "ann",
    }
    assert event["key"] == "m1"


async def test_the_id_of_a_guest_does_not_give_away_their_secret(call: Call) -> None:
    peer = await call()
    welcome = await peer.join("ann")
    assert "secret" not in welcome["participant"]
    again = await call()
    assert (await again.join("ann"))["participant"] == welcome["participant"]


async def test_a_client_that_comes_back_gets_the_gap_once_and_in_order(kit: RoomKit, call: Call) -> None:
    ann = await call()
    await ann.join("ann")
    await says(kit, "one", "two")
    await ann.next("event")
    cursor = (await ann.next("event"))["cursor"]
    ann.cut()
    await says(kit, *[f"gap {number}" for number in range(250)])

    back = await call()
    await back.join("ann", cursor=cursor)
    await says(kit, "live")
    await back.next("event")

    indexes = [index for index, _ in back.events]
    assert indexes == list(range(cursor["index"] + 1, cursor["index"] + 252))
    assert [text for _, text in back.events] == [*[f"gap {number}" for number in range(250)], "live"]
    assert not any(message["type"] == "reset" for message in back.heard)


async def test_a_message_sent_again_after_a_lost_ack_is_one_event(kit: RoomKit, call: Call) -> None:
    ann = await call()
    await ann.join("ann")
    first = await ann.say("m1", "hello")
    ann.cut()
    back = await call()
    await back.join("ann")
    again = await back.say("m1", "hello")
    bob = await call()
    await bob.join("bob")
    other = await bob.say("m1", "my own m1")

    assert again == first
    assert other["event_id"] != first["event_id"]
    assert [event.content.body for event in await kit.get_timeline("room") if event.type == "message"] == [
        "hello",
        "my own m1",
    ]


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_an_event_while_the_gap_is_read_arrives_once(kit: RoomKit, serve: Any, moment: str) -> None:
    class Rooms:
        """Reads like the kit's, but something happens right before or right after a page is read."""

        async def read(self, room_id: str, *, viewer: str, after: Cursor | None = None, limit: int = 100) -> Page:
            happens = meanwhile.pop() if meanwhile and limit > 1 else None  # the read before asks where to begin
            if happens and moment == "before":
                await says(kit, happens)
            page = await kit.rooms.read(room_id, viewer=viewer, after=after, limit=limit)
            if happens and moment == "after":
                await says(kit, happens)
            return page

    meanwhile = ["meanwhile"]
    app = web(kit).app(kit)
    app.kit = _With(kit, Rooms())
    call = await serve(app)
    await says(kit, "earlier")
    ann = await call()
    await ann.join("ann")
    await says(kit, "later")
    await reaches_events(ann, ["earlier", "meanwhile", "later"])


class _With:
    """The kit with other rooms."""

    def __init__(self, kit: RoomKit, rooms: Any) -> None:
        self._kit = kit
        self.rooms = rooms

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kit, name)


async def reaches_events(peer: Any, texts: list[str]) -> None:
    while [text for _, text in peer.events] != texts:
        assert len(peer.events) < len(texts), peer.events
        await peer.next("event")


async def test_indexes_that_a_client_may_not_see_move_its_cursor(kit: RoomKit, call: Call) -> None:
    ann = await call()
    await ann.join("ann")
    await says(kit, "not for you", visibility="desk")
    await says(kit, "for all")
    await ann.next("event")
    moved = await ann.next("cursor")
    await says(kit, "next")
    await ann.next("event")

    assert [text for _, text in ann.events] == ["for all", "next"]
    assert moved["cursor"]["index"] == ann.events[0][0]
    await says(kit, "hidden at the end", visibility="desk")
    late = await call()
    await late.join("bob")
    assert late.heard[-1]["cursor"]["index"] == ann.events[-1][0] + 1


async def test_a_cursor_of_another_incarnation_is_reset(kit: RoomKit, call: Call) -> None:
    await says(kit, "one", "two")
    ann = await call()
    welcome = await ann.join("ann", cursor={"epoch": "another", "index": 1000})
    reset = next(message for message in ann.heard if message["type"] == "reset")

    assert reset["epoch"] == welcome["epoch"]
    assert reset["cursor"] == welcome["cursor"] == {"epoch": welcome["epoch"], "index": -1}
    assert [text for _, text in ann.events] == ["one", "two"]


async def test_a_room_made_anew_under_a_client_is_told_to_it(kit: RoomKit, call: Call) -> None:
    ann = await call()
    welcome = await ann.join("ann")
    await says(kit, "old")
    await ann.next("event")
    await kit.delete_room("room")
    await kit.create_room("room")
    await kit.attach_channel("room", "web")
    await kit.attach_channel("room", "desk")
    await says(kit, "new")
    reset = await ann.next("reset")
    await ann.next("event")

    assert reset["epoch"] != welcome["epoch"]
    assert ann.events[-1][1] == "new"


async def test_a_client_without_a_cursor_begins_with_the_newest(kit: RoomKit, serve: Any) -> None:
    await says(kit, *[str(number) for number in range(20)])
    call = await serve(web(kit).app(kit, history=5))
    ann = await call()
    welcome = await ann.join("ann")

    assert [text for _, text in ann.events] == ["15", "16", "17", "18", "19"]
    assert welcome["cursor"]["index"] == ann.events[0][0] - 1


async def test_what_a_hook_blocks_is_acked_with_the_reason(kit: RoomKit, call: Call) -> None:
    @kit.hook(HookTrigger.BEFORE_BROADCAST)
    async def no_shouting(event: Any, context: Any) -> HookResult:
        return HookResult.block("shouting") if event.content.body.isupper() else HookResult.allow()

    ann, bob = await call(), await call()
    await ann.join("ann")
    await bob.join("bob")
    refused = await ann.say("m1", "HELLO")
    await ann.say("m2", "hello")
    await bob.next("event")

    assert (refused["blocked"], refused["reason"]) == (True, "shouting")
    assert [text for _, text in bob.events] == ["hello"]


async def test_what_the_sender_notes_in_metadata_stays_inside_except_the_name(kit: RoomKit, call: Call) -> None:
    ann = await call()
    await ann.join("ann")
    await says(kit, "hello", metadata={"name": "Desk", "score": 0.9, "secret": "s"})
    event = (await ann.next("event"))["event"]

    assert event["from"]["name"] == "Desk"
    assert "score" not in json.dumps(event)
    assert set(event) == {"id", "index", "type", "at", "from", "content", "key"}


async def test_half_a_surrogate_pair_in_a_text_does_not_break_the_room(kit: RoomKit, call: Call) -> None:
    ann = await call()
    await ann.join("ann")
    await says(kit, "broken \ud800", "fine")
    await reaches_events(ann, ["broken \ud800", "fine"])


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        ("", "protocol.invalid"),
        ("no json", "protocol.invalid"),
        ("[" * 1000, "protocol.invalid"),
        ("17", "protocol.invalid"),
        ('{"type":"dance"}', "protocol.invalid"),
        ('{"type":"send","id":"x"}', "protocol.invalid"),
        ('{"type":"send","id":"x","text":"a","content":{"type":"text","body":"b"}}', "protocol.invalid"),
        ('{"type":"send","id":"no spaces","text":"a"}', "protocol.invalid"),
        ('{"type":"send","id":"x","text":"' + "a" * 9_000 + '"}', "protocol.invalid"),
        ('{"type":"send","id":"x","content":{"type":"system","body":"I am the system"}}', "protocol.invalid"),
        ('{"type":"send","id":"x","content":{"type":"delete","target_event_id":"e"}}', "protocol.invalid"),
        (
            '{"type":"send","id":"x","content":{"type":"media","url":"javascript:1","mime_type":"a"}}',
            "protocol.invalid",
        ),
        ('{"type":"ping","x":"' + "a" * 70_000 + '"}', "protocol.too_large"),
        ('{"type":"join","room":"room","client":"' + "c" * 20 + '"}', "protocol.joined"),
        (b"\x00\x01", "protocol.invalid"),
    ],
)
async def test_garbage_is_answered_with_a_code_and_the_connection_goes_on(
    call: Call, garbage: str | bytes, code: str
) -> None:
    ann = await call()
    await ann.join("ann")
    await ann.connection.send(garbage)
    error = await ann.next("error")

    assert (error["code"], error["retryable"], error["fatal"]) == (code, False, False)
    assert "Traceback" not in error["message"]
    assert (await ann.say("m1", "still here"))["blocked"] is False


async def test_a_refused_send_names_its_id(call: Call) -> None:
    ann = await call()
    await ann.join("ann")
    await ann.put(type="send", id="m1", text="")
    assert (await ann.next("error"))["id"] == "m1"


async def test_too_much_garbage_ends_the_connection(call: Call) -> None:
    ann = await call()
    await ann.join("ann")
    for _ in range(11):
        await ann.connection.send("garbage")
    while not (await ann.next("error"))["fatal"]:
        pass
    assert ann.heard[-1]["code"] == "protocol.too_many_errors"
    assert await ann.closed() == (1008, "protocol.too_many_errors")


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "ping"}, "protocol.not_joined"),
        ({"type": "join"}, "protocol.invalid"),
        ({"type": "join", "room": "room"}, "protocol.invalid"),
        ({"type": "join", "room": "all", "client": "c" * 20}, "protocol.invalid"),
        ({"type": "join", "room": "room", "client": "c" * 20, "name": "\u0007"}, "protocol.invalid"),
        ({"type": "join", "room": "nowhere", "client": "c" * 20}, "room.not_found"),
    ],
)
async def test_who_cannot_join_is_told_why_and_sent_away(call: Call, first: dict[str, Any], code: str) -> None:
    ann = await call()
    await ann.put(**first)
    error = await ann.next("error")

    assert (error["code"], error["fatal"]) == (code, True)
    assert await ann.closed() == (1008, code)


async def test_who_says_nothing_is_sent_away(kit: RoomKit, serve: Any) -> None:
    call = await serve(web(kit).app(kit, join_timeout=0.05))
    ann = await call()
    assert (await ann.next("error"))["code"] == "protocol.join_timeout"
    assert await ann.closed() == (1013, "protocol.join_timeout")


async def test_a_ping_is_answered(call: Call) -> None:
    ann = await call()
    await ann.join("ann")
    await ann.put(type="ping")
    assert await ann.next() == {"type": "pong"}


async def test_an_opener_makes_the_room(kit: RoomKit, serve: Any) -> None:
    async def open_room(room_id: str, visitor: Any) -> None:
        await kit.create_room(room_id, exist_ok=True)
        await kit.attach_channel(room_id, "web")

    call = await serve(web(kit).app(kit, open_room=open_room))
    ann = await call()
    await ann.join("ann", room="fresh")
    assert (await ann.say("m1", "first"))["blocked"] is False


async def test_authentication_decides_who_it_is_and_where_they_may_go(kit: RoomKit, serve: Any) -> None:
    async def authenticate(scope: Any, join: Any) -> dict[str, Any] | None:
        if join.token != "right":
            return None
        return {"participant_id": "staff-7", "name": "Ann of Support", "rooms": ["roo*"], "department": "support"}

    app = web(kit).app(kit, authenticate=authenticate)
    call = await serve(app)
    assert app.authenticated
    stranger = await call()
    assert (await stranger.join("ann", token="wrong"))["code"] == "auth.refused"
    assert await stranger.closed() == (4401, "auth.refused")
    lost = await call()
    assert (await lost.join("ann", room="elsewhere", token="right"))["code"] == "room.forbidden"

    ann = await call()
    welcome = await ann.join("ann", token="right")
    await ann.say("m1", "hello")
    said = [event for event in await kit.get_timeline("room") if event.type == "message"][-1]

    assert (welcome["participant"], welcome["name"]) == ("staff-7", "Ann of Support")
    assert said.source.participant_id == "staff-7"
    assert said.metadata == {"department": "support", "name": "Ann of Support"}


async def test_an_authentication_that_fails_lets_nobody_in(
    kit: RoomKit, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def authenticate(scope: Any, join: Any) -> dict[str, Any] | None:
        raise TimeoutError("the directory is down")

    call = await serve(web(kit).app(kit, authenticate=authenticate))
    ann = await call()
    answer = await ann.join("ann")

    assert (answer["code"], answer["retryable"]) == ("server.error", True)
    assert "authentication failed with TimeoutError" in caplog.text
    assert "directory" not in answer["message"] + caplog.text, "its text may hold what the client gave"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"participant_id": None},
        {"participant_id": ""},
        {"participant_id": 7},
        {"participant_id": "ann", "rooms": "team-*"},
        {"participant_id": "ann", "scopes": "read"},
        {"participant_id": "ann", "scopes": ["admin"]},
        {"participant_id": "ann", "scopes": []},
        "ann",
    ],
)
async def test_an_answer_that_does_not_fit_lets_nobody_in(kit: RoomKit, serve: Any, answer: Any) -> None:
    async def authenticate(scope: Any, join: Any) -> Any:
        return answer

    call = await serve(web(kit).app(kit, authenticate=authenticate))
    ann = await call()
    refused = await ann.join("ann", room="team-a")

    assert refused["type"] == "error"
    assert refused["code"] in ("auth.refused", "auth.scope")


async def test_a_page_of_another_origin_cannot_connect(kit: RoomKit, serve: Any) -> None:
    call = await serve(web(kit).app(kit, origins=["https://chat.example"]))
    with pytest.raises(InvalidStatus) as refused:
        await call(origin="https://evil.example")
    assert refused.value.response.status_code == 403
    friend = await call(origin="https://chat.example")
    assert (await friend.join("ann"))["type"] == "welcome"


async def test_a_client_that_does_not_read_is_dropped_delays_nobody_and_comes_back(serve: Any) -> None:
    async with RoomKit() as kit:
        channel = WebSocketChannel("web", send_timeout=2.0, queue_size=1000)
        kit.register_channel(channel)
        kit.register_channel(WebSocketChannel("desk"))
        await kit.create_room("room")
        await kit.attach_channel("room", "web")
        await kit.attach_channel("room", "desk")
        call = await serve(channel.app(kit))
        deaf = await call(max_queue=1)  # reads no further than this, and then TCP fills up
        welcome = await deaf.join("ann")
        bob = await call()
        await bob.join("bob")

        big = "x" * 200_000
        said = 0
        while channel.connection_count == 2:
            await kit.send_event("room", "desk", TextContent(body=f"{said} {big}"), wait="committed")
            said += 1
            with fail_after(1):  # although a task is stuck with ann for two seconds
                await bob.next("event")
            await sleep(0.02)  # what fills the buffers of the kernel is the number of messages, not their pace
            assert said < 500

        deaf.cut()
        back = await call()
        await back.join("ann", cursor=welcome["cursor"])
        texts = [text.split()[0] for _, text in back.events]
        assert texts == [str(number) for number in range(said)]
        assert channel.info["dropped_count"] == 1


async def test_a_detached_channel_lets_its_clients_go(kit: RoomKit, call: Call) -> None:
    ann = await call()
    await ann.join("ann")
    await kit.detach_channel("room", "web")
    await reaches(lambda: web(kit).connection_count == 0)
    assert (await ann.next("error"))["code"] == "channel.not_attached"
    assert (await ann.closed())[1] == "channel.not_attached"


async def test_connections_are_told_to_the_handlers_of_the_kit(kit: RoomKit, call: Call) -> None:
    seen: list[str] = []
    gone = Event()

    @kit.on("channel_connected")
    async def connected(event: Any) -> None:
        seen.append(event.room_id)

    @kit.on("channel_disconnected")
    async def disconnected(event: Any) -> None:
        gone.set()

    ann = await call()
    await ann.join("ann")
    ann.cut()
    with fail_after(10):
        await gone.wait()
    assert seen == ["room"]
    assert web(kit).connection_count == 0
    await lowlevel.checkpoint()
