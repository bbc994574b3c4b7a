"""``roomkit chat`` in a process of its own: on a pipe, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from roomkit_core import (
    BotChannel,
    ChannelType,
    Cursor,
    EventSource,
    Page,
    RoomEvent,
    RoomKit,
    TerminalChannel,
    TextContent,
)
from roomkit_core.cli.chat import Visit
from roomkit_core.cli.shown import harmless, line_of
from roomkit_core.cli.terminal import Terminal
from tests.support.bots import BOT
from tests.support.bots import bot_file as bot_file

PATIENCE = 60.0  # seconds; only a failure waits so long


@pytest.fixture
def folder(bot_file: Path) -> Path:
    return bot_file.parent


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "roomkit_core.cli", *arguments]


def chat(folder: Path, said: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The end of a chat on a pipe."""
    return run(folder, "chat", *arguments, said=said)


def run(folder: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """The end of a command whose tables have room."""
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("ROOMKIT_")}
    return subprocess.run(
        command(*arguments),
        input=said,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=PATIENCE,
        env={**surroundings, "COLUMNS": "400"},
        check=False,
    )


# ------------------------------------------------------------------------------------------------- on a pipe


def test_a_line_on_a_pipe_is_answered_and_the_command_ends_when_nothing_is_owed(folder: Path) -> None:
    done = chat(folder, "hi\n", "--app", "bot.py", "--store", "memory")

    assert (done.returncode, done.stdout, done.stderr) == (0, "bot: You said: hi\n", "")
    assert not (folder / "room.db").exists()


def test_each_line_is_a_message_and_a_blocked_one_has_its_reason(folder: Path) -> None:
    done = chat(folder, "one\n\n  \nrude\ntwo", "--app", "bot.py", "--store", "memory")

    assert done.stdout.splitlines() == ["bot: You said: one", "* blocked: rude", "bot: You said: two"]


def test_a_configuration_is_enough_and_the_history_of_the_room_is_shown(folder: Path) -> None:
    (folder / "roomkit.toml").write_text('[roomkit]\napp = ["bot"]\n')
    chat(folder, "one\n", "--as", "ann")
    done = chat(folder, "two\n", "--as", "bob")
    elsewhere = chat(folder, "three\n", "--room", "other")

    assert done.stdout.splitlines() == ["ann: one", "bot: You said: one", "bot: You said: two"]
    assert elsewhere.stdout.splitlines() == ["bot: You said: three"]


def test_an_answer_that_is_still_owed_is_an_exit_code_and_comes_with_the_next_chat_that_can(folder: Path) -> None:
    broken = BOT.replace("    if event.source", "    assert event.index < 0\n    if event.source")
    (folder / "bot.py").write_text(broken)
    done = chat(folder, "hi\n", "--app", "bot.py")

    assert done.returncode == 1
    assert "1 of what was said are not done" in done.stderr


def test_what_is_logged_goes_where_the_configuration_says(folder: Path) -> None:
    loud = "import logging\n" + BOT.replace(
        "    if event.source", "    logging.getLogger('bot').debug('asked')\n    if event.source"
    )
    (folder / "bot.py").write_text(loud)
    (folder / "roomkit.toml").write_text(
        '[roomkit]\napp = ["bot"]\n[logging]\nformat = "json"\nlevel = "debug"\nfile = "bot.log"\n'
    )
    done = chat(folder, "hi\n")
    told = [json.loads(line) for line in (folder / "bot.log").read_text(encoding="utf-8").splitlines()]

    assert (done.stdout, done.stderr) == ("bot: You said: hi\n", "")
    assert ("debug", "bot", "asked") in [(line["level"], line["logger"], line["message"]) for line in told]


@pytest.mark.parametrize("verb", ["chat", "serve"])
def test_mistakes_about_logging_are_told_with_all_others(folder: Path, verb: str) -> None:
    (folder / "roomkit.toml").write_text('[logging]\nlevel = "loud"\n[channels.bot]\nuse = "bott"\n')
    done = run(folder, verb)

    assert done.returncode == 2
    assert "logging.level" in done.stderr
    assert "channels.bot.use" in done.stderr


def test_what_a_killed_process_left_owed_is_answered_in_the_next_chat(folder: Path) -> None:
    deadly = """    if event.content.body == "die" and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if event.source"""
    imports = "import os, signal\nfrom pathlib import Path\n"
    (folder / "bot.py").write_text(imports + BOT.replace("    if event.source", deadly))
    killed = chat(folder, "die\n", "--app", "bot.py", "--as", "ann")
    done = chat(folder, "hello\n", "--app", "bot.py", "--as", "ann")

    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "ann: die")
    assert sorted(done.stdout.splitlines()[1:]) == ["bot: You said: die", "bot: You said: hello"]


def test_mistakes_of_the_bot_are_told_and_end_the_command(folder: Path) -> None:
    (folder / "bot.py").write_text("from roomkit_core import hook\n\n@hook('befor_broadcast')\ndef f(e, c): ...\n")
    done = chat(folder, "hi\n", "--app", "bot.py")

    assert done.returncode == 2
    assert "bot.py:3: f: there is no trigger 'befor_broadcast'. Did you mean 'before_broadcast'?" in done.stderr
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------------------------------------- coming in


class Screen(Terminal):
    """A terminal whose lines are kept."""

    def __init__(self) -> None:
        super().__init__("> ")
        self.shown: list[str] = []

    def show(self, line: str) -> None:
        self.shown.append(line)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_what_is_said_while_the_history_is_read_is_shown_once_and_in_order(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RoomKit() as kit:
        terminal, screen = TerminalChannel(), Screen()
        for channel in (terminal, BotChannel("bot")):
            kit.register_channel(channel)
        visit = Visit(kit, terminal, "r", "ann", screen)
        await visit.come_in()
        await kit.send_event("r", "bot", TextContent(body="first"))
        read = kit.rooms.read
        answers = iter(["second", "third"])  # as many as there are reads

        async def busy(room_id: str, *, viewer: str, after: Cursor | None = None, limit: int = 100) -> Page:
            page = await read(room_id, viewer=viewer, after=after, limit=limit)
            await kit.send_event("r", "bot", TextContent(body=next(answers)))
            return page if moment == "after" else await read(room_id, viewer=viewer, after=after, limit=limit)

        monkeypatch.setattr(kit.rooms, "read", busy)
        screen.shown.clear()
        await Visit(kit, terminal, "r", "ann", screen).come_in()
        await kit.idle()
        await kit.send_event("r", "bot", TextContent(body="fourth"))
        await kit.idle()

        assert screen.shown == ["bot: first", "bot: second", "bot: third", "bot: fourth"]


async def test_an_event_that_is_told_after_it_was_read_is_not_shown_again() -> None:
    async with RoomKit() as kit:
        terminal, screen = TerminalChannel(), Screen()
        kit.register_channel(terminal)
        await Visit(kit, terminal, "r", "ann", Screen()).come_in()
        event = await kit.send_event("r", "bot", TextContent(body="once"))
        await Visit(kit, terminal, "r", "ann", screen).come_in()
        terminal.on_hint("r", event, Cursor("any", event.index))
        await terminal.drain()

        assert screen.shown == ["bot: once"]


# ------------------------------------------------------------------------------------------------- what is shown


def said_by(name: str, text: str) -> RoomEvent:
    source = EventSource(channel_id="web", channel_type=ChannelType.WEBSOCKET, participant_id=name)
    return RoomEvent(room_id="r", source=source, content=TextContent(body=text))


def test_what_others_write_cannot_steer_the_terminal() -> None:
    line = line_of(said_by("eve\x1b]0;root\x07", "\x1b[2Jwiped\x9b31m\r\x7f\u202eright to left"))

    assert line == "eve␛]0;root␇: ␛[2Jwiped<U+009B>31m␍␡<U+202E>right to left"
    assert harmless("naïve 👩‍💻\tok") == "naïve 👩‍💻\tok"


def test_a_second_line_cannot_pass_for_somebody_else() -> None:
    assert line_of(said_by("eve", "hello\nann: I agree")) == "eve: hello\n  ann: I agree"
    assert line_of(said_by("eve\nann", "hello")) == "eve ann: hello"


# ------------------------------------------------------------------------------------------------- on a terminal


OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal the one whose Ctrl+C interrupts the program."""


class Typist:
    """Somebody at a pseudo-terminal."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._main, other = pty.openpty()
        environ = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL, *command("chat", *arguments)],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=folder,
            env=environ,
            start_new_session=True,
        )
        os.close(other)
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    def wait_for(self, text: str) -> None:
        """Return when this has been shown since the last call."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self._main], [], [], 0.2)[0]:
                self.seen += os.read(self._main, 4096).decode(errors="replace")
        self.seen = self.seen.split(text, 1)[1]

    def wait_for_keys(self) -> None:
        """Return when the program sleeps until a key comes: a signal that is earlier wakes it with the next key only.

        What was typed is shown before that. Where the system does not tell, this returns at once.
        """
        about = Path(f"/proc/{self.process.pid}")
        end = time.monotonic() + PATIENCE
        while about.exists():
            state = (about / "stat").read_text().rpartition(")")[2].split()[0]
            sleeps_in = (about / "wchan").read_text()
            if state == "S" and (sleeps_in in ("", "0") or "poll" in sleeps_in or "select" in sleeps_in):
                return  # 0: the system tells that it sleeps, and hides in what
            assert time.monotonic() < end, (state, sleeps_in)

    def leaves(self) -> int:
        """The exit code; what is still shown is read meanwhile."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self._main], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self._main, 4096).decode(errors="replace")
                except OSError:  # nobody holds the other end any more
                    break
        return self.process.wait(PATIENCE)

    def go(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._main)


@pytest.fixture
def sit_down(folder: Path) -> Iterator[Callable[..., Typist]]:
    """Starts a chat on a terminal."""
    there: list[Typist] = []

    def sit_down(*arguments: str) -> Typist:
        there.append(Typist(folder, *arguments))
        return there[-1]

    yield sit_down
    for typist in there:
        typist.go()


def test_on_a_terminal_the_prompt_comes_back_and_the_arrow_brings_the_last_line(
    sit_down: Callable[..., Typist],
) -> None:
    ann = sit_down("--app", "bot.py", "--store", "memory", "--as", "ann")
    ann.wait_for("ann> ")
    ann.type("hello\r")
    ann.wait_for("bot: You said: hello")
    ann.wait_for("ann> ")
    ann.type("\x1b[A!\r")
    ann.wait_for("bot: You said: hello!")
    ann.type("rude\r")
    ann.wait_for("* blocked: rude")
    ann.wait_for("ann> ")
    ann.type("\x04")

    assert ann.leaves() == 0
    assert "Traceback" not in ann.seen


def test_an_interrupt_leaves_without_a_traceback(sit_down: Callable[..., Typist]) -> None:
    ann = sit_down("--app", "bot.py", "--store", "memory", "--as", "ann")
    ann.wait_for("ann> ")
    ann.type("half a line")
    ann.wait_for("half a line")
    ann.wait_for_keys()
    ann.type("\x03")

    assert ann.leaves() == 0
    assert "Traceback" not in ann.seen


def test_a_changed_bot_answers_the_next_message_and_a_broken_one_is_told(
    folder: Path, sit_down: Callable[..., Typist]
) -> None:
    ann = sit_down("--app", "bot.py", "--store", "memory", "--as", "ann", "--reload")
    ann.wait_for("ann> ")
    (folder / "bot.py").write_text("def broken(:\n")
    ann.type("one\r")
    ann.wait_for("SyntaxError")
    ann.wait_for("* the bot stays as it was")
    ann.wait_for("bot: You said: one")
    (folder / "bot.py").write_text(BOT.replace("You said", "Now"))
    ann.type("two\r")
    ann.wait_for("* new: bot")
    ann.wait_for("bot: Now: two")


# ------------------------------------------------------------------------------------------------- beside it


@pytest.mark.parametrize("verb", [("config", "check"), ("doctor",)])
def test_the_commands_that_check_a_configuration_look_at_its_bot(folder: Path, verb: tuple[str, ...]) -> None:
    (folder / "roomkit.toml").write_text('[roomkit]\napp = ["bot"]\n')
    (folder / "bot.py").write_text("from roomkit_core import hook\n\n@hook('befor_broadcast')\ndef f(e, c): ...\n")
    done = run(folder, *verb)

    assert done.returncode == 1
    assert "there is no trigger 'befor_broadcast'" in done.stdout
