"""The application and the server on real sockets."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from anyio import create_task_group, fail_after, to_thread

from roomkit_core import Health
from roomkit_server.app import create_app
from roomkit_server.serve import ServerError, serve

pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # uvicorn needs it

PROGRAM = """
import sys
from roomkit_core import RoomKit
kit = RoomKit(plugins=["server"])
app = kit.plugins.resolve("server", "asgi")(kit)
kit.plugins.resolve("server", "uvicorn")(app, host=sys.argv[1], port=int(sys.argv[2]))
"""


class Life:
    """In the place of a kit: it only lives."""

    def __init__(self, *, stillborn: bool = False) -> None:
        self.log: list[str] = []
        self._stillborn = stillborn

    async def __aenter__(self) -> Life:
        if self._stillborn:
            raise RuntimeError("no store")
        self.log.append("entered")
        return self

    async def __aexit__(self, *error: object) -> None:
        self.log.append("left")

    def health(self) -> Health:
        return Health(is_alive=True, is_ready=True, problems=[])


def get(url: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    host = url.removeprefix("http://").strip("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


async def test_it_serves_a_page_a_health_check_and_the_life_of_a_kit(capsys: pytest.CaptureFixture[str]) -> None:
    kit = Life()
    async with create_task_group() as tasks:
        url = await tasks.start(serve, create_app(kit), "127.0.0.1", 0)
        assert kit.log == ["entered"]
        status, headers, page = await to_thread.run_sync(get, url, "/")
        assert status == 200
        assert b"<title>" in page
        assert "default-src 'self'" in headers["content-security-policy"]
        assert (await to_thread.run_sync(get, url, "/app.js"))[1]["content-type"].startswith("text/javascript")
        health = await to_thread.run_sync(get, url, "/healthz")
        assert (health[0], json.loads(health[2])) == (200, {"status": "ok", "problems": []})
        assert (await to_thread.run_sync(get, url, "/../serve.py"))[0] == 404
        tasks.cancel_scope.cancel()
    assert kit.log == ["entered", "left"]
    assert url in capsys.readouterr().out


async def test_another_name_for_the_loopback_address_is_refused() -> None:
    async with create_task_group() as tasks:
        url = await tasks.start(serve, create_app(Life()), "127.0.0.1", 0)
        refused = await to_thread.run_sync(lambda: get(url, "/", Host="rebound.example"))
        assert refused[0] == 400
        local = await to_thread.run_sync(lambda: get(url, "/", Host="localhost"))
        assert local[0] == 200
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
async def test_it_answers_on_each_loopback_address_to_each_loopback_name(address: str, name: str) -> None:
    async with create_task_group() as tasks:
        url = await tasks.start(serve, create_app(Life()), address, 0)
        port = url.rstrip("/").rpartition(":")[2]
        assert (await to_thread.run_sync(get, url, "/healthz"))[0] == 200
        for host in (name, f"{name}:{port}"):
            assert (await to_thread.run_sync(lambda: get(url, "/healthz", Host=host)))[0] == 200  # noqa: B023
        tasks.cancel_scope.cancel()


HOSTS = ["chat.example", "*.chat.example", "192.0.2.1", "2001:db8::1", "[2001:db8::2]"]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("chat.example", 200),
        ("Chat.Example:8080", 200),
        ("a.chat.example", 200),
        ("192.0.2.1:1", 200),
        ("[2001:DB8::1]:8080", 200),
        ("[2001:db8::2]", 200),
        ("", 400),
        ("badchat.example", 400),
        ("chat.example.evil", 400),
        ("chat.example:8080:1", 400),
        ("evil@chat.example", 400),
        ("chat.example/evil", 400),
        ("2001:db8::1", 400),
        ("[2001:db8::1", 400),
        ("[2001:db8::3]", 400),
        ("[chat.example]", 400),
    ],
)
async def test_a_host_header_names_this_server_or_is_refused(header: str, status: int) -> None:
    app, said = create_app(Life(), hosts=HOSTS), []

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": [(b"host", header.encode())]}
    await app(scope, lambda: None, send)

    assert said[0]["status"] == status


async def test_every_host_is_welcome_where_every_host_is_named() -> None:
    async with create_task_group() as tasks:
        url = await tasks.start(serve, create_app(Life(), hosts=["*"]), "127.0.0.1", 0)
        assert (await to_thread.run_sync(lambda: get(url, "/healthz", Host="any.example")))[0] == 200
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1"])
async def test_without_authentication_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ServerError) as refused:
        await serve(create_app(Life()), host, 0)
    assert refused.value.code == "server.loopback_only"
    assert "authenticate=" in refused.value.hint


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 99_999), ("127.0.0.1", -1), ("no.such.host.invalid", 0)])
async def test_an_address_that_cannot_be_is_an_error_with_a_hint(host: str, port: int) -> None:
    with pytest.raises(ServerError) as refused:
        await serve(create_app(Life()), host, port)
    assert refused.value.code == "server.cannot_listen"
    assert refused.value.hint


async def test_with_authentication_it_listens_where_it_is_told() -> None:
    class Authenticated:
        authenticated = True

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            raise AssertionError("nobody calls")

    async with create_task_group() as tasks:
        url = await tasks.start(serve, create_app(Life(), websocket=Authenticated()), "0.0.0.0", 0)
        port = url.rstrip("/").rpartition(":")[2]
        status, _, _ = await to_thread.run_sync(lambda: get(f"http://127.0.0.1:{port}/", "/", Host="chat.example"))
        assert status == 200
        tasks.cancel_scope.cancel()


async def test_a_kit_that_does_not_start_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with fail_after(10), pytest.raises(ServerError) as failed:
        await serve(create_app(Life(stillborn=True)), "127.0.0.1", 0)
    assert failed.value.code == "server.startup_failed"
    assert "no store" in caplog.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_in_order(number: signal.Signals, anyio_backend: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "127.0.0.1", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert "http://127.0.0.1:" in server.stdout.readline()
        os.kill(server.pid, number)
        assert server.wait(10) == 0


def test_a_port_in_use_is_one_line_with_the_fix(free_port: int, anyio_backend: str) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "127.0.0.1", str(free_port)], capture_output=True, text=True, timeout=30
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"port {free_port} on 127.0.0.1 is in use" in done.stderr
    assert f"PORT={free_port + 1}" in done.stderr


def test_the_page_is_part_of_the_package(anyio_backend: str) -> None:
    page = Path(sys.modules["roomkit_server.app"].__file__ or "").parent / "page"
    assert {path.name for path in page.iterdir()} == {
        "index.html",
        "app.js",
        "client.js",
        "lines.js",
        "style.css",
        "icon.svg",
    }
