"""What a component raised while it was made: in words, with its place, and as a whole for the log."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError


def words_of(error: BaseException) -> str:
    """Type and message. What pydantic says is told without the values, which it shortens until none is recognised."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_input=False, include_context=False)
        text = "; ".join(f"{'.'.join(map(str, one['loc'])) or error.title}: {one['msg']}" for one in found)
    else:
        text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place_of(error: BaseException, target: Any) -> str | None:
    """``file:line`` of the innermost frame in the code that the target belongs to, or else in any code below ours.

    None if it was raised without any, such as a TypeError for an argument that the target does not take.
    """
    frames = list(traceback.walk_tb(error.__traceback__))[1:]  # the first is whoever called the target
    own = _package(getattr(target, "__module__", None))
    ours = [(frame, line) for frame, line in frames if _package(frame.f_globals.get("__name__")) == own]
    if not frames:
        return None
    frame, line = (ours or frames)[-1]
    return f"{frame.f_code.co_filename}:{line}"


def as_a_whole(error: BaseException) -> str:
    """The traceback, with what stands behind it first, as Python prints it."""
    parts = [f"{''.join(traceback.format_tb(one.__traceback__))}{words_of(one)}" for one in reversed([*_chain(error)])]
    return "\n\nand then\n\n".join(parts)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _package(module: object) -> str | None:
    return module.partition(".")[0] if isinstance(module, str) else None
