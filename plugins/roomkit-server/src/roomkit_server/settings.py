"""What can be configured about the server."""

from __future__ import annotations

from pydantic import Field

from roomkit_core import Settings


class ServerSettings(Settings):
    """``[plugins.server]``."""

    host: str = Field(default="127.0.0.1", description="The interface; without authentication a loopback address.")
    port: int = Field(default=8080, ge=0, le=65535, description="The port; 0 for any that is free.")
    hosts: tuple[str, ...] | None = Field(
        default=None, description="Names of this server that are accepted in the `Host` header; `*.example.com` too."
    )
    page: bool = Field(default=True, description="Whether the chat page is served at `/`.")
