"""Where the boundaries are in the product: methods are wrapped in the child that will die, the product knows nothing.

Everything here is done to the classes of a forked process and never undone: it ends with the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from roomkit_core import RoomStatus, WorkKind, WorkState
from roomkit_core.builtin.sqlite import claims as sqlite_claims
from roomkit_core.builtin.sqlite import file as sqlite_file
from roomkit_core.builtin.sqlite import rooms as sqlite_rooms
from roomkit_core.builtin.sqlite.batch import Batch
from roomkit_core.builtin.sqlite.file import StoreFile
from roomkit_core.builtin.sqlite.group import GroupCommit
from roomkit_core.builtin.sqlite.outcomes import Settlement
from roomkit_core.builtin.sqlite.schema import MIGRATIONS, Migration
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.steps.aftermath import Aftermath
from roomkit_core.engine.steps.deliver import Deliver
from roomkit_core.engine.verbs.channels import Channels
from roomkit_core.engine.verbs.life import Life

Reach = Callable[[str], None]


def install(reach: Reach, *, is_recovering: bool) -> None:
    """Let every boundary of the product call ``reach``."""
    _writer(reach, is_recovering)
    _opening(reach)
    _runners(reach)
    _deliveries(reach)
    _aftermath(reach)
    _closing(reach)


def _around(owner: Any, name: str, before: Callable[..., Any] | None, after: Callable[..., Any] | None) -> None:
    """Call ``before`` and ``after`` around a method, with its arguments; ``after`` with its result in front of them."""
    method = getattr(owner, name)

    @wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(*args)
        result = method(*args, **kwargs)
        if after is not None:
            after(result, *args)
        return result

    setattr(owner, name, wrapped)


def _around_async(owner: Any, name: str, before: Callable[..., Any] | None, after: Callable[..., Any] | None) -> None:
    method = getattr(owner, name)

    @wraps(method)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(*args)
        result = await method(*args, **kwargs)
        if after is not None:
            after(result, *args)
        return result

    setattr(owner, name, wrapped)


# ------------------------------------------------------------------------------------------------ the writing thread


def _writer(reach: Reach, is_recovering: bool) -> None:
    group: dict[str, Any] = {"kinds": (), "size": 0, "members": 0}

    def begin(_: GroupCommit, requests: list[Any]) -> None:
        group.update(kinds=sorted(set(filter(None, map(kind_of, requests)))), size=len(requests), members=0)
        group["recovers"] = is_recovering and "claim" in group["kinds"]

    def executes(statement: str) -> None:
        if statement == "SAVEPOINT member":
            group["members"] += 1
            if group["members"] == 2:
                reach("group: between two members")
        elif statement == "COMMIT":
            at("before")

    def written(_: None, file: StoreFile, requests: int, failure: Exception | None) -> None:
        if failure is None:
            at("after")
            if file._writer._open.requests:
                reach("group: while a follower waits")

    def at(side: str) -> None:
        for kind in group["kinds"]:
            reach(f"{kind}: {side} COMMIT")
        if group["size"] > 1:
            reach(f"group: {side} COMMIT of several")
        if group["recovers"]:
            reach(f"recovery: {side} COMMIT of a claim")

    def connected(db: sqlite3.Connection, _: StoreFile) -> None:
        db.set_trace_callback(executes)

    _around(GroupCommit, "execute", begin, None)
    _around(StoreFile, "_connect", None, connected)
    _around(StoreFile, "_written", None, written)


def kind_of(request: Any) -> str | None:
    """What a request to the writer is, in the words of the boundaries; None if it is none of them."""
    work = request.work
    if type(work) is Settlement:
        return "part" if work.outcome.state is WorkState.IN_FLIGHT else "settle"
    if type(work) is Batch:
        return _kind_of_batch(work.changes)
    if isinstance(work, partial):
        return {sqlite_claims.claim: "claim", sqlite_rooms.delete_room: "delete_room"}.get(work.func)
    return "accept" if getattr(work, "__module__", "").endswith("sqlite.accept") else None


def _kind_of_batch(changes: Any) -> str | None:
    if any(discharge.outcome.state is WorkState.ANSWERED for discharge in changes.discharges):
        return "answer"
    if any(row.retry_of for row in changes.work):
        return "retry"
    if any(row.kind is WorkKind.SCHEDULED for row in changes.work):
        return "scheduled"
    if changes.patches:
        return "delete_event"
    if None in changes.bindings.values():
        return "detach"
    if changes.room is not None and changes.room.status is RoomStatus.CLOSED:
        return "close_room"
    return "message" if changes.events else None


# ------------------------------------------------------------------------------------------------------------ opening


def _opening(reach: Reach) -> None:
    phase = {"now": ""}

    def executes(statement: str) -> None:
        if phase["now"] == "migration":
            if statement == "COMMIT":
                reach("migration: before COMMIT")
            elif statement.startswith(("CREATE", "ALTER", "INSERT", "UPDATE")):
                reach("migration: inside a step")
        elif phase["now"] == "take-over" and statement == "COMMIT":
            reach("recovery: before the take-over's COMMIT")

    def begin(name: str) -> Callable[..., None]:
        def note(db: sqlite3.Connection, *_: Any) -> None:
            phase["now"] = name
            db.set_trace_callback(executes)

        return note

    def migrated(steps: list[Any], *_: Any) -> None:
        phase["now"] = ""
        if steps:
            reach("migration: after a step")

    def taken(*_: Any) -> None:
        phase["now"] = ""
        reach("recovery: after the take-over's COMMIT")

    _around(sqlite_file, "migrate", begin("migration"), migrated)
    _around(sqlite_file, "take_over", begin("take-over"), taken)


# ------------------------------------------------------------------------------------------------------------- engine


def _runners(reach: Reach) -> None:
    def settled(*_: Any) -> None:
        reach("lane: after settle, before the look")

    def worked(_: None, __: Runners, work: Any) -> None:
        if work.row.kind is WorkKind.ASK:
            reach("lane: after answer, before the look")

    _around_async(Runners, "_work", lambda *_: reach("claim: before the work"), worked)
    _around_async(Runners, "_record", None, settled)


def _deliveries(reach: Reach) -> None:
    def calls(_: Deliver, work: Any, *__: Any) -> None:
        is_first = work.row.attempts + work.row.takeovers == 1
        reach("call: before the first" if is_first else "call: before a later one")

    _around_async(Deliver, "_call", calls, lambda *_: reach("call: reply in hand"))
    _around_async(Deliver, "_record_part", None, lambda *_: reach("parts: between two"))


def _aftermath(reach: Reach) -> None:
    _around(Aftermath, "__call__", lambda *_: reach("hint: before"), lambda *_: reach("hint: after"))


# ------------------------------------------------------------------------------------------------------------ closing


def _closing(reach: Reach) -> None:
    _around_async(Life, "_close_parts", lambda *_: reach("close: begun"), None)
    _around(StoreFile, "_finish", lambda *_: reach("close: last group written"), None)
    _around(StoreFile, "close", None, lambda *_: reach("close: store closed"))
    _around_async(
        Channels, "close_all", lambda *_: reach("close: tasks ended"), lambda *_: reach("close: channels closed")
    )


def add_migration() -> None:
    """The schema of a release that is one migration ahead."""
    steps = (*MIGRATIONS, Migration(len(MIGRATIONS) + 1, "more", NEW_TABLES))
    migrate = sqlite_file.migrate
    sqlite_file.migrate = lambda db, path, now: migrate(db, path, now, steps)  # type: ignore[assignment]


NEW_TABLES = (
    "CREATE TABLE more (id TEXT PRIMARY KEY, body TEXT NOT NULL)",
    "CREATE INDEX more_by_body ON more (body)",
    "ALTER TABLE work ADD COLUMN more TEXT",
    "UPDATE work SET more = id",
)
