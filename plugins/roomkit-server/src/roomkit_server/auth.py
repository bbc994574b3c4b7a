"""Components that say who a client is: people with tokens, or a function of the bot's own."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from importlib import import_module
from typing import Any, Literal

from pydantic import Field, SecretStr

from roomkit_core import Authenticator, AuthRequest, ConfigError, Settings


class Person(Settings):
    """``[channels.ID.auth.people.NAME]``: somebody with a token."""

    token: SecretStr = Field(min_length=16, description="The secret that they give; at least 16 characters.")
    participant_id: str | None = Field(default=None, description="Who they are in rooms; their name here if absent.")
    name: str | None = Field(default=None, description="What to call them.")
    rooms: tuple[str, ...] | None = Field(default=None, description="Ids or patterns of the rooms they may enter.")
    scopes: tuple[Literal["read", "write"], ...] = Field(
        default=("read", "write"), description="What they may do there."
    )


class TokenSettings(Settings):
    """``use = "token"``: each person has a secret."""

    people: dict[str, Person] = Field(description="Who is let in.")


class TokenAuth(Authenticator):
    """Lets in who has one of the known tokens.

    Args:
        people: The people by name.
    """

    def __init__(self, people: Mapping[str, Person]) -> None:
        self._people = [
            (_digest(person.token.get_secret_value()), _facts(name, person)) for name, person in people.items()
        ]

    async def __call__(self, request: AuthRequest) -> dict[str, Any] | None:
        """Who has the token. How long it takes says nothing about how much of a token is right."""
        given, found = _digest(request.token or ""), None
        for digest, facts in self._people:
            if hmac.compare_digest(digest, given):
                found = facts
        return None if found is None else dict(found)


class FunctionSettings(Settings):
    """``use = "function"``: the bot says who is let in."""

    target: str = Field(
        pattern=r"[\w.]+:[\w.]+", description='An async function of the bot, as "module:name"; it gets an AuthRequest.'
    )


class FunctionAuth(Authenticator):
    """Asks a function, which is imported when somebody first comes.

    Args:
        target: ``"module:name"``.
    """

    def __init__(self, target: str) -> None:
        self._target = target

    async def __call__(self, request: AuthRequest) -> dict[str, Any] | None:
        """What the function says."""
        module, _, name = self._target.partition(":")
        found: Any = import_module(module)
        for step in name.split("."):
            found = getattr(found, step, None)
        if not callable(found):
            raise ConfigError(f"{self._target} is no function", hint="Name an async function of the bot.")
        answer: dict[str, Any] | None = await found(request)
        return answer


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()  # of one length, whatever the tokens are


def _facts(name: str, person: Person) -> dict[str, Any]:
    facts = {"participant_id": person.participant_id or name, "name": person.name or name, "scopes": person.scopes}
    return facts if person.rooms is None else {**facts, "rooms": person.rooms}
