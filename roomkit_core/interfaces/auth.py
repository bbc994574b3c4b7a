"""Who somebody is who asks to be let in, and what they may do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Self

SUBPROTOCOL: Final = "roomkit"
"""The WebSocket subprotocol that a server answers with. Beside it a client may offer ``roomkit.token.TOKEN``."""

TOKEN_PREFIX: Final = "roomkit.token."
COOKIE: Final = "roomkit_token"
"""The cookie that a token may come in, where the ``Origin`` of requests is checked."""

ORIGIN_CHECKED: Final = "roomkit.origin_checked"
"""The key of an ASGI scope under which a server says that it let no foreign page through."""


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """What is known about somebody who asks. Its text shows nothing that may be a secret.

    Attributes:
        token: What they gave to prove who they are: a bearer token, or the ``token`` of their first message.
        room_id: The room that they ask for, if they do.
        client: From which address they come, as the server sees it.
        headers: Names in lower case.
        query: The query string.
    """

    token: str | None = field(default=None, repr=False)
    room_id: str | None = None
    client: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)

    @classmethod
    def from_scope(cls, scope: Mapping[str, Any], *, token: str | None = None, room_id: str | None = None) -> Self:
        """What an ASGI scope says.

        Args:
            scope: Of an HTTP request or a WebSocket.
            token: The token, if it came otherwise. If omitted: that of ``Authorization: Bearer``, else of an offered
                subprotocol ``roomkit.token.TOKEN``, else of the cookie ``roomkit_token``. The cookie counts only if
                the server checked the origin, because a browser sends it along for whatever page asks.
            room_id: The room that they ask for.
        """
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
        client = scope.get("client")
        return cls(
            token=token or next(_tokens(scope, headers), None),
            room_id=room_id,
            client=None if not client else str(client[0]),
            headers=headers,
            query=scope.get("query_string", b"").decode("latin-1"),
        )


def offers_subprotocol(scope: Mapping[str, Any]) -> bool:
    """Whether a client asks to be answered with :data:`SUBPROTOCOL`; a browser takes no other answer then."""
    return SUBPROTOCOL in scope.get("subprotocols", ())


def _tokens(scope: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[str]:
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and bearer.strip():
        yield bearer.strip()
    for offered in scope.get("subprotocols", ()):
        if offered.startswith(TOKEN_PREFIX):
            yield offered.removeprefix(TOKEN_PREFIX)
    if scope.get(ORIGIN_CHECKED):
        for pair in headers.get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and value:
                yield value


AuthCallback = Callable[[AuthRequest], Awaitable[dict[str, Any] | None]]
"""Returns None to turn somebody away, or what is known about them; see :class:`Authenticator`."""

auth_context: ContextVar[dict[str, Any] | None] = ContextVar("auth_context", default=None)
"""What authentication said about whoever is being served: for handlers of routes, and for all that they call."""


class Authenticator(ABC):
    """A component of kind ``auth``: an :data:`AuthCallback`. It may be asked by any number of tasks at once."""

    @abstractmethod
    async def __call__(self, request: AuthRequest) -> dict[str, Any] | None:
        """Say who it is.

        Returns:
            None to turn them away. Otherwise a dict: ``participant_id`` (needed), ``name``; ``rooms``, ids or patterns
            (``team-*``) of the rooms that they may enter, all if absent; ``organization_id``, beside whose rooms
            they enter none; ``scopes``, of ``read`` and ``write``, both if absent; anything else becomes metadata of
            what they say.

        After a raise, or without an answer within ten seconds, they are not let in either and may come again.
        """
