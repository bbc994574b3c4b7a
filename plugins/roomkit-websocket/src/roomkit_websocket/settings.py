"""What can be configured about a WebSocket channel."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roomkit_core import AuthCallback, Duration, Settings, Uses


class WebSocketSettings(Settings):
    """``use = "websocket"``: live clients, each with a cursor of its own."""

    send_timeout: Duration = Field(default=5.0, gt=0, description="Seconds for one event on one connection.")
    queue_size: int = Field(default=256, ge=1, description="Events that wait for a slow client before it is cut off.")
    open_rooms: bool = Field(
        default=False, description="Whoever asks for a room that does not exist gets it, with this channel in it."
    )
    attach: tuple[str, ...] = Field(
        default=(), description="Other channels that are in every room that is opened so, such as a bot's."
    )
    auth: Annotated[AuthCallback | None, Uses("auth")] = Field(
        default=None, description="Who is let in; everybody if it is absent, and then only on the loopback interface."
    )
    history: int = Field(default=200, ge=0, description="How many of a room's newest indexes a new client begins with.")
    origins: tuple[str, ...] = Field(default=(), description="Web origins whose pages may connect, beside our own.")
