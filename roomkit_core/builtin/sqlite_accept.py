"""The journal: a message becomes an inbound row before anybody works on it."""

from __future__ import annotations

from collections.abc import Callable

from roomkit_core.builtin.sqlite_births import Birth, insert_work
from roomkit_core.builtin.sqlite_keys import find_key
from roomkit_core.builtin.sqlite_rows import pack_work
from roomkit_core.builtin.sqlite_session import Session
from roomkit_core.interfaces.store import Accepted, Known
from roomkit_core.models.changes import Key
from roomkit_core.models.ids import new_id
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.work import WorkKind, WorkRow, WorkState

_ACCEPTED = """SELECT id, state FROM work WHERE key_channel = ? AND key_sender = ? AND key_name = ?
    ORDER BY seq DESC LIMIT 1"""


def accept(
    message: InboundMessage, lane: tuple[str, ...], key: Key | None, owner: str, lease: float | None
) -> Callable[[Session], Accepted | Known]:
    """What the writer does to take up a message; see :meth:`ConversationStore.accept`."""
    row = WorkRow(
        id=new_id(),
        kind=WorkKind.INBOUND,
        channel_id=message.channel_id,
        lane=lane,
        room_id=None,
        event_id=None,
        payload=(message.model_dump_json(),),
        state=WorkState.PENDING if lease is None else WorkState.IN_FLIGHT,
        key=key,
    )
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
