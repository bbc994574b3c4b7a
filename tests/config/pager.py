"""A plugin as others write them: a channel with a provider, a store of secrets, and settings of its own."""

from __future__ import annotations

from tests.registry.plugins import Site

PLUGIN = """
PLUGIN = PluginInfo("pager", api="1.0", config="pager_parts:PagerSettings")

@hookimpl
def roomkit_components():
    yield Component("channel", "pager", "pager_parts:PagerChannel", config="pager_parts:PagerChannelSettings")
    yield Component("provider", "beeper", "pager_parts:Beeper", config="pager_parts:BeeperSettings")
    yield Component("secret", "vault", "pager_parts:Vault", config="pager_parts:VaultSettings")
    yield Component("secret", "drawer", "pager_parts:Drawer")
    yield Component("auth", "gate", "pager_parts:Gate", config="pager_parts:GateSettings")
"""

PARTS = """
import json
from typing import Annotated
from pydantic import Field, SecretStr, field_validator, model_validator
from roomkit_core import Channel, Duration, SecretStore, Settings, Uses
from roomkit_core.errors import ConfigError
from roomkit_core.interfaces.auth import Authenticator


class BeeperSettings(Settings):
    account: str = Field(default="none", description="The account.")
    token: SecretStr = Field(description="What lets us in.")
    pace: int = Field(default=1, ge=1, description="Beeps a second.")

    @field_validator("token")
    @classmethod
    def _plausible(cls, value):
        if len(value.get_secret_value()) < 8:
            raise ValueError(f"{value.get_secret_value()} is too short for a token")
        return value


    @model_validator(mode="after")
    def _fit_together(self):
        if self.account == "loud":
            raise ValueError(f"{self.token.get_secret_value()} is not for this account")
        return self


class Beeper:
    def __init__(self, account, token, pace):
        if account == "closed":
            raise RuntimeError(f"no login with {token.get_secret_value()}")
        if account == "garbled":
            json.loads(token.get_secret_value())
        if account == "strict":
            BeeperSettings(token=token, pace=token.get_secret_value())
        if account == "late":
            try:
                json.loads(token.get_secret_value())
            except ValueError as error:
                raise LookupError("no such account") from error
        self.account, self.token, self.pace = account, token, pace


class PagerChannelSettings(Settings):
    number: str = Field(description="The number that people call.")
    region: str = Field(default="eu", description="Where it is.")
    labels: dict[str, str] = Field(default_factory=dict, description="Words about it.")
    provider: Annotated[Beeper, Uses("provider")] = Field(description="Who beeps.")


class PagerChannel(Channel):
    channel_type = "pager"

    def __init__(self, channel_id, *, number, region, labels, provider):
        super().__init__(channel_id)
        if number == "0":
            raise ValueError(f"nobody can be called in {region}")
        self.number, self.region, self.labels, self.provider = number, region, labels, provider


class VaultSettings(Settings):
    key: SecretStr = Field(description="Opens it.")


class Vault(SecretStore):
    def __init__(self, key):
        self.key = key.get_secret_value()

    def get(self, reference):
        if reference == "missing":
            raise ConfigError(f"nothing there, asked with {self.key}", hint="Put it in.")
        return f"{reference}-of-the-vault"


class Drawer(SecretStore):
    def get(self, reference):
        raise LookupError(reference)


class GuestSettings(Settings):
    word: SecretStr = Field(description="What this one says.")

    @field_validator("word")
    @classmethod
    def _plausible(cls, value):
        if len(value.get_secret_value()) > 30:
            raise ValueError(f"{value.get_secret_value()[:20]}... is too long for a word")
        return value


class GateSettings(Settings):
    password: SecretStr = Field(description="What people say.")
    guests: dict[str, GuestSettings] = Field(default_factory=dict, description="Others who are let in.")


class Gate(Authenticator):
    async def __call__(self, request):
        return None

    def __init__(self, password, guests):
        self.password, self.guests = password, guests


class PagerSettings(Settings):
    gate: Annotated[Gate | None, Uses("auth")] = Field(default=None, description="Who is let in.")
    pause: Duration = Field(default=1.0, description="Between two beeps.")
"""


def install(site: Site) -> None:
    """Install the plugin ``pager``."""
    site.plugin("pager", PLUGIN, info="")
    (site.path / "pager_parts.py").write_text(PARTS, encoding="utf-8")


def line_of(code: str) -> int:
    """The line in ``pager_parts.py`` where this stands first."""
    return PARTS.count("\n", 0, PARTS.index(code)) + 1
