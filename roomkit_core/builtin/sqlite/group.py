"""One transaction for a group of requests: each in a savepoint of its own, all answers after the COMMIT.

Settlements and messages, which come in numbers, are written together, everything else one after the other. A request
that is wrong in itself fails alone. When the disk, the file or the COMMIT fails, all of them fail, nothing is kept of
any, and the connection is made anew.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from roomkit_core.builtin.sqlite.batch import Batch
from roomkit_core.builtin.sqlite.commit import commit
from roomkit_core.builtin.sqlite.dues import Dues
from roomkit_core.builtin.sqlite.errors import OWN_FAULTS, bare, member_error, translated
from roomkit_core.builtin.sqlite.journal import Journal
from roomkit_core.builtin.sqlite.messages import Apart, commit_messages
from roomkit_core.builtin.sqlite.outcomes import Settlement, settle
from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.builtin.sqlite.writer import Request
from roomkit_core.errors import StoreError

log = logging.getLogger("roomkit.store")

Requests = list[Request[Any]]
Written = tuple[Request[Any], Any, Exception | None]
Job = Callable[[Session], Any]
"""What a request does that is neither a batch nor a settlement."""


class GroupCommit:
    """Executes groups on a connection of its own; for one thread.

    Args:
        connect: Opens the connection; called again after a failure.
        check: Raises a :class:`StoreError` if the file is not to be written.
        now: Tells the present moment in microseconds.
        may_claim: See :class:`Session`.
        written: Told how many requests became durable, or why none did; not told of a group that changed nothing.
        journal: Told what becomes of it; None beside the owner.
        dues: Told of transactions that make rows ready.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        check: Callable[[], None],
        now: Callable[[], int],
        may_claim: bool,
        written: Callable[[int, StoreError | None], None],
        journal: Journal | None,
        dues: Dues,
    ) -> None:
        self._connect = connect
        self._check = check
        self._now = now
        self._may_claim = may_claim
        self._written = written
        self._journal = journal
        self._dues = dues
        self.db: sqlite3.Connection | None = None

    def execute(self, requests: Requests) -> None:
        """Write a group."""
        answers: list[Written] = []
        journal, empty_at = self._journal, None
        if journal is not None:
            journal.begin(sum(request.adds_to_journal for request in requests))
        try:
            self._check()
            if self.db is None:
                self.db = self._connect()
            self.db.execute("BEGIN IMMEDIATE")
            before = self.db.total_changes
            session = Session(self.db, self._now(), self._may_claim)
            for run in _runs(requests):
                answers += _write_run(session, run)
            if journal is not None:
                empty_at = journal.look(self.db)
            self.db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001, RUF100 (whatever it is, everybody who waits has to be told)
            self._fail(requests, error)
            return
        if journal is not None:
            journal.note(empty_at)
        if session.makes_ready:
            self._dues.changed()
        for request, answer, fault in answers:
            request.answer, request.error = answer, fault
        if self.db.total_changes > before:  # a group of refusals says nothing about the disk
            self._written(len(requests), None)

    def close(self) -> None:
        """Let go of the connection."""
        db, self.db = self.db, None
        if db is not None:
            with suppress(sqlite3.Error):  # it is given up either way, and what was not committed is gone
                if db.in_transaction:
                    db.execute("ROLLBACK")
            with suppress(sqlite3.Error):
                db.close()

    def _fail(self, requests: Requests, error: Exception) -> None:
        self.close()
        self._dues.changed()  # where the COMMIT failed, nobody knows
        failure = _failure(error)
        for request in requests:
            request.answer, request.error = None, failure
        self._written(0, failure)


def _failure(error: Exception) -> StoreError:
    if isinstance(error, sqlite3.Error):
        return translated(error, "the store could not write")
    if not isinstance(error, StoreError):
        log.error("the store could not write", exc_info=error)
        failure = StoreError(f"the store could not write: {error!r}")
        failure.__cause__ = bare(error)
        return failure
    bare(error)
    return error


def _runs(requests: Requests) -> Iterator[Requests]:
    """The requests in an order in which those that can be written together stand together.

    Settlements go before the messages of the same stretch: the lanes that they empty are free for what the messages
    owe. Everything else keeps its place, and so do the batches of one room among themselves.
    """
    settlements: Requests = []
    messages: Requests = []
    for request in requests:
        work = request.work
        if type(work) is Settlement:
            settlements.append(request)
        elif type(work) is Batch and work.is_common:
            messages.append(request)
        else:
            yield from (run for run in (settlements, messages) if run)
            settlements, messages = [], []
            yield [request]
    yield from (run for run in (settlements, messages) if run)


def _write_run(session: Session, run: Requests) -> list[Written]:
    """Write requests of one kind together, or, where that cannot be, each for itself."""
    try:
        answers = _kept(session, lambda: _together(session, run))
    except (Apart, *OWN_FAULTS) as error:
        if len(run) > 1:
            return [written for request in run for written in _write_run(session, [request])]
        (request,) = run
        if type(request.work) is Batch and request.work.is_common:
            return [_by_the_rules(session, request)]
        return [(request, None, member_error(error))]
    return [(request, answer, None) for request, answer in zip(run, answers, strict=True)]


def _by_the_rules(session: Session, request: Request[Any]) -> Written:
    """Decide about a message that is not plain sailing: a repeat, a refusal, a mistake."""
    try:
        (answer,) = _kept(session, lambda: [commit(session, request.work)])
    except OWN_FAULTS as error:
        return request, None, member_error(error)
    return request, answer, None


def _kept(session: Session, write: Callable[[], Sequence[Any]]) -> Sequence[Any]:
    """What ``write`` returns; if it raises, nothing of what it wrote is kept."""
    session.db.execute("SAVEPOINT member")
    try:
        answers = write()
    except (Apart, *OWN_FAULTS):
        session.db.execute("ROLLBACK TO member")
        session.db.execute("RELEASE member")
        raise
    session.db.execute("RELEASE member")
    return answers


def _together(session: Session, run: Requests) -> Sequence[Any]:
    work = run[0].work
    if type(work) is Settlement:
        return settle(session, [request.work for request in run])
    if type(work) is Batch:
        if work.is_common:
            return commit_messages(session, [request.work for request in run])
        return [commit(session, work)]
    return [work(session)]
