"""Rows run side by side, except those that run alone because they may be what kills processes (PROTOCOL L13)."""

from __future__ import annotations

import anyio


class Exclusion:
    """Lets many in at once, or one that is to be alone."""

    def __init__(self) -> None:
        self._busy = 0
        self._wanted = 0
        self._is_alone = False
        self._changed: anyio.Event | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody is alone or waits for it; nothing new should be begun then."""
        return self._wanted > 0

    async def enter(self, *, alone: bool) -> None:
        """Come in; ``alone`` waits until nobody else is there and keeps everybody out."""
        self._wanted += alone
        try:
            while self._is_alone or (alone and self._busy):
                if self._changed is None:
                    self._changed = anyio.Event()
                await self._changed.wait()
        except BaseException:
            self._wanted -= alone
            raise
        self._is_alone = alone
        self._busy += 1

    def leave(self, *, alone: bool) -> None:
        """Go out."""
        self._busy -= 1
        self._wanted -= alone
        if alone:
            self._is_alone = False
        if self._changed is not None:
            self._changed.set()
            self._changed = None
