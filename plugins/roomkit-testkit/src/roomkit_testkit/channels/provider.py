"""A provider that answers over HTTP as a test tells it to, on a real socket of the loopback interface."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from anyio import to_thread

PATIENCE: Final = 30.0  # seconds for a request to arrive; only a failure waits so long


@dataclass(frozen=True, slots=True)
class Request:
    """What a provider was asked.

    Attributes:
        method, path: As in the request line.
        headers: Names in lower case.
        body: The bytes.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider says.

    Attributes:
        status: The HTTP status.
        body: Bytes, or what is to be sent as JSON.
        headers: Further headers.
        cut: Whether the connection breaks in the middle of the body.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


HANG_UP: Final = Answer(0)
"""The request arrives, and the connection breaks."""

SILENCE: Final = Answer(-1)
"""The request arrives, and nobody ever answers."""


class HTTPProvider:
    """The provider.

    Attributes:
        url: Where it is.
        answer: What it says from now on: an answer, or what makes one of a request.
        requests: What it was asked, in order.
    """

    def __init__(self, answer: Answer | Callable[[Request], Answer] = HANG_UP) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self._arrived = threading.Semaphore(0)
        self._closing = threading.Event()
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    async def arrival(self) -> Request:
        """Wait until a request arrives that nobody has waited for yet.

        Raises:
            AssertionError: None came.
        """
        came = await to_thread.run_sync(partial(self._arrived.acquire, timeout=PATIENCE), abandon_on_cancel=True)
        assert came, "no request reached the provider"
        return self.requests[-1]

    def close(self) -> None:
        """Listen no more; whoever waits for an answer is hung up on."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()

    def take(self, request: Request) -> Answer:
        """Note a request, and say what is answered."""
        self.requests.append(request)
        self._arrived.release()
        return self.answer(request) if callable(self.answer) else self.answer

    def keep_quiet(self) -> None:
        """Return when the provider is closed."""
        self._closing.wait()


class _Handler(BaseHTTPRequestHandler):
    provider: HTTPProvider
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the channel has given up and closed the connection
            self.close_connection = True

    def _respond(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.provider.take(Request(self.command, self.path, headers, self._body(headers)))
        if answer is SILENCE:
            self.provider.keep_quiet()
        if answer.status <= 0:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        content = b"" if answer.status in (204, 304) else answer.content
        self.send_header("content-length", str(len(content) + answer.cut))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = self.close_connection or answer.cut

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
