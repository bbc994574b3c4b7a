"""What a process writes down, as ``[logging]`` says. For commands that run a kit; a library sets up no logging."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final

from roomkit_core.config.checking import Checking
from roomkit_core.config.document import Document, read
from roomkit_core.config.environment import overlay
from roomkit_core.config.references import References
from roomkit_core.config.sections import LoggingSection
from roomkit_core.errors import ConfigError

CONTEXT: Final = ("room_id", "channel_id", "event_id", "plugin")
"""What log records of RoomKit carry beside their text."""

_SECTION = ("logging",)

_handlers: list[logging.Handler] = []  # the one that we have added, if any
_named: set[str] = set()  # loggers whose level we have set, as logging itself for the whole process


def configure_logging(path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] | None = None) -> None:
    """Write log records as the ``[logging]`` section of a file says; again replaces what was set up before.

    Records of everybody in the process are written, from ``level`` on: warnings and worse of other libraries, and those
    of RoomKit and of the modules that ``[roomkit] app`` names.

    Args:
        path: The configuration; the defaults apply if it is None or has no such section.
        environ: As for :meth:`RoomKit.from_config`.

    Raises:
        ConfigError: The file cannot be read, or the section is wrong.
    """
    document = Document(Path(), {}) if path is None else read(Path(path))
    environ = os.environ if environ is None else environ
    checking = Checking(overlay(document, environ), References(document, environ, {}))
    table = checking.table(checking.document.data.get(_SECTION[0], {}), _SECTION)
    section = checking.model(LoggingSection, table, _SECTION)
    if not isinstance(section, LoggingSection):
        raise ConfigError(problems=[*checking.document.problems, *checking.problems, *checking.references.problems])
    _apply(section, _bots(checking.document))


def _bots(document: Document) -> Iterator[str]:
    """The modules of the bot, by the names that their loggers have."""
    table = document.data.get("roomkit")
    app = table.get("app") if isinstance(table, dict) else None
    for place in app if isinstance(app, list) else ():
        if isinstance(place, str) and place:
            yield Path(place).stem if place.endswith(".py") else place


def _apply(section: LoggingSection, bots: Iterable[str]) -> None:
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if section.file is not None:
        try:
            handler = WatchedFileHandler(section.file, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write the log to {section.file}: {error.strerror}") from error
    handler.setFormatter(JsonLines() if section.format == "json" else TextLines())
    root = logging.getLogger()
    for former in _handlers:
        root.removeHandler(former)
        former.close()
    _handlers[:] = [handler]
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _named:
        logging.getLogger(name).setLevel(logging.NOTSET)
    _named.clear()
    own = dict.fromkeys(("roomkit", "__main__", *bots), section.level)
    for name, level in {**own, **section.levels}.items():
        logging.getLogger(name).setLevel(level.upper())
        _named.add(name)


class TextLines(logging.Formatter):
    """A line for people: when, how bad, where, what, and which room it is about."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, with what it is about behind it."""
        about = [f"{key}={value}" for key in CONTEXT if (value := getattr(record, key, None)) is not None]
        return super().formatMessage(record) + (f" ({', '.join(about)})" if about else "")


class JsonLines(logging.Formatter):
    """One JSON object a line, with the time in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: str(value) for key in CONTEXT if (value := getattr(record, key, None)) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
