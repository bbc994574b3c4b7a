"""``send_event``: now, or at a later time."""

from __future__ import annotations

from datetime import datetime

from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Unit
from roomkit_core.engine.steps.passage import WAITS, no_such_wait
from roomkit_core.engine.steps.scheduled import schedule
from roomkit_core.engine.steps.send import Send, key_of
from roomkit_core.engine.steps.write import in_chain
from roomkit_core.engine.verbs.tenures import change_room
from roomkit_core.interfaces.kit import Wait
from roomkit_core.models.event import RoomEvent


async def send(
    ports: Ports, runners: Runners, event: RoomEvent, wait: Wait, idempotency_key: str | None, at: datetime | None
) -> RoomEvent:
    """Bring the event in now, or write down that it has to be said later."""
    if at is None:
        return await Send(ports, runners, event, wait, idempotency_key).go()
    if wait not in WAITS:
        raise no_such_wait(wait)
    if at.tzinfo is None:
        raise ValueError("at must be an aware datetime: say in which time zone it is meant")
    event = in_chain(event, ports)
    key = key_of(ports, event, idempotency_key)
    said = event

    async def write(unit: Unit) -> None:
        nonlocal said
        said = await schedule(unit, event, at, key)

    await change_room(ports, runners, event.room_id, write)
    return said
