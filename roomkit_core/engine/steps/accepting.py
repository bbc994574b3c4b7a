"""Writing a message into the journal, from where a runner of the kit brings it in."""

from __future__ import annotations

import anyio

from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.pure.keys import message_key
from roomkit_core.engine.state.ports import Ports
from roomkit_core.errors import ChannelNotRegisteredError, KitStateError
from roomkit_core.interfaces.channel import Channel
from roomkit_core.interfaces.store import Known
from roomkit_core.models.message import Accepted, InboundMessage


def journal_lane(channel: Channel, message: InboundMessage) -> tuple[str, ...]:
    """The messages of one conversation are worked on in their order; where there is none, those of one sender."""
    return (message.channel_id, channel.conversation_key(message) or message.sender_id)


async def accept(ports: Ports, runners: Runners, message: InboundMessage, room_id: str | None) -> Accepted:
    """Write a message into the journal: durable on return, and worked on from now.

    A caller that is cancelled meanwhile withdraws nothing: the message is worked on at once, or was never written.

    Raises:
        ChannelNotRegisteredError: Nobody here can bring it in.
        StoreError: It may be in the journal or not; accepting it again finds out if it has a key.
        KitStateError: The kit was closed meanwhile; it may be in the journal or not.
    """
    target = ports.channels.get(message.channel_id)
    if target is None:
        raise ChannelNotRegisteredError(f"no channel {message.channel_id!r} is registered")
    acceptance = Acceptance(ports, runners, message, journal_lane(target.channel, message), room_id)
    ports.background.spawn(acceptance.run)
    return await acceptance.answer()


class Acceptance:
    """One message on its way into the journal, in a task of the kit.

    The journal may claim it for this kit. In the caller's task that claim would be lost with a caller that is cancelled
    before the answer is there: a row in flight, in nobody's hands, until its lease is over (PROTOCOL L6).

    Args:
        ports: The surroundings.
        runners: Take the row if it was claimed.
        message: The message.
        lane: Its lane.
        room_id: The room that it names.
    """

    def __init__(
        self, ports: Ports, runners: Runners, message: InboundMessage, lane: tuple[str, ...], room_id: str | None
    ) -> None:
        self._ports = ports
        self._runners = runners
        self._message = message
        self._lane = lane
        self._room_id = room_id
        self._over = anyio.Event()
        self._accepted: Accepted | None = None
        self._error: Exception | None = None

    async def answer(self) -> Accepted:
        """What became of it."""
        await self._over.wait()
        if self._error is not None:
            raise self._error
        if self._accepted is None:
            raise KitStateError("this kit was closed while it accepted a message", code="kit.closed")
        return self._accepted

    async def run(self) -> None:
        """Write it down, and see to it that it is worked on."""
        try:
            self._accepted = await self._write()
        except Exception as error:  # noqa: BLE001, RUF100 (the caller's, and the caller gets it)
            self._error = error
        finally:
            self._over.set()

    async def _write(self) -> Accepted:
        ports, pool = self._ports, self._ports.journal
        since = ports.clock.monotonic()
        permit = None if ports.background.draining else pool.take_at_birth()
        is_begun = False
        try:
            answer = await ports.store.accept(
                self._message,
                self._lane,
                message_key(self._message),
                room_id=self._room_id,
                owner=ports.owner,
                lease=None if permit is None else pool.lease,
            )
            if isinstance(answer, Known):
                return Accepted(id=answer.id, duplicate=True)
            if answer.claim is not None:
                is_begun = self._runners.start(answer.claim, pool, permit, since, pool.lease)
        finally:
            if permit is not None and not is_begun:
                permit.give_back()
        if not is_begun:
            self._runners.look(pool)
        return Accepted(id=answer.id)
