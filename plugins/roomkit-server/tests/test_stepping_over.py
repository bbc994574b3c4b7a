"""Clients that try to step over what a server holds them to: time, addresses, the log."""

from __future__ import annotations

import http.client
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from time import monotonic
from typing import Any

import pytest
from anyio import create_task_group, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from roomkit_core import RoomKit, RouteSpec
from roomkit_server.app import create_app
from roomkit_server.headers import HEADERS
from roomkit_server.limits import Limits
from roomkit_server.serve import serve

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # uvicorn needs it

PATIENCE = 60.0


async def take(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.receive()


INNER = Starlette(routes=[Route("/", take, methods=["POST"]), WebSocketRoute("/live", greet)])
OPEN = (RouteSpec("/open", lambda kit: INNER, auth="none"), INNER)


@asynccontextmanager
async def listening(limits: Limits | None = None, **options: Any) -> AsyncIterator[str]:
    app = create_app(RoomKit(), **{"routes": [OPEN], "limits": limits, **options})
    async with create_task_group() as tasks:
        url = await tasks.start(partial(serve, app, "127.0.0.1", 0, limits=limits))
        yield url.removeprefix("http://").strip("/")
        tasks.cancel_scope.cancel()


def post(where: str, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(where, timeout=PATIENCE)
    try:
        connection.request("POST", path, b"x", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): text for name, text in answer.getheaders()}
    finally:
        connection.close()


def drip(host: str, head: bytes, drop: bytes, pause: float = 0.05) -> bytes:
    """Send a drop again and again until the server ends the connection; what it said."""
    name, _, port = host.partition(":")
    heard, end = b"", monotonic() + PATIENCE / 2
    with socket.create_connection((name, int(port)), timeout=pause) as connection:
        connection.sendall(head)
        while monotonic() < end:
            try:
                more = connection.recv(65536)
            except TimeoutError:
                more = None
            except ConnectionError:
                return heard
            if more == b"":
                return heard
            heard += more or b""
            try:
                connection.sendall(drop)
            except ConnectionError:
                return heard
    raise AssertionError(f"the connection is still open after {heard!r}")


# ------------------------------------------------------------------------------------------------- time


async def test_a_body_that_comes_in_drops_is_not_waited_for_longer_than_any_other() -> None:
    head = b"POST /open/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    async with listening(Limits(body_timeout=0.5)) as host:
        heard = await to_thread.run_sync(drip, host, head, b"x")

    assert heard.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("drop", [b"", b"1\r\nx\r\n"], ids=["one drop and nothing", "drops for ever"])
async def test_a_body_that_nobody_reads_does_not_hold_the_connection(drop: bytes) -> None:
    head = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    def begin(host: str) -> bytes:
        """The first drop comes after the answer, because it is what ends the waiting for a next request."""
        name, _, port = host.partition(":")
        with socket.create_connection((name, int(port)), timeout=PATIENCE) as connection:
            connection.sendall(head)
            heard = connection.recv(65536)
            connection.sendall(b"1\r\nx\r\n")
            connection.settimeout(PATIENCE / 2)
            while more := connection.recv(65536):
                heard += more
            return heard

    async with listening(Limits(idle_timeout=0.5)) as host:
        heard = await to_thread.run_sync(partial(drip, host, head, drop) if drop else partial(begin, host))

    assert heard.startswith(b"HTTP/1.1 405")


async def test_after_a_body_that_came_late_the_next_request_is_answered_and_then_the_connection_ends() -> None:
    def two(host: str) -> bytes:
        name, _, port = host.partition(":")
        with socket.create_connection((name, int(port)), timeout=PATIENCE / 2) as connection:
            connection.sendall(b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n")
            heard = b""
            while b"Not Allowed" not in heard:
                heard += connection.recv(65536)
            connection.sendall(b"x")
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while more := connection.recv(65536):
                heard += more
            return heard

    async with listening(Limits(idle_timeout=2.0)) as host:
        heard = await to_thread.run_sync(two, host)

    assert heard.count(b"HTTP/1.1 ") == 2


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system lets them wait")
async def test_a_client_that_takes_no_answer_does_not_hold_the_connection() -> None:
    def is_let_in(host: str) -> bool:
        connection = http.client.HTTPConnection(host, timeout=PATIENCE)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (ConnectionError, http.client.BadStatusLine):
            return False
        finally:
            connection.close()

    def ask_and_look_away(host: str) -> bool:
        name, _, port = host.partition(":")
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            deaf.connect((name, int(port)))
            deaf.settimeout(1)
            with suppress(TimeoutError):  # until the server reads no more, because it cannot write
                while True:
                    deaf.sendall(b"GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
            end = monotonic() + PATIENCE / 2
            while not is_let_in(host):
                if monotonic() > end:
                    return False
            return True

    async with listening(Limits(body_timeout=3, max_connections=1)) as host:
        assert await to_thread.run_sync(ask_and_look_away, host)


# ------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize("origin", ["http://[", "https://[::1", "http://[x]", "http://\uff0f\u2100"])
async def test_an_origin_that_is_none_is_turned_away_like_any_other(origin: str) -> None:
    given = origin.encode().decode("latin-1")
    async with listening() as host:
        status, headers = await to_thread.run_sync(partial(post, host, "/open/", origin=given))
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://{host}/open/live", additional_headers={"origin": given}):
                pass

    assert (status, refused.value.response.status_code) == (403, 403)
    assert HEADERS.items() <= headers.items()


@pytest.mark.parametrize(
    ("origin", "status"), [("https://chat.example", 200), ("http://chat.example", 403), ("ftp://chat.example", 403)]
)
async def test_a_page_that_came_unprotected_is_not_ours_where_people_come_by_https(origin: str, status: int) -> None:
    class Channel:
        authenticated = True

    async with listening(websocket=Channel(), public_url="https://chat.example") as host:
        answer = await to_thread.run_sync(partial(post, host, "/open/", origin=origin, host="chat.example"))

    assert answer[0] == status


async def test_origins_of_a_route_do_not_count_for_one_below_it_that_looks_at_none() -> None:
    class Channel:
        authenticated = True
        origins = frozenset({"https://shop.example"})

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("")(scope, receive, send)

    channel = Channel()
    below = (RouteSpec("/live/admin", lambda kit: INNER, auth="none"), INNER)
    above = (RouteSpec("/live", lambda kit: channel, auth="route"), channel)
    async with listening(routes=[below, above]) as host:
        there = await to_thread.run_sync(partial(post, host, "/live/", origin="https://shop.example"))
        under = await to_thread.run_sync(partial(post, host, "/live/admin/", origin="https://shop.example"))

    assert (there[0], under[0]) == (200, 403)


# ------------------------------------------------------------------------------------------------- the log


async def test_a_path_makes_no_lines_of_its_own_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with listening() as host:
        await to_thread.run_sync(partial(post, host, "/open/%0d%0aERROR:forged", origin="https://evil.example"))

    assert "forged" in caplog.text
    assert not [record for record in caplog.records if "\n" in record.getMessage()]
