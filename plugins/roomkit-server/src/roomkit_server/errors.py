"""What a server says when it cannot run."""

from __future__ import annotations

from roomkit_core.errors import RoomKitError


class ServerError(RoomKitError):
    """The server cannot run like this."""

    default_code = "server.failed"
