"""One ASGI application for a kit: its life, its live clients, a health check and a page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from roomkit_core import AuthCallback, Health
from roomkit_core.plugin import RouteSpec
from roomkit_server.bounds import Bounds
from roomkit_server.errors import ServerError
from roomkit_server.guard import Guard
from roomkit_server.headers import SecurityHeaders
from roomkit_server.hosts import HostCheck
from roomkit_server.limits import Limits
from roomkit_server.origins import OriginCheck

PAGE = Path(__file__).parent / "page"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


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


class Application(Starlette):
    """Starlette, whose every answer has the headers, also when something broke."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put the headers around all else."""
        return SecurityHeaders(super().build_middleware_stack())


def create_app(
    kit: Hosted,
    *,
    websocket: ASGIApp | None = None,
    routes: Sequence[tuple[RouteSpec, ASGIApp]] = (),
    static: Path | None = PAGE,
    hosts: Sequence[str] | None = None,
    public_url: str | None = None,
    origins: Sequence[str] = (),
    auth: AuthCallback | None = None,
    limits: Limits | None = None,
) -> Starlette:
    """The ASGI application that hosts ``kit``: it enters the kit when the server starts and leaves it when it stops.

    Args:
        kit: The kit; it belongs to this application from now on.
        websocket: What serves live clients at ``/ws``, such as ``WebSocketChannel.app(kit)``.
        routes: What plugins serve, each at its path and below.
        static: A directory served at ``/``, with its ``index.html`` as the front page; the chat page if omitted, None
            for nothing.
        hosts: Which names of this server are accepted in the ``Host`` header: names, addresses, ``*.example.com`` for
            all names below one, ``*`` for any. If omitted, those of the loopback interface and of ``public_url``; any,
            if there is none and all routes authenticate their clients: a page whose own name was rebound to 127.0.0.1
            stays outside.
        public_url: Where people find this server, such as ``https://chat.example``: its host and origin are ours.
        origins: Further origins whose pages may open WebSockets and use methods that change something.
        auth: Says who may come to routes that leave it to the server to ask.
        limits: How much one request may bring, and how many WebSockets there are.

    Returns:
        A Starlette application. ``/healthz`` answers 200 unless a restart of the process is what helps, ``/readyz`` 200
        if messages can be sent here; both say why not. ``app.state.authenticated`` says whether clients are asked who
        they are, without which ``serve`` does not listen to the world.

    Raises:
        ServerError: ``server.no_authentication``: a route wants ``auth``, and there is none.
    """
    if websocket is not None:
        routes = [(RouteSpec("/ws", lambda kit: websocket, auth="route"), websocket), *routes]
    is_authenticated = _asks_everybody(routes, auth)
    if hosts is None:
        hosts = ("*",) if is_authenticated and public_url is None else LOOPBACK_NAMES
    ours = [] if public_url is None else [public_url]
    below = [
        (spec.path, frozenset(getattr(route, "origins", ()) if spec.auth == "route" else ())) for spec, route in routes
    ]
    app = Application(
        routes=_table(kit, [(spec, _guarded(spec, route, auth)) for spec, route in routes], static),
        middleware=[
            Middleware(HostCheck, hosts=[*hosts, *(urlsplit(url).hostname or "" for url in ours)]),
            Middleware(OriginCheck, allowed=[*ours, *origins], below=below),
            Middleware(Bounds, limits=limits or Limits()),
        ],
        lifespan=_lifespan(kit),
    )
    app.state.authenticated = is_authenticated
    app.state.public_url = public_url
    return app


def _asks_everybody(routes: Sequence[tuple[RouteSpec, ASGIApp]], auth: AuthCallback | None) -> bool:
    """Whether somebody is asked at all, and nobody comes unasked to a route that is not open to all on purpose."""
    asking = []
    for spec, route in routes:
        if spec.auth == "server":
            asking.append(auth is not None)
        elif spec.auth == "route":
            asking.append(bool(getattr(route, "authenticated", False)))
    return bool(asking) and all(asking)


def _guarded(spec: RouteSpec, route: ASGIApp, auth: AuthCallback | None) -> ASGIApp:
    """The route behind its guard. One that leaves it to the server to ask is not served by one that asks nobody."""
    if spec.auth != "server":
        return route
    if auth is None:
        raise ServerError(
            f"the route {spec.path} wants the server to authenticate its clients, and this one cannot",
            code="server.no_authentication",
            hint="Say who may come in [plugins.server.auth], or auth= of a program. The route itself may declare "
            "auth='route' if it asks, or auth='none' if everybody may come.",
        )
    return Guard(route, auth)


def _table(kit: Hosted, routes: Sequence[tuple[RouteSpec, ASGIApp]], static: Path | None) -> list[BaseRoute]:
    table: list[BaseRoute] = [Route("/healthz", _alive(kit)), Route("/readyz", _ready(kit))]
    for spec, route in routes:
        table += [Route(spec.path, route), WebSocketRoute(spec.path, route), Mount(spec.path, route)]
    if static is not None:
        table.append(Route("/{path:path}", _Static(directory=static, html=True)))
    return table


class _Static(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
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
