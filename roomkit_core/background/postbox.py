"""How a thread tells the event loop something."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from roomkit_core.background.tasks import _running_loop, _trio_token

Post = Callable[[Callable[[], Any]], None]


def postbox() -> Post:
    """A function with which any thread has something called on the event loop that runs here and now.

    It returns at once and does nothing if the loop has ended by then.

    Raises:
        RuntimeError: No event loop runs.
    """
    loop: Any = _running_loop()
    if loop is not None:
        return _quiet(loop.call_soon_threadsafe, RuntimeError)
    token: Any = _trio_token()
    if token is None:
        raise RuntimeError("no event loop runs here")
    return _quiet(token.run_sync_soon, sys.modules["trio"].RunFinishedError)


def _quiet(post: Post, ended: type[Exception]) -> Post:
    def quietly(call: Callable[[], Any]) -> None:
        try:
            post(call)
        except ended:  # whoever waited for it is gone with the loop
            pass

    return quietly
