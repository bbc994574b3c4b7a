"""Connections that end when no request comes, and a limit to how many there are: uvicorn has neither for headers."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from roomkit_server.limits import Limits


def protocol_for(limits: Limits) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP protocol within these limits."""

    class Limited(PatientProtocol):
        max_connections = limits.max_connections
        header_timeout = limits.header_timeout

    return Limited


class PatientProtocol(H11Protocol):
    """One connection. A client that says half a request and waits does not hold it for ever."""

    max_connections: int
    header_timeout: float
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn's own narrowing
        if len(self.connections) > self.max_connections:
            self.logger.warning("a connection was closed: there are %d already", self.max_connections)
            self.transport.close()
        else:
            self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Time begins with the first byte of a request and ends with its headers."""
        super().data_received(data)
        if self.conn.our_state is h11.DONE:
            return  # the rest of a body that nobody reads
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._deadline is None and self.conn.trailing_data[0]:
            self._wait_for_headers()

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that was answered before its end no longer than for a next request.

        Uvicorn waits for ever: what comes ends the waiting for a next request, and begins no other.
        """
        super().on_response_complete()
        if self.conn.our_state is h11.DONE and self._deadline is None:
            self._deadline = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """A WebSocket has limits of its own."""
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def _wait_for_headers(self) -> None:
        self._deadline = self.loop.call_later(self.header_timeout, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
