"""Identities and the values of plugins in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from roomkit_core.builtin.memory.directory import Address, Place, TimedValue
from roomkit_core.builtin.sqlite.session import Session


def put_identity(session: Session, identity_id: str, text: str, addresses: Iterable[Address]) -> None:
    """Take over a packed identity; the addresses that it names lead to it from now on."""
    session.run("DELETE FROM addresses WHERE identity_id = ?", identity_id)
    session.run("INSERT OR REPLACE INTO identities (id, body) VALUES (?, ?)", identity_id, text)
    session.each(
        "INSERT OR REPLACE INTO addresses (channel_type, address, identity_id) VALUES (?, ?, ?)",
        [(*address, identity_id) for address in addresses],
    )


def put_value(session: Session, place: Place, value: TimedValue | None) -> None:
    """Set a plugin's value; None deletes it."""
    if value is None:
        session.run("DELETE FROM plugin_values WHERE namespace = ? AND name = ?", *place)
    else:
        session.run(
            "INSERT OR REPLACE INTO plugin_values (namespace, name, body, expires_at) VALUES (?, ?, ?, ?)",
            *place,
            *value,
        )


def values_from(rows: Iterable[tuple[str, str]], prefix: str) -> Iterator[tuple[str, str]]:
    """Those of the rows, which begin at the prefix, that have it."""
    for name, body in rows:
        if not name.startswith(prefix):
            return
        yield name, body
