"""What each code means that only clients of this channel get, and what a client does about it."""

from __future__ import annotations

from typing import Final

from roomkit_core.errors import Explanation

_COME_BACK: Final = "Connect again with the cursor, after a pause that grows."
_AUTHOR: Final = "Correct the client."

EXPLANATIONS: Final = {
    "protocol.invalid": Explanation("It is not a message of the protocol; the error says where", _AUTHOR),
    "protocol.too_large": Explanation("A message of the client is too long", "Send it in shorter ones."),
    "protocol.not_joined": Explanation("The first message was not a join", _AUTHOR),
    "protocol.joined": Explanation("A second join came on one connection", _AUTHOR),
    "protocol.join_timeout": Explanation("No join came in time", "Connect again, and join at once."),
    "protocol.too_many_errors": Explanation("Too many messages of the client were refused", _AUTHOR),
    "auth.refused": Explanation("The server does not know the client", "Sign in, and come with a token that is known."),
    "auth.scope": Explanation(
        "The client may not read here, or may only read", "Come with a token whose scopes allow it."
    ),
    "room.forbidden": Explanation("The client may not enter this room", "Join a room that its token allows."),
    "connection.too_slow": Explanation("The client did not take its messages in time", _COME_BACK),
    "connection.failed": Explanation("Sending to the client failed several times in a row", _COME_BACK),
    "server.stopping": Explanation("The server stops", _COME_BACK),
    "server.error": Explanation("Something went wrong on the server; it is in its log", _COME_BACK),
}
