"""One ASGI application for a kit: its life, its live clients, a health check and a page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from roomkit_core import Health
from roomkit_core.plugin import RouteSpec
from roomkit_server.errors import ServerError
from roomkit_server.hosts import HostCheck

PAGE = Path(__file__).parent / "page"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


class Hosted(Protocol):
    """A kit, as far as the server knows it."""

    async def __aenter__(self) -> Any:
        """Start."""
        ...

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None, /
    ) -> Any:
        """Stop in order."""
        ...

    def health(self) -> Health:
        """How it is."""
        ...


Probe = Callable[[Request], Awaitable[Response]]


def create_app(
    kit: Hosted,
    *,
    websocket: ASGIApp | None = None,
    routes: Sequence[tuple[RouteSpec, ASGIApp]] = (),
    static: Path | None = PAGE,
    hosts: Sequence[str] | None = None,
) -> Starlette:
    """The ASGI application that hosts ``kit``: it enters the kit when the server starts and leaves it when it stops.

    Args:
        kit: The kit; it belongs to this application from now on.
        websocket: What serves live clients at ``/ws``, such as ``WebSocketChannel.app(kit)``.
        routes: What plugins serve, each at its path and below.
        static: A directory served at ``/``, with its ``index.html`` as the front page; the chat page if omitted, None
            for nothing.
        hosts: Which names of this server are accepted in the ``Host`` header: names, addresses, ``*.example.com`` for
            all names below one, ``*`` for any. If omitted, those of the loopback interface, unless ``websocket``
            authenticates its clients: a page whose own name was rebound to 127.0.0.1 stays outside.

    Returns:
        A Starlette application. ``/healthz`` answers 200 unless a restart of the process is what helps, ``/readyz`` 200
        if messages can be sent here; both say why not. ``app.state.authenticated`` says whether clients are asked who
        they are, without which ``serve`` does not listen to the world.
    """
    if websocket is not None:
        routes = [(RouteSpec("/ws", lambda kit: websocket, auth="route"), websocket), *routes]
    _refuse_unguarded(spec for spec, _ in routes)
    asking = [
        bool(getattr(application, "authenticated", False)) for spec, application in routes if spec.auth == "route"
    ]
    authenticated = bool(asking) and all(asking)
    table: list[BaseRoute] = [Route("/healthz", _alive(kit)), Route("/readyz", _ready(kit))]
    for spec, application in routes:
        table += [Route(spec.path, application), WebSocketRoute(spec.path, application), Mount(spec.path, application)]
    if static is not None:
        table.append(Route("/{path:path}", _Static(directory=static, html=True)))
    if hosts is None:
        hosts = ("*",) if authenticated else LOOPBACK_NAMES
    app = Starlette(
        routes=table,
        middleware=[Middleware(HostCheck, hosts=hosts)],
        lifespan=_lifespan(kit),
    )
    app.state.authenticated = authenticated
    return app


def _refuse_unguarded(specs: Iterable[RouteSpec]) -> None:
    """A route that leaves it to the server to ask who comes is not served by one that asks nobody."""
    for spec in specs:
        if spec.auth == "server":
            raise ServerError(
                f"the route {spec.path} wants the server to authenticate its clients, and this one cannot",
                code="server.no_authentication",
                hint="Declare auth='route' if it asks by itself, or auth='none' if everybody may come.",
            )


class _Static(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def _alive(kit: Hosted) -> Probe:
    async def alive(request: Request) -> Response:
        health = kit.health()
        return _answer(health, is_well=health.is_alive)

    return alive


def _ready(kit: Hosted) -> Probe:
    async def ready(request: Request) -> Response:
        health = kit.health()
        return _answer(health, is_well=health.is_ready)

    return ready


def _answer(health: Health, *, is_well: bool) -> Response:
    problems = [{"code": problem.code, "message": problem.message} for problem in health.problems]
    body = {"status": "ok" if is_well else "failing", "problems": problems}
    return JSONResponse(body, status_code=200 if is_well else 503, headers={"cache-control": "no-store"})


def _lifespan(kit: Hosted) -> Any:  # Starlette's own type for it is private
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with kit:
            yield

    return lifespan
