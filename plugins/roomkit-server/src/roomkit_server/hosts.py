"""Which names of this server a client may call it by: a page whose name was rebound to our address stays outside.

Releases of Starlette differ in what its own check makes of an IPv6 address, from ``[`` to ``[::1]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class HostCheck:
    """Answers 400 to a request whose ``Host`` header names none of ``hosts``.

    Args:
        app: What answers the others.
        hosts: Names and addresses; ``*.example.com`` for all names below one, ``*`` for any.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        hosts = [host.lower() for host in hosts]
        self._names = frozenset(host.strip("[]") for host in hosts)
        self._suffixes = tuple(host[1:] for host in hosts if host.startswith("*."))
        self._any = "*" in hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._any or self._accepts(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        await PlainTextResponse("Invalid host header", status_code=400)(scope, receive, send)

    def _accepts(self, header: str) -> bool:
        name = name_of(header)
        return name in self._names or (bool(self._suffixes) and name.endswith(self._suffixes))


def name_of(header: str) -> str:
    """The host of a ``Host`` header (RFC 9110, 7.2) without its port, an IPv6 address without its brackets.

    Empty if the header is none.
    """
    found = _HOST.fullmatch(header)
    return "" if found is None else (found["address"] or found["name"]).lower()


_HOST = re.compile(r"(\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s:@/\[\]]+))(:[0-9]*)?")
