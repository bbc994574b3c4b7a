"""The journal: a message becomes an inbound row before anybody works on it."""

from __future__ import annotations

from collections.abc import Callable

from roomkit_core.builtin.sqlite.births import Birth, insert_work
from roomkit_core.builtin.sqlite.keys import find_key
from roomkit_core.builtin.sqlite.rows import pack_work
from roomkit_core.builtin.sqlite.session import Session
from roomkit_core.interfaces.store import Accepted, Known
from roomkit_core.interfaces.store_verbs import inbound_row
from roomkit_core.models.changes import Key
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.work import WorkState

_ACCEPTED = """SELECT id, state FROM work WHERE key_channel = ? AND key_sender = ? AND key_name = ?
    ORDER BY seq DESC LIMIT 1"""


def accept(
    message: InboundMessage,
    lane: tuple[str, ...],
    key: Key | None,
    room_id: str | None,
    owner: str,
    lease: float | None,
) -> Callable[[Session], Accepted | Known]:
    """What the writer does to take up a message; see :meth:`ConversationStore.accept`."""
    row = inbound_row(message, lane, key, room_id, claim=lease is not None)
    birth = Birth(pack_work((row,)), owner, round((lease or 0) * 1_000_000))

    def write(session: Session) -> Accepted | Known:
        known = None if key is None else _known(session, key)
        if known is not None:
            return known
        ((*claims,),) = insert_work(session, [birth])
        return Accepted(row.id, claims[0] if claims else None)

    return write


def _known(session: Session, key: Key) -> Known | None:
    accepted = session.one(_ACCEPTED, *key)
    if accepted is not None:
        return Known(accepted[0], WorkState(accepted[1]))
    result = find_key(session, key)
    if result is None:
        return None
    return Known(result.event_id or "", WorkState.REFUSED if result.blocked else WorkState.DONE)
