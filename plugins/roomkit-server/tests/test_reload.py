"""``roomkit serve --reload``, as a process: files are edited under it, and people hear the new bot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

PATIENCE = 60  # seconds; only a failure waits so long

CONFIG = """
[roomkit]
app = ["bot"]
[stores.main]
use = "memory"
[channels.web]
use = "websocket"
open_rooms = true
attach = ["bot"]
[channels.bot]
use = "bot"
"""

BOT = """
from roomkit_core import HookExecution, HookTrigger, TextContent, hook
from words import WORD

@hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC)
async def answer(event, context, kit):
    if event.source.channel_id != "bot":
        await kit.send_event(event.room_id, "bot", TextContent(body=f"{WORD} {event.content.body}"))
"""


class Server:
    """``roomkit serve`` in a folder, and what it prints."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._lines: Queue[str] = Queue()
        self.told: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "roomkit_core.cli", "serve", "--port", "0", *options],
            cwd=folder,
            env={**os.environ, "COLUMNS": "400"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def wait_for(self, text: str) -> str:
        """The next line with that in it."""
        while True:
            self.told.append(self._lines.get(timeout=PATIENCE))
            if text in self.told[-1]:
                return self.told[-1]

    def address(self) -> str:
        """Where it listens, as soon as it says so."""
        return self.wait_for("listens on").split()[3].replace("http", "ws") + "ws"

    def end(self) -> int:
        """Stop it, as an operator does; its exit code."""
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "roomkit.toml").write_text(CONFIG)
    (tmp_path / "bot.py").write_text(BOT)
    (tmp_path / "words.py").write_text("WORD = 'old'\n")
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    server = Server(folder, "--reload")
    yield server
    server.end()


@contextmanager
def join(url: str) -> Iterator[ClientConnection]:
    with connect(url, open_timeout=PATIENCE) as client:
        say(client, {"type": "join", "room": "r", "client": "somebody-in-a-test"})
        yield client


def say(client: ClientConnection, what: dict[str, Any]) -> None:
    client.send(json.dumps(what))


def answer(client: ClientConnection, text: str) -> str:
    """What the bot says to that."""
    say(client, {"type": "send", "id": f"id-{text}", "text": text})
    while True:
        heard = json.loads(client.recv(timeout=PATIENCE))
        body = heard.get("event", {}).get("content", {}).get("body", "")
        if body.endswith(f" {text}"):
            return str(body)


def test_an_edit_under_a_running_server_is_heard_by_who_is_connected(folder: Path, server: Server) -> None:
    with join(server.address()) as client:
        assert answer(client, "one") == "old one"

        (folder / "words.py").write_text("WORD = 'new'\n")
        server.wait_for("* new: bot")

        assert answer(client, "two") == "new two"


def test_a_mistake_is_told_once_with_its_line_and_the_old_bot_answers_until_it_is_mended(
    folder: Path, server: Server
) -> None:
    with join(server.address()) as client:
        (folder / "words.py").write_text("\n\nWORD = (\n")
        assert f"{folder / 'words.py'}:3" in server.wait_for("SyntaxError")
        server.wait_for("the bot stays as it was")
        assert answer(client, "one") == "old one"

        (folder / "words.py").write_text("WORD = 'mended'\n")
        server.wait_for("* new: bot")
        assert answer(client, "two") == "mended two"
    assert sum("SyntaxError" in line for line in server.told) == 1


def test_a_mistake_in_a_file_that_came_with_the_edit_is_mended_there(folder: Path, server: Server) -> None:
    with join(server.address()) as client:
        (folder / "more.py").write_text("WORD = 1 / 0\n")
        (folder / "bot.py").write_text(BOT.replace("words", "more"))
        assert f"{folder / 'more.py'}:1" in server.wait_for("ZeroDivisionError")

        (folder / "more.py").write_text("WORD = 'more'\n")
        server.wait_for("* new: bot")
        assert answer(client, "one") == "more one"


def test_a_new_configuration_starts_the_server_anew_and_a_wrong_one_does_not(folder: Path, server: Server) -> None:
    with join(server.address()) as client:
        (folder / "roomkit.toml").write_text(CONFIG.replace("open_rooms", "open_doors"))
        assert f"{folder / 'roomkit.toml'}:8" in str(folder / server.wait_for("open_doors"))
        server.wait_for("the configuration stays as it was")
        assert answer(client, "one") == "old one"

        (folder / "other.py").write_text(BOT.replace("{WORD}", "other"))
        (folder / "roomkit.toml").write_text(CONFIG.replace('["bot"]\n[stores', '["other"]\n[stores'))
        server.wait_for("the server starts anew")
    with join(server.address()) as client:
        assert answer(client, "two") == "other two"
    assert server.end() == 0


@pytest.mark.parametrize(("options", "is_frozen"), [((), True), (("--reload",), False)])
def test_the_collector_leaves_alone_what_stays(folder: Path, options: tuple[str, ...], is_frozen: bool) -> None:
    words = "import gc\n\nclass Word:\n    def __str__(self): return str(gc.get_freeze_count())\n\nWORD = Word()\n"
    (folder / "words.py").write_text(words)
    server = Server(folder, *options)
    try:
        with join(server.address()) as client:
            assert (int(answer(client, "many").split()[0]) > 1_000) is is_frozen
    finally:
        server.end()
