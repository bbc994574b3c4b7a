"""Runs an ASGI application under uvicorn in a task group of ours: signals, an orderly stop, and who may connect."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import anyio
import uvicorn
from anyio import TASK_STATUS_IGNORED, CancelScope, Event, create_task_group
from anyio.abc import TaskStatus
from starlette.applications import Starlette

from roomkit_server.errors import ServerError as ServerError
from roomkit_server.limits import Limits
from roomkit_server.patience import protocol_for

MAX_MESSAGE = 256 * 1024  # bytes of one message on a socket; protocols have lower limits of their own
GRACE = 5  # seconds in which connections end when the server stops


def run(
    app: Starlette,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    limits: Limits | None = None,
    proxies: Sequence[str] = (),
    on_start: Callable[[], None] | None = None,
    until: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until Ctrl+C or SIGTERM; the blocking form of :func:`serve`.

    Args:
        app: What is served.
        host: The interface.
        port: The port.
        limits: How long connections may take, and how many there are.
        proxies: Addresses and networks whose word about a client's address and scheme is taken, and nobody else's.
        on_start: Called once, when the application has started.
        until: Runs beside it; when it returns, the server stops, too.

    Raises:
        SystemExit: It cannot be served like this; one line on standard error says why and what to do.
    """
    try:
        anyio.run(
            _serve_until, partial(serve, app, host, port, limits=limits, proxies=proxies, on_start=on_start), until
        )
    except ServerError as error:
        raise SystemExit(f"{error}. {error.hint}") from None


async def _serve_until(serving: Callable[[], Awaitable[None]], until: Callable[[], Awaitable[None]] | None) -> None:
    async def wait(until: Callable[[], Awaitable[None]]) -> None:
        await until()
        tasks.cancel_scope.cancel()

    failed: ServerError | None = None  # raised outside of the group, which would wrap it
    async with create_task_group() as tasks:
        if until is not None:
            tasks.start_soon(wait, until)
        try:
            await serving()
        except ServerError as error:
            failed = error
        tasks.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def serve(
    app: Starlette,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    limits: Limits | None = None,
    proxies: Sequence[str] = (),
    on_start: Callable[[], None] | None = None,
    task_status: TaskStatus[str] = TASK_STATUS_IGNORED,
) -> None:
    """Serve ``app`` until it is cancelled or the process gets SIGINT or SIGTERM; prints the address when it listens.

    Stops in order: no new connections, those that are open are closed, then the application's lifespan ends and with it
    the kit. A second signal does not wait for connections. Needs asyncio.

    Args:
        app: What :func:`roomkit_server.app.create_app` made.
        host: The interface; a loopback address unless the application authenticates its clients.
        port: The port; 0 for any that is free.
        limits: How long connections may take, and how many there are.
        proxies: Addresses and networks whose word about a client's address and scheme is taken, and nobody else's.
        on_start: Called once, when the application has started.
        task_status: Receives the address: ``url = await tasks.start(serve, app)``.

    Raises:
        ServerError: ``server.loopback_only``, ``server.port_in_use``, ``server.cannot_listen``,
            ``server.startup_failed``.
    """
    _check_who_may_connect(app, host)
    limits = limits or Limits()
    listener = _listen(host, port)
    _end_what_is_not_taken(listener, limits.body_timeout)
    server = _Server(app, listener, limits, proxies, on_start, task_status)
    ended = Event()
    try:
        async with create_task_group() as tasks:
            tasks.start_soon(server.serve_and_tell, ended)
            tasks.start_soon(server.stop_on_signals)
            try:
                await ended.wait()
            finally:
                server.should_exit = True
                with CancelScope(shield=True):
                    await ended.wait()
                tasks.cancel_scope.cancel()
    finally:
        listener.close()
    if not server.started:
        raise ServerError("the application did not start", code="server.startup_failed", hint="The log says why.")


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers, which would take those of the host program away."""

    def __init__(
        self,
        app: Starlette,
        listener: socket.socket,
        limits: Limits,
        proxies: Sequence[str],
        on_start: Callable[[], None] | None,
        task_status: TaskStatus[str],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol_for(limits),
                lifespan="on",
                log_config=None,
                log_level="warning",  # below that it logs addresses and headers, which hold tokens
                access_log=False,
                server_header=False,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=list(proxies),
                ws_max_size=MAX_MESSAGE,
                timeout_keep_alive=limits.idle_timeout,  # type: ignore[arg-type]  # it goes to call_later as it is
                timeout_graceful_shutdown=GRACE,
            )
        )
        self._listener = listener
        self._on_start = on_start
        self._task_status = task_status

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def serve_and_tell(self, ended: Event) -> None:
        with CancelScope(shield=True):  # it stops by should_exit alone, so that the kit is left in order
            try:
                await self.serve([self._listener])
            except SystemExit:  # what uvicorn says when the lifespan fails
                self.started = False
            finally:
                ended.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            if self._on_start is not None:
                self._on_start()
            host, port = self._listener.getsockname()[:2]
            url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
            sys.stdout.write(f"RoomKit listens on {url} (Ctrl+C stops it)\n")
            sys.stdout.flush()
            self._task_status.started(url)

    async def stop_on_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                self.force_exit = self.should_exit
                self.should_exit = True


def _check_who_may_connect(app: Starlette, host: str) -> None:
    if getattr(app.state, "authenticated", False):
        return
    public = getattr(app.state, "public_url", None)
    if public is not None and not _is_own_name(urlsplit(public).hostname or ""):
        raise ServerError(
            f"people come by {public}, and this application does not ask its clients who they are",
            code="server.loopback_only",
            hint="Leave public_url out, or say who may come: [channels.ID.auth], or authenticate= in a program.",
        )
    if _is_loopback(host):
        return
    raise ServerError(
        f"{host!r} can be reached from other machines, and this application does not ask its clients who they are",
        code="server.loopback_only",
        hint="Listen on 127.0.0.1, or say who may come: [channels.ID.auth], or authenticate= in a program.",
    )


def _is_own_name(name: str) -> bool:
    """Whether a name means the same machine wherever it is said; nobody is asked for its address."""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    addresses = {str(info[4][0]) for info in _resolve(host, 0)}
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses)


def _resolve(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ServerError(
            f"{host!r} is no address of this machine: {error.strerror}",
            code="server.cannot_listen",
            hint="Listen on 127.0.0.1.",
        ) from None


def _end_what_is_not_taken(listener: socket.socket, seconds: float) -> None:
    """End connections whose other side takes nothing for that long, where the system can (Linux).

    Uvicorn waits for such a client for ever, even to close the connection. Those that come inherit the option.
    """
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ServerError(
            f"{port} is no port", code="server.cannot_listen", hint="Ports go from 1 to 65535, for instance PORT=8080."
        )
    family, kind, _, _, address = _resolve(host, port)[0]
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for old connections
        listener.bind(address)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ServerError(
                f"port {port} on {host} is in use",
                code="server.port_in_use",
                hint=f"Stop the other program, or choose another port, for instance PORT={port + 1}.",
            ) from None
        raise ServerError(
            f"cannot listen on port {port} of {host}: {error.strerror}",
            code="server.cannot_listen",
            hint="Choose another host or port, for instance PORT=8080.",
        ) from None
    return listener
