"""``roomkit chat``: talk to a bot in the terminal, or through a pipe."""

from __future__ import annotations

import getpass
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import typer
from anyio.from_thread import BlockingPortal, start_blocking_portal

from roomkit_core.builtin.bot import seat_bots
from roomkit_core.builtin.memory.store import InMemoryStore
from roomkit_core.builtin.sqlite.store import SQLiteStore
from roomkit_core.builtin.terminal import TerminalChannel
from roomkit_core.cli.configuration import kit_of_file
from roomkit_core.cli.lists import DEFAULT_CONFIG, ConfigPath
from roomkit_core.cli.places import USUAL_STORE
from roomkit_core.cli.reloading import renew
from roomkit_core.cli.session import command
from roomkit_core.cli.shown import line_of
from roomkit_core.cli.terminal import Terminal
from roomkit_core.config.document import is_there
from roomkit_core.config.logs import configure_logging
from roomkit_core.errors import ConfigError, HookError
from roomkit_core.interfaces.kit import Wait
from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.kit import RoomKit
from roomkit_core.models.content import TextContent
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.room import Cursor
from roomkit_core.models.work import OPEN_STATES, WorkKind

HISTORY: Final = 50
"""So many of the last events of the room are looked at for what was said before."""

OWED: Final = 1
"""The exit code if something that was said has not been answered yet, and waits for another try."""

MEMORY: Final = "memory"

ANSWERS: Final = (WorkKind.INBOUND, WorkKind.ASK, WorkKind.HOOK)


@command
def chat(
    app: Annotated[
        list[str] | None, typer.Option("--app", help="The bot: a file or module; as often as needed.", metavar="BOT")
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    room: Annotated[str, typer.Option("--room", help="The room; made if it does not exist.", metavar="ID")] = "chat",
    name: Annotated[str | None, typer.Option("--as", help="Who you are.", metavar="NAME")] = None,
    store: Annotated[
        str,
        typer.Option(
            "--store", envvar="ROOMKIT_STORE", help="Without a configuration: a file, or memory.", metavar="PATH"
        ),
    ] = USUAL_STORE,
    reload: Annotated[bool, typer.Option("--reload", help="Take over a changed bot before each message.")] = False,
) -> None:
    """Talk to a bot. Ctrl+D ends it. On a pipe each line is a message; it ends with 1 if an answer is still owed."""
    who = name or _user()
    terminal = Terminal(f"{who}> ")
    kit = make_kit(config, app or [], store)
    visit = Visit(kit, _channel_of(kit), room, who, terminal)
    with _portal() as portal, portal.wrap_async_context_manager(kit):
        with suppress(KeyboardInterrupt):  # what is under way ends with the kit
            portal.call(visit.come_in)
            for line in terminal.lines():
                if reload:
                    portal.call(_reload, kit, terminal)
                portal.call(visit.say, line, "committed" if terminal.is_interactive else "settled")
        owed = 0 if terminal.is_interactive else portal.call(visit.owed)
    if owed:
        typer.echo(f"{owed} of what was said are not done: they wait for another try.", err=True)
        raise typer.Exit(OWED)


@contextmanager
def _portal() -> Iterator[BlockingPortal]:
    """A thread for the kit. No Ctrl+C goes to it or to threads that it starts: it has to wake who waits for keys."""
    with ExitStack() as stack:
        former = _hold_interrupts()
        try:
            portal = stack.enter_context(start_blocking_portal())
        finally:
            _let_interrupts(former)
        yield portal


def _hold_interrupts() -> set[int] | None:
    if sys.platform == "win32":  # there the main thread gets them all
        return None
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}))


def _let_interrupts(former: set[int] | None) -> None:
    if sys.platform != "win32" and former is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def make_kit(config: str, app: list[str], store: str) -> RoomKit:
    """The kit of the configuration, or without one a kit on a file; logging is set up for it.

    Raises:
        ConfigError: The configuration is wrong, or a bot that is named has mistakes.
    """
    if is_there(Path(config)) or config != DEFAULT_CONFIG:
        kit = kit_of_file(config)
    else:
        configure_logging()
        kit = RoomKit(_store(store))
    try:
        kit.include(*app, folder=Path.cwd())
    except HookError as error:
        raise ConfigError(problems=error.problems, code="config.app", hint=error.hint) from error
    return kit


def _store(path: str) -> ConversationStore:
    return InMemoryStore() if path == MEMORY else SQLiteStore(path)


def _channel_of(kit: RoomKit) -> TerminalChannel:
    for channel in kit.list_channels():
        if isinstance(channel, TerminalChannel):
            return channel
    channel = TerminalChannel()
    kit.register_channel(channel)
    return channel


async def _reload(kit: RoomKit, terminal: Terminal) -> None:
    renewal = renew(kit)
    if renewal is not None:
        terminal.show(renewal.text)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # nobody has this user id
        return "you"


class Visit:
    """Somebody at a terminal in a room.

    Args:
        kit: The kit.
        channel: The terminal's channel.
        room_id: The room.
        who: A name.
        terminal: Shows what is said.
    """

    def __init__(self, kit: RoomKit, channel: TerminalChannel, room_id: str, who: str, terminal: Terminal) -> None:
        self._kit = kit
        self._channel = channel
        self._room = room_id
        self._who = who
        self._terminal = terminal
        self._before: frozenset[str] = frozenset()
        self._meanwhile: list[RoomEvent] | None = []

    async def come_in(self) -> None:
        """Make the room ready, listen, and show what was said before and then what is said meanwhile.

        What a killed process has left owed is answered as soon as the kit runs. So this listens before it reads: an
        answer that comes between the two would be in neither. One that is in both is shown once.
        """
        kit, channel_id = self._kit, self._channel.channel_id
        await kit.create_room(self._room, exist_ok=True)
        await seat_bots(kit, self._room)
        if channel_id not in {binding.channel_id for binding in await kit.list_bindings(self._room)}:
            await kit.attach_channel(self._room, channel_id)
        self._channel.listen(self._room, self._hear)
        before = await self._history()
        self._before = frozenset(event.id for event in before)
        for event in before:
            self._show(event)
        meanwhile, self._meanwhile = self._meanwhile or [], None
        for event in meanwhile:
            self._hear(event)

    async def _history(self) -> tuple[RoomEvent, ...]:
        viewer = self._channel.channel_id
        start = (await self._kit.rooms.read(self._room, viewer=viewer, limit=1)).cursor
        last = (await self._kit.get_room(self._room)).latest_index
        after = Cursor(start.epoch, max(-1, last - HISTORY))
        return (await self._kit.rooms.read(self._room, viewer=viewer, after=after, limit=HISTORY)).events

    async def say(self, line: str, wait: Wait) -> None:
        """Say something, and show why it was blocked if it was."""
        message = InboundMessage(
            channel_id=self._channel.channel_id,
            sender_id=self._who,
            content=TextContent(body=line),
            metadata={"name": self._who},
        )
        result = await self._kit.process_inbound(message, room_id=self._room, wait=wait)
        if result.blocked:
            self._terminal.show(f"* blocked: {result.reason}")

    async def owed(self) -> int:
        """How much of what was said here is still without its answer, once nothing runs and nothing is due."""
        await self._kit.idle()
        rows = await self._kit.deliveries.list(states=OPEN_STATES, kinds=ANSWERS, room_id=self._room)
        return len(rows)

    def _hear(self, event: RoomEvent) -> None:
        if self._meanwhile is not None:
            self._meanwhile.append(event)
        elif event.id in self._before:
            pass  # it was committed before it was read, and told after that
        elif event.source.channel_id != self._channel.channel_id or event.source.participant_id != self._who:
            self._show(event)

    def _show(self, event: RoomEvent) -> None:
        line = line_of(event)
        if line is not None:
            self._terminal.show(line)
