"""Which pages may let a browser speak to us: our own, and those that are named.

A browser sends the cookies and reaches the addresses of its user for whatever page asks it to, and says in ``Origin``
(RFC 6454) which page that was. Programs send none, and need none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from roomkit_core.interfaces.auth import ORIGIN_CHECKED

log = logging.getLogger("roomkit.server")

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""


class OriginCheck:
    """Answers 403 to WebSockets and to methods that change something if a page of another origin asks for them.

    Args:
        app: What answers the others. It finds :data:`ORIGIN_CHECKED` in the scope of what it need not check.
        allowed: Origins besides the server's own: ``https://chat.example``.
        below: Paths of routes in the order in which they are tried, and more origins for what is there and below it;
            the route decides about these.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str], below: Iterable[tuple[str, frozenset[str]]]) -> None:
        self._app = app
        self._allowed = frozenset(map(normal, allowed))
        self._known_hosts = frozenset(origin.partition("://")[2] for origin in self._allowed)
        self._below = [(path.rstrip("/") + "/", frozenset(map(normal, origins))) for path, origins in below]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif (scope["type"] == "http" and scope["method"] in SAFE) or self._accepts(scope):
            await self._app({**scope, ORIGIN_CHECKED: True}, receive, send)
        elif self._leaves_it_to_the_route(scope):
            await self._app(scope, receive, send)
        else:
            log.warning("a page of another origin was turned away at %r", scope["path"])
            await PlainTextResponse("This origin may not do that", status_code=403)(scope, receive, send)

    def _accepts(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        if (given := headers.get("origin")) is None:
            return True
        origin, host = normal(given), headers.get("host", "").lower()
        if origin in self._allowed:
            return True
        # Of a host whose scheme is known the other one may come from whoever sits between a browser and us.
        return host not in self._known_hosts and origin in (f"http://{host}", f"https://{host}")

    def _leaves_it_to_the_route(self, scope: Scope) -> bool:
        origin, path = normal(Headers(scope=scope)["origin"]), scope["path"] + "/"
        return origin in next((origins for at, origins in self._below if path.startswith(at)), ())


def normal(url: str) -> str:
    """The origin of an address; ``null`` and what is none stay what they are."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else url
