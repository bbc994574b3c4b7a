"""Asks who comes before a route is called that leaves it to the server."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from anyio import fail_after
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from roomkit_core import AuthCallback, AuthRequest
from roomkit_core.interfaces.auth import SUBPROTOCOL, auth_context, offers_subprotocol

log = logging.getLogger("roomkit.server")

PATIENCE = 10.0
"""Seconds in which it has to be clear who somebody is."""

REFUSED, NOT_NOW = 4401, 1013
"""Close codes of a WebSocket: as HTTP's 401, and "try again later"."""


class Guard:
    """Lets through whom an authenticator knows; what it says is in ``auth_context`` for the route.

    Args:
        app: The route.
        auth: Says who somebody is.
    """

    def __init__(self, app: ASGIApp, auth: AuthCallback) -> None:
        self._app = app
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            known = await self._ask(AuthRequest.from_scope(scope))
        except Exception as error:  # its text may hold what the client gave
            last = traceback.extract_tb(error.__traceback__)[-1]
            log.error("authentication failed with %s at %s:%s", type(error).__name__, last.filename, last.lineno)
            await _turn_away(scope, receive, send, NOT_NOW)
            return
        if known is None:
            await _turn_away(scope, receive, send, REFUSED)
            return
        token = auth_context.set(known)
        try:
            await self._app(scope, receive, send)
        finally:
            auth_context.reset(token)

    async def _ask(self, request: AuthRequest) -> dict[str, Any] | None:
        with fail_after(PATIENCE):
            known = await self._auth(request)
        if known is None:
            return None
        who = known.get("participant_id")
        if not isinstance(who, str) or not who:
            log.error("what authentication answers does not fit: participant_id")
            return None
        return known


async def _turn_away(scope: Scope, receive: Receive, send: Send, code: int) -> None:
    """Say no. A browser tells its page nothing of an HTTP answer to a WebSocket, so it gets a close code."""
    if scope["type"] == "websocket" and any(name == b"origin" for name, _ in scope["headers"]):
        await receive()
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if offers_subprotocol(scope) else None})
        await send({"type": "websocket.close", "code": code, "reason": _NAMES[code]})
        return
    await _answer(code)(scope, receive, send)


_NAMES = {REFUSED: "auth.refused", NOT_NOW: "server.error"}


def _answer(code: int) -> Response:
    body = {"error": {"code": _NAMES[code]}}
    if code == REFUSED:
        return JSONResponse(body, 401, {"www-authenticate": "Bearer", "cache-control": "no-store"})
    return JSONResponse(body, 503, {"retry-after": "5", "cache-control": "no-store"})
