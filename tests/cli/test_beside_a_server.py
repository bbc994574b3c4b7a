"""The command in a process of its own, beside a kit that is running in another one on the same file."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0  # seconds for what takes one; only a failure waits so long


class Server:
    """A running kit; see ``server.py``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.server", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.next() == "ready"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.strip())

    def next(self) -> str:
        """The next line that it prints."""
        line = self._lines.get(timeout=PATIENCE)
        self.seen.append(line)
        return line

    def wait_for(self, *lines: str) -> None:
        """Return when it has printed these lines since it was told something last."""
        while not set(lines) <= set(self.seen):
            self.next()

    def tell(self, line: str) -> None:
        """Hand in a line."""
        self.seen.clear()
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it in order."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(PATIENCE) == 0
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def roomkit(self, *arguments: str) -> Any:
        """Run the command beside it; what it printed as JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "roomkit_core.cli", *arguments, "--json", "--store", str(self.path)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A kit with a durable channel ``sms`` and a room."""
    server = Server(tmp_path / "room.db")
    yield server
    server.close()


def test_a_pause_is_obeyed_by_the_server_and_a_resume_lets_everything_out_in_order(server: Server) -> None:
    server.tell("say before")
    server.wait_for("said", "send before")

    server.roomkit("deliveries", "pause", "sms")
    held, number = None, 0
    while held is None:  # what is said before the server has read of the pause still goes out
        number += 1
        assert number < 50
        server.tell(f"say {number}")
        server.wait_for("said")
        row = server.roomkit("deliveries", "list", "--channel", "sms")[-1]
        held = row if (row["state"], row["attempts"]) == ("pending", 0) else None
    server.tell("say last")
    server.wait_for("said")
    assert server.roomkit("why", held["id"])["cause"].startswith("Its channel is paused by an operator")
    assert server.roomkit("deliveries", "list", "--channel", "sms")[-1]["attempts"] == 0
    assert f"send {number}" not in server.seen

    assert server.roomkit("deliveries", "resume", "sms")["was_paused"]

    server.wait_for(f"send {number}", "send last")
    assert server.seen.index(f"send {number}") < server.seen.index("send last")


def test_a_retry_of_the_command_is_sent_by_the_server(server: Server) -> None:
    server.tell("fail")
    server.wait_for("switched")
    server.tell("say hello")
    server.wait_for("said", "fail hello")
    (bad,) = wait_for_dead(server)
    server.tell("send")
    server.wait_for("switched")

    (copy,) = server.roomkit("dead", "retry", bad["id"])

    server.wait_for("send hello")
    assert (copy["state"], copy["retry_of"]) == ("pending", bad["id"])
    assert "It was retried as" in server.roomkit("why", bad["id"])["hint"]


def test_the_commands_that_look_work_beside_the_server(server: Server, tmp_path: Path) -> None:
    server.tell("say hello")
    server.wait_for("said", "send hello")

    assert [room["id"] for room in server.roomkit("rooms")] == ["room"]
    assert server.roomkit("timeline", "room")[-1]["content"]["body"] == "hello"
    assert server.roomkit("db", "check")["damage"] == []
    assert server.roomkit("db", "backup", str(tmp_path / "copy.db"))["bytes"] > 0
    assert server.roomkit("db", "migrate", "--dry-run")["migrations"] == []


def wait_for_dead(server: Server) -> Any:
    """The dead letters, once there are any: the server records an outcome after the call."""
    for _ in range(50):
        rows = server.roomkit("dead", "list")
        if rows:
            return rows
    raise AssertionError("nothing has failed")
