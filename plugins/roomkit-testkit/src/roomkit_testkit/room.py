"""A room with a bot in it, for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from roomkit_core import (
    ConversationStore,
    InboundMessage,
    InboundResult,
    InMemoryStore,
    RoomEvent,
    RoomKit,
    UnsupportedError,
    seat_bots,
)
from roomkit_testkit.clock import VirtualClock
from roomkit_testkit.people import Person, text_of

Bot = RoomKit | ModuleType | str | PathLike[str]
"""A bot: a kit, a module, the name of one, the path of a ``.py`` file, or that of its configuration."""

Store = ConversationStore | Callable[[VirtualClock], ConversationStore]
"""A store, or what makes one that goes by the room's clock."""

YOU: Final = "you"


class BotRoom:
    """A room in which a bot is tried; :func:`bot_room` makes one.

    Attributes:
        kit: The kit.
        id: The room's id.
    """

    def __init__(self, kit: RoomKit, room_id: str, clock: VirtualClock | None) -> None:
        self.kit = kit
        self.id = room_id
        self._clock = clock
        self._people: dict[str, Person] = {}
        self._lines: list[str] = []

    async def person(self, name: str) -> Person:
        """Somebody in the room; they come in when they are named first, and hear what is said from then on."""
        if name not in self._people:
            person = Person(name, self._bring, None if self._people else self._note)
            self.kit.register_channel(person)
            await self.kit.attach_channel(self.id, name)
            self._people[name] = person
        return self._people[name]

    async def say(self, content: Any, *, by: str = YOU, **fields: Any) -> InboundResult:
        """Say something as :meth:`Person.say`; ``by`` is who says it."""
        return await (await self.person(by)).say(content, **fields)

    def heard(self, *, by: str = YOU) -> list[str]:
        """What somebody has heard from the others since this was asked last; see :meth:`Person.heard`.

        Raises:
            LookupError: Nobody of this name is in the room.
        """
        if by not in self._people:
            raise LookupError(f"nobody called {by!r} is in the room; there are: {', '.join(self._people)}")
        return self._people[by].heard()

    async def later(self, seconds: float) -> None:
        """Let time pass, from moment to moment at which something is due, and let all of it happen.

        Timers of the room, further tries and scheduled messages come in their order. Nothing waits for real.

        Raises:
            UnsupportedError: The kit was made before the room, with a clock that the room does not know.
        """
        if self._clock is None:
            raise UnsupportedError(
                "this kit has a clock of its own", hint="Make it with clock=VirtualClock(), and give that to bot_room."
            )
        self._lines.append(f"({seconds:g} seconds pass)")
        await self._clock.advance(seconds)
        await self.kit.idle()

    def transcript(self) -> str:
        """The conversation so far: a line for each message, what was blocked and why, and how time passed."""
        return "\n".join(self._lines) or "(nobody has said anything)"

    async def _bring(self, message: InboundMessage) -> InboundResult:
        result = await self.kit.process_inbound(message, room_id=self.id)
        await self.kit.idle()
        if result.blocked:
            said = getattr(message.content, "body", message.content.type)
            self._lines.append(f"{message.sender_id}: {said}  [blocked: {result.reason}]")
        return result

    def _note(self, event: RoomEvent) -> None:
        self._lines.append(f"{event.source.participant_id or event.source.channel_id}: {text_of(event)}")


@asynccontextmanager
async def bot_room(
    bot: Bot,
    *,
    store: Store | None = None,
    room_id: str = "room",
    clock: VirtualClock | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> AsyncIterator[BotRoom]:
    """A room with a bot, on a kit that runs as long as the block.

    What fails in the block gets the conversation so far as a note.

    Args:
        bot: The bot. Of a configuration (``"roomkit.toml"``) everything is as it says but for the store and the clock,
            also the hooks of its plugins and its channels, which start.
        store: Where the room lives; in memory if omitted. ``lambda clock: SQLiteStore(path, clock=clock)`` for a store
            whose times pass with :meth:`BotRoom.later`. Not for a kit, which has one.
        room_id: The room; made if it does not exist.
        clock: The kit's clock; a new one if omitted. For a kit the clock with which it was made.
        overrides: What is to be otherwise than in the configuration, as for :meth:`RoomKit.from_config`:
            ``{"channels": {"support": {"api": "http://127.0.0.1:8081"}}}``.

    Raises:
        HookError: The bot has mistakes; all of them are told.
        ConfigError: Its configuration has.
        ValueError: There are overrides and no configuration.
    """
    if overrides and not _is_configuration(bot):
        raise ValueError(f"{bot!r} is no configuration that overrides could change")
    if not isinstance(bot, RoomKit):
        clock = clock or VirtualClock()
    kit = bot if isinstance(bot, RoomKit) else _kit_of(bot, store, clock or VirtualClock(), overrides)
    async with kit:
        await kit.create_room(room_id, exist_ok=True)
        await seat_bots(kit, room_id)
        room = BotRoom(kit, room_id, clock)
        await room.person(YOU)
        await kit.idle()
        try:
            yield room
        except Exception as error:
            error.add_note(f"The conversation so far:\n{room.transcript()}")
            raise


def _is_configuration(bot: Bot) -> bool:
    return isinstance(bot, str | PathLike) and Path(bot).suffix == ".toml"


def _kit_of(
    bot: ModuleType | str | PathLike[str],
    store: Store | None,
    clock: VirtualClock,
    overrides: Mapping[str, Any] | None,
) -> RoomKit:
    if store is None:
        store = InMemoryStore(clock=clock)
    elif not isinstance(store, ConversationStore):
        store = store(clock)
    if not isinstance(bot, ModuleType) and _is_configuration(bot):
        return RoomKit.from_config(bot, store=store, clock=clock, overrides=overrides)
    kit = RoomKit(store, clock=clock)
    kit.include(bot, folder=Path.cwd())
    return kit
