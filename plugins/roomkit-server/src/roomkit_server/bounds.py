"""What one request may bring, and how many WebSockets there are."""

from __future__ import annotations

from anyio import current_time, fail_after
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roomkit_server.limits import Limits


class Refused(Exception):
    """The body is not read to its end."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Bounds:
    """Holds requests and WebSockets to the limits.

    Args:
        app: What answers.
        limits: The limits.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._clients = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._clients >= self._limits.max_clients:
            await PlainTextResponse("Too many clients", 503, {"retry-after": "10"})(scope, receive, send)
            return
        self._clients += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._clients -= 1

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self._limits.max_body:
            await _refuse(Refused(413, "Too long a body"))(scope, receive, send)
            return
        body = _Body(receive, self._limits)
        has_begun = False

        async def answer(message: Message) -> None:
            nonlocal has_begun
            if body.refused is None or has_begun:  # else what the application makes of it is not what is said
                has_begun = True
                await send(message)

        try:
            await self._app(scope, body, answer)
        except Refused:
            if has_begun:
                raise
        if body.refused is not None and not has_begun:
            await _refuse(body.refused)(scope, receive, send)


class _Body:
    """The body of a request, counted.

    Args:
        receive: Where it comes from.
        limits: The limits.

    Attributes:
        refused: Why no more of it is read.
    """

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self.refused: Refused | None = None
        self._receive = receive
        self._limits = limits
        self._left = limits.body_timeout  # for all of it: drops that come one by one buy no more
        self._read = 0
        self._is_whole = False

    async def __call__(self) -> Message:
        if self._is_whole:  # what comes now is the end of the connection, whenever that is
            return await self._receive()
        since = current_time()
        try:
            with fail_after(max(0.0, self._left)):
                message = await self._receive()
        except TimeoutError:
            raise self._refuse(408, "The body did not come in time") from None
        self._left -= current_time() - since  # what the application does in between is not the client's time
        self._read += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._read > self._limits.max_body:
            raise self._refuse(413, "Too long a body")
        return message

    def _refuse(self, status: int, reason: str) -> Refused:
        self.refused = Refused(status, reason)
        return self.refused


def _refuse(refused: Refused) -> PlainTextResponse:
    return PlainTextResponse(refused.reason, refused.status, {"connection": "close"})
