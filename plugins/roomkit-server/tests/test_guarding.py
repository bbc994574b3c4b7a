"""What stands before the routes of plugins: who comes, from which page, with how much; and headers on every answer."""

from __future__ import annotations

import http.client
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio import create_task_group, to_thread
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, NegotiationError
from websockets.typing import Origin, Subprotocol

from roomkit_core import AuthRequest, RoomKit, RouteSpec, auth_context
from roomkit_server.app import create_app
from roomkit_server.errors import ServerError
from roomkit_server.headers import HEADERS
from roomkit_server.limits import Limits
from roomkit_server.serve import serve
from roomkit_server.settings import ServerSettings

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # uvicorn needs it

TOKEN = "ann.has-this_secret"
PAGE = "https://chat.example"


async def who(request: AuthRequest) -> dict[str, Any] | None:
    if request.token == "broken":
        raise RuntimeError(f"no answer about {request.token}")
    return {"participant_id": "ann", "tenant": 7} if request.token == TOKEN else None


async def show(request: Request) -> JSONResponse:
    return JSONResponse({"who": auth_context.get(), "body": (await request.body()).decode()})


async def fail(request: Request) -> JSONResponse:
    raise RuntimeError("broken on purpose")


async def greet(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="roomkit" if "roomkit" in websocket.scope["subprotocols"] else None)
    await websocket.send_json(auth_context.get())
    await websocket.receive()


INNER = Starlette(
    routes=[Route("/", show, methods=["GET", "POST"]), Route("/fail", fail), WebSocketRoute("/live", greet)]
)
GUARDED = (RouteSpec("/admin", lambda kit: INNER), INNER)
OPEN = (RouteSpec("/open", lambda kit: INNER, auth="none"), INNER)


@asynccontextmanager
async def listening(*, limits: Limits | None = None, proxies: Sequence[str] = (), **options: Any) -> AsyncIterator[str]:
    """A server with a guarded and an open route; its host and port."""
    app = create_app(RoomKit(), **{"routes": [GUARDED, OPEN], "auth": who, "limits": limits, **options})
    async with create_task_group() as tasks:
        url = await tasks.start(partial(serve, app, "127.0.0.1", 0, limits=limits, proxies=proxies))
        yield url.removeprefix("http://").strip("/")
        tasks.cancel_scope.cancel()


def ask(
    where: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(where, timeout=30)
    try:
        connection.request(method, path, body, headers={name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()
    finally:
        connection.close()


async def asked(*args: Any, **headers: Any) -> tuple[int, dict[str, str], bytes]:
    return await to_thread.run_sync(partial(ask, *args, **headers))


# ------------------------------------------------------------------------------------------------- who


@pytest.mark.parametrize("headers", [{"authorization": f"Bearer {TOKEN}"}, {"cookie": f"a=b; roomkit_token={TOKEN}"}])
async def test_the_handler_of_a_guarded_route_finds_who_it_is(headers: dict[str, str]) -> None:
    async with listening() as host:
        status, _, body = await asked(host, "/admin/", **headers)

    assert (status, json.loads(body)["who"]) == (200, {"participant_id": "ann", "tenant": 7})


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}])
async def test_nobody_else_gets_to_it(headers: dict[str, str]) -> None:
    async with listening() as host:
        status, given, body = await asked(host, "/admin/", **headers)
        open_to_all = await asked(host, "/open/")

    assert (status, given["www-authenticate"], json.loads(body)["error"]["code"]) == (401, "Bearer", "auth.refused")
    assert json.loads(open_to_all[2])["who"] is None


async def test_whoever_cannot_be_asked_about_may_come_again_and_the_log_has_no_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening() as host:
        status, given, _ = await asked(host, "/admin/", authorization="Bearer broken")

    assert (status, given["retry-after"]) == (503, "5")
    assert "RuntimeError" in caplog.text
    assert "about broken" not in caplog.text


async def test_a_websocket_may_bring_its_token_as_a_subprotocol_and_is_answered_with_ours() -> None:
    offered = [Subprotocol("roomkit"), Subprotocol(f"roomkit.token.{TOKEN}")]
    async with listening() as host, connect(f"ws://{host}/admin/live", subprotocols=offered) as client:
        assert json.loads(await client.recv())["participant_id"] == "ann"
        assert client.subprotocol == "roomkit"


async def test_a_refused_websocket_gets_a_status_and_that_of_a_page_a_close_code() -> None:
    async with listening() as host:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://{host}/admin/live"):
                pass
        async with connect(f"ws://{host}/admin/live", origin=Origin(f"http://{host}")) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()

    assert refused.value.response.status_code == 401
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "auth.refused")


async def test_a_guarded_route_counts_as_asking_and_an_unguarded_one_is_not_served() -> None:
    assert create_app(RoomKit(), routes=[GUARDED, OPEN], auth=who).state.authenticated
    with pytest.raises(ServerError) as refused:
        create_app(RoomKit(), routes=[GUARDED])
    assert refused.value.code == "server.no_authentication"
    assert "[plugins.server.auth]" in refused.value.hint


async def test_the_authenticator_stands_in_the_section_of_the_server(tmp_path: Path) -> None:
    path = tmp_path / "roomkit.toml"
    path.write_text(
        "[stores.a]\nuse = 'memory'\n[plugins.server]\npublic_url = 'https://chat.example/'\nmax_body = 10\n"
        "[plugins.server.auth]\nuse = 'token'\n[plugins.server.auth.people.ann]\ntoken = { env = 'ANN' }\n"
    )
    settings = RoomKit.from_config(path, environ={"ANN": TOKEN}).plugins.settings("server")

    assert (await settings.auth(AuthRequest(token=TOKEN)))["participant_id"] == "ann"
    assert (settings.public_url, settings.limits.max_body) == ("https://chat.example", 10)


async def test_no_log_has_a_token_whichever_way_it_came(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "websockets.client")  # that is our own side
    caplog.set_level(logging.DEBUG)
    ways: list[dict[str, str]] = [
        {"authorization": f"Bearer {TOKEN}"},
        {"cookie": f"roomkit_token={TOKEN}"},
        {"sec-websocket-protocol": f"roomkit, roomkit.token.{TOKEN}"},
    ]
    async with listening() as host:
        for headers in ways:
            await asked(host, f"/admin/?token={TOKEN}", **headers)
        for headers in ways:
            with suppress(NegotiationError):
                async with connect(f"ws://{host}/admin/live?token={TOKEN}", additional_headers=headers) as client:
                    await client.recv()

    assert TOKEN not in caplog.text


# ------------------------------------------------------------------------------------------------- from where


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://HOST", 200),
        (PAGE, 200),
        ("HTTPS://Chat.Example", 200),
        ("https://friend.example", 200),
        ("https://evil.example", 403),
        ("https://chat.example.evil", 403),
        ("null", 403),
    ],
)
async def test_a_page_changes_something_only_if_it_is_ours_or_named(origin: str | None, status: int) -> None:
    async with listening(public_url=PAGE, origins=["https://friend.example"]) as host:
        headers = {} if origin is None else {"origin": origin.replace("HOST", host)}
        posted = await asked(host, "/open/", "POST", b"x", **headers)
        read = await asked(host, "/open/", **headers)
        if status == 200:
            async with connect(f"ws://{host}/open/live", additional_headers=headers) as client:
                assert await client.recv() == "null"
        else:
            with pytest.raises(InvalidStatus):
                async with connect(f"ws://{host}/open/live", additional_headers=headers):
                    pass

    assert (posted[0], read[0]) == (status, 200)


async def test_origins_of_a_channel_count_for_its_route_alone() -> None:
    class Channel:
        authenticated = True
        origins = frozenset({"https://shop.example"})

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            assert "roomkit.origin_checked" not in scope  # the route looks at it itself
            await JSONResponse({})(scope, receive, send)

    async with listening(websocket=Channel()) as host:
        there = await asked(host, "/ws", "POST", b"", origin="https://shop.example")
        beside = await asked(host, "/open/", "POST", b"", origin="https://shop.example")

    assert (there[0], beside[0]) == (200, 403)


async def test_with_a_public_address_its_host_and_loopback_names_are_ours_and_no_others() -> None:
    async with listening(public_url="https://chat.example:8443") as host:
        answers = [
            (await asked(host, "/open/", host=name))[0] for name in ("chat.example", "localhost", "evil.example")
        ]

    assert answers == [200, 200, 400]


async def test_a_public_address_without_authentication_is_refused() -> None:
    with pytest.raises(ServerError) as refused:
        await serve(create_app(RoomKit(), public_url=PAGE), "127.0.0.1", 0)
    assert refused.value.code == "server.loopback_only"


@pytest.mark.parametrize(
    ("proxies", "seen"), [((), "127.0.0.1"), (("192.0.2.0/24",), "127.0.0.1"), (("127.0.0.0/8",), "203.0.113.9")]
)
async def test_only_a_proxy_that_is_named_says_where_a_client_is(proxies: tuple[str, ...], seen: str) -> None:
    asking: list[str | None] = []

    async def note(request: AuthRequest) -> None:
        asking.append(request.client)

    async with listening(auth=note, proxies=proxies) as host:
        await asked(host, "/admin/", **{"x-forwarded-for": "203.0.113.9"})

    assert asking == [seen]


# ------------------------------------------------------------------------------------------------- headers


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 200),
        ("/healthz", {}, 200),
        ("/nothing", {}, 404),
        ("/admin/", {}, 401),
        ("/open/fail", {}, 500),
        ("/", {"host": "evil.example"}, 400),
    ],
)
async def test_every_answer_has_the_headers(path: str, headers: dict[str, str], status: int) -> None:
    async with listening(hosts=["127.0.0.1"]) as host:
        answer = await asked(host, path, **headers)

    assert answer[0] == status
    assert HEADERS.items() <= answer[1].items()
    assert "frame-ancestors 'none'" in answer[1]["content-security-policy"]


# ------------------------------------------------------------------------------------------------- how much


async def test_a_body_that_is_too_long_is_refused_announced_or_not() -> None:
    def chunked(host: str) -> int:
        connection = http.client.HTTPConnection(host, timeout=30)
        try:
            connection.request("POST", "/open/", iter([b"12345", b"6"]), encode_chunked=True)
            return connection.getresponse().status
        finally:
            connection.close()

    async with listening(limits=Limits(max_body=5)) as host:
        fits = await asked(host, "/open/", "POST", b"12345")
        announced = await asked(host, "/open/", "POST", b"123456")
        counted = await to_thread.run_sync(chunked, host)

    assert (fits[0], announced[0], counted) == (200, 413, 413)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost:", b""),
        (b"POST /open/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n12", b"HTTP/1.1 408"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 200"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz", b"HTTP/1.1 200"),
    ],
    ids=["nothing", "half of the headers", "half of a body", "and then nothing", "and then half of the next"],
)
async def test_a_client_that_waits_is_not_waited_for(said: bytes, heard: bytes) -> None:
    def wait(host: str) -> bytes:
        name, _, port = host.partition(":")
        with socket.create_connection((name, int(port)), timeout=60) as connection:
            connection.sendall(said)
            whole = b""
            while more := connection.recv(65536):  # until the server closes
                whole += more
            return whole

    async with listening(limits=Limits(header_timeout=0.1, body_timeout=0.1, idle_timeout=0.1)) as host:
        whole = await to_thread.run_sync(wait, host)

    assert whole.startswith(heard)
    assert bool(whole) == bool(heard)


async def test_a_connection_that_is_kept_waits_for_the_rest_of_a_request_no_longer_than_a_new_one() -> None:
    def begin_again(host: str) -> bytes:
        name, _, port = host.partition(":")
        with socket.create_connection((name, int(port)), timeout=60) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            whole = b""
            while not whole.endswith(b"}"):
                whole += connection.recv(65536)
            connection.sendall(b"GET /healthz")
            return connection.recv(1)

    async with listening(limits=Limits(header_timeout=0.1, idle_timeout=3600)) as host:
        assert await to_thread.run_sync(begin_again, host) == b""


async def test_there_are_no_more_websockets_and_connections_than_the_limits_say() -> None:
    async with listening(limits=Limits(max_clients=1, max_connections=2)) as host:
        async with connect(f"ws://{host}/open/live") as first:
            await first.recv()
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"ws://{host}/open/live"):
                    pass
            assert refused.value.response.status_code == 503
            await to_thread.run_sync(too_many, host)
        async with connect(f"ws://{host}/open/live") as again:
            assert await again.recv() == "null"


def too_many(host: str) -> None:
    """Beside one WebSocket one more connection is taken, and a third one is closed."""
    name, _, port = host.partition(":")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read()
    with socket.create_connection((name, int(port)), timeout=30) as third:
        assert third.recv(1) == b""
    connection.close()


WRONG: list[Callable[[], ServerSettings]] = [
    lambda: ServerSettings(public_url="chat.example"),
    lambda: ServerSettings(public_url="https://chat.example/path"),
    lambda: ServerSettings(allowed_origins=("*",)),
    lambda: ServerSettings(trusted_proxies=("proxy.example",)),
    lambda: ServerSettings(header_timeout=0),
    lambda: ServerSettings(max_connections=0),
    lambda: ServerSettings(max_body=-1),
]


@pytest.mark.parametrize("make", WRONG)
async def test_settings_have_bounds(make: Callable[[], ServerSettings]) -> None:
    with pytest.raises(ValidationError):
        make()
