"""Snippets of a page: what stands in fences, in order, each executed or marked as not to be.

A comment in the line above a fence says what a snippet is::

    <!-- snippet: file bot.py -->       it is a file, for the snippets below it
    <!-- snippet: background -->        its commands run on, until the page ends, once they have said what is below them
    <!-- snippet: skip, REASON -->      it is not executed, because

Without one, ``python`` is a program of its own (``await`` is fine at its top level), ``toml`` has to parse, and the
lines of ``console`` that begin with ``$`` are commands, with what they print below them; ``...`` is any text.

A comment at the top of a page says what the page needs::

    <!-- page: fresh environment, ports 8080 8081 -->

Its commands are then those of a virtual environment of its own, and in the place of these ports stand free ones.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("python", "toml", "console")
PATIENCE = 200  # seconds for one command; only a failure waits so long

_FENCE = re.compile(r"(?:<!-- snippet: (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
_NEEDS = re.compile(r"\A<!-- page: (?P<needs>[^\n]*?) -->\n")

_RUN = """
import ast, inspect, sys, anyio
code = compile(sys.stdin.read(), "snippet", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
result = eval(code, {"__name__": "__main__"})
async def wait(): await result
if inspect.iscoroutine(result): anyio.run(wait)
"""


class Snippet(NamedTuple):
    """One fence.

    Attributes:
        line: Where it begins on its page.
        language, text: What it is.
        mark: What the comment above it says; empty without one.
    """

    line: int
    language: str
    text: str
    mark: str


def snippets(page: Path) -> Iterator[Snippet]:
    """The snippets of a page in a language that can be executed."""
    whole = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(whole):
        if found["language"] in LANGUAGES:
            line = whole.count("\n", 0, found.start("language")) + 1
            yield Snippet(line, found["language"], found["text"], found["mark"] or "")


class Needs(NamedTuple):
    """What a page needs.

    Attributes:
        fresh: Whether it wants an environment of its own.
        ports: The ports that it writes.
    """

    fresh: bool
    ports: tuple[str, ...]


def needs(page: Path) -> Needs:
    """What the comment at the top of a page asks for."""
    found = _NEEDS.match(page.read_text(encoding="utf-8"))
    wanted = [] if found is None else [want.strip() for want in found["needs"].split(",")]
    ports = [want.split()[1:] for want in wanted if want.startswith("ports ")]
    assert all(want == "fresh environment" or want.startswith("ports ") for want in wanted), wanted
    return Needs("fresh environment" in wanted, tuple(port for some in ports for port in some))


@dataclass
class Place:
    """Where a page is followed.

    Attributes:
        folder: The folder in which its reader is.
        commands: Where its commands are looked for first.
        python: What runs its programs.
        ports: Which port stands for which one of the page.
        environ: More variables for what runs there.
    """

    folder: Path
    commands: Path = field(default_factory=lambda: Path(sys.executable).parent)
    python: str = sys.executable
    ports: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    _running: list[Background] = field(default_factory=list)

    def execute(self, snippet: Snippet) -> None:
        """Do what a snippet says.

        Raises:
            AssertionError: It does something else than the page says, or its mark makes no sense.
        """
        verb, _, rest = snippet.mark.replace(",", " ", 1).partition(" ")
        text = self._with_ports(snippet.text)
        if verb == "skip":
            assert rest.strip(), "a snippet is skipped for a reason"
        elif verb == "file":
            path = self.folder / rest.strip()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif snippet.language == "toml":
            tomllib.loads(text)
        elif snippet.language == "python":
            output, code = self._run([self.python, "-c", _RUN], text)
            assert code == 0, output
        elif verb == "background":
            for command, expected in _commands(text):
                self._running.append(Background(["bash", "-c", command], self.folder, self._environ(), expected))
        else:
            assert not verb, f"nobody knows what {verb!r} means"
            for command, expected in _commands(text):
                output, _ = self._run(["bash", "-c", command])
                assert matches(output, expected), f"$ {command}\n{output}\ninstead of\n{expected}{self._said()}"

    def leave(self) -> None:
        """End what runs in the background."""
        while self._running:
            self._running.pop().end()

    def _with_ports(self, text: str) -> str:
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        return text

    def _said(self) -> str:
        return "".join(f"\nmeanwhile: {background.output}" for background in self._running)

    def _environ(self) -> dict[str, str]:
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("ROOMKIT_", "PYTEST_"))}
        path = f"{self.commands}{os.pathsep}{environ['PATH']}"
        return {**environ, **self.environ, "PATH": path, "NO_PROXY": "127.0.0.1"}

    def _run(self, command: list[str], given: str = "") -> tuple[str, int]:
        """What a command prints, and its exit code."""
        done = subprocess.run(
            command,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=self._environ(),
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout, done.returncode


class Background:
    """A command that runs on; made, it has said what is expected of it.

    Args:
        command: The command.
        folder: Where it runs.
        environ: In which environment.
        expected: What it says when others can go on.

    Attributes:
        output: What it has said so far.

    Raises:
        AssertionError: It ends, or takes too long, without saying so.
    """

    def __init__(self, command: list[str], folder: Path, environ: dict[str, str], expected: str) -> None:
        self.output = ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=environ,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            self._wait_for(expected)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End it in order, and whatever it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)

    def _wait_for(self, expected: str) -> None:
        end = time.monotonic() + PATIENCE
        while not matches(self.output, expected):
            line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            assert line is not None, f"it ended after saying\n{self.output}\ninstead of\n{expected}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                self.output += line
                self._lines.put(line)
        self._lines.put(None)


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def matches(output: str, expected: str) -> bool:
    """Whether a command printed what the page says, where ``...`` is any text."""
    printed = re.sub(r" +$", "", output.strip(), flags=re.MULTILINE)  # tables fill their lines with blanks
    pattern = ".*".join(re.escape(piece) for piece in expected.strip().split("..."))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


def _commands(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected
