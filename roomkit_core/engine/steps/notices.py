"""Whether the notice of a deletion has anything to follow, looked at when it is its turn in its lane."""

from __future__ import annotations

from roomkit_core.engine.state.ports import Ports
from roomkit_core.interfaces.store import WorkFilter
from roomkit_core.models.content import DeleteContent
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.work import Outcome, WorkRow, WorkState

NEVER_SENT = Outcome(WorkState.SUPPRESSED, "event.never_sent", "what was deleted was never sent here")


async def why_not_told(ports: Ports, row: WorkRow, event: RoomEvent) -> Outcome | None:
    """Why the recipient of this row need not hear of a deletion; None if it is another event, or they need to.

    What was deleted stands before its notice in the lane, so that it is known by now whether it was sent.

    Raises:
        StoreError: The store cannot be read.
    """
    if not isinstance(event.content, DeleteContent):
        return None
    of_target = WorkFilter(event_id=event.content.target_event_id, lane=row.lane)
    rows = await ports.store.list_work(of_target, limit=1_000)
    is_there = any(sent.maybe_sent or sent.state in (WorkState.SENT, WorkState.PARTIAL) for sent in rows)
    return None if is_there else NEVER_SENT
