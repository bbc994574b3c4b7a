"""Whom a signed token names (JSON Web Token, RFC 7519), after the rules of RFC 8725."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from pydantic import AfterValidator, Field, SecretStr, model_validator

from roomkit_core import Authenticator, AuthRequest, ConfigError, Duration, Settings

if TYPE_CHECKING:
    from roomkit_server.key_set import KeySet

log = logging.getLogger("roomkit.server")

SYMMETRIC = frozenset({"HS256", "HS384", "HS512"})

MEMORY = 300  # seconds for which the keys of a key set are kept
PAUSE = 10.0  # seconds between two questions for keys, whatever tokens come
PATIENCE = 5  # seconds for one of them

Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


def _guarded_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")):
        return url
    raise ValueError("expected an address with https: whoever changes the keys on their way decides who is let in")


class JwtSettings(Settings):
    """``use = "jwt"``: tokens that somebody else signed."""

    algorithms: tuple[Algorithm, ...] = Field(min_length=1, description="How tokens may be signed; no other is taken.")
    audience: str = Field(min_length=1, description="For whom tokens have to be: their `aud`.")
    issuer: str = Field(min_length=1, description="Who has to have issued them: their `iss`.")
    key: SecretStr | None = Field(
        default=None, description="The secret, of at least 32 bytes, or the public key as PEM; by reference."
    )
    jwks_url: Annotated[str, AfterValidator(_guarded_address)] | None = Field(
        default=None, description="Where the issuer publishes its public keys, instead of a key."
    )
    leeway: Duration = Field(default=10.0, ge=0, le=300, description="Seconds by which clocks may differ.")
    participant_claim: str = Field(default="sub", min_length=1, description="The claim that says who it is.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.key is None) == (self.jwks_url is None):
            raise ValueError("either key or jwks_url is needed")
        secret = SYMMETRIC.intersection(self.algorithms)
        if secret and len(secret) < len(self.algorithms):
            raise ValueError("algorithms with a secret and with a public key do not go together")
        if secret and self.key is None:
            raise ValueError("a key set has no secrets: name algorithms with public keys")
        needed = max((int(name[2:]) // 8 for name in secret), default=0)  # RFC 7518, 3.2
        if self.key is not None and len(self.key.get_secret_value().encode()) < needed:
            raise ValueError(f"a secret of at least {needed} bytes is needed")
        return self


class JwtAuth(Authenticator):
    """Lets in whom a valid token names.

    Of its claims the ``participant_claim``, ``name``, ``rooms``, ``scopes`` and ``organization_id`` are taken, and no
    other: what is left would be shown to everybody in the room.

    Args:
        algorithms: As in :class:`JwtSettings`, like all others.
        audience: For whom tokens are.
        issuer: Who issues them.
        key: The secret or the public key.
        jwks_url: Where keys are published.
        leeway: Seconds.
        participant_claim: Who it is.

    Raises:
        ConfigError: PyJWT is not installed, or the key is none.
    """

    def __init__(
        self,
        algorithms: tuple[str, ...],
        audience: str,
        issuer: str,
        key: SecretStr | None = None,
        jwks_url: str | None = None,
        leeway: float = 10.0,
        participant_claim: str = "sub",
    ) -> None:
        self._jwt = _library()
        self._algorithms = algorithms
        self._audience = audience
        self._issuer = issuer
        self._leeway = leeway
        self._participant = participant_claim
        self._key = None if key is None else self._prepared(key.get_secret_value())
        self._published = None if jwks_url is None else _keys_at(jwks_url)
        self._asking = CapacityLimiter(1)  # keys are fetched once, however many tokens wait for them

    async def __call__(self, request: AuthRequest) -> dict[str, Any] | None:
        """Whom the token names; None if it is none, or not ours, or its time is over.

        Raises:
            PyJWKClientConnectionError: The issuer does not say its keys.
        """
        if request.token is None:
            return None
        try:
            key = await self._key_of(request.token)
            claims = self._claims(request.token, key)
        except self._jwt.PyJWKClientConnectionError:
            raise
        except (
            self._jwt.PyJWTError,
            TypeError,
            ValueError,
        ) as error:  # the latter of a key of another kind, or no text
            log.info("a token was refused: %s", type(error).__name__)
            return None
        return self._facts(claims)

    def _prepared(self, key: str) -> Any:
        try:
            algorithm = self._jwt.get_algorithm_by_name(self._algorithms[0])
            prepared = algorithm.prepare_key(key)
        except (
            ValueError,
            TypeError,
            NotImplementedError,
            self._jwt.PyJWTError,
        ) as error:  # all of them come out
            raise ConfigError(
                f"the key does not fit {self._algorithms[0]}: {type(error).__name__}",  # its text may hold the key
                hint="Give the public key as PEM, or the secret, by reference: { file = ... } or { env = ... }.",
            ) from None
        if too_short := algorithm.check_key_length(prepared):
            raise ConfigError(too_short, hint="Give a longer key.")
        return prepared

    async def _key_of(self, token: str) -> Any:
        if self._published is None:
            return self._key
        found = await to_thread.run_sync(self._published.get_signing_key_from_jwt, token, limiter=self._asking)
        return found.key

    def _claims(self, token: str, key: Any) -> dict[str, Any]:
        claims: dict[str, Any] = self._jwt.decode(
            token,
            key,
            algorithms=list(self._algorithms),
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway,
            options={"require": ["exp", "aud", "iss", self._participant], "enforce_minimum_key_length": True},
        )
        return claims

    def _facts(self, claims: dict[str, Any]) -> dict[str, Any] | None:
        who = claims[self._participant]
        if not isinstance(who, str) or not who:
            log.info("a token was refused: its %s is no text", self._participant)
            return None
        taken = ("name", "rooms", "scopes", "organization_id")
        return {"participant_id": who, **{claim: claims[claim] for claim in taken if claim in claims}}


def _keys_at(url: str) -> KeySet:
    from roomkit_server.key_set import KeySet

    return KeySet(url, cache_jwk_set=True, lifespan=MEMORY, timeout=PATIENCE, cooldown_duration=PAUSE)


def _library() -> Any:
    try:
        import jwt
    except ImportError as error:
        raise ConfigError(
            f"tokens of this kind need PyJWT: {error}", hint="pip install 'roomkit-server[jwt]'"
        ) from error
    return jwt
