"""The room as hooks and channels see it: a lazy snapshot of one moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from roomkit_core.models.kinds import EventType
from roomkit_core.models.packing import TYPE, unpack_event

if TYPE_CHECKING:
    from roomkit_core.models.channel import ChannelBinding
    from roomkit_core.models.event import RoomEvent
    from roomkit_core.models.kinds import ChannelType
    from roomkit_core.models.participant import Participant
    from roomkit_core.models.room import Room


_new = object.__new__


class RoomContext:
    """A room at one moment. It never changes; reading again from the kit gives a newer one.

    Args:
        room: The room.
        bindings: Its channels.
        participants: Its people and bots.
        recent_events: The newest messages, ascending.
        attempt: 1, and more when hooks run again because the room changed underneath.
    """

    __slots__ = ("_recent", "_state", "attempt")

    def __init__(
        self,
        room: Room,
        bindings: Iterable[ChannelBinding] = (),
        participants: Iterable[Participant] = (),
        recent_events: Iterable[RoomEvent] = (),
        *,
        attempt: int = 1,
    ) -> None:
        self._state: Moment = _Given(room, bindings, participants)
        self._recent: tuple[RoomEvent, ...] | None = tuple(recent_events)
        self.attempt = attempt

    @classmethod
    def of(cls, state: Moment, attempt: int = 1) -> RoomContext:
        """The context of a room's state. Nothing is copied or computed until somebody looks."""
        context = _new(cls)
        context._state = state
        context._recent = None
        context.attempt = attempt
        return context

    @property
    def room_id(self) -> str:
        """The room's id; cheaper than ``room.id``, because the counters need not be brought up to date."""
        return self._state.base.id

    @property
    def room(self) -> Room:
        """The room."""
        return self._state.room

    @property
    def bindings(self) -> list[ChannelBinding]:
        """The room's channels, in the order in which they were attached."""
        return list(self._state.bindings.values())

    @property
    def participants(self) -> list[Participant]:
        """The room's people and bots."""
        return list(self._state.participants.values())

    @property
    def recent_events(self) -> list[RoomEvent]:
        """The newest messages, ascending; at least 50 if there are as many, more if a channel asks for more."""
        if self._recent is None:
            self._recent = tuple(_newest_messages(self._state))
        return list(self._recent)

    def get_binding(self, channel_id: str) -> ChannelBinding | None:
        """The channel's binding, or None."""
        return self._state.bindings.get(channel_id)

    def get_participant(self, participant_id: str) -> Participant | None:
        """The participant, or None."""
        return self._state.participants.get(participant_id)

    def other_channels(self, exclude_channel_id: str) -> list[ChannelBinding]:
        """All bindings but that channel's."""
        return [binding for key, binding in self._state.bindings.items() if key != exclude_channel_id]

    def channels_by_type(self, channel_type: ChannelType | str) -> list[ChannelBinding]:
        """The bindings of one type of channel."""
        return [binding for binding in self._state.bindings.values() if binding.channel_type == channel_type]


def _newest_messages(state: Moment) -> list[RoomEvent]:
    found: list[RoomEvent] = []
    for position in range(state.end - 1, -1, -1):
        packed = state.tail[position]
        if packed[TYPE] == EventType.MESSAGE:
            found.append(unpack_event(packed))
            if len(found) == state.window:
                break
    found.reverse()
    return found


class Moment(Protocol):
    """A state of a room, never changed: dicts are replaced, the tail is only appended to behind ``end``."""

    @property
    def base(self) -> Room:
        """The room; its counters may be behind."""
        ...

    @property
    def room(self) -> Room:
        """The room, counters included."""
        ...

    @property
    def bindings(self) -> dict[str, ChannelBinding]:
        """By channel id."""
        ...

    @property
    def participants(self) -> dict[str, Participant]:
        """By id."""
        ...

    @property
    def tail(self) -> Sequence[tuple[Any, ...]]:
        """The newest events, packed, ascending, and perhaps later ones behind ``end``."""
        ...

    @property
    def end(self) -> int:
        """How much of the tail belongs to this state."""
        ...

    @property
    def window(self) -> int:
        """How many recent messages are shown."""
        ...


class _Given:
    """A moment that somebody describes by hand."""

    tail: tuple[tuple[Any, ...], ...] = ()
    end = 0
    window = 0

    def __init__(self, room: Room, bindings: Iterable[ChannelBinding], participants: Iterable[Participant]) -> None:
        self.base = self.room = room
        self.bindings = {binding.channel_id: binding for binding in bindings}
        self.participants = {person.id: person for person in participants}
