"""What a running kit and the commands beside it tell each other through the store.

A *pause* is an operator's word: it outlives restarts, and every kit on the store obeys it. A *notice* is a kit's word
about what keeps one of its channels closed, so that ``roomkit why`` can tell; it is gone a while after its kit is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from roomkit_core.engine.pure.facts import Obstacle
from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.changes import ChangeSet, Value
from roomkit_core.models.ids import new_commit_id
from roomkit_core.models.story import Pause

PAUSED = "roomkit.paused"
NOTICES = "roomkit.notices"

NOTICE_LIFE = 45_000_000  # microseconds


async def read_pauses(store: ConversationStore) -> list[Pause]:
    """All pauses, ordered by channel."""
    return [Pause.model_validate_json(text) for _, text in await store.kv_scan(PAUSED)]


async def write_pause(store: ConversationStore, channel_id: str, pause: Pause | None) -> None:
    """Set a pause, or end it with None."""
    value = None if pause is None else Value(pause.model_dump_json())
    await store.commit(ChangeSet(None, new_commit_id(), None, kv={(PAUSED, channel_id): value}))


async def read_notices(store: ConversationStore) -> dict[str, Obstacle]:
    """What keeps channels closed, by channel, as their kits say."""
    found = {}
    for key, text in await store.kv_scan(NOTICES):
        note = json.loads(text)
        found[key.partition(" ")[0]] = Obstacle(note["code"], note["until"], note["detail"])
    return found


async def write_notices(
    store: ConversationStore, owner: str, notices: Mapping[str, Obstacle], gone: Iterable[str], now: int
) -> None:
    """Tell what keeps channels closed, and take back what was told about others.

    Args:
        store: Where it is told.
        owner: The kit that tells it.
        notices: What keeps them closed, by channel.
        gone: The channels about which nothing is told any more.
        now: The present moment in microseconds.
    """
    kv: dict[tuple[str, str], Value | None] = {(NOTICES, f"{channel_id} {owner}"): None for channel_id in gone}
    for channel_id, obstacle in notices.items():
        kv[NOTICES, f"{channel_id} {owner}"] = Value(json.dumps(obstacle._asdict()), now + NOTICE_LIFE)
    await store.commit(ChangeSet(None, new_commit_id(), None, kv=kv))


def pause_of(pauses: Iterable[Pause]) -> dict[str, Obstacle]:
    """Pauses as what keeps channels closed, by channel."""
    return {pause.channel_id: Obstacle("waits.paused", None, _words(pause)) for pause in pauses}


def _words(pause: Pause) -> str:
    since = f"since {pause.since:%Y-%m-%d %H:%M:%S} UTC"
    return f"{since}: {pause.reason}" if pause.reason else since


__all__ = ["NOTICES", "PAUSED", "pause_of", "read_notices", "read_pauses", "write_notices", "write_pause"]
