"""Writing a message into the journal, from where a runner of the kit brings it in."""

from __future__ import annotations

from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.pure.keys import message_key
from roomkit_core.engine.state.ports import Ports
from roomkit_core.errors import ChannelNotRegisteredError
from roomkit_core.interfaces.channel import Channel
from roomkit_core.interfaces.store import Known
from roomkit_core.models.message import Accepted, InboundMessage


def journal_lane(channel: Channel, message: InboundMessage) -> tuple[str, ...]:
    """The messages of one conversation are worked on in their order; where there is none, those of one sender."""
    return (message.channel_id, channel.conversation_key(message) or message.sender_id)


async def accept(ports: Ports, runners: Runners, message: InboundMessage, room_id: str | None) -> Accepted:
    """Write a message into the journal: durable on return, and worked on from now.

    Raises:
        ChannelNotRegisteredError: Nobody here can bring it in.
        StoreError: It may be in the journal or not; accepting it again finds out if it has a key.
    """
    target, pool = ports.channels.get(message.channel_id), ports.journal
    if target is None:
        raise ChannelNotRegisteredError(f"no channel {message.channel_id!r} is registered")
    since = ports.clock.monotonic()
    permit = None if ports.background.draining else pool.take_at_birth()
    is_begun = False
    try:
        answer = await ports.store.accept(
            message,
            journal_lane(target.channel, message),
            message_key(message),
            room_id=room_id,
            owner=ports.owner,
            lease=None if permit is None else pool.lease,
        )
        if isinstance(answer, Known):
            return Accepted(id=answer.id, duplicate=True)
        if answer.claim is not None:
            is_begun = runners.start(answer.claim, pool, permit, since, pool.lease)
    finally:
        if permit is not None and not is_begun:
            permit.give_back()
    if not is_begun:
        runners.look(pool)
    return Accepted(id=answer.id)
