"""The default router: by conversation key, never by guessing (T1)."""

from __future__ import annotations

from typing import Any

from roomkit_core.interfaces.router import InboundRoomRouter
from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.kinds import ChannelType


class DefaultInboundRoomRouter(InboundRoomRouter):
    """A message goes to the room that holds its conversation key; without one it makes a new room.

    A shared number therefore never puts strangers into one room, however many rooms it serves.

    Args:
        store: Where the conversation keys are.
    """

    def __init__(self, store: ConversationStore) -> None:
        self._store = store

    async def route(
        self,
        channel_id: str,
        channel_type: ChannelType,
        participant_id: str | None = None,
        channel_data: dict[str, Any] | None = None,
        *,
        conversation_key: str | None = None,
    ) -> str | None:
        if conversation_key is None:
            return None
        return await self._store.find_conversation((channel_id, conversation_key))
