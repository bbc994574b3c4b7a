"""One ASGI application for a kit: its life, its live clients, a health check and a page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

PAGE = Path(__file__).parent / "page"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def create_app(
    kit: AbstractAsyncContextManager[Any],
    *,
    websocket: ASGIApp | None = None,
    static: Path | None = PAGE,
    hosts: Sequence[str] | None = None,
) -> Starlette:
    """The ASGI application that hosts ``kit``: it enters the kit when the server starts and leaves it when it stops.

    Args:
        kit: The kit; it belongs to this application from now on.
        websocket: What serves live clients at ``/ws``, such as ``WebSocketChannel.app(kit)``.
        static: A directory served at ``/``, with its ``index.html`` as the front page; the chat page if omitted, None
            for nothing.
        hosts: Which names of this server are accepted in the ``Host`` header. If omitted, those of the loopback
            interface, unless ``websocket`` authenticates its clients: a page whose own name was rebound to 127.0.0.1
            stays outside.

    Returns:
        A Starlette application. ``/healthz`` answers 200 as long as the kit runs; ``app.state.authenticated`` says
        whether clients are asked who they are, without which ``serve`` does not listen to the world.
    """
    authenticated = bool(getattr(websocket, "authenticated", False))
    routes: list[BaseRoute] = [Route("/healthz", _healthy)]
    if websocket is not None:
        routes.append(WebSocketRoute("/ws", websocket))
    if static is not None:
        routes.append(Route("/{path:path}", _Static(directory=static, html=True)))
    if hosts is None:
        hosts = ("*",) if authenticated else LOOPBACK_NAMES
    app = Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
        lifespan=_lifespan(kit),
    )
    app.state.authenticated = authenticated
    return app


class _Static(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


async def _healthy(request: Request) -> Response:
    return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})


def _lifespan(kit: AbstractAsyncContextManager[Any]) -> Any:  # Starlette's own type for it is private
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with kit:
            yield

    return lifespan
