"""Whom a signed token lets in: the library's own signatures, real keys, a key set on a real socket."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from roomkit_core import AuthRequest, ConfigError, RoomKit
from roomkit_server.jwt_auth import JwtAuth

pytestmark = [pytest.mark.anyio]

SECRET = "a secret that is long enough for every algorithm, which is sixty-four bytes"
AUDIENCE, ISSUER = "rooms", "https://login.example"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
OTHER = ec.generate_private_key(ec.SECP256R1())


def token(key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **changes: Any) -> str:
    """A token as the issuer makes it, but for the changes; a claim that is None is left out."""
    claims = {"sub": "ann", "aud": AUDIENCE, "iss": ISSUER, "exp": time() + 86_400, **changes}
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm, headers=None if kid is None else {"kid": kid})


def secret_auth(**options: Any) -> JwtAuth:
    return JwtAuth(("HS256",), AUDIENCE, ISSUER, SecretStr(SECRET), **options)


async def asked(auth: JwtAuth, given: str | None) -> dict[str, Any] | None:
    return await auth(AuthRequest(token=given))


async def test_a_valid_token_says_who_it_is_and_nothing_that_is_not_for_the_room() -> None:
    whole = token(name="Ann", rooms=["team-*"], scopes=["read"], organization_id="acme", email="ann@private.example")

    assert await asked(secret_auth(), whole) == {
        "participant_id": "ann",
        "name": "Ann",
        "rooms": ["team-*"],
        "scopes": ["read"],
        "organization_id": "acme",
    }
    assert await asked(secret_auth(participant_claim="uid"), token(uid="staff-7")) == {"participant_id": "staff-7"}


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "no.token.atall",
        token("another secret of more than thirty-two bytes"),
        token(algorithm="HS512"),
        token("", "none"),
        token(aud="elsewhere"),
        token(aud=None),
        token(iss="https://evil.example"),
        token(iss=None),
        token(exp=time() - 60),
        token(exp=None),
        token(nbf=time() + 86_400),
        token(sub=None),
        token(sub=""),
        token()[:-2],
    ],
)
async def test_any_other_token_lets_nobody_in(given: str | None) -> None:
    assert await asked(secret_auth(), given) is None


async def test_clocks_may_differ_by_the_leeway() -> None:
    late = token(exp=time() - 60)

    assert await asked(secret_auth(leeway=300.0), late) is not None
    assert await asked(secret_auth(leeway=0.0), late) is None


async def test_a_public_key_is_no_secret_for_whoever_knows_it() -> None:
    auth = JwtAuth(("ES256",), AUDIENCE, ISSUER, SecretStr(PEM))
    # The library refuses to sign with a PEM as secret, so this is what somebody else's would do.
    forged = jwt.encode({"sub": "ann"}, "x" * 32, "HS256")

    assert await asked(auth, token(PRIVATE, "ES256")) == {"participant_id": "ann"}
    assert await asked(auth, token(OTHER, "ES256")) is None
    assert await asked(auth, forged) is None


@contextmanager
def issuer(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """An issuer on a socket that answers always the same, and the paths that were asked for."""
    paths: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys", paths
        finally:
            server.shutdown()
            thread.join(30)


@pytest.fixture
def published() -> Iterator[tuple[str, list[str]]]:
    """An issuer that publishes a key."""
    key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(PRIVATE.public_key())) | {"kid": "one", "use": "sig"}
    with issuer(200, json.dumps({"keys": [key]}).encode()) as found:
        yield found


async def test_published_keys_are_asked_for_once_whatever_tokens_come(published: tuple[str, list[str]]) -> None:
    url, paths = published
    auth = JwtAuth(("ES256",), AUDIENCE, ISSUER, jwks_url=url)

    assert await asked(auth, token(PRIVATE, "ES256", "one")) == {"participant_id": "ann"}
    for kid in ("two", "three", "one"):
        assert await asked(auth, token(OTHER, "ES256", kid)) is None
    assert paths == ["/keys"]


async def test_an_issuer_that_does_not_answer_is_no_verdict(free_port: int) -> None:
    auth = JwtAuth(("ES256",), AUDIENCE, ISSUER, jwks_url=f"http://127.0.0.1:{free_port}/keys")

    with pytest.raises(jwt.PyJWKClientConnectionError):
        await asked(auth, token(PRIVATE, "ES256", "one"))


@pytest.fixture
def silent() -> Iterator[tuple[str, list[str]]]:
    """An issuer that is out of order."""
    with issuer(503, b"") as found:
        yield found


async def test_an_issuer_that_is_out_of_order_is_not_asked_by_every_stranger(silent: tuple[str, list[str]]) -> None:
    url, paths = silent
    auth = JwtAuth(("ES256",), AUDIENCE, ISSUER, jwks_url=url)

    for kid in ("one", "two", "three"):
        with pytest.raises(jwt.PyJWKClientConnectionError):
            await asked(auth, token(OTHER, "ES256", kid))
    assert paths == ["/keys"]


async def test_known_keys_let_in_while_the_issuer_is_out_of_order(
    published: tuple[str, list[str]], free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomkit_server.jwt_auth.PAUSE", 0.0)
    auth = JwtAuth(("ES256",), AUDIENCE, ISSUER, jwks_url=published[0])
    assert await asked(auth, token(PRIVATE, "ES256", "one"))
    assert auth._published is not None
    auth._published.uri = f"http://127.0.0.1:{free_port}/keys"

    with pytest.raises(jwt.PyJWKClientConnectionError):
        await asked(auth, token(OTHER, "ES256", "two"))
    assert await asked(auth, token(PRIVATE, "ES256", "one"))


async def test_a_token_for_a_key_of_another_kind_or_of_no_text_lets_nobody_in() -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    auth = JwtAuth(("RS256", "ES256"), AUDIENCE, ISSUER, SecretStr(pem))

    assert await asked(auth, token(PRIVATE, "ES256")) is None
    assert await asked(auth, "\ud800.a.b") is None


SHORT = rsa.generate_private_key(65537, 1024)  # RFC 7518, 3.3, wants 2048 bits


async def test_a_short_public_key_is_a_mistake() -> None:
    pem = SHORT.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    with pytest.raises(ConfigError, match="1024"):
        JwtAuth(("RS256",), AUDIENCE, ISSUER, SecretStr(pem))


async def test_a_short_key_that_is_published_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(SHORT.public_key())) | {"kid": "one", "use": "sig"}
    monkeypatch.setattr("jwt.PyJWKClient.fetch_data", lambda self: {"keys": [key]})
    auth = JwtAuth(("RS256",), AUDIENCE, ISSUER, jwks_url="https://login.example/keys")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.warnings.InsecureKeyLengthWarning)
        given = token(SHORT, "RS256", "one")
    assert await asked(auth, given) is None


async def test_no_log_has_a_token_or_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    given = token(aud="elsewhere")
    with caplog.at_level(logging.DEBUG):
        await asked(secret_auth(), given)

    assert "InvalidAudienceError" in caplog.text
    assert given not in caplog.text
    assert SECRET not in caplog.text + repr(vars(AuthRequest)) + repr(secret_auth())


RIGHT = f'algorithms = ["HS256"]\naudience = "{AUDIENCE}"\nissuer = "{ISSUER}"\nkey = {{ env = "JWT_KEY" }}\n'


def configured(folder: Path, lines: str, key: str = SECRET) -> RoomKit:
    path = folder / "roomkit.toml"
    path.write_text(f'[stores.a]\nuse = "memory"\n[plugins.server.auth]\nuse = "jwt"\n{lines}')
    return RoomKit.from_config(path, environ={"JWT_KEY": key})


async def test_it_stands_in_a_configuration_with_its_secret_by_reference(tmp_path: Path) -> None:
    settings = configured(tmp_path, RIGHT).plugins.settings("server")

    assert await asked(settings.auth, token()) == {"participant_id": "ann"}
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('["HS256"]', "[]", "algorithms"),
        ('["HS256"]', '["none"]', "algorithms"),
        ('["HS256"]', '["HS256", "ES256"]', "do not go together"),
        ('key = { env = "JWT_KEY" }', "", "either key or jwks_url"),
        ('key = { env = "JWT_KEY" }', 'jwks_url = "http://login.example/keys"', "https"),
        ('key = { env = "JWT_KEY" }', 'jwks_url = "https://login.example/keys"', "a key set has no secrets"),
        (f'audience = "{AUDIENCE}"', "", "audience"),
        (f'issuer = "{ISSUER}"', "", "issuer"),
        ('["HS256"]', '["ES256"]', "the key does not fit ES256"),
    ],
)
async def test_what_would_let_too_many_in_is_a_mistake(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert before in RIGHT
    with pytest.raises(ConfigError, match=words) as caught:
        configured(tmp_path, RIGHT.replace(before, after))
    assert SECRET not in str(caught.value)


async def test_a_short_secret_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 32 bytes"):
        configured(tmp_path, RIGHT, key="short")


async def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigError) as caught:
        secret_auth()
    assert "roomkit-server[jwt]" in caught.value.hint
