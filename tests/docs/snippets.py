"""Snippets of a page: what stands in fences, in order, each executed or marked as not to be.

A comment in the line above a fence says what a snippet is::

    <!-- snippet: file bot.py -->       it is a file, for the snippets below it
    <!-- snippet: skip, REASON -->      it is not executed, because

Without one, ``python`` is a program of its own (``await`` is fine at its top level), ``toml`` has to parse, and the
lines of ``console`` that begin with ``$`` are commands, with what they print below them; ``...`` is any text.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("python", "toml", "console")
PATIENCE = 100  # seconds for one command; only a failure waits so long

_FENCE = re.compile(r"(?:<!-- snippet: (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)

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


def execute(snippet: Snippet, folder: Path) -> None:
    """Do what a snippet says, in the folder of its page.

    Raises:
        AssertionError: It does something else than the page says, or its mark makes no sense.
    """
    verb, _, rest = snippet.mark.replace(",", " ", 1).partition(" ")
    if verb == "skip":
        assert rest.strip(), "a snippet is skipped for a reason"
    elif verb == "file":
        (folder / rest.strip()).write_text(snippet.text, encoding="utf-8")
    elif snippet.language == "toml":
        tomllib.loads(snippet.text)
    elif snippet.language == "python":
        output, code = _run([sys.executable, "-c", _RUN], folder, snippet.text)
        assert code == 0, output
    else:
        assert not verb, f"nobody knows what {verb!r} means"
        for command, expected in _commands(snippet.text):
            output, _ = _run(["bash", "-c", command], folder)
            assert _matches(output, expected), f"$ {command}\n{output}\ninstead of\n{expected}"


def _commands(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def _matches(output: str, expected: str) -> bool:
    pattern = ".*".join(re.escape(piece) for piece in expected.strip().split("..."))
    return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


def _run(command: list[str], folder: Path, given: str = "") -> tuple[str, int]:
    """What a command prints, and its exit code."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("ROOMKIT_", "PYTEST_"))}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    done = subprocess.run(
        command,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environ,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout, done.returncode
