"""``roomkit serve --reload``: a changed bot takes the place of the running one, a changed configuration starts anew."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from anyio import sleep

from roomkit_core import ConfigError, ConfigProblem, RoomKit
from roomkit_core.cli.configuration import check_configuration
from roomkit_core.cli.installed import installed_plugins, quietly
from roomkit_core.cli.reloading import renew

PERIOD = 0.3  # seconds between two looks; one costs a stat of each of the bot's files

NOT_CODE_OF_THE_BOT = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages", "venv", "env"})

Stamps = dict[str, tuple[int, int]]


class Watch:
    """Looks at the files of a kit's bot and at the configuration.

    Args:
        kit: The kit, started or about to be.
        config: The configuration file.

    Attributes:
        starts_anew: Whether the configuration changed into another one that makes sense.
    """

    def __init__(self, kit: RoomKit, config: Path) -> None:
        self.starts_anew = False
        self._kit = kit
        self._config = config
        self._configured = _stamps([config])
        self._broken: tuple[ConfigProblem, ...] = ()
        self._seen: Stamps = {}
        self._told = ""

    async def until_configured_anew(self) -> None:
        """Look again and again; return when the server has to start anew."""
        while not self.starts_anew:
            await sleep(PERIOD)
            self.look()

    def look(self) -> None:
        """Look once."""
        self._look_at_configuration()
        if not self.starts_anew:
            self._look_at_bot()

    def _look_at_configuration(self) -> None:
        now = _stamps([self._config])
        if now == self._configured:
            return
        self._configured = now
        try:
            with quietly():
                check_configuration(str(self._config), installed_plugins(str(self._config)))
        except ConfigError as error:
            _say([*map(str, error.problems or [error]), "* the configuration stays as it was"])
            return
        self.starts_anew = True
        _say([f"* new: {self._config}; the server starts anew"])

    def _look_at_bot(self) -> None:
        """A bot with a mistake is imported again when a file near it changed: perhaps beyond its own."""
        around = self._around() if self._broken else {}
        if self._broken and around == self._seen:
            return
        renewal = renew(self._kit)
        if renewal is not None and renewal.text != self._told:
            _say([renewal.text])
        # Files are looked at before the import, so that no edit during it is missed.
        self._seen = around
        self._broken = () if renewal is None else renewal.problems
        self._told = renewal.text if renewal is not None and renewal.problems else ""

    def _around(self) -> Stamps:
        folders = {self._config.resolve().parent, *(_folder(problem) for problem in self._broken)}
        return _stamps(path for folder in folders for path in _python_files(folder))


def _folder(problem: ConfigProblem) -> Path:
    path = Path(problem.file)
    return path if path.is_dir() else path.parent


def _python_files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in NOT_CODE_OF_THE_BOT and not name.startswith(".")]
        yield from (Path(parent, name) for name in files if name.endswith(".py"))


def _stamps(paths: Iterable[Path]) -> Stamps:
    found: Stamps = {}
    for path in paths:
        with suppress(OSError):  # it went away in between
            status = path.stat()
            found[str(path)] = status.st_mtime_ns, status.st_size
    return found


def _say(lines: Iterable[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
