"""The terminal of ``roomkit chat``: lines that are typed, and lines that others say meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock
from types import ModuleType

CLEAR = "\r\x1b[2K"
"""Back to the start of the line, and wipe it."""


class Terminal:
    """Standard input and output: with a prompt, line editing and history on a terminal, plain lines on a pipe.

    Args:
        prompt: What stands before the line that is typed.

    Attributes:
        is_interactive: Whether somebody types.
    """

    def __init__(self, prompt: str) -> None:
        self.is_interactive = sys.stdin.isatty() and sys.stdout.isatty()
        self._prompt = prompt
        self._readline = _readline() if self.is_interactive else None
        self._lock = Lock()
        self._is_typing = False

    def lines(self) -> Iterator[str]:
        """What is typed, line by line without blank ones, until the end of input or an interrupt."""
        with suppress(EOFError, KeyboardInterrupt):
            while True:
                line = self._typed() if self.is_interactive else _piped()
                if line.strip():
                    yield line.strip()
                    continue
        if self.is_interactive:
            self.show("")

    def show(self, line: str) -> None:
        """Print a line above the one that is being typed; any thread may call it."""
        with self._lock:
            typed = self._prompt + self._unfinished() if self._is_typing else ""
            sys.stdout.write(f"{CLEAR if self._is_typing else ''}{_writable(line)}\n{typed}")
            sys.stdout.flush()

    def _typed(self) -> str:
        self._is_typing = True
        try:
            return input(self._prompt)
        finally:
            self._is_typing = False

    def _unfinished(self) -> str:
        return "" if self._readline is None else str(self._readline.get_line_buffer())


def _piped() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _writable(line: str) -> str:
    """What the terminal's encoding cannot write is shown by its number."""
    encoding = sys.stdout.encoding or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)


def _readline() -> ModuleType | None:
    """Line editing and history for :func:`input`; some systems have none."""
    try:
        import readline
    except ImportError:
        return None
    return readline
