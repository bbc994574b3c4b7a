"""Which room a message belongs to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from roomkit_core.models.kinds import ChannelType


class InboundRoomRouter(ABC):
    """Chooses the room of a message that names none.

    A router only reads. That two first messages of one conversation make one room is guaranteed by the store's unique
    conversation key, not by the router.
    """

    @abstractmethod
    async def route(
        self,
        channel_id: str,
        channel_type: ChannelType,
        participant_id: str | None = None,
        channel_data: dict[str, Any] | None = None,
        *,
        conversation_key: str | None = None,
    ) -> str | None:
        """The room's id, or None for a new room.

        Args:
            channel_id: The channel on which the message arrived.
            channel_type: Its type.
            participant_id: The sender.
            channel_data: Not used; part of the signature that routers of the seed have.
            conversation_key: What :meth:`Channel.conversation_key` says about the message: the provider's address or
                thread. None if the channel has no conversations.
        """
