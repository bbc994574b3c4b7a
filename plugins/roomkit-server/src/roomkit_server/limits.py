"""How much of it one server takes, from one connection and from all of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server.

    Attributes:
        header_timeout: Seconds from the first byte of a request, or from the start of a connection, to the end of its
            headers; then the connection is closed.
        body_timeout: Seconds for the body of a request; then the answer is 408. On Linux also those in which a client
            has to take something of what it is sent; then the connection is closed.
        idle_timeout: Seconds that a connection is kept open after an answer, for the next request.
        max_body: Bytes of the body of a request; a longer one is answered with 413.
        max_connections: Connections of all kinds at once; a further one is closed without a word.
        max_clients: WebSockets at once; a further one is answered with 503.
    """

    header_timeout: float = 10.0
    body_timeout: float = 30.0
    idle_timeout: float = 5.0
    max_body: int = 1024 * 1024
    max_connections: int = 1_000
    max_clients: int = 900
