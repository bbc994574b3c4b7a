"""``kit.state``: small values of plugins and hooks, in the store, and inside a hook in the commit of its unit."""

from __future__ import annotations

import json
from typing import Any

from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Unit, nearest_unit
from roomkit_core.engine.steps.passage import begin, enter
from roomkit_core.errors import ConflictError
from roomkit_core.hooks.node import current
from roomkit_core.models.base import check_json
from roomkit_core.models.changes import ChangeSet, Refused, Value
from roomkit_core.models.ids import new_commit_id
from roomkit_core.models.time import CENTURY

MAX_NAME = 256
RESERVED = "roomkit."
"""Namespaces that begin so are the kit's own."""


class KeyValue:
    """Values of one namespace by key. Values are what JSON can hold.

    Inside a deciding hook a write belongs to the unit of work: it is there when the message is committed, and not if
    the hook is taken back; reads there see it. Everywhere else each write is a commit of its own. Two writers of one
    key do not exclude each other: the later one wins.
    """

    def __init__(self, ports: Ports, namespace: str) -> None:
        if not namespace or len(namespace) > MAX_NAME or namespace.startswith(RESERVED):
            raise ValueError(f"a namespace has 1 to {MAX_NAME} characters and does not begin with {RESERVED!r}")
        self._ports = ports
        self._namespace = namespace

    async def get(self, key: str, default: Any = None) -> Any:
        """The value, or ``default`` if there is none or its time is over."""
        await self._begin()
        unit = self._unit()
        if unit is not None and (self._namespace, key) in unit.draft.kv:
            value = unit.draft.kv[self._namespace, key]
            return default if value is None else json.loads(value.text)
        text = await self._ports.store.kv_get(self._namespace, key)
        return default if text is None else json.loads(text)

    async def put(self, key: str, value: Any, *, ttl: float | None = None) -> None:
        """Set a value.

        Args:
            key: 1 to 256 characters.
            value: What JSON can hold: the keys of its objects are strings, its numbers are finite.
            ttl: Seconds until it is gone, above 0 and at most a hundred years; None for ever.

        Raises:
            ValueError: The key, the value or ``ttl`` is not usable.
            StoreError: The store failed; whether it was written is unknown.
        """
        if not key or len(key) > MAX_NAME:
            raise ValueError(f"a key has 1 to {MAX_NAME} characters")
        if ttl is not None and not 0 < ttl <= CENTURY:
            raise ValueError(f"ttl must be above 0 and at most {CENTURY:.0f} seconds, not {ttl}")
        text = _to_json(key, value)
        await self._begin()
        expires_at = None if ttl is None else self._ports.time() + round(ttl * 1_000_000)
        await self._write(key, Value(text, expires_at))

    async def delete(self, key: str) -> None:
        """Remove a value; one that is not there is no error."""
        await self._begin()
        await self._write(key, None)

    async def scan(self, prefix: str = "") -> list[tuple[str, Any]]:
        """All keys that begin with ``prefix`` with their values, ordered by key."""
        await self._begin()
        found = {key: json.loads(text) for key, text in await self._ports.store.kv_scan(self._namespace, prefix)}
        unit = self._unit()
        for (namespace, key), value in {} if unit is None else unit.draft.kv.items():
            if namespace == self._namespace and key.startswith(prefix):
                if value is None:
                    found.pop(key, None)
                else:
                    found[key] = json.loads(value.text)
        return sorted(found.items())

    async def _begin(self) -> None:
        enter(self._ports)
        await begin(self._ports)

    def _unit(self) -> Unit | None:
        return nearest_unit(self._ports) if current.get() is not None else None

    async def _write(self, key: str, value: Value | None) -> None:
        unit = self._unit()
        if unit is not None:
            unit.change(kv={**unit.draft.kv, (self._namespace, key): value})
            return
        changes = ChangeSet(None, new_commit_id(), None, kv={(self._namespace, key): value})
        answer = await self._ports.store.commit(changes)
        if isinstance(answer, Refused):
            raise ConflictError(f"the value of {key!r} could not be written: {answer.reason}")


def _to_json(key: str, value: Any) -> str:
    try:
        check_json(value)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        text.encode()  # half of a surrogate pair is no character
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the value of {key!r} cannot be written as JSON: {error}") from None
    return text
