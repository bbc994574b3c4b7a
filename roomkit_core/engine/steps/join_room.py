"""How a message makes a room, joins one, and is found there again: bindings, routes and conversation keys."""

from __future__ import annotations

from collections.abc import Iterator

from roomkit_core.engine.pure.permissions import takes_writes
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.room_state import RoomState
from roomkit_core.engine.state.targets import Target
from roomkit_core.engine.state.unit_of_work import Unit
from roomkit_core.engine.steps.bookkeeping import announce, attached, attachment, created, note, system_event
from roomkit_core.engine.steps.telling import chain_here, tell, tell_channel
from roomkit_core.errors import ChannelNotRegisteredError, ConflictError
from roomkit_core.models.base import EMPTY, FrozenDict, evolve
from roomkit_core.models.changes import ABSENT, ChangeSet, Committed, Conversation
from roomkit_core.models.channel import ChannelBinding, Route
from roomkit_core.models.context import RoomContext
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.ids import check_id, new_id
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.room import Room, RoomTimers

TOMBSTONES = "roomkit:detached_channels"


async def make_room(
    ports: Ports, target: Target, message: InboundMessage, room_id: str | None, conversation: Conversation | None
) -> tuple[str, RoomState]:
    """A new room with its first binding and conversation key, in one commit; or the room of whoever was faster (T2)."""
    now = ports.clock.now()
    room = Room(
        id=new_id() if room_id is None else check_id(room_id, "room id"),
        created_at=now,
        updated_at=now,
        timers=RoomTimers(last_activity_at=now),
    )
    bindings = [source_binding(target, message, room.id, conversation), *_seats(ports, target, room.id)]
    events = tuple(system_event(room.id, *attachment(binding), now, index) for index, binding in enumerate(bindings))
    changes = ChangeSet(
        room_id=room.id,
        commit_id=new_id(),
        expected=ABSENT,
        owner=ports.owner,
        epoch=new_id(),
        room=room,
        events=events,
        bindings={binding.channel_id: binding for binding in bindings},
        claims=() if conversation is None else (conversation,),
    )
    answer = await ports.store.commit(changes)
    if not isinstance(answer, Committed) and answer.reason == "taken" and room_id is not None:
        # The message names a room that does not exist, and its conversation is another room's: the name wins here.
        changes.claims = ()
        changes.commit_id = new_id()
        answer = await ports.store.commit(changes)
    found = room.id
    if isinstance(answer, Committed):
        _tell_made(ports, room, bindings, events)
    elif answer.reason == "taken" and answer.room_id is not None:
        found = answer.room_id
    elif answer.reason != "exists":
        raise ConflictError(f"room {room.id!r} could not be made: {answer.reason}")
    state = await ports.cache.load(found)
    if state is None:
        raise ConflictError(f"room {found!r} was deleted while the message was on its way")
    return found, state


def _tell_made(ports: Ports, room: Room, bindings: list[ChannelBinding], events: tuple[RoomEvent, ...]) -> None:
    """The same is told as if somebody had made the room, and attached the channels to it."""

    def context() -> RoomContext:
        return RoomContext(room, bindings)

    hooks, depth = chain_here(ports)
    tell(ports, created(ports, room), room.id, context)
    for binding, event in zip(bindings, events, strict=True):
        tell_channel(ports, room.id, binding.channel_id, binding, is_new=True)
        tell(ports, attached(event, binding)._replace(hooks=hooks, depth=depth), room.id, context)
        ports.handlers.emit("event_processed", room_id=room.id, channel_id=event.source.channel_id, event_id=event.id)
    ports.handlers.emit("session_started", room_id=room.id, channel_id=bindings[0].channel_id)


def _seats(ports: Ports, source: Target, room_id: str) -> Iterator[ChannelBinding]:
    """The bindings of the channels that each new room has, behind that of the channel by which it came to be."""
    for index, channel_id in enumerate((name for name in ports.seated if name != source.channel_id), start=1):
        target = ports.channels.get(channel_id)
        if target is None:
            raise ChannelNotRegisteredError(f"no channel {channel_id!r} is registered; each new room is to have it")
        yield evolve(_binding(target, room_id), attached_index=index)


def source_binding(
    target: Target, message: InboundMessage, room_id: str, conversation: Conversation | None
) -> ChannelBinding:
    """The binding of a channel that joins a room because a message came through it."""
    if conversation is None or target.is_live:
        return _binding(target, room_id)
    return _binding(target, room_id, FrozenDict({message.sender_id: target.channel.reply_route(message)}))


def _binding(target: Target, room_id: str, routes: dict[str, Route] = EMPTY) -> ChannelBinding:
    channel = target.channel
    return ChannelBinding(
        channel_id=channel.channel_id,
        room_id=room_id,
        channel_type=channel.channel_type,
        category=channel.category,
        direction=channel.direction,
        capabilities=channel.capabilities(),
        routes=routes,
    )


def attach_source(unit: Unit, target: Target, message: InboundMessage) -> bool:
    """Attach the channel of a message to the room that it names; False if it was detached on purpose."""
    channel_id = message.channel_id
    if channel_id in unit.room.metadata.get(TOMBSTONES, ()):
        return False
    binding = source_binding(target, message, unit.room_id, (channel_id, "") if not target.is_live else None)
    binding = evolve(binding, attached_index=unit.state.next_index + unit.draft.taken)
    unit.change(bindings={**unit.bindings, channel_id: binding})
    announce(unit, attached(note(unit, *attachment(binding)), binding))
    return True


async def learn_route(
    unit: Unit, target: Target, message: InboundMessage, conversation: Conversation, *, is_named: bool
) -> None:
    """Remember where the sender is reached, and claim the conversation for this room if nobody has.

    Args:
        unit: The unit of the message's room.
        target: The channel on which it arrived.
        message: The message.
        conversation: Its conversation key.
        is_named: The message names its room; otherwise its room is where the conversation already is.
    """
    if target.is_live or not takes_writes(unit.status):
        return  # a closed room learns nothing, or it would keep the conversation from a new one
    binding = unit.bindings[message.channel_id]
    knows_route = message.sender_id in binding.routes
    if not knows_route:
        routes = FrozenDict({**binding.routes, message.sender_id: target.channel.reply_route(message)})
        unit.change(bindings={**unit.bindings, message.channel_id: evolve(binding, routes=routes)})
    if knows_route and not is_named and message.channel_id in unit.state.bindings:
        return
    if conversation not in unit.draft.claims and await unit.ports.store.find_conversation(conversation) is None:
        unit.change(claims=(*unit.draft.claims, conversation))
