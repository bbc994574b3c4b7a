"""What can be configured about the server."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, IPvAnyNetwork

from roomkit_core import AuthCallback, Duration, Settings, Uses
from roomkit_server.limits import Limits


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError('expected scheme and host, such as "https://chat.example"')
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("expected neither a user nor a fragment")
    return f"{parts.scheme}://{parts.netloc}".lower()


Origin = Annotated[str, AfterValidator(_origin)]
"""Scheme, host and perhaps a port."""


class ServerSettings(Settings):
    """``[plugins.server]``."""

    host: str = Field(default="127.0.0.1", description="The interface; without authentication a loopback address.")
    port: int = Field(default=8080, ge=0, le=65535, description="The port; 0 for any that is free.")
    hosts: tuple[str, ...] | None = Field(
        default=None, description="Names of this server that are accepted in the `Host` header; `*.example.com` too."
    )
    page: bool = Field(default=True, description="Whether the chat page is served at `/`.")
    public_url: Origin | None = Field(
        default=None,
        description="Where people find this server, such as `https://chat.example`, if a proxy is before it.",
    )
    allowed_origins: tuple[Origin, ...] = Field(
        default=(), description="Further origins whose pages may open WebSockets and change something here."
    )
    auth: Annotated[AuthCallback | None, Uses("auth")] = Field(
        default=None, description="Who may come to routes of plugins that leave it to the server to ask."
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        default=(), description="Addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."
    )
    header_timeout: Duration = Field(default=10.0, ge=0.1, le=300, description="Seconds for the headers of a request.")
    body_timeout: Duration = Field(default=30.0, ge=0.1, le=3600, description="Seconds for the body of a request.")
    idle_timeout: Duration = Field(
        default=5.0, ge=0.1, le=3600, description="Seconds that a connection stays open for the next request."
    )
    max_body: int = Field(default=1024 * 1024, ge=0, le=2**30, description="Bytes of the body of a request.")
    max_connections: int = Field(default=1_000, ge=1, le=1_000_000, description="Connections of all kinds at once.")
    max_clients: int = Field(default=900, ge=1, le=1_000_000, description="WebSockets at once.")

    @property
    def limits(self) -> Limits:
        """Those among them that are limits."""
        return Limits(
            header_timeout=self.header_timeout,
            body_timeout=self.body_timeout,
            idle_timeout=self.idle_timeout,
            max_body=self.max_body,
            max_connections=self.max_connections,
            max_clients=self.max_clients,
        )
