"""Who is behind a connection, and whether they may enter the room that they ask for."""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from anyio import fail_after
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from roomkit_core import AuthCallback, AuthRequest, auth_context
from roomkit_core.errors import RoomKitError
from roomkit_core.models.room import Room
from roomkit_websocket.protocol import Join, ProtocolError

Scope = dict[str, Any]

log = logging.getLogger("roomkit.websocket")

READ, WRITE = "read", "write"
BOTH = frozenset({READ, WRITE})

PATIENCE = 10.0
"""Seconds in which it has to be clear who somebody is."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is behind a connection.

    Attributes:
        participant_id: Who says what this connection sends.
        name: What to call them; for display only.
        rooms: Ids or patterns (``team-*``) of the rooms that they may enter; None for all.
        scopes: What they may do there: ``read``, ``write``.
        organization_id: Whose rooms they may enter; None for those of everybody.
        metadata: Goes with everything that they say, into ``event.metadata``.
    """

    participant_id: str
    name: str | None = None
    rooms: tuple[str, ...] | None = None
    scopes: frozenset[str] = BOTH
    organization_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


Authenticate = Callable[[Scope, Join], Awaitable[dict[str, Any] | None]]
"""Who is it? Gets the ASGI scope (headers, query) and the client's first message (its ``token``).

Returns None to turn the client away, or a dict: ``participant_id`` (needed); ``name``; ``rooms``, ids or patterns that
they may enter (all if absent); ``organization_id``, beside whose rooms they enter none; ``scopes``, of ``read`` and
``write`` (both if absent); anything else becomes metadata of what they say.
"""

OpenRoom = Callable[[str, Visitor], Awaitable[None]]
"""Makes a room ready for a visitor: creates it, attaches the channel. Raises a :class:`RoomKitError` to refuse."""


async def admit(scope: Scope, join: Join, authenticate: Authenticate | None, open_room: OpenRoom | None) -> Visitor:
    """Let a client in.

    Raises:
        RoomKitError: ``auth.refused``, ``auth.scope``, ``room.forbidden``, or what ``open_room`` raises;
            ``server.error``, retryable: it cannot be said now who it is.
    """
    if authenticate is None:
        visitor = guest(join)
    else:
        answer = await _answer(authenticate, scope, join)
        visitor = _known(answer, join)
        auth_context.set(answer)  # of the task that serves this connection, and of nothing else
    if READ not in visitor.scopes:
        raise RoomKitError("you may not read here", code="auth.scope")
    if visitor.rooms is not None and not any(fnmatchcase(join.room, pattern) for pattern in visitor.rooms):
        raise RoomKitError(f"you may not enter room {join.room!r}", code="room.forbidden")
    if open_room is not None:
        await open_room(join.room, visitor)
    return visitor


def check_organization(visitor: Visitor, room: Room) -> None:
    """Whoever belongs to an organization enters no room of another one, nor one of nobody.

    Raises:
        RoomKitError: ``room.forbidden``.
    """
    if visitor.organization_id not in (None, room.organization_id):
        raise RoomKitError(f"you may not enter room {room.id!r}", code="room.forbidden")


async def ask(auth: AuthCallback, scope: Scope, join: Join) -> dict[str, Any] | None:
    """Ask a component who it is; the token is that of the first message, or one that came with the handshake."""
    return await auth(AuthRequest.from_scope(scope, token=join.token, room_id=join.room))


def guest(join: Join) -> Visitor:
    """Somebody whom nobody asked who they are: their id follows from the secret that their client keeps.

    It is a digest, because everybody in the room sees the id, and whoever knew the secret could speak as them.
    """
    if join.client is None:
        raise ProtocolError("client: a secret of 16 to 128 letters, digits, '_' and '-' is needed")
    return Visitor("guest-" + hashlib.sha256(join.client.encode()).hexdigest()[:24], join.name)


Right = Literal["read", "write"]


class _Known(BaseModel):
    """What authentication may answer. Strict: what does not fit exactly lets nobody in."""

    model_config = ConfigDict(extra="allow", strict=True)

    participant_id: str = Field(min_length=1)
    name: str | None = None
    organization_id: str | None = Field(default=None, min_length=1)
    rooms: list[str] | tuple[str, ...] | set[str] | frozenset[str] | None = None
    scopes: list[Right] | tuple[Right, ...] | set[Right] | frozenset[Right] | None = None


async def _answer(authenticate: Authenticate, scope: Scope, join: Join) -> dict[str, Any] | None:
    """What the callback says. What it raises is logged without its text, which may hold what the client gave."""
    try:
        with fail_after(PATIENCE):
            return await authenticate(scope, join)
    except RoomKitError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        log.error("authentication failed with %s at %s:%s", type(error).__name__, last.filename, last.lineno)
    raise RoomKitError("it cannot be said now who you are", code="server.error", retryable=True)


def _known(answer: dict[str, Any] | None, join: Join) -> Visitor:
    if answer is None:
        raise RoomKitError("the server does not know you", code="auth.refused")
    try:
        known = _Known.model_validate(answer)
    except ValidationError as error:
        misfits = {".".join(map(str, found["loc"])) or "all of it" for found in error.errors()}
        log.error("what authentication answers does not fit: %s", ", ".join(sorted(misfits)))
        raise RoomKitError("the server does not know you", code="auth.refused") from None
    scopes = BOTH if known.scopes is None else frozenset(known.scopes)
    rooms = None if known.rooms is None else tuple(known.rooms)
    return Visitor(
        known.participant_id,
        known.name or join.name,
        rooms,
        scopes,
        known.organization_id,
        dict(known.model_extra or {}),
    )
