"""What each code of the server means, and what to do about it."""

from __future__ import annotations

from typing import Final

from roomkit_core.errors import Explanation

EXPLANATIONS: Final = {
    "server.failed": Explanation("The server cannot run like this", "Correct what the error names."),
    "server.cannot_listen": Explanation(
        "The address is not of this machine, or the port cannot be taken", "Choose another host or port."
    ),
    "server.port_in_use": Explanation("Another program listens on the port", "Stop it, or choose another port."),
    "server.loopback_only": Explanation(
        "Other machines can reach the address, and nobody asks clients who they are",
        "Listen on 127.0.0.1, or say who may come: [channels.ID.auth].",
    ),
    "server.no_authentication": Explanation(
        "A route leaves it to the server to ask who comes, and the server has no authentication",
        "Declare the route with auth='route' or auth='none', or configure authentication.",
    ),
    "server.startup_failed": Explanation("The kit or the application did not start", "The log says why."),
}
