"""A bot's place in a room: it says something there through its hooks, and nothing is brought to it."""

from __future__ import annotations

from roomkit_core.interfaces.channel import Channel
from roomkit_core.models.enums import ChannelDirection
from roomkit_core.models.kinds import ChannelType


class BotChannel(Channel):
    """Through what a bot speaks: ``kit.send_event(room_id, "bot", ...)``. Nothing is owed to it."""

    channel_type = ChannelType.BOT
    direction = ChannelDirection.OUTBOUND
