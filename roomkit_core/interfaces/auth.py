"""Who somebody is who asks to be let in, and what they may do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


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


AuthCallback = Callable[[AuthRequest], Awaitable[dict[str, Any] | None]]
"""Returns None to turn somebody away, or what is known about them; see :class:`Authenticator`."""


class Authenticator(ABC):
    """A component of kind ``auth``: an :data:`AuthCallback`. It may be asked by any number of tasks at once."""

    @abstractmethod
    async def __call__(self, request: AuthRequest) -> dict[str, Any] | None:
        """Say who it is.

        Returns:
            None to turn them away. Otherwise a dict: ``participant_id`` (needed), ``name``; ``rooms``, ids or patterns
            (``team-*``) of the rooms that they may enter, all if absent; ``scopes``, of ``read`` and ``write``, both if
            absent; anything else becomes metadata of what they say.

        After a raise, or without an answer within ten seconds, they are not let in either and may come again.
        """
