"""Who is let in by a configuration, over a real socket: tokens, a function of the bot, and what each may do."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio import create_task_group
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from roomkit_core import AuthRequest, ConfigError, RoomKit, RouteSpec
from roomkit_server.app import create_app
from roomkit_server.auth import FunctionAuth, Person, TokenAuth
from roomkit_server.errors import ServerError
from roomkit_server.serve import serve

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # uvicorn needs it

ANN, BOB = "ann-has-this-secret", "bob-has-that-secret"

CONFIG = f"""
[stores.main]
use = "memory"
[channels.web]
use = "websocket"
open_rooms = true
[channels.web.auth]
use = "token"
[channels.web.auth.people.ann]
token = {{ env = "ANN" }}
name = "Ann"
rooms = ["team-*"]
[channels.web.auth.people.bob]
token = "{BOB}"
participant_id = "staff-7"
scopes = ["read"]
"""

Say = Callable[..., Any]


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[str]:
    """The server of a configuration; its address."""
    kit = RoomKit.from_config(path, environ={"ANN": ANN})
    routes = [(entry.route, kit.plugins.build_route(entry)) for entry in kit.plugins.routes()]
    app = create_app(kit, routes=routes)
    assert app.state.authenticated
    async with create_task_group() as tasks:
        url = await tasks.start(serve, app, "127.0.0.1", 0)
        yield url.replace("http", "ws") + "ws"
        tasks.cancel_scope.cancel()


async def answers(url: str, *said: dict[str, Any], headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """What the server answers to each of these."""
    heard = []
    async with connect(url, additional_headers=headers) as client:
        for one in said:
            await client.send(json.dumps(one))
            answer = json.loads(await client.recv())
            while answer["type"] not in ("welcome", "error", "ack"):
                answer = json.loads(await client.recv())
            heard.append(answer)
    return heard


def join(room: str, token: str | None) -> dict[str, Any]:
    return {"type": "join", "room": room, "token": token} if token else {"type": "join", "room": room}


HELLO = {"type": "send", "id": "m1", "text": "hello"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "roomkit.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


async def test_who_has_a_token_is_the_person_of_the_configuration(config: Path) -> None:
    async with listening(config) as url:
        welcome, ack = await answers(url, join("team-a", ANN), HELLO)
        [by_header] = await answers(url, join("team-a", None), headers={"authorization": f"Bearer {ANN}"})

    assert (welcome["participant"], welcome["name"]) == ("ann", "Ann")
    assert ack["blocked"] is False
    assert by_header["participant"] == "ann"


@pytest.mark.parametrize("token", [None, "", "wrong", ANN[:-1], ANN + "x"])
async def test_nobody_else_is_let_in(config: Path, token: str | None) -> None:
    async with listening(config) as url:
        [refused] = await answers(url, join("team-a", token))

    assert refused["code"] in ("auth.refused", "protocol.invalid")
    assert ANN not in json.dumps(refused)


async def test_a_person_enters_the_rooms_that_are_theirs(config: Path) -> None:
    async with listening(config) as url:
        [refused] = await answers(url, join("boardroom", ANN))

    assert refused["code"] == "room.forbidden"


async def test_who_may_only_read_says_nothing(config: Path) -> None:
    async with listening(config) as url:
        welcome, refused = await answers(url, join("boardroom", BOB), HELLO)

    assert welcome["participant"] == "staff-7"
    assert (refused["type"], refused["code"], refused["id"]) == ("error", "auth.scope", "m1")


async def test_a_function_of_the_bot_may_say_who_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "doorman", raising=False)
    (tmp_path / "doorman.py").write_text(
        "async def who(request):\n"
        "    return {'participant_id': request.room_id + '-' + request.token} if request.token else None\n"
    )
    path = tmp_path / "roomkit.toml"
    path.write_text(
        "[roomkit]\napp = ['doorman']\n[stores.a]\nuse = 'memory'\n"
        "[channels.web]\nuse = 'websocket'\nopen_rooms = true\n"
        "[channels.web.auth]\nuse = 'function'\ntarget = 'doorman:who'\n"
    )
    async with listening(path) as url:
        [welcome] = await answers(url, join("r", "t"))
        [refused] = await answers(url, join("r", None))

    assert welcome["participant"] == "r-t"
    assert refused["code"] == "auth.refused"


async def test_what_is_no_function_is_said_when_somebody_comes() -> None:
    with pytest.raises(ConfigError, match="no function"):
        await FunctionAuth("os:nothing_like_it")(AuthRequest())


async def test_no_text_of_it_shows_a_secret(config: Path) -> None:
    person = Person(token=ANN)
    auth = TokenAuth({"ann": person})
    request = AuthRequest(token=ANN, headers={"authorization": ANN}, query=f"token={ANN}")

    assert not any(ANN in repr(one) for one in (person, auth, vars(auth), request))
    assert await auth(request) is not None


@pytest.fixture
def with_a_short_token(config: Path) -> Path:
    config.write_text(CONFIG.replace(BOB, "tiny"), encoding="utf-8")
    return config


async def test_a_token_that_is_too_short_is_a_mistake(with_a_short_token: Path) -> None:
    with pytest.raises(ConfigError, match=r"channels.web.auth.people.bob.token.*at least 16") as caught:
        RoomKit.from_config(with_a_short_token, environ={"ANN": ANN})
    assert "tiny" not in str(caught.value)


async def test_a_route_that_nobody_guards_is_not_served_and_open_pages_do_not_count_as_authentication() -> None:
    async def nobody(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nobody calls")

    kit = RoomKit()
    with pytest.raises(ServerError) as refused:
        create_app(kit, routes=[(RouteSpec("/secret", lambda kit: nobody), nobody)])
    open_to_all = create_app(kit, routes=[(RouteSpec("/page", lambda kit: nobody, auth="none"), nobody)])

    assert refused.value.code == "server.no_authentication"
    assert not open_to_all.state.authenticated


async def test_who_belongs_to_an_organization_opens_its_rooms_and_enters_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "porter", raising=False)
    (tmp_path / "porter.py").write_text(
        "async def who(request):\n"
        "    name, _, organization = request.token.partition('@')\n"
        "    return {'participant_id': name, 'organization_id': organization or None}\n"
    )
    path = tmp_path / "roomkit.toml"
    path.write_text(
        "[roomkit]\napp = ['porter']\n[stores.a]\nuse = 'memory'\n"
        "[channels.web]\nuse = 'websocket'\nopen_rooms = true\n"
        "[channels.web.auth]\nuse = 'function'\ntarget = 'porter:who'\n"
    )
    async with listening(path) as url:
        [mine] = await answers(url, join("r", "ann@acme"))
        [colleague] = await answers(url, join("r", "cid@acme"))
        [other] = await answers(url, join("r", "bob@globex"))
        [staff] = await answers(url, join("r", "eve"))
        [nobodys] = [*await answers(url, join("n", "eve")), *await answers(url, join("n", "ann@acme"))][1:]

    assert (mine["type"], colleague["type"], staff["type"]) == ("welcome", "welcome", "welcome")
    assert (other["code"], nobodys["code"]) == ("room.forbidden", "room.forbidden")


async def test_a_token_comes_with_the_handshake_as_a_subprotocol_or_as_a_cookie(config: Path) -> None:
    async with listening(config) as url:
        offered = [Subprotocol("roomkit"), Subprotocol(f"roomkit.token.{ANN}")]
        async with connect(url, subprotocols=offered) as client:
            assert client.subprotocol == "roomkit"
            await client.send(json.dumps(join("team-a", None)))
            assert json.loads(await client.recv())["participant"] == "ann"
        [by_cookie] = await answers(url, join("team-a", None), headers={"cookie": f"roomkit_token={ANN}"})

    assert by_cookie["participant"] == "ann"


async def test_a_hook_finds_what_authentication_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "clerk", raising=False)
    (tmp_path / "clerk.py").write_text(
        "from roomkit_core import HookResult, HookTrigger, auth_context, hook\n\n"
        "async def who(request):\n"
        "    return {'participant_id': request.token, 'plan': f'plan of {request.token}'}\n\n"
        "@hook(HookTrigger.BEFORE_BROADCAST)\n"
        "async def tell(event, context):\n"
        "    return HookResult.block(auth_context.get()['plan'])\n"
    )
    path = tmp_path / "roomkit.toml"
    path.write_text(
        "[roomkit]\napp = ['clerk']\n[stores.a]\nuse = 'memory'\n"
        "[channels.web]\nuse = 'websocket'\nopen_rooms = true\n"
        "[channels.web.auth]\nuse = 'function'\ntarget = 'clerk:who'\n"
    )
    async with listening(path) as url:
        reasons = [(await answers(url, join("r", name), HELLO))[1]["reason"] for name in ("ann", "bob")]

    assert reasons == ["plan of ann", "plan of bob"]


@pytest.mark.parametrize(
    ("scope", "token"),
    [
        ({"headers": [(b"Authorization", b"bearer  abc ")]}, "abc"),
        ({"headers": [(b"authorization", b"Basic abc")]}, None),
        ({"subprotocols": ["other", "roomkit", "roomkit.token.abc"]}, "abc"),
        ({"subprotocols": ["roomkit", "abc"]}, None),
        ({"headers": [(b"cookie", b"roomkit_token=abc")]}, None),
        ({"headers": [(b"cookie", b"roomkit_token=abc")], "roomkit.origin_checked": True}, "abc"),
        ({"headers": [(b"cookie", b"x_roomkit_token=abc; roomkit_token=")], "roomkit.origin_checked": True}, None),
        ({"query_string": b"token=abc"}, None),
    ],
)
async def test_a_token_is_taken_from_where_it_may_stand(scope: dict[str, Any], token: str | None) -> None:
    assert AuthRequest.from_scope(scope).token == token
    assert AuthRequest.from_scope(scope, token="said").token == "said"
