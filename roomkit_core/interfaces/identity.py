"""Who a sender is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from roomkit_core.models.context import RoomContext
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.participant import IdentityResult


class IdentityResolver(ABC):
    """Finds the identity behind a sender's address."""

    @abstractmethod
    async def resolve(self, message: InboundMessage, context: RoomContext) -> IdentityResult:
        """What is known about the sender of ``message``.

        Runs before the room lock is taken and may be slow; the kit gives it ``identity_timeout`` seconds.
        """
