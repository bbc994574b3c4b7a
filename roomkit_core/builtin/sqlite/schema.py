"""The tables of a SQLite store, as numbered migrations that only ever add.

Times are integer microseconds. An event's columns are the fields of a packed event in their order (see
``models/packing.py``), so that what rests in memory is what is written. A table is append-only where it grows with
history; what every message rewrites (``heads``) is narrow and stands apart.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

APPLICATION_ID = 0x524D4B54
"""Marks the file as a RoomKit store (``PRAGMA application_id``); the letters are RMKT."""


class Migration(NamedTuple):
    """One step of the schema. What was released never changes; ``checksum`` is how a changed one is found out."""

    number: int
    name: str
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        return sha256("\n".join(self.statements).encode()).hexdigest()


LEDGER = """CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL
)"""
"""Which migrations the file has had; made before the first of them."""

_ROOMS = (
    """CREATE TABLE rooms (
        room_id TEXT PRIMARY KEY, created INTEGER NOT NULL, organization_id TEXT, status TEXT NOT NULL,
        body TEXT NOT NULL
    )""",
    "CREATE INDEX rooms_by_age ON rooms (created, room_id)",
    "CREATE INDEX rooms_by_status ON rooms (status, created, room_id)",
    "CREATE INDEX rooms_by_organization ON rooms (organization_id, created, room_id) WHERE organization_id IS NOT NULL",
    # What each message moves: the version, the counter of events, and when something last happened.
    """CREATE TABLE heads (
        room_id TEXT PRIMARY KEY, epoch TEXT NOT NULL, commit_id TEXT NOT NULL, next_index INTEGER NOT NULL,
        updated INTEGER NOT NULL, active INTEGER
    ) WITHOUT ROWID""",
    """CREATE TABLE events (
        id TEXT NOT NULL, room_id TEXT NOT NULL, type TEXT NOT NULL, place INTEGER NOT NULL, status TEXT NOT NULL,
        visibility TEXT NOT NULL, created INTEGER NOT NULL, channel_id TEXT NOT NULL, participant_id TEXT,
        content_type TEXT NOT NULL, body TEXT NOT NULL, language TEXT, channel_type TEXT NOT NULL,
        direction TEXT NOT NULL, external_id TEXT, provider TEXT, provider_message_id TEXT, raw_payload TEXT,
        blocked_by TEXT, response_visibility TEXT, chain_depth INTEGER NOT NULL, parent_event_id TEXT,
        correlation_id TEXT, idempotency_key TEXT, metadata TEXT, channel_data TEXT, delivery_results TEXT,
        routing TEXT
    )""",
    "CREATE UNIQUE INDEX events_by_id ON events (id)",
    "CREATE UNIQUE INDEX events_by_place ON events (room_id, place)",
    # Tombstones carry this metadata and so leave the index: what was pruned is not looked at again.
    """CREATE INDEX events_blocked ON events (created)
        WHERE status = 'blocked' AND metadata IS NOT '{"deleted": true}'""",
    # ``place`` keeps the order in which bindings were added; a replaced one stays where it was.
    """CREATE TABLE bindings (
        place INTEGER PRIMARY KEY, room_id TEXT NOT NULL, channel_id TEXT NOT NULL, created INTEGER NOT NULL,
        body TEXT NOT NULL, capabilities TEXT NOT NULL
    )""",
    "CREATE UNIQUE INDEX bindings_by_room ON bindings (room_id, channel_id)",
    "CREATE INDEX bindings_by_channel ON bindings (channel_id, created, room_id)",
    """CREATE TABLE participants (
        place INTEGER PRIMARY KEY, room_id TEXT NOT NULL, participant_id TEXT NOT NULL, body TEXT NOT NULL
    )""",
    "CREATE UNIQUE INDEX participants_by_room ON participants (room_id, participant_id)",
    # To which rooms a participant leads: by being in them (``via`` is empty) or by a binding.
    """CREATE TABLE people (
        person TEXT NOT NULL, created INTEGER NOT NULL, room_id TEXT NOT NULL, via TEXT NOT NULL, channel_type TEXT,
        PRIMARY KEY (person, created, room_id, via)
    ) WITHOUT ROWID""",
    "CREATE INDEX people_by_room ON people (room_id, via)",
    """CREATE TABLE conversations (
        channel_id TEXT NOT NULL, address TEXT NOT NULL, room_id TEXT NOT NULL, PRIMARY KEY (channel_id, address)
    ) WITHOUT ROWID""",
    "CREATE INDEX conversations_by_room ON conversations (room_id, channel_id)",
    """CREATE TABLE markers (
        room_id TEXT NOT NULL, channel_id TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (room_id, channel_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE tasks (
        id TEXT PRIMARY KEY, room_id TEXT NOT NULL, created INTEGER NOT NULL, body TEXT NOT NULL
    )""",
    "CREATE INDEX tasks_by_room ON tasks (room_id, created, id)",
    """CREATE TABLE observations (
        room_id TEXT NOT NULL, id TEXT NOT NULL, created INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (room_id, id)
    )""",
)

_DIRECTORY = (
    "CREATE TABLE identities (id TEXT PRIMARY KEY, body TEXT NOT NULL)",
    """CREATE TABLE addresses (
        channel_type TEXT NOT NULL, address TEXT NOT NULL, identity_id TEXT NOT NULL,
        PRIMARY KEY (channel_type, address)
    ) WITHOUT ROWID""",
    "CREATE INDEX addresses_by_identity ON addresses (identity_id)",
    """CREATE TABLE plugin_values (
        namespace TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, expires_at INTEGER,
        PRIMARY KEY (namespace, name)
    ) WITHOUT ROWID""",
    "CREATE INDEX plugin_values_by_expiry ON plugin_values (expires_at) WHERE expires_at IS NOT NULL",
)

_KEYS = (
    # Both in the order of time, which is the order of their rowids: the old ones stand in front.
    """CREATE TABLE keys (
        place INTEGER PRIMARY KEY, channel_id TEXT NOT NULL, sender TEXT NOT NULL, name TEXT NOT NULL,
        room_id TEXT NOT NULL, event_id TEXT, blocked INTEGER NOT NULL, reason TEXT, epoch TEXT, at INTEGER NOT NULL
    )""",
    "CREATE UNIQUE INDEX keys_by_name ON keys (name, channel_id, sender)",
    "CREATE INDEX keys_by_event ON keys (event_id) WHERE event_id IS NOT NULL",
    """CREATE TABLE commits (
        place INTEGER PRIMARY KEY, commit_id TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL, at INTEGER NOT NULL
    )""",
)

_WORK = (
    # ``ready`` is from when the row can be claimed: set for heads only, so that what is queued behind a head is not in
    # the index by which claims are made. AUTOINCREMENT: a place in a lane is never given twice.
    """CREATE TABLE work (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, kind TEXT NOT NULL, channel_id TEXT NOT NULL,
        lane TEXT, room_id TEXT, event_id TEXT, payload TEXT, route TEXT, provider_key TEXT NOT NULL,
        correlation_id TEXT, state TEXT NOT NULL, owner TEXT, token INTEGER NOT NULL, lease_until INTEGER,
        attempts INTEGER NOT NULL, takeovers INTEGER NOT NULL, maybe_sent INTEGER NOT NULL, due INTEGER,
        expires_at INTEGER, parts_done INTEGER NOT NULL, cancel INTEGER NOT NULL, code TEXT, reason TEXT,
        provider_ids TEXT, receipt_rank TEXT NOT NULL, retry_of TEXT, key_channel TEXT, key_sender TEXT, key_name TEXT,
        created_at INTEGER NOT NULL, settled_at INTEGER, quiet INTEGER NOT NULL, ready INTEGER
    )""",
    "CREATE UNIQUE INDEX work_by_id ON work (id)",
    "CREATE INDEX work_by_lane ON work (lane, settled_at) WHERE lane IS NOT NULL",
    "CREATE INDEX work_ready ON work (kind, channel_id, ready) WHERE ready IS NOT NULL",
    # Holds little: the messages that came in and are not through.
    "CREATE INDEX work_journal ON work (seq) WHERE kind = 'inbound' AND settled_at IS NULL",
    "CREATE INDEX work_open ON work (id) WHERE settled_at IS NULL",
    "CREATE INDEX work_by_room ON work (room_id, settled_at) WHERE room_id IS NOT NULL",
    "CREATE INDEX work_by_event ON work (event_id) WHERE event_id IS NOT NULL",
    "CREATE INDEX work_by_correlation ON work (correlation_id) WHERE correlation_id IS NOT NULL",
    "CREATE INDEX work_by_retry ON work (retry_of) WHERE retry_of IS NOT NULL",
    "CREATE INDEX work_by_key ON work (key_name, key_channel, key_sender) WHERE key_name IS NOT NULL",
    "CREATE INDEX work_by_expiry ON work (expires_at) WHERE expires_at IS NOT NULL AND settled_at IS NULL",
    """CREATE INDEX work_settled ON work (state, payload IS NOT NULL OR route IS NOT NULL, settled_at)
        WHERE settled_at IS NOT NULL""",
    # What a provider or the first row of a retry calls a delivery; the newest row of a name is the one that is meant.
    """CREATE TABLE work_names (
        place INTEGER PRIMARY KEY, name TEXT NOT NULL, channel_id TEXT NOT NULL, row_id TEXT NOT NULL,
        UNIQUE (name, channel_id, row_id)
    )""",
    "CREATE INDEX work_names_by_row ON work_names (row_id)",
    """CREATE TABLE attempts (
        place INTEGER PRIMARY KEY, row_id TEXT NOT NULL, token INTEGER NOT NULL, attempt INTEGER NOT NULL, owner TEXT,
        ended_at INTEGER NOT NULL, state TEXT NOT NULL, code TEXT, reason TEXT, maybe_sent INTEGER NOT NULL
    )""",
    "CREATE INDEX attempts_by_row ON attempts (row_id)",
    """CREATE TABLE early_receipts (
        place INTEGER PRIMARY KEY, channel_id TEXT NOT NULL, name TEXT NOT NULL, rank TEXT NOT NULL,
        at INTEGER NOT NULL, UNIQUE (channel_id, name)
    )""",
)

_OWNER = (
    """CREATE TABLE owner (
        one INTEGER PRIMARY KEY CHECK (one = 1), pid INTEGER NOT NULL, host TEXT NOT NULL, started INTEGER NOT NULL
    )""",
    # What a probe writes, so that it has something to write.
    "CREATE TABLE probes (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL)",
)

_REPORTED = (
    "ALTER TABLE work ADD COLUMN receipt_at INTEGER",
    "ALTER TABLE early_receipts ADD COLUMN reported INTEGER",
)

_TRANSCODED = ("ALTER TABLE work ADD COLUMN loss TEXT",)

MIGRATIONS = (
    Migration(1, "rooms, work, keys and the directory", _ROOMS + _DIRECTORY + _KEYS + _WORK + _OWNER),
    Migration(2, "when providers reported", _REPORTED),
    Migration(3, "what channels could not carry", _TRANSCODED),
)
"""All there are, in their order."""
