"""Walls between organizations, channels and origins, as somebody finds them who wants to the other side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from roomkit_core import RoomKit, TextContent
from roomkit_websocket.channel import WebSocketChannel
from roomkit_websocket.route import WebSocketDoors

pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio"])

Call = Callable[..., Awaitable[Any]]


def web(kit: RoomKit) -> WebSocketChannel:
    channel = kit.get_channel("web")
    assert isinstance(channel, WebSocketChannel)
    return channel


async def of_acme(scope: Any, join: Any) -> dict[str, Any]:
    return {"participant_id": "ann", "organization_id": "acme"}


async def anew(kit: RoomKit, organization_id: str | None) -> None:
    await kit.delete_room("room")
    await kit.create_room("room", organization_id=organization_id)
    await kit.attach_channel("room", "web")


@pytest.fixture
def nobody_says_so(kit: RoomKit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel has not heard yet that the room is gone."""

    async def nothing(room_id: str) -> None:
        pass

    monkeypatch.setattr(web(kit), "on_room_detached", nothing)


@pytest.mark.usefixtures("nobody_says_so")
@pytest.mark.parametrize("other", ["evil", None])
async def test_a_room_made_anew_for_others_is_closed_to_who_was_in_the_old_one(
    kit: RoomKit, serve: Any, other: str | None
) -> None:
    await anew(kit, "acme")
    call: Call = await serve(web(kit).app(kit, authenticate=of_acme))
    reader, writer = await call(), await call()
    await reader.join()
    await writer.join()
    await anew(kit, other)

    refused = await writer.say("m1", "said into a room of others")
    await kit.send_event("room", "web", TextContent(body="not for acme"))

    assert refused["code"] == "room.forbidden"
    assert (await reader.next("error", "reset", "event"))["code"] == "room.forbidden"
    assert await reader.closed() == (1008, "room.forbidden")
    assert not reader.events


@pytest.mark.usefixtures("nobody_says_so")
async def test_a_room_made_anew_for_the_same_organization_stays_open(kit: RoomKit, serve: Any) -> None:
    await anew(kit, "acme")
    call: Call = await serve(web(kit).app(kit, authenticate=of_acme))
    ann = await call()
    await ann.join()
    await anew(kit, "acme")

    assert (await ann.say("m1", "again"))["type"] == "ack"


@pytest.mark.parametrize("origin", ["http://[", "https://[::1", "http://[x]"])
async def test_an_origin_that_is_none_cannot_connect(kit: RoomKit, serve: Any, origin: str) -> None:
    call: Call = await serve(web(kit).app(kit))
    with pytest.raises(InvalidStatus) as refused:
        await call(origin=origin)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("root_path", ["", "/ws", "/chat/ws"], ids=["not mounted", "mounted", "mounted twice"])
@pytest.mark.parametrize("name", ["desk", "wsdesk", "ws", "ws/desk"])
async def test_a_path_leads_to_the_channel_that_it_names_and_to_no_other(name: str, root_path: str) -> None:
    asked: list[str] = []

    def door(channel_id: str) -> Any:
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            asked.append(channel_id)

        return serve

    async def send(message: dict[str, Any]) -> None:
        asked.append(message["type"])

    doors = WebSocketDoors({each: door(each) for each in ("desk", "wsdesk", "ws")})
    scope = {"type": "websocket", "path": f"{root_path or '/ws'}/{name}", "root_path": root_path}
    await doors(scope, None, send)  # type: ignore[arg-type]

    assert asked == [name if name != "ws/desk" else "websocket.close"]
