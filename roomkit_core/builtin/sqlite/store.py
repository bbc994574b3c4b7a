"""The embedded store: everything in one SQLite file, owned by one process, durable before it is acknowledged.

Writes go to one thread, which commits them in groups (``sqlite_writer``); what each of them does inside the transaction
stands in the modules beside this one, and follows the in-memory store in every corner. Reads see everything that was
acknowledged.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
from anyio import to_thread

from roomkit_core.builtin.clock import SystemClock
from roomkit_core.builtin.sqlite import finding, reads
from roomkit_core.builtin.sqlite.accept import accept
from roomkit_core.builtin.sqlite.batch import Batch
from roomkit_core.builtin.sqlite.claims import Claim, claim, renew
from roomkit_core.builtin.sqlite.connection import SYNCHRONOUS
from roomkit_core.builtin.sqlite.copies import backup
from roomkit_core.builtin.sqlite.directory import values_from
from roomkit_core.builtin.sqlite.file import StoreFile
from roomkit_core.builtin.sqlite.keys import FIND_KEY, FIND_KEYS, decided_keys, result_of
from roomkit_core.builtin.sqlite.outcomes import Settlement, expire
from roomkit_core.builtin.sqlite.purge import purge
from roomkit_core.builtin.sqlite.receipts import note_receipt
from roomkit_core.builtin.sqlite.rooms import delete_room
from roomkit_core.builtin.sqlite.rows import pack_lane
from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.errors import ConfigError, StoreError, UnsupportedError
from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.store import (
    Accepted,
    ConversationStore,
    Cutoffs,
    DecidedKey,
    Known,
    RoomSnapshot,
    Ticket,
    WorkFilter,
)
from roomkit_core.interfaces.store_types import Report
from roomkit_core.models.changes import ChangeSet, Conversation, Key, KeyResult
from roomkit_core.models.enums import ReceiptRank, RoomStatus, TaskStatus
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.packing import unpack_event
from roomkit_core.models.participant import Identity
from roomkit_core.models.room import Cursor, Room
from roomkit_core.models.task import Observation, Task
from roomkit_core.models.time import to_microseconds
from roomkit_core.models.work import Attempt, Outcome, WorkKind, WorkRow

T = TypeVar("T")

ROLES = frozenset({"owner", "tool", "reader"})


class SQLiteStore(ConversationStore):
    """Rooms, events and work in one file. Works on asyncio and trio, on one event loop from open to close.

    Args:
        path: The file; it is created, for its user alone, if it is not there. Beside it stand ``-wal``, ``-shm`` and
            ``.lock``. It has to be on a local disk.
        clock: Where the time comes from; the machine's clock when omitted. Leases run by its monotonic side.
        synchronous: ``full``: what was acknowledged survives a loss of power. ``normal``: it survives the end of the
            process, and a loss of power may take the last moments. ``off`` is for measurements.
        role: ``owner``: one process, which migrates the file and works on what is owed. ``tool``: a command beside the
            owner: it writes, but holds no work; rows that ask for a claim are stored pending. ``reader``: reads only.

    Attributes:
        path: The file, absolute.

    Raises:
        ConfigError: The path is none, or an argument is not one of the words above.
    """

    is_process_local = True
    is_durable = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        synchronous: str = "full",
        role: str = "owner",
    ) -> None:
        if os.fspath(path) in ("", ":memory:"):
            raise ConfigError(
                f"{path!r} is no path of a file",
                hint="Use InMemoryStore for a store that is gone with the process.",
            )
        if synchronous not in SYNCHRONOUS or role not in ROLES:
            raise ConfigError(
                f"synchronous is one of {sorted(SYNCHRONOUS)} and role one of {sorted(ROLES)}, "
                f"not {synchronous!r} and {role!r}"
            )
        # One file has one lock, by whichever name it is called.
        self.path = str(Path(path).resolve())
        self._clock = SystemClock() if clock is None else clock
        self._began = to_microseconds(self._clock.now()) - round(self._clock.monotonic() * 1_000_000)
        self._synchronous = synchronous
        self._role = role
        self._file: StoreFile | None = None
        self._opening: anyio.Lock | None = None

    def _now(self) -> int:
        return self._began + round(self._clock.monotonic() * 1_000_000)

    # --------------------------------------------------------------------------------------------------- life

    async def open(self) -> None:
        if self._file is not None:
            self._file.check_process()
            return
        if self._opening is None:
            self._opening = anyio.Lock()
        async with self._opening:
            if self._file is None:
                file = StoreFile(self.path, self._now, self._synchronous, self._role)
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(file.open)
                self._file = file

    async def close(self) -> None:
        file = self._file
        if file is not None:
            file.check_process()
            self._file = self._opening = None
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(file.close)

    @property
    def failure(self) -> StoreError | None:
        return None if self._file is None else self._file.failure

    @property
    def journal_is_empty(self) -> bool:
        journal = None if self._file is None else self._file.journal
        return journal is not None and journal.is_empty

    async def probe(self) -> None:
        await self._write(partial(_probe))

    async def backup(self, path: str) -> None:
        """Write a consistent copy of everything to ``path`` while the store is in use.

        The copy is made beside ``path`` and takes its name when it is complete and on the disk.

        Raises:
            StoreError: It could not be written; what was at ``path`` is as it was.
        """
        self._opened()
        await to_thread.run_sync(backup, self.path, os.fspath(path))

    def _opened(self) -> StoreFile:
        if self._file is None:
            raise StoreError(
                f"the store {self.path} is not open", code="store.closed", hint="Await open() first.", retryable=False
            )
        return self._file

    # ------------------------------------------------------------------------------------------------- writes

    def submit(self, changes: ChangeSet) -> Ticket:
        batch = Batch(changes)
        return self._opened().hand_in(batch, adds_to_journal=batch.adds_to_journal)

    async def _write(self, work: Callable[[Session], T]) -> T:
        found: T = await self._opened().hand_in(work).wait()
        return found

    async def accept(
        self,
        message: InboundMessage,
        lane: tuple[str, ...],
        key: Key | None,
        *,
        room_id: str | None = None,
        owner: str = "",
        lease: float | None = None,
    ) -> Accepted | Known:
        work = accept(message, lane, key, room_id, owner, lease)
        found: Accepted | Known = await self._opened().hand_in(work, adds_to_journal=True).wait()
        return found

    async def claim(
        self,
        owner: str,
        *,
        lease: float,
        limit: int,
        kinds: Iterable[WorkKind] | None = None,
        channels: Iterable[str] | None = None,
        lanes: Iterable[tuple[str, ...]] | None = None,
    ) -> list[WorkRow]:
        """See :meth:`ConversationStore.claim`. Without a transaction if there is nothing to claim.

        Raises:
            UnsupportedError: The store is not the owner's.
        """
        if self._role != "owner":
            raise UnsupportedError("a tool beside the owner holds no work", code="store.no_claims")
        wanted = Claim(
            limit,
            None if kinds is None else sorted(set(map(str, kinds))),
            None if channels is None else sorted(set(channels)),
            None if lanes is None else [lane for lane in dict.fromkeys(map(pack_lane, lanes)) if lane is not None],
        )
        file = self._opened()
        file.check_process()
        if not file.dues.may_claim(wanted, self._now(), file.readers.look):
            return []
        return await self._write(partial(claim, wanted, owner, _microseconds(lease)))

    async def settle(
        self, row_id: str, token: int, outcome: Outcome, *, due_in: float | None = None, parts_done: int | None = None
    ) -> bool:
        due = None if due_in is None else _microseconds(due_in)
        return bool(await self._opened().hand_in(Settlement(row_id, token, outcome, due, parts_done)).wait())

    async def renew(self, claims: Sequence[tuple[str, int]], *, lease: float) -> list[str]:
        return await self._write(partial(renew, claims=tuple(claims), lease=_microseconds(lease)))

    async def note_receipt(self, channel_id: str, provider_id: str, rank: str, at: int) -> bool:
        report = Report(ReceiptRank(rank).value, at)
        return await self._write(partial(note_receipt, channel_id=channel_id, name=provider_id, report=report))

    async def delete_room(self, room_id: str) -> bool:
        return await self._write(partial(delete_room, room_id=room_id))

    async def expire(self, now: int) -> int:
        if not self._look(lambda db: db.execute(_ANY_EXPIRED, (now,)).fetchone()):
            return 0
        return await self._write(partial(expire, until=now))

    async def purge(self, cutoffs: Cutoffs, *, limit: int = 1_000) -> int:
        return await self._write(partial(purge, cutoffs=cutoffs, limit=limit))

    # ------------------------------------------------------------------------------------- reads of the protocol

    def _look(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """One probe of an index, on the loop."""
        file = self._opened()
        file.check_process()
        return file.readers.look(read)

    async def _page(self, read: Callable[[sqlite3.Connection], T]) -> T:
        file = self._opened()
        file.check_process()
        return await file.readers.page(read)

    def _value(self, statement: str, *values: Any) -> Any:
        """The first column of the only row, or None."""
        found = self._look(lambda db: db.execute(statement, values).fetchone())
        return None if found is None else found[0]

    async def load_room(self, room_id: str, *, tail: int = 0) -> RoomSnapshot | None:
        return await self._page(lambda db: reads.load_room(db, room_id, tail))

    async def timeline(self, room_id: str, after: int, limit: int) -> tuple[Cursor, list[RoomEvent]] | None:
        found = await self._page(lambda db: reads.timeline(db, room_id, after, limit))
        return None if found is None else (found[0], [unpack_event(entry) for entry in found[1]])

    async def heads(self, room_ids: Iterable[str]) -> dict[str, Cursor]:
        names = list(room_ids)
        if len(names) <= 1:
            return self._look(lambda db: reads.heads(db, names))
        return await self._page(lambda db: reads.heads(db, names))

    async def find_key(self, key: Key) -> KeyResult | None:
        return self._look(lambda db: result_of(db.execute(FIND_KEY, key).fetchone()))

    async def find_conversation(self, conversation: Conversation) -> str | None:
        found: str | None = self._value(
            "SELECT room_id FROM conversations WHERE channel_id = ? AND address = ?", *conversation
        )
        return found

    async def list_work(self, where: WorkFilter, *, limit: int = 100, after: str | None = None) -> list[WorkRow]:
        if where.row_id is not None:
            return self._look(lambda db: finding.work(db, where, limit, after))
        return await self._page(lambda db: finding.work(db, where, limit, after))

    async def work_history(self, row_id: str) -> list[Attempt]:
        return await self._page(lambda db: finding.history(db, row_id))

    async def find_keys(self, name: str) -> list[DecidedKey]:
        return await self._page(lambda db: decided_keys(reads.array(db, FIND_KEYS, name, name)))

    async def has_open(self, lane: tuple[str, ...]) -> bool:
        statement = "SELECT 1 FROM work WHERE lane = ? AND settled_at IS NULL LIMIT 1"
        return self._value(statement, pack_lane(lane)) is not None

    # -------------------------------------------------------------------------------------------- plain reads

    async def get_event(self, event_id: str) -> RoomEvent | None:
        return self._look(lambda db: reads.event(db, event_id))

    async def list_events(
        self,
        room_id: str,
        offset: int = 0,
        limit: int = 50,
        visibility_filter: str | None = None,
        *,
        after_index: int | None = None,
        before_index: int | None = None,
        newest_first: bool = False,
    ) -> list[RoomEvent]:
        if after_index is not None and before_index is not None:
            raise ValueError("a page has one cursor: after_index or before_index, not both")
        has_cursor = after_index is not None or before_index is not None
        wanted = reads.EventPage(
            room_id,
            0 if has_cursor else offset,
            limit,
            visibility_filter,
            after_index,
            before_index,
            before_index is not None or (newest_first and not has_cursor),
        )
        page = await self._page(lambda db: reads.event_page(db, wanted))
        return [unpack_event(entry) for entry in page]

    async def find_rooms(
        self,
        organization_id: str | None = None,
        status: RoomStatus | None = None,
        metadata_filter: dict[str, Any] | None = None,
        *,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Room]:
        wanted = None if status is None else str(status)
        return await self._page(lambda db: finding.rooms(db, organization_id, wanted, metadata_filter, limit, offset))

    async def find_latest_room(
        self, participant_id: str, channel_type: ChannelType | None = None, status: RoomStatus | None = None
    ) -> Room | None:
        kind = None if channel_type is None else str(channel_type)
        wanted = None if status is None else str(status)
        return await self._page(lambda db: finding.latest_room(db, participant_id, kind, wanted))

    async def find_room_ids_by_channel(
        self, channel_id: str, status: RoomStatus | None = None, limit: int = 2
    ) -> list[str]:
        wanted = None if status is None else str(status)
        return await self._page(lambda db: finding.rooms_of_channel(db, channel_id, wanted, limit))

    async def get_identity(self, identity_id: str) -> Identity | None:
        return _identity(self._value("SELECT body FROM identities WHERE id = ?", identity_id))

    async def resolve_identity(self, channel_type: str, address: str) -> Identity | None:
        return _identity(
            self._value(
                """SELECT i.body FROM addresses a JOIN identities i ON i.id = a.identity_id
                WHERE a.channel_type = ? AND a.address = ?""",
                str(channel_type),
                address,
            )
        )

    async def get_task(self, task_id: str) -> Task | None:
        text = self._value("SELECT body FROM tasks WHERE id = ?", task_id)
        return None if text is None else Task.model_validate_json(text)

    async def list_tasks(self, room_id: str, status: TaskStatus | None = None) -> list[Task]:
        tasks = await self._page(lambda db: reads.tasks(db, room_id))
        return [task for task in tasks if status in (None, task.status)]

    async def list_observations(self, room_id: str) -> list[Observation]:
        return await self._page(lambda db: reads.observations(db, room_id))

    async def list_read_markers(self, room_id: str) -> dict[str, int]:
        statement = "SELECT json_group_array(json_array(channel_id, place)) FROM markers WHERE room_id = ?"
        return dict(await self._page(lambda db: reads.array(db, statement, room_id)))

    async def kv_get(self, namespace: str, key: str) -> str | None:
        found: str | None = self._value(
            """SELECT body FROM plugin_values WHERE namespace = ? AND name = ?
            AND (expires_at IS NULL OR expires_at > ?)""",
            namespace,
            key,
            self._now(),
        )
        return found

    async def kv_scan(self, namespace: str, prefix: str = "") -> list[tuple[str, str]]:
        now = self._now()

        def scan(db: sqlite3.Connection) -> list[tuple[str, str]]:
            found = db.execute(
                """SELECT name, body FROM plugin_values WHERE namespace = ? AND name >= ?
                AND (expires_at IS NULL OR expires_at > ?) ORDER BY name""",
                (namespace, prefix, now),
            )
            return list(values_from(found, prefix))

        return await self._page(scan)


_ANY_EXPIRED = """SELECT 1 FROM work WHERE expires_at <= ? AND settled_at IS NULL AND state <> 'in_flight' LIMIT 1"""


def _probe(session: Session) -> None:
    session.run("INSERT OR REPLACE INTO probes (one, at) VALUES (1, ?)", session.now)


def _identity(text: str | None) -> Identity | None:
    return None if text is None else Identity.model_validate_json(text)


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
