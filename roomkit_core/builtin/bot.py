"""A bot's place in a room: it says something there through its hooks, and nothing is brought to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from roomkit_core.interfaces.channel import Channel
from roomkit_core.models.enums import Access, ChannelCategory, ChannelDirection
from roomkit_core.models.kinds import ChannelType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from roomkit_core.models.channel import ChannelBinding

BOT = "bot"
"""The id of the channel through which a bot speaks unless it is told another one."""


class BotChannel(Channel):
    """Through what a bot speaks: ``kit.send_event(room_id, "bot", ...)``. Nothing is owed to it."""

    channel_type = ChannelType.BOT
    direction = ChannelDirection.OUTBOUND


class Furnished(Protocol):
    """What :func:`seat_bots` needs of a kit."""

    def list_channels(self) -> list[Channel]:
        """All registered channels."""
        ...

    def register_channel(self, channel: Channel) -> None:
        """Add a channel."""
        ...

    async def list_bindings(self, room_id: str) -> list[ChannelBinding]:
        """The channels of a room."""
        ...

    def attach_channel(
        self, room_id: str, channel_id: str, category: ChannelCategory = ..., access: Access = ...
    ) -> Awaitable[ChannelBinding]:
        """Attach a channel."""
        ...


async def seat_bots(kit: Furnished, room_id: str) -> Sequence[str]:
    """Bring every bot of a kit into a room: channels through which hooks speak, and channels that answer.

    A kit without either gets a :class:`BotChannel` of the id ``bot``. A channel that is attached already is left as it
    is.

    Args:
        kit: The kit.
        room_id: A room that exists.

    Returns:
        The ids of the channels that were attached.

    Raises:
        RoomNotFoundError: There is no such room.
    """
    bots = [channel for channel in kit.list_channels() if _is_bot(channel)]
    if not any(channel.channel_type == ChannelType.BOT for channel in bots) and not _has(kit, BOT):
        bots.append(BotChannel(BOT))
        kit.register_channel(bots[-1])
    seated = {binding.channel_id for binding in await kit.list_bindings(room_id)}
    missing = [channel for channel in bots if channel.channel_id not in seated]
    for channel in missing:
        access = Access.WRITE_ONLY if channel.channel_type == ChannelType.BOT else Access.READ_WRITE
        await kit.attach_channel(room_id, channel.channel_id, channel.category, access)
    return [channel.channel_id for channel in missing]


def _is_bot(channel: Channel) -> bool:
    return channel.channel_type == ChannelType.BOT or channel.category is ChannelCategory.INTELLIGENCE


def _has(kit: Furnished, channel_id: str) -> bool:
    return any(channel.channel_id == channel_id for channel in kit.list_channels())
