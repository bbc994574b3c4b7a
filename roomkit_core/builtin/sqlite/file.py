"""The life of an open store file: who owns it, the thread that writes it, and the connections that read it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roomkit_core.builtin.sqlite.checkpoints import Checkpoints
from roomkit_core.builtin.sqlite.connection import connect, create_file, file_identity
from roomkit_core.builtin.sqlite.dues import Dues
from roomkit_core.builtin.sqlite.errors import translated
from roomkit_core.builtin.sqlite.group import GroupCommit
from roomkit_core.builtin.sqlite.journal import Journal, Mark
from roomkit_core.builtin.sqlite.migrations import migrate, pending
from roomkit_core.builtin.sqlite.ownership import FileLock, take_over
from roomkit_core.builtin.sqlite.readers import Readers
from roomkit_core.builtin.sqlite.writer import Request, Writer
from roomkit_core.errors import StoreError


class StoreFile:
    """A store file from :meth:`open` to :meth:`close`.

    Args:
        path: Where it is.
        now: Tells the present moment in microseconds, in any thread.
        synchronous: See :func:`connect`.
        role: ``owner``, ``tool`` or ``reader``.

    Attributes:
        readers: The connections that read.
        failure: Why the last group was not written; None if it was.
        journal: What the owner knows about open inbound rows; None beside it.
        dues: What the owner knows about rows that are due.
    """

    def __init__(self, path: str, now: Callable[[], int], synchronous: str, role: str) -> None:
        self.path = path
        self.failure: StoreError | None = None
        self._now = now
        self._synchronous = synchronous
        self._role = role
        self._process = os.getpid()
        self._lock = FileLock(path)
        self._identity: tuple[int, int] | None = None
        self._checkpoints = Checkpoints(path)
        self._mark = Mark(path)
        self.journal = Journal(self._mark) if role == "owner" else None
        self.dues = Dues()
        self._group = GroupCommit(
            self._connect, self._check_file, now, role == "owner", self._written, self.journal, self.dues
        )
        self._writer = Writer(self._group.execute, self._tidy, self._finish)
        self.readers = Readers(lambda: connect(path, writes=False))

    # ---------------------------------------------------------------------------------------------- life

    def open(self) -> None:
        """Take the file: lock, schema, name of the owner. Blocks.

        Raises:
            StoreBusyError: The file belongs to another process.
            StoreError: It cannot be used.
        """
        if self._role == "owner":
            self._lock.take()
        try:
            if self._role == "owner":
                create_file(self.path)
            self._prepare()
            if self._role != "reader":
                self._mark.open()
        except BaseException:
            self._lock.release()
            raise
        self._identity = file_identity(self.path)
        if self._role != "reader":
            self._writer.start()

    def _prepare(self) -> None:
        if not Path(self.path).exists():
            raise StoreError(
                f"there is no store at {self.path}",
                code="store.absent",
                hint="Start its owner first, or name another file.",
            )
        db = connect(self.path, writes=self._role != "reader", synchronous=self._synchronous)
        try:
            if self._role == "owner":
                migrate(db, self.path, self._now())
                take_over(db, self._now())
            elif pending(db, self.path):
                raise StoreError(
                    f"{self.path} has an older schema than this release",
                    code="store.older_schema",
                    hint="Start its owner with this release; it migrates the file.",
                )
        except sqlite3.Error as error:
            raise translated(error, f"cannot use {self.path}") from error
        finally:
            db.close()

    def close(self) -> None:
        """Write what was handed in, bring the log in, and let go of the file. Blocks."""
        if self._role != "reader":
            self._writer.stop()
        self.readers.close()
        self._lock.release()

    def check_process(self) -> None:
        """Refuse to work in a child of the process that opened the file: it shares locks and the log's index.

        Raises:
            StoreError: This is such a child.
        """
        if os.getpid() != self._process:
            raise StoreError(
                "this store was opened by the parent of this process",
                code="store.forked",
                hint="Open stores after the fork, or start processes by 'spawn'.",
                retryable=False,
            )

    # -------------------------------------------------------------------------------------------- writing

    def hand_in(self, work: Any, *, adds_to_journal: bool = False) -> Request[Any]:
        """Let it be written with the next group; ``adds_to_journal`` if it can bring an inbound row."""
        self.check_process()
        if self._role == "reader":
            raise StoreError("this store was opened to be read", code="store.read_only", retryable=False)
        if adds_to_journal and self.journal is not None:
            self.journal.expect()
        return self._writer.hand_in(Request(work, adds_to_journal))

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path, writes=True, synchronous=self._synchronous)

    def _check_file(self) -> None:
        """A file that was removed still takes writes, and nobody would ever see them. A tool tells the owner."""
        if self._role == "tool":
            self._mark.change()
        if file_identity(self.path) != self._identity:
            raise StoreError(
                f"{self.path} was removed or replaced while it was in use",
                code="store.file_gone",
                hint="Put the file back where it was, or restore a backup, and start again.",
                retryable=False,
            )

    def _written(self, requests: int, failure: StoreError | None) -> None:
        self.failure = failure
        self._checkpoints.count(requests)

    def _tidy(self) -> None:
        if self._group.db is not None and self._role == "owner":
            self._checkpoints.run_if_due(self._group.db)

    def _finish(self) -> None:
        db = self._group.db
        try:
            if db is not None and self._role == "owner":
                self._checkpoints.truncate(db)
        except sqlite3.Error:  # the log stays and is brought in by the next owner
            pass
        finally:
            self._group.close()
