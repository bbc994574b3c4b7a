"""The room as hooks and channels see it: a lazy snapshot of one moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from roomkit_core.models.kinds import EventType
from roomkit_core.models.packing import TYPE, unpack_event
from roomkit_core.models.room import Room

if TYPE_CHECKING:
    from roomkit_core.models.channel import ChannelBinding
    from roomkit_core.models.event import RoomEvent
    from roomkit_core.models.kinds import ChannelType
    from roomkit_core.models.participant import Participant


class RoomContext:
    """A room at one moment. It never changes; reading again from the kit gives a newer one.

    Args:
        room: The room.
        bindings: Its channels.
        participants: Its people and bots.
        recent_events: The newest messages, ascending.
        attempt: 1, and more when hooks run again because the room changed underneath.
    """

    __slots__ = ("_bindings", "_end", "_participants", "_recent", "_room", "_tail", "_window", "attempt")

    def __init__(
        self,
        room: Room,
        bindings: Iterable[ChannelBinding] = (),
        participants: Iterable[Participant] = (),
        recent_events: Iterable[RoomEvent] = (),
        *,
        attempt: int = 1,
    ) -> None:
        self._room: Any = room
        self.attempt = attempt
        self._bindings: dict[str, ChannelBinding] = {binding.channel_id: binding for binding in bindings}
        self._participants: dict[str, Participant] = {person.id: person for person in participants}
        self._recent: tuple[RoomEvent, ...] | None = tuple(recent_events)
        self._tail: Sequence[tuple[Any, ...]] = ()
        self._end = 0
        self._window = 50

    @classmethod
    def of(cls, state: Any, attempt: int = 1) -> RoomContext:
        """The context of a room state (``room``, ``bindings``, ``participants``, ``tail``, ``end``, ``window``).

        Nothing is copied: the state's dicts are replaced and never mutated, its tail is only appended to.
        """
        context = cls.__new__(cls)
        context._room = state
        context.attempt = attempt
        context._bindings = state.bindings
        context._participants = state.participants
        context._recent = None
        context._tail = state.tail
        context._end = state.end
        context._window = state.window
        return context

    @property
    def room_id(self) -> str:
        """The room's id; cheaper than ``room.id``, because the room's counters need not be brought up to date for it."""
        room = self._room
        return cast("str", room.id if type(room) is Room else room.base.id)

    @property
    def room(self) -> Room:
        """The room."""
        room = self._room
        if type(room) is not Room:
            self._room = room = room.room
        return cast("Room", room)

    @property
    def bindings(self) -> list[ChannelBinding]:
        """The room's channels, in the order in which they were attached."""
        return list(self._bindings.values())

    @property
    def participants(self) -> list[Participant]:
        """The room's people and bots."""
        return list(self._participants.values())

    @property
    def recent_events(self) -> list[RoomEvent]:
        """The newest messages, ascending; at least 50 if there are as many, more if an attached channel asks for more."""
        if self._recent is None:
            found: list[RoomEvent] = []
            for position in range(self._end - 1, -1, -1):
                packed = self._tail[position]
                if packed[TYPE] == EventType.MESSAGE:
                    found.append(unpack_event(packed))
                    if len(found) == self._window:
                        break
            self._recent = tuple(reversed(found))
            self._tail = ()
        return list(self._recent)

    def get_binding(self, channel_id: str) -> ChannelBinding | None:
        """The channel's binding, or None."""
        return self._bindings.get(channel_id)

    def get_participant(self, participant_id: str) -> Participant | None:
        """The participant, or None."""
        return self._participants.get(participant_id)

    def other_channels(self, exclude_channel_id: str) -> list[ChannelBinding]:
        """All bindings but that channel's."""
        return [binding for key, binding in self._bindings.items() if key != exclude_channel_id]

    def channels_by_type(self, channel_type: ChannelType | str) -> list[ChannelBinding]:
        """The bindings of one type of channel."""
        return [binding for binding in self._bindings.values() if binding.channel_type == channel_type]
